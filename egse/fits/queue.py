"""The queue of raw files for the FITS generator: what is to be processed, what has been, and with which result.

`hdf5_queue/hdf5_queue.sqlite` below the site's data folder (ICD of the storage formats, section 2). The queue is bookkeeping: what a cube holds is
in the cube, so that a lost or wiped queue costs nothing but a look at the files.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from egse.files import make_folder
from egse.system import format_datetime

FOLDER = "hdf5_queue"
FILE = "hdf5_queue.sqlite"

WAITING, PROCESSING, DONE, FAILED = "waiting", "processing", "done", "failed"
STATES = (WAITING, PROCESSING, DONE, FAILED)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    name    TEXT PRIMARY KEY,              -- of the raw file
    obsid   TEXT NOT NULL,                 -- SITE_SETUP_TEST, empty when it belongs to no observation
    state   TEXT NOT NULL,                 -- waiting, processing, done, failed
    note    TEXT NOT NULL DEFAULT '',      -- why it failed
    updated TEXT NOT NULL                  -- UTC
);
CREATE INDEX IF NOT EXISTS files_by_state ON files (state, obsid);
"""


class FileQueue:
    """The queue of one site; may be used from several threads and processes.

    Args:
        site_folder: data folder of the site.

    Raises:
        sqlite3.Error: when the database cannot be opened.
    """

    def __init__(self, site_folder: Path) -> None:
        folder = site_folder / FOLDER
        make_folder(folder)
        self.path = folder / FILE
        self._lock = threading.Lock()
        self._database = sqlite3.connect(
            self.path, timeout=30.0, isolation_level=None, check_same_thread=False
        )
        self.path.chmod(0o640)
        self._database.executescript(_SCHEMA)

    def add(self, files: Iterable[tuple[str, str]]) -> int:
        """Adds raw files that are not known yet; those without an observation are done at once.

        Args:
            files: name and obsid of each.

        Returns:
            How many were new.
        """
        now = format_datetime()
        rows = [(name, obsid, WAITING if obsid else DONE, now) for name, obsid in files]
        with self._lock:
            before = self._database.total_changes
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(
                "INSERT OR IGNORE INTO files (name, obsid, state, updated) VALUES (?, ?, ?, ?)", rows
            )
            self._database.execute("COMMIT")
            return self._database.total_changes - before

    def names(self) -> set[str]:
        """Returns the names of all files that are known."""
        return {str(name) for (name,) in self._select("SELECT name FROM files")}

    def waiting(self) -> list[str]:
        """Returns the observations that have files to be processed, oldest file first."""
        query = "SELECT obsid FROM files WHERE state IN (?, ?) GROUP BY obsid ORDER BY min(name)"
        return [str(obsid) for (obsid,) in self._select(query, WAITING, PROCESSING)]

    def files(self, obsid: str) -> dict[str, str]:
        """Returns the files of an observation and their states."""
        rows = self._select("SELECT name, state FROM files WHERE obsid = ? ORDER BY name", obsid)
        return {str(name): str(state) for name, state in rows}

    def mark(self, obsid: str, state: str, note: str = "") -> None:
        """Sets the state of all files of an observation that are not done.

        Args:
            obsid: full obsid.
            state: the new state.
            note: why, for failures.
        """
        with self._lock:
            self._database.execute(
                "UPDATE files SET state = ?, note = ?, updated = ? WHERE obsid = ? AND state != ?",
                (state, note, format_datetime(), obsid, DONE),
            )

    def counts(self) -> dict[str, int]:
        """Returns the number of files in each state."""
        found = {
            str(state): int(n)
            for state, n in self._select("SELECT state, count(*) FROM files GROUP BY state")
        }
        return {state: found.get(state, 0) for state in STATES}

    def _select(self, query: str, *arguments: str) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(query, arguments).fetchall()

    def close(self) -> None:
        """Closes the database."""
        with self._lock:
            self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()
