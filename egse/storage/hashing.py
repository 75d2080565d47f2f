"""Computes checksums of big raw files while the storage manager goes on serving."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from egse.storage.manifest import FileEntry, entry_of


class BackgroundHasher:
    """Hashes finished files in one thread, in the order in which they were registered."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sm-hash")
        self._running: dict[str, Future[FileEntry]] = {}

    def submit(self, path: Path, base: Path) -> None:
        """Begins with a file; `base` is what its name in the manifest is relative to."""
        self._running[path.as_posix()] = self._executor.submit(entry_of, path, base)

    def result(self, path: Path, base: Path) -> FileEntry:
        """Returns the entry of a file, waiting for it or computing it now.

        Raises:
            OSError: when the file cannot be read.
        """
        future = self._running.pop(path.as_posix(), None)
        return entry_of(path, base) if future is None else future.result()

    def close(self) -> None:
        """Ends the thread after the file in work."""
        self._executor.shutdown(wait=True, cancel_futures=True)
