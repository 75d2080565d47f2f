"""Files that only grow: rows are bytes at their end.

They are written with one write of whole rows to a file opened with O_APPEND: what was acknowledged is in the hands of
the operating system, and a crash leaves at most one incomplete batch at the end, which is removed when the storage
manager comes back.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping
from typing import Any

from egse.files import fsync_folder
from egse.storage.files import repair_tail, write_all
from egse.storage.persistence.base import Persistence, Prepared, Rows, last_of
from egse.storageerrors import StorageError

LOGGER = logging.getLogger(__name__)


class GrowingFile(Persistence):
    """A file to which rows are appended as bytes."""

    _fd: int | None = None

    def open(self) -> None:
        if self._is_open():
            return
        self.repair()
        new = not self.path.exists()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self.path, flags, 0o640)
        if new:
            fsync_folder(self.path.parent)

    def _is_open(self) -> bool:
        """Returns True when the file is open; one that somebody has removed meanwhile is not any more."""
        if self._fd is None:
            return False
        if os.fstat(self._fd).st_nlink > 0:
            return True
        LOGGER.error("%s was removed while it was in use; it is begun anew", self.path)
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        return False

    def repair(self) -> None:
        """Removes what a crash left of the last row; called before the file is opened."""

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _descriptor(self) -> int:
        if self._fd is None:
            self.open()
        assert self._fd is not None
        return self._fd

    def write(self, prepared: Prepared) -> None:
        write_all(self._descriptor(), prepared.payload)

    def position(self) -> int:
        return os.fstat(self._descriptor()).st_size

    def rollback(self, position: int) -> None:
        os.ftruncate(self._descriptor(), position)

    def descriptors(self) -> list[int]:
        return super().descriptors() if self._fd is None else [os.dup(self._fd)]

    def settle(self, start: int, size: int, count: int) -> int:
        there = self.path.stat().st_size if self.exists() else 0
        if there >= start + size:
            return count
        if there > start:
            os.truncate(self.path, start)
        return 0


class TXT(GrowingFile):
    """Plain text: a row is a text, written as it is.

    * `prep`: `ending` is added to every row that does not end with it (default a newline).
    * `data`: a text, or a list of them; other values are written as `str` shows them.
    * `select` of `read`: `last` (number of lines). `read` returns the list of lines without their newline.
    """

    extension = "txt"

    @property
    def _ending(self) -> str:
        ending = self.prep.get("ending", "\n")
        if not isinstance(ending, str):
            raise StorageError(f"{self.path.name}: `ending` must be a text, got {ending!r}")
        return ending

    def repair(self) -> None:
        if self._ending.endswith("\n"):  # otherwise lines do not tell where a row ends, see `settle`
            repair_tail(self.path)

    def prepare(self, rows: Rows) -> Prepared:
        self.open()
        ending = self._ending
        texts = [str(row) for row in rows]
        data = "".join(text if text.endswith(ending) else text + ending for text in texts).encode()
        return Prepared(len(rows), len(data), data)

    def read(self, select: Mapping[str, Any] | None = None) -> list[str]:
        with contextlib.suppress(FileNotFoundError):
            return last_of(self.path.read_text(encoding="utf-8").splitlines(), select or {})
        return []
