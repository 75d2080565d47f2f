"""The files of the archive in its index: sizes, checksums, times; brought up to date folder by folder."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from egse.archive.index import ArchiveIndex
from egse.archive.index_file import transaction
from egse.files import read_tail
from egse.storage.manifest import MANIFEST, SUPPLEMENTS, read_manifest, read_supplements
from egse.storage.naming import parse_filename
from egse.storage.observation import DESCRIPTION
from egse.system import format_datetime, unix_time

LOGGER = logging.getLogger(__name__)

MEMBER, DAILY = "member", "daily"
"""A file in the folder of an observation, or one of a day."""
_COLUMNS = (
    "path",
    "folder",
    "prefix",
    "kind",
    "mnemonic",
    "extension",
    "size",
    "mtime_ns",
    "sha256",
    "start_time",
    "end_time",
)
_BATCH = 200
"""So many folders are brought up to date in one transaction."""
_HEAD = 1 << 16
_TAIL = 1 << 14


class FileEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A file as the index knows it.

    Attributes:
        path: relative to the data folder of the site.
        prefix: the observation that it belongs to, None for none (or when that is not known).
        kind: `member` (in the folder of an observation) or `daily`.
        mnemonic: storage mnemonic of its producer, None when its name tells none.
        extension: of its name, without the dot.
        size: [bytes].
        mtime_ns: when it was changed last, Unix time [ns].
        sha256: as listed in manifest or supplements, None when it is in neither.
        start_time: Unix time [s] of its first row, None when not known.
        end_time: Unix time [s] of its last row, None when not known.
    """

    path: str
    folder: str
    prefix: str | None
    kind: str
    mnemonic: str | None
    extension: str
    size: int
    mtime_ns: int
    sha256: str | None
    start_time: float | None
    end_time: float | None


class FileIndex:
    """The files in an archive index.

    Args:
        index: the index, open.
    """

    def __init__(self, index: ArchiveIndex) -> None:
        self._index = index
        self._site = index.site

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._index.connection

    def refresh(self, *, thorough: bool = False) -> None:
        """Looks at all folders that may have changed: those of open observations and of today, and new files in others.

        Args:
            thorough: look at size and time of every file; otherwise a file that is altered in place, in the folder of a
                day or an observation that is over, is not noticed.
        """
        self._index.refresh()
        names = [
            f"obs/{row[0]}"
            for row in self._connection.execute("SELECT prefix FROM observations WHERE present")
        ]
        # Observations first: their manifests tell to which of them a file in daily/ belongs.
        names = sorted(names) + self._days()
        known = dict(self._connection.execute("SELECT path, state FROM folders"))
        gone = sorted(known.keys() - set(names))
        listed = self._listed() if thorough else {}
        changed = []
        for name in names:
            state = _state_of(f"{self._site}/{name}")
            if state != known.get(name) or (thorough and self._found(name) != listed.get(name, set())):
                changed.append((name, state))
        for start in range(0, max(len(changed), len(gone)), _BATCH):
            with transaction(self._connection):
                for name in gone[start : start + _BATCH]:
                    self._forget(name)
                for name, state in changed[start : start + _BATCH]:
                    self._scan(name, state)

    def _listed(self) -> dict[str, set[tuple[str, int, int]]]:
        """Returns path, size and time of all known files, by folder."""
        found: dict[str, set[tuple[str, int, int]]] = {}
        for folder, *rest in self._connection.execute("SELECT folder, path, size, mtime_ns FROM files"):
            found.setdefault(folder, set()).add(tuple(rest))
        return found

    def _found(self, name: str) -> set[tuple[str, int, int]]:
        """Returns path, size and time of the files in a folder."""
        return {(path, found.st_size, found.st_mtime_ns) for path, found in _files_in(str(self._site), name)}

    def _days(self) -> list[str]:
        try:
            names = sorted(os.listdir(self._site / "daily"))
        except OSError:
            return []
        return [
            f"daily/{name}" for name in names if name.isdigit() and (self._site / "daily" / name).is_dir()
        ]

    def select(self, where: str = "1", arguments: Sequence[Any] = ()) -> list[FileEntry]:
        """Returns files by path.

        Args:
            where: condition in SQL on the attributes of `FileEntry`; `?` stands for arguments.
            arguments: their values.
        """
        names = ", ".join(_COLUMNS)
        rows = self._connection.execute(
            f"SELECT {names} FROM files WHERE {where} ORDER BY path", tuple(arguments)
        )
        return [FileEntry(**dict(zip(_COLUMNS, row, strict=True))) for row in rows]

    def of_observation(self, prefix: str) -> list[FileEntry]:
        """Returns the files of an observation: those in its folder, and its raw files in `daily/`."""
        return self.select("prefix = ?", (prefix,))

    def of_producer(self, mnemonic: str, start: float, end: float, kind: str = DAILY) -> list[FileEntry]:
        """Returns the files of a producer with rows between two Unix times [s], oldest first."""
        where = "mnemonic = ? AND kind = ? AND ifnull(start_time, 0) < ? AND ifnull(end_time, 1e12) >= ?"
        return self.select(where, (mnemonic, kind, end, start))

    # -- looking ---------------------------------------------------------------------------------------------------

    def _scan(self, name: str, state: str) -> None:
        """Puts the files of a folder into the index, in place of those that it has."""
        known = {entry.path: entry for entry in self.select("folder = ?", (name,))}
        top, _, below = name.partition("/")
        prefix = below if top == "obs" else None
        self._forget(name)
        if prefix:
            sums = self._sums(self._site / name, prefix)
            self._connection.executemany(
                "INSERT OR REPLACE INTO sums VALUES (?, ?, ?, ?)",
                [(path, prefix, size, sha) for path, (size, sha) in sums.items()],
            )
            self._connection.executemany(
                "UPDATE files SET prefix = ?, sha256 = ? WHERE path = ?",
                [(prefix, sha, path) for path, (_, sha) in sums.items() if path.startswith("daily/")],
            )
        rows = [
            self._row(path, found, name, prefix, known.get(path))
            for path, found in _files_in(str(self._site), name)
        ]
        marks = ", ".join("?" * len(_COLUMNS))
        self._connection.executemany(f"INSERT OR REPLACE INTO files VALUES ({marks})", rows)
        if state:
            self._connection.execute("INSERT OR REPLACE INTO folders VALUES (?, ?)", (name, state))

    def _forget(self, name: str) -> None:
        self._connection.execute("DELETE FROM files WHERE folder = ?", (name,))
        self._connection.execute("DELETE FROM folders WHERE path = ?", (name,))

    def _sums(self, folder: Path, prefix: str) -> dict[str, tuple[int, str]]:
        """Returns size and checksum of each listed file of an observation, raw files included, by path in the site."""
        base = f"obs/{prefix}/"
        try:
            manifest, supplements = read_manifest(folder), read_supplements(folder)
        except (ValueError, OSError) as exc:
            LOGGER.warning("%s", exc)
            return {}
        sums: dict[str, tuple[int, str]] = {}
        if manifest is not None:
            sums |= {base + entry.path: (entry.size, entry.sha256) for entry in manifest.files}
            sums |= {entry.path: (entry.size, entry.sha256) for entry in manifest.external}
        for added in supplements:
            sums[added.path if added.external else base + added.path] = (added.size, added.sha256)
        return sums

    def _row(
        self, name: str, found: os.stat_result, folder: str, prefix: str | None, before: FileEntry | None
    ) -> tuple[Any, ...]:
        listed = self._connection.execute(
            "SELECT prefix, sha256 FROM sums WHERE path = ?", (name,)
        ).fetchone()
        owner, sha = (prefix or listed[0], listed[1]) if listed else (prefix, None)
        base = name.rpartition("/")[2]
        try:
            mnemonic: str | None = parse_filename(base).mnemonic
        except ValueError:
            mnemonic = None
        if before is not None and (before.size, before.mtime_ns) == (found.st_size, found.st_mtime_ns):
            times = (before.start_time, before.end_time)
        else:
            times = time_range(self._site / name)
        kind = MEMBER if prefix else DAILY
        extension = base.rpartition(".")[2] if "." in base else ""
        return (
            name, folder, owner, kind, mnemonic, extension, found.st_size, found.st_mtime_ns, sha, *times,
        )  # fmt: skip


