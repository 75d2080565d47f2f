"""SQLite persistence of the storage manager: one table that grows."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from egse.files import create_file, fsync_folder
from egse.storage.naming import utc_text
from egse.storage.persistence.base import Persistence, Prepared, Rows, last_of, set_aside
from egse.storageerrors import StorageError

BUSY = 5.0
"""How long a write waits for somebody who reads with a lock [s]."""


class SQLite(Persistence):
    """A table in a database of its own, in write-ahead mode: one transaction for each `save`.

    * `prep`: `table` (its name, default `data`), `column_names` (list; without it those of the first row).
    * `data`: a mapping of column to value, or a list of them. Numbers, texts, bytes and None stay what they are,
      booleans become 0 and 1, datetimes UTC text, anything else JSON. A new column is added to the table.
    * `select` of `read`: `columns` (list), `last` (number of rows), `start` and `end` (texts,
      `start <= timestamp < end`). `read` returns a list of dictionaries, in the order of arrival.

    While it is in use, its last rows may stand in the file `<name>-wal` beside it, where every SQLite reader finds them.
    """

    extension = "sqlite"

    def __init__(self, path: Path, prep: Mapping[str, Any] | None = None) -> None:
        super().__init__(path, prep)
        self._base: sqlite3.Connection | None = None
        self._columns: list[str] = []
        self._last = 0

    @property
    def table(self) -> str:
        """Name of the table."""
        return str(self.prep.get("table") or "data")

    def open(self) -> None:
        if self._base is not None:
            return
        try:
            self._connect()
        except sqlite3.DatabaseError as exc:
            self.close()
            if isinstance(exc, sqlite3.OperationalError):
                raise _as_os_error(exc, self.path) from exc
            set_aside(self.path, exc)
            self._connect()

    def _connect(self) -> None:
        with contextlib.suppress(FileExistsError):
            os.close(create_file(self.path, 0o640))
            fsync_folder(self.path.parent)
        # Commands come from one thread, the end of the server from another; the manager's lock keeps them apart.
        base = sqlite3.connect(self.path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        self._base = base
        base.execute("PRAGMA journal_mode=WAL")
        base.execute("PRAGMA synchronous=NORMAL")
        self._columns = [row[1] for row in base.execute(f"PRAGMA table_info({_quoted(self.table)})")]
        prepared = [str(name) for name in self.prep.get("column_names") or ()]
        if prepared:
            with self._transaction() as open_base:
                self._add_columns(open_base, prepared)
        self._last = self._last_row(base)

    def _last_row(self, base: sqlite3.Connection) -> int:
        if not self._columns:
            return 0
        return int(base.execute(f"SELECT coalesce(max(rowid), 0) FROM {_quoted(self.table)}").fetchone()[0])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        assert self._base is not None
        columns = list(self._columns)
        try:
            self._base.execute("BEGIN IMMEDIATE")
            yield self._base
            self._base.execute("COMMIT")
        except BaseException as exc:
            self._columns = columns
            with contextlib.suppress(sqlite3.Error):
                self._base.execute("ROLLBACK")
            if isinstance(exc, sqlite3.Error):
                raise _as_os_error(exc, self.path) from exc
            raise

    def _add_columns(self, base: sqlite3.Connection, names: Sequence[str]) -> None:
        for name in dict.fromkeys(names):
            if name.lower() in (known.lower() for known in self._columns):
                continue
            if self._columns:
                base.execute(f"ALTER TABLE {_quoted(self.table)} ADD COLUMN {_quoted(name)}")
            else:
                base.execute(f"CREATE TABLE {_quoted(self.table)} ({_quoted(name)})")
            self._columns = [*self._columns, name]

    def prepare(self, rows: Rows) -> Prepared:
        self.open()
        values = []
        for row in rows:
            if not isinstance(row, Mapping) or not row:
                raise StorageError(
                    f"a row of {self.path.name} must be a mapping of column to value, got {row!r:.80}"
                )
            values.append({str(name): _as_value(name, value) for name, value in row.items()})
        return Prepared(len(values), len(values), values)

    def write(self, prepared: Prepared) -> None:
        self.open()
        with self._transaction() as base:
            for row in prepared.payload:
                self._add_columns(base, list(row))
                columns, marks = ", ".join(map(_quoted, row)), ", ".join("?" * len(row))
                statement = f"INSERT INTO {_quoted(self.table)} ({columns}) VALUES ({marks})"
                base.execute(statement, list(row.values()))
        self._last += prepared.count

    def position(self) -> int:
        self.open()
        return self._last

    def rollback(self, position: int) -> None:
        self.open()
        if self._columns:
            with self._transaction() as base:
                base.execute(f"DELETE FROM {_quoted(self.table)} WHERE rowid > ?", (position,))
        self._last = position

    def settle(self, start: int, size: int, count: int) -> int:
        return min(count, max(0, self.position() - start)) if self.exists() else 0

    def read(self, select: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        if not self.exists():
            return []
        self.open()
        assert self._base is not None
        if not self._columns:
            return []
        chosen = dict(select or {})
        names = [str(name) for name in chosen.get("columns") or self._columns]
        if unknown := [name for name in names if name not in self._columns]:
            raise StorageError(f"{self.path.name} has no column {', '.join(unknown)}")
        conditions, values = [], []
        for key, sign in (("start", ">="), ("end", "<")):
            if chosen.get(key):
                conditions.append(f'"timestamp" {sign} ?')
                values.append(str(chosen[key]))
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        statement = (
            f"SELECT {', '.join(map(_quoted, names))} FROM {_quoted(self.table)}{where} ORDER BY rowid"
        )
        try:
            rows = self._base.execute(statement, values).fetchall()
        except sqlite3.Error as exc:
            raise StorageError(f"{self.path.name}: {exc}") from exc
        return last_of([dict(zip(names, row, strict=True)) for row in rows], chosen)

    def close(self) -> None:
        if self._base is not None:
            with contextlib.suppress(
                sqlite3.Error
            ):  # somebody reads, or the disk is full: the -wal file stays
                # A finished file must not need a log: who may only read could not open it.
                self._base.execute("PRAGMA busy_timeout=0")
                self._base.execute("PRAGMA journal_mode=DELETE")
            with contextlib.suppress(sqlite3.Error):
                self._base.close()
            self._base = None

    def descriptors(self) -> list[int]:
        """Returns the write-ahead log only: to open and close the database itself would drop SQLite's own locks."""
        log = self.path.with_name(f"{self.path.name}-wal")
        try:
            return [os.open(log, os.O_RDONLY | os.O_CLOEXEC)]
        except FileNotFoundError:
            return []


