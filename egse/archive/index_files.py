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
from egse.storage.files import last_lines
from egse.storage.manifest import MANIFEST, SUPPLEMENTS, read_manifest, read_supplements
from egse.storage.naming import parse_filename
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
        folders = [self._site / "obs" / entry.prefix for entry in self._index.select("present")]
        folders += self._days()
        known = dict(self._connection.execute("SELECT path, state FROM folders"))
        names = {folder.relative_to(self._site).as_posix() for folder in folders}
        for name in known.keys() - names:
            with transaction(self._connection):
                self._forget(name)
        listed = self._listed() if thorough else {}
        # Observations first: their manifests tell to which of them a file in daily/ belongs.
        for folder in folders:
            name = folder.relative_to(self._site).as_posix()
            state = _state_of(folder)
            if state != known.get(name) or (thorough and self._found(folder) != listed.get(name, set())):
                self._scan(folder, name, state)

    def _listed(self) -> dict[str, set[tuple[str, int, int]]]:
        """Returns path, size and time of all known files, by folder."""
        found: dict[str, set[tuple[str, int, int]]] = {}
        for folder, *rest in self._connection.execute("SELECT folder, path, size, mtime_ns FROM files"):
            found.setdefault(folder, set()).add(tuple(rest))
        return found

    def _found(self, folder: Path) -> set[tuple[str, int, int]]:
        """Returns path, size and time of the files in a folder."""
        found = set()
        for path in _files_in(folder):
            state = path.stat()
            found.add((path.relative_to(self._site).as_posix(), state.st_size, state.st_mtime_ns))
        return found

    def _days(self) -> list[Path]:
        daily = self._site / "daily"
        return sorted(path for path in daily.glob("[0-9]*") if path.is_dir()) if daily.is_dir() else []

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

    def _scan(self, folder: Path, name: str, state: str) -> None:
        known = {entry.path: entry for entry in self.select("folder = ?", (name,))}
        prefix = folder.name if folder.parent.name == "obs" else None
        sums = self._sums(folder, prefix) if prefix else {}
        with transaction(self._connection):
            self._forget(name)
            if prefix:
                self._connection.executemany(
                    "INSERT OR REPLACE INTO sums VALUES (?, ?, ?, ?)",
                    [(path, prefix, size, sha) for path, (size, sha) in sums.items()],
                )
                self._connection.executemany(
                    "UPDATE files SET prefix = ?, sha256 = ? WHERE path = ?",
                    [(prefix, sha, path) for path, (_, sha) in sums.items()],
                )
            rows = [self._row(path, name, prefix, known) for path in _files_in(folder)]
            marks = ", ".join("?" * len(_COLUMNS))
            self._connection.executemany(
                f"INSERT OR REPLACE INTO files VALUES ({marks})", [row for row in rows if row is not None]
            )
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
        self, path: Path, folder: str, prefix: str | None, known: dict[str, FileEntry]
    ) -> tuple[Any, ...] | None:
        name = path.relative_to(self._site).as_posix()
        try:
            found = path.stat()
        except OSError:
            return None  # gone meanwhile
        listed = self._connection.execute(
            "SELECT prefix, sha256 FROM sums WHERE path = ?", (name,)
        ).fetchone()
        owner, sha = (prefix or listed[0], listed[1]) if listed else (prefix, None)
        try:
            mnemonic: str | None = parse_filename(path.name).mnemonic
        except ValueError:
            mnemonic = None
        before = known.get(name)
        if before is not None and (before.size, before.mtime_ns) == (found.st_size, found.st_mtime_ns):
            times = (before.start_time, before.end_time)
        else:
            times = time_range(path)
        kind = MEMBER if prefix else DAILY
        return (
            name, folder, owner, kind, mnemonic, path.suffix.lstrip("."), found.st_size, found.st_mtime_ns, sha, *times,
        )  # fmt: skip


def _files_in(folder: Path) -> Iterator[Path]:
    """Yields the finished files in a folder and below."""
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(base) / name
            if (
                not name.startswith(".")
                and path.suffix != ".part"
                and path.is_file()
                and not path.is_symlink()
            ):
                yield path


def _state_of(folder: Path) -> str:
    """Returns text that changes when files in a folder may have; empty when they may change without it."""
    try:
        modified = folder.stat().st_mtime_ns
        if folder.parent.name == "obs":
            if not (folder / MANIFEST).exists() and (folder / "observation.json").exists():
                return ""  # open: its files grow
            with_supplements = folder / SUPPLEMENTS
            added = with_supplements.stat().st_size if with_supplements.exists() else 0
            return f"{modified} {added}"
        yesterday = format_datetime("yesterday")
        return f"{modified}" if folder.name < yesterday else ""
    except OSError:
        return ""


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
        last = last_lines(path, _TAIL).rstrip(b"\n").rpartition(b"\n")[2]
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