def _files_in(site: str, name: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yields the finished files in a folder and below, with their path in the site."""
    pending = [name]
    while pending:
        folder = pending.pop()
        try:
            entries = sorted(os.scandir(f"{site}/{folder}"), key=lambda entry: entry.name)
        except OSError:
            continue  # gone meanwhile
        for entry in entries:
            if entry.name.startswith(".") or entry.name.endswith(".part") or entry.is_symlink():
                continue
            path = f"{folder}/{entry.name}"
            if entry.is_dir():
                pending.append(path)
            elif entry.is_file():
                try:
                    yield path, entry.stat()
                except OSError:
                    continue


def _state_of(folder: str) -> str:
    """Returns text that changes when files in a folder may have; empty when they may change without it."""
    modified = _stat(folder)
    if modified is None:
        return ""
    parent, name = folder.rsplit("/", 2)[1:]
    if parent != "obs":
        return f"{modified.st_mtime_ns}" if name < format_datetime("yesterday") else ""
    if _stat(f"{folder}/{MANIFEST}") is None and _stat(f"{folder}/{DESCRIPTION}") is not None:
        return ""  # open: its files grow
    added = _stat(f"{folder}/{SUPPLEMENTS}")
    return f"{modified.st_mtime_ns} {added.st_size if added else 0}"


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None


def time_range(path: Path) -> tuple[float | None, float | None]:
    """Returns the Unix times [s] of the first and last row of a housekeeping file, or of the frames of a raw file.

    None where the file does not tell.
    """
    if path.suffix == ".csv":
        return _csv_range(path)
    if path.suffix == ".hdf5":
        return _raw_range(path)
    return None, None


def _csv_range(path: Path) -> tuple[float | None, float | None]:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD).split(b"\n", 2)
        columns = head[0].decode(errors="replace").strip().split(",")
        if "timestamp" not in columns or len(head) < 3:
            return None, None
        last = read_tail(path, _TAIL).rstrip(b"\n").rpartition(b"\n")[2]
    except OSError:
        return None, None
    column = columns.index("timestamp")
    return _cell_time(head[1], column), _cell_time(last, column)


def _cell_time(line: bytes, column: int) -> float | None:
    cells = line.decode(errors="replace").strip().split(",")
    try:
        return unix_time(cells[column])
    except (ValueError, IndexError):
        return None


def _raw_range(path: Path) -> tuple[float | None, float | None]:
    from egse.h5.reader import frame_numbers, get_file, get_timestamp

    try:
        with get_file(path) as file:
            times = [
                get_timestamp(file, frame) for frame in frame_numbers(file) if f"{frame}/timecode" in file
            ]
    except (OSError, KeyError, ValueError):
        return None, None
    return (min(times), max(times)) if times else (None, None)
