"""Puts acknowledged rows on disk within a stated time, off the path of the commands."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

LOGGER = logging.getLogger(__name__)


class Syncable(Protocol):
    """A file whose content can be put on disk."""

    @property
    def path(self) -> Path:
        """Its name."""

    def descriptors(self) -> list[int]:
        """Returns descriptors for `fsync`, which the caller closes."""


class Syncer(threading.Thread):
    """Calls fsync once for every file that was written to since the last time (group commit).

    Args:
        interval: acknowledged rows are on disk at the latest after this time [s]; it works twice as often. 0 means at
            once, in the thread that writes.

    Attributes:
        longest: longest time from a write until it was on disk [s], since `take_longest` was called last.
        failures: how often a file could not be put on disk.
    """

    def __init__(self, interval: float) -> None:
        super().__init__(name="sm-sync", daemon=True)
        self.interval = interval
        self.longest = 0.0
        self.failures = 0
        self._lock = threading.Lock()
        self._dirty: dict[Path, list[int]] = {}
        self._oldest = 0.0
        self._ending = threading.Event()

    def touch(self, files: Iterable[Syncable]) -> None:
        """Notes that files were written to."""
        with self._lock:
            for file in files:
                if file.path in self._dirty:
                    continue
                if not self._dirty:
                    self._oldest = time.monotonic()
                # Own descriptors: the file may be closed or cycled before its turn comes.
                try:
                    self._dirty[file.path] = file.descriptors()
                except OSError as exc:  # the rows are stored: no reason to have them sent again
                    self.failures += 1
                    LOGGER.error("%s cannot be put on disk: %s", file.path, exc)
        if self.interval <= 0:
            self.sync()

    def take_longest(self) -> float:
        """Returns the longest time that a write waited for the disk since the last call [s]."""
        with self._lock:
            longest, self.longest = self.longest, 0.0
        return longest

    def run(self) -> None:
        """Works until `end`."""
        while not self._ending.wait(self.interval / 2 or 3600.0):
            self.sync()

    def sync(self) -> None:
        """Puts everything on disk that was written until now."""
        with self._lock:
            dirty, self._dirty = self._dirty, {}
            oldest = self._oldest
        for path, descriptors in dirty.items():
            for descriptor in descriptors:
                self._sync_one(path, descriptor)
        if dirty:
            self._note(time.monotonic() - oldest)

    def _sync_one(self, path: Path, descriptor: int) -> None:
        try:
            os.fsync(descriptor)
        except OSError as exc:
            self.failures += 1
            LOGGER.error("%s could not be put on disk: %s", path, exc)
        finally:
            os.close(descriptor)

    def _note(self, duration: float) -> None:
        with self._lock:
            self.longest = max(self.longest, duration)
        if duration > max(self.interval, 1.0):
            LOGGER.warning(
                "the data disk is slow: rows were on disk %.1f s after they were written", duration
            )

    def end(self) -> None:
        """Ends the thread, with everything on disk."""
        self._ending.set()
        if self.is_alive():
            self.join(3.0)
        self.sync()
