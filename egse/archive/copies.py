"""What is known of copies elsewhere: which file was verified where and when, and what was removed here because of it.

The file is the permission to remove data, and no cache: it follows from nothing else. It is written with full
synchronisation and belongs to the backup of a site. Without it nothing is ever removed; `cgse archive sync` makes it
again by verifying everything again.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from egse.archive.index_file import transaction

COPIES_FILE = "archive-copies.sqlite"
"""Name of the file in the data folder of the site."""
VERIFIED, FAILED = "verified", "failed"

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS copies (destination TEXT, path TEXT, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, "
    "sha256 TEXT NOT NULL, checked REAL NOT NULL, state TEXT NOT NULL, problem TEXT NOT NULL, "
    "PRIMARY KEY (destination, path)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS copies_by_path ON copies (path)",
    "CREATE TABLE IF NOT EXISTS removed (path TEXT PRIMARY KEY, size INTEGER NOT NULL, sha256 TEXT NOT NULL, "
    "removed REAL NOT NULL, destinations TEXT NOT NULL) WITHOUT ROWID",
)


class Copy(msgspec.Struct, frozen=True, kw_only=True):
    """The copy of one file at one destination, as it was checked last.

    Attributes:
        destination: where, as given to `cgse archive sync`.
        path: relative to the data folder of the site.
        size: of the original at that time [bytes].
        mtime_ns: when the original was changed last, Unix time [ns].
        sha256: of the original.
        checked: when the copy was checked, Unix time [s].
        state: `verified` or `failed`.
        problem: what was wrong with it.
    """

    destination: str
    path: str
    size: int
    mtime_ns: int
    sha256: str
    checked: float
    state: str = VERIFIED
    problem: str = ""


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was removed here, because verified copies are elsewhere.

    Attributes:
        path: relative to the data folder of the site.
        size: [bytes].
        sha256: of its content.
        removed: when, Unix time [s].
        destinations: where the copies are, one line each.
    """

    path: str
    size: int
    sha256: str
    removed: float
    destinations: str


class Copies:
    """The copies of a site's files.

    Args:
        site: data folder of the site.
        writing: to record what was verified; otherwise nothing is made or changed on disk.

    Raises:
        OSError: when the file cannot be opened.
    """

    def __init__(self, site: Path, *, writing: bool = False) -> None:
        self.path = site / COPIES_FILE
        try:
            self._connection = self._open(writing)
        except sqlite3.Error as exc:
            raise OSError(
                f"{self.path} cannot be used ({exc}): restore it from a backup, or move it away; `cgse archive sync` then "
                f"verifies all copies again"
            ) from exc

    def _open(self, writing: bool) -> sqlite3.Connection:
        if not writing:
            if not self.path.exists():
                connection = sqlite3.connect(":memory:", isolation_level=None)
                for statement in _SCHEMA:
                    connection.execute(statement)
                return connection
            uri = f"{self.path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(uri, uri=True, timeout=10.0, isolation_level=None)
            connection.execute("SELECT count(*) FROM copies WHERE destination = ''")
            return connection
        os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640))
        connection = sqlite3.connect(self.path, timeout=10.0, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        for statement in _SCHEMA:
            connection.execute(statement)
        return connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._connection.close()

    def record(self, copies: Iterable[Copy]) -> None:
        """Records what was found out; it is on disk when this returns."""
        with transaction(self._connection):
            self._connection.executemany(
                "INSERT OR REPLACE INTO copies VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [msgspec.structs.astuple(copy) for copy in copies],
            )

    def record_removal(self, removed: Iterable[Removed]) -> None:
        """Records what is about to be removed; it is on disk when this returns."""
        with transaction(self._connection):
            self._connection.executemany(
                "INSERT OR REPLACE INTO removed VALUES (?, ?, ?, ?, ?)",
                [msgspec.structs.astuple(each) for each in removed],
            )

    def select(self, where: str = "1", arguments: Sequence[object] = ()) -> list[Copy]:
        """Returns copies by destination and path; `where` is a condition in SQL on the attributes of `Copy`."""
        rows = self._connection.execute(
            f"SELECT * FROM copies WHERE {where} ORDER BY destination, path", tuple(arguments)
        )
        return [Copy(**dict(zip(Copy.__struct_fields__, row, strict=True))) for row in rows]

    def at(self, destination: str) -> dict[str, Copy]:
        """Returns the copies at a destination by path."""
        return {copy.path: copy for copy in self.select("destination = ?", (destination,))}

    def removed(self, path: str | None = None) -> dict[str, Removed]:
        """Returns what was removed here, by path; only that file when one is named."""
        where, arguments = ("path = ?", (path,)) if path is not None else ("1", ())
        rows = self._connection.execute(f"SELECT * FROM removed WHERE {where}", arguments)
        found = (Removed(**dict(zip(Removed.__struct_fields__, row, strict=True))) for row in rows)
        return {each.path: each for each in found}

    def destinations(self) -> list[str]:
        """Returns all destinations that anything was copied to."""
        rows = self._connection.execute("SELECT DISTINCT destination FROM copies ORDER BY destination")
        return [row[0] for row in rows]