def _quoted(name: str) -> str:
    if "\0" in name:
        raise StorageError(f"{name!r} is no name of a column or table")
    return '"' + name.replace('"', '""') + '"'


def _as_value(name: Any, value: Any) -> Any:
    if hasattr(value, "item") and not hasattr(value, "__len__"):
        value = value.item()
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise StorageError(f"{name}: {value} does not fit into 64 bits")
    if value is None or isinstance(value, (int, float, str, bytes)):
        return value
    if isinstance(value, datetime):
        return utc_text(value.timestamp())
    try:
        return msgspec.json.encode(value.tolist() if hasattr(value, "tolist") else value).decode()
    except (TypeError, msgspec.MsgspecError) as exc:
        raise StorageError(
            f"{name}: a value of type {type(value).__name__} does not go into a database"
        ) from exc


def _as_os_error(exc: sqlite3.Error, path: Path) -> Exception:
    """Returns the error of the operating system that SQLite reports in its own words."""
    code = getattr(exc, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_FULL or code in _WRITE_FAILED:
        return OSError(errno.ENOSPC, f"{exc}", str(path))
    return StorageError(f"{path.name}: {exc}")


_WRITE_FAILED = (sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_TRUNCATE)
"""What a full disk looks like when the log or its index cannot grow."""
