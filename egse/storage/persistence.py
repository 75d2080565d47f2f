"""Where rows of data land: the persistence classes CSV, TXT and HDF5.

Text formats are appended to with one write of whole rows to a file opened with O_APPEND: what `append` acknowledged is
in the hands of the operating system, and a crash leaves at most one incomplete last line, which is removed at the next
opening. `sync` puts the file on disk.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from egse.files import fsync_folder
from egse.response import register_error
from egse.storage.files import last_lines, repair_tail, write_all

Rows = Sequence[Any]


@register_error
class StorageError(Exception):
    """Data that cannot be stored, or a call that does not fit the state of the storage manager."""


class Persistence(ABC):
    """One open file of a producer.

    Args:
        path: the file; its folder must exist.
        prep: how to prepare it, different for each class.
    """

    extension: ClassVar[str]

    def __init__(self, path: Path, prep: Mapping[str, Any] | None = None) -> None:
        self.path = path
        self.prep = dict(prep or {})

    @abstractmethod
    def open(self) -> None:
        """Opens the file for appending; repairs what a crash left behind. Does nothing when it is open."""

    @abstractmethod
    def append(self, rows: Rows, *, resend: bool = False) -> int:
        """Writes rows; all or, when it raises, none.

        Args:
            rows: what one row is depends on the class.
            resend: these rows may have been written before (the answer was lost): rows that the file already ends
                with are not written twice.

        Returns:
            How many rows were written.
        """

    @abstractmethod
    def read(self, select: Mapping[str, Any] | None = None) -> Any:
        """Returns the content; `select` narrows it down, see the class."""

    @abstractmethod
    def close(self) -> None:
        """Closes the file; `open` opens it again."""

    def descriptor(self) -> int | None:
        """Returns the file descriptor for `fsync`, None when nothing is open."""
        return None

    def sync(self) -> None:
        """Puts the file on disk."""
        descriptor = self.descriptor()
        if descriptor is not None:
            os.fsync(descriptor)

    def exists(self) -> bool:
        """Returns True when the file is there."""
        return self.path.exists()


class LineFile(Persistence):
    """Common part of the formats that consist of lines of text."""

    def __init__(self, path: Path, prep: Mapping[str, Any] | None = None) -> None:
        super().__init__(path, prep)
        self._fd: int | None = None
        self.repaired = 0

    def open(self) -> None:
        if self._fd is not None:
            return
        self.repaired = repair_tail(self.path)
        new = not self.path.exists()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._fd = os.open(self.path, flags, 0o640)
        if new:
            fsync_folder(self.path.parent)

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def descriptor(self) -> int | None:
        return self._fd

    def write_lines(self, lines: Sequence[bytes], resend: bool = False) -> int:
        """Appends whole lines; returns how many, see `append`."""
        if resend:
            lines = lines[self._already_there(lines) :]
        if lines:
            self.open()
            assert self._fd is not None
            write_all(self._fd, b"".join(lines))
        return len(lines)

    def _already_there(self, lines: Sequence[bytes]) -> int:
        """Returns how many of the first `lines` the file ends with."""
        if not self.path.exists():
            return 0
        tail = last_lines(self.path, sum(map(len, lines)) + 1).splitlines(keepends=True)
        for count in range(min(len(lines), len(tail)), 0, -1):
            if list(lines[:count]) == tail[-count:]:
                return count
        return 0


class TXTFile(LineFile):
    """Plain text: a row is one line, written as it is.

    `prep["ending"]` is added to each row that does not end with a newline (default a newline).
    `read` returns the list of lines without their newline; `select={"last": n}` only the last n.
    """

    extension = "txt"

    def append(self, rows: Rows, *, resend: bool = False) -> int:
        ending = str(self.prep.get("ending", "\n"))
        texts = [row if isinstance(row, str) and row.endswith("\n") else f"{row}{ending}" for row in rows]
        return self.write_lines([text.encode() for text in texts], resend)

    def read(self, select: Mapping[str, Any] | None = None) -> list[str]:
        if not self.exists():
            return []
        lines = self.path.read_text(encoding="utf-8").splitlines()
        last = (select or {}).get("last")
        return lines if last is None else lines[-int(last) :] if int(last) > 0 else []
