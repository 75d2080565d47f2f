"""Columns of housekeeping files, read once and kept.

A housekeeping file is rows of text, and who looks at months of one parameter wants a column of numbers. Each column that
was asked for is kept as an array in a file of its own, with the state of the housekeeping file that it was read from: an
unchanged file is not opened again, of one that has grown only the new lines are read, and anything else (a file made
anew, widened, cut off) is read from its beginning.

The cache may be deleted at any time. Where it cannot be written it is done without.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import numpy as np

from egse.files import make_folder, write_atomically
from egse.hk.cells import cut_columns, read_header
from egse.hk.column import DTYPES, Column, MixedColumnError, join_columns, make_column
from egse.settings import Settings, SettingsError

LOGGER = logging.getLogger(__name__)

BLOCK = 1 << 25
"""So much of a file is worked on at once [bytes]."""
MAGIC = b"EGSEHK01"
TAIL = 64
"""So many bytes before the end of what was read must be the same for a file to count as grown."""
DEFAULT_SIZE = 2_000_000_000
"""Largest size of the cache [bytes]; settings block `Housekeeping`, key `CACHE_SIZE`, 0 for no cache."""
SWEEP_EVERY = 200
"""The size is looked at once in so many written columns."""


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """Where the column of a cache file comes from.

    Attributes:
        size, mtime, inode: state of the housekeeping file.
        covered: bytes of it that were read: whole lines.
        header: its first line, as SHA-256.
        tail: the last bytes that were read.
        kind, count, texts: see `Column`.
    """

    size: int
    mtime: int
    inode: int
    covered: int
    header: str
    tail: bytes
    kind: str
    count: int
    texts: list[str] = []


@dataclass(frozen=True)
class State:
    """A housekeeping file as it is at one moment."""

    size: int
    mtime: int
    inode: int

    @classmethod
    def of(cls, info: os.stat_result) -> State:
        return cls(info.st_size, info.st_mtime_ns, info.st_ino)

    def same_as(self, meta: Meta) -> bool:
        return (self.size, self.mtime, self.inode) == (meta.size, meta.mtime, meta.inode)


@dataclass
class _Kept:
    meta: Meta
    column: Column


class ColumnCache:
    """Reads columns of housekeeping files.

    Args:
        folder: where columns are kept, made when needed; None to keep nothing.
        limit: largest size of what is kept [bytes]; the columns that were not used for longest go first.
    """

    def __init__(self, folder: Path | None, limit: int = DEFAULT_SIZE) -> None:
        self.folder = folder if limit > 0 else None
        self.limit = limit
        self._written = 0
        self._lock = threading.Lock()

    def read(self, path: Path, timestamp: str, name: str) -> tuple[Column, Column] | None:
        """Returns times and values of one parameter of one file; both have the same number of rows.

        Args:
            path: the housekeeping file.
            timestamp: its column with the times; `timestamp` is taken when there is no such column.
            name: the parameter.

        Returns:
            None when the file has no such parameter, or no column with times.

        Raises:
            OSError: when the file cannot be read.
        """
        state = State.of(path.stat())
        kept = {column: self._load(path, column) for column in (timestamp, name)}
        if all(entry is not None and state.same_as(entry.meta) for entry in kept.values()):
            found = [entry.column for entry in kept.values() if entry is not None]
            return found[0], found[-1]
        with path.open("rb") as file:
            return self._read_anew(path, file, kept, timestamp, name)

    def _read_anew(
        self, path: Path, file: BinaryIO, kept: dict[str, _Kept | None], timestamp: str, name: str
    ) -> tuple[Column, Column] | None:
        first = file.readline()
        header = read_header(first) if first.endswith(b"\n") else []
        if timestamp not in header:
            timestamp = "timestamp"
            kept = {timestamp: self._load(path, timestamp), name: kept[name]}
        if timestamp not in header or name not in header:
            return None
        reader = _Reader(file, first, header)
        columns = {}
        for column, start, before in reader.plan(kept):
            columns[column] = (start, before)
        result = reader.read(columns, timestamp)
        for column, (meta, values) in result.items():
            previous = kept[column]
            if previous is None or previous.meta != meta:
                self._save(path, column, meta, values)
        return result[timestamp][1], result[name][1]

    # -- files of the cache --------------------------------------------------------------------------------------

    def _place(self, path: Path, column: str) -> Path | None:
        if self.folder is None:
            return None
        of_file = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:24]
        of_column = hashlib.sha256(column.encode()).hexdigest()[:16]
        return self.folder / of_file[:2] / of_file / f"{of_column}.col"

    def _load(self, path: Path, column: str) -> _Kept | None:
        place = self._place(path, column)
        if place is None:
            return None
        try:
            data = place.read_bytes()
        except OSError:
            return None
        entry = _decode(data)
        if entry is None:
            LOGGER.warning("%s is damaged; the column is read again", place)
        return entry

    def _save(self, path: Path, column: str, meta: Meta, values: Column) -> None:
        place = self._place(path, column)
        if place is None:
            return
        try:
            make_folder(place.parent, 0o700)
            write_atomically(place, _encode(meta, values), 0o600, durable=False)
        except OSError as exc:
            LOGGER.debug("columns of housekeeping cannot be kept in %s: %s", self.folder, exc)
            self.folder = None
            return
        with self._lock:
            self._written += 1
            due = self._written % SWEEP_EVERY == 1
        if due:
            self.sweep()

    def sweep(self) -> int:
        """Removes the columns that were written longest ago until the rest is small enough; returns how many."""
        if self.folder is None:
            return 0
        files = []
        for place in self.folder.glob("*/*/*.col"):
            try:
                info = place.stat()
            except OSError:
                continue
            files.append((info.st_mtime_ns, info.st_size, place))
        excess = sum(size for _, size, _ in files) - self.limit
        removed = 0
        for _, size, place in sorted(files):
            if excess <= 0:
                break
            place.unlink(missing_ok=True)
            excess -= size
            removed += 1
        return removed


def _encode(meta: Meta, column: Column) -> bytes:
    head = msgspec.msgpack.encode(meta)
    body = np.ascontiguousarray(column.data, dtype=DTYPES[column.kind]).tobytes()
    return b"".join((MAGIC, len(head).to_bytes(8, "little"), head, body))


def _decode(data: bytes) -> _Kept | None:
    """Returns a column as it was kept, None when the data are damaged."""
    try:
        start = len(MAGIC) + 8
        end = start + int.from_bytes(data[len(MAGIC) : start], "little")
        if not data.startswith(MAGIC) or end > len(data):
            return None
        meta = msgspec.msgpack.decode(data[start:end], type=Meta)
        dtype = DTYPES[meta.kind]
        if len(data) - end != meta.count * dtype.itemsize:
            return None
    except (msgspec.MsgspecError, KeyError):
        return None
    return _Kept(meta, Column(meta.kind, np.frombuffer(data, dtype, meta.count, end), meta.texts))


# -- the housekeeping file -----------------------------------------------------------------------------------------------


class _Reader:
    """Reads columns of a housekeeping file that is open.

    Args:
        file: the file.
        first: its first line.
        header: names of the columns.
    """

    def __init__(self, file: BinaryIO, first: bytes, header: list[str]) -> None:
        self._file = file
        self._header = header
        self._digest = hashlib.sha256(first).hexdigest()
        self._start = len(first)
        self._state = State.of(os.fstat(file.fileno()))

    def plan(self, kept: dict[str, _Kept | None]) -> Iterator[tuple[str, int, Column | None]]:
        """Yields for each column where to begin reading and what is known before."""
        for name, entry in kept.items():
            if entry is not None and self._is_continued(entry.meta):
                yield name, entry.meta.covered, entry.column
            else:
                yield name, self._start, None

    def _is_continued(self, meta: Meta) -> bool:
        """Says whether the file begins with what was read before: header and last bytes are still the same."""
        if meta.header != self._digest or not self._start <= meta.covered <= self._state.size:
            return False
        return self._bytes_before(meta.covered) == meta.tail

    def _bytes_before(self, place: int) -> bytes:
        begin = max(place - TAIL, 0)
        return os.pread(self._file.fileno(), place - begin, begin)

    def read(
        self, columns: dict[str, tuple[int, Column | None]], timestamp: str
    ) -> dict[str, tuple[Meta, Column]]:
        """Reads columns from where they are known to the last whole line.

        Args:
            columns: by name, where to begin and what is known before.
            timestamp: name of the one with the times.
        """
        parts: dict[str, list[Column]] = {
            name: [] if before is None else [before] for name, (_, before) in columns.items()
        }
        covered = max(begin for begin, _ in columns.values())
        for begin in sorted({begin for begin, _ in columns.values()}):
            names = [name for name, (place, _) in columns.items() if place == begin]
            covered = max(covered, self._read_group(begin, names, timestamp, parts))
        result = {}
        for name, pieces in parts.items():
            column = self._join(name, pieces, timestamp)
            result[name] = (self._meta(covered, column), column)
        return result

    def _read_group(
        self, begin: int, names: list[str], timestamp: str, parts: dict[str, list[Column]]
    ) -> int:
        wanted = [self._header.index(name) for name in names]
        covered = begin
        for block, end in self._blocks(begin):
            covered = end
            for name, cells in zip(names, cut_columns(block, len(self._header), wanted)):
                parts[name].append(make_column(cells, time=name == timestamp))
        return covered

    def _join(self, name: str, pieces: list[Column], timestamp: str) -> Column:
        if not pieces:
            return make_column(np.array([], dtype="S1"), time=name == timestamp)
        try:
            return join_columns(pieces)
        except MixedColumnError:
            index = [self._header.index(name)]
            texts = [
                make_column(cut_columns(block, len(self._header), index)[0], text=True)
                for block, _ in self._blocks(self._start)
            ]
            return join_columns(texts)

    def _blocks(self, begin: int) -> Iterator[tuple[Any, int]]:
        """Yields whole lines from `begin` on, and where they end; what follows the last newline is no line yet."""
        descriptor, place, size = self._file.fileno(), begin, BLOCK
        while place < self._state.size:
            data = os.pread(descriptor, min(size, self._state.size - place), place)
            end = data.rfind(b"\n") + 1
            if end:
                yield np.frombuffer(data, np.uint8, end), place + end
                place += end
                size = BLOCK
            elif place + len(data) >= self._state.size or not data:
                return
            else:
                size *= 2  # a line longer than a block

    def _meta(self, covered: int, column: Column) -> Meta:
        return Meta(
            size=self._state.size,
            mtime=self._state.mtime,
            inode=self._state.inode,
            covered=covered,
            header=self._digest,
            tail=self._bytes_before(covered),
            kind=column.kind,
            count=len(column),
            texts=column.texts,
        )


# -- the cache of this user ----------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Returns the cache folder of this user: settings `Housekeeping: CACHE_LOCATION`, or below `XDG_CACHE_HOME`."""
    location = _settings().get("CACHE_LOCATION")
    if location:
        return Path(str(location)).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "") or str(Path.home() / ".cache")
    return Path(base) / "camtest" / "housekeeping"


def _settings() -> Any:
    try:
        return Settings.load("Housekeeping")
    except SettingsError:
        return {}


_caches: dict[tuple[Path, int], ColumnCache] = {}


def user_cache() -> ColumnCache:
    """Returns the cache of this user."""
    key = cache_folder(), int(_settings().get("CACHE_SIZE", DEFAULT_SIZE))
    return _caches.setdefault(key, ColumnCache(*key))
