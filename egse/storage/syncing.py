"""Puts acknowledged rows on disk within a stated time, off the path of the commands."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence

from egse.storage.persistence import Persistence

LOGGER = logging.getLogger(__name__)


class Syncer(threading.Thread):
    """Calls fsync for every file that was written to, once per interval.

    Args:
        interval: [s]; 0 means at once, in the thread that writes.
    """

    def __init__(self, interval: float) -> None:
        super().__init__(name="sm-sync", daemon=True)
        self.interval = interval
        self._lock = threading.Lock()
        self._dirty: dict[str, int] = {}
        self._ending = threading.Event()

    def touch(self, file: Persistence) -> None:
        """Notes that a file was written to."""
        if self.interval <= 0:
            file.sync()
            return
        descriptor = file.descriptor()
        name = str(file.path)
        with self._lock:
            if name in self._dirty:
                return
            # An own descriptor: the file may be closed or cycled before its turn comes.
            self._dirty[name] = os.open(file.path, os.O_RDONLY) if descriptor is None else os.dup(descriptor)

    @staticmethod
    def sync(files: Sequence[Persistence]) -> None:
        """Puts these files on disk now."""
        for file in files:
            file.sync()

    def run(self) -> None:
        """Works until `end`."""
        while not self._ending.wait(self.interval or 3600.0):
            self._sync_dirty()

    def _sync_dirty(self) -> None:
        with self._lock:
            dirty, self._dirty = self._dirty, {}
        for name, descriptor in dirty.items():
            try:
                os.fsync(descriptor)
            except OSError as exc:
                LOGGER.error("%s could not be put on disk: %s", name, exc)
            finally:
                os.close(descriptor)

    def end(self) -> None:
        """Ends the thread, with everything on disk."""
        self._ending.set()
        if self.is_alive():
            self.join(3.0)
        self._sync_dirty()
