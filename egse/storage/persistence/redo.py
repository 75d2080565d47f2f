"""A file that changes as a whole: what was written to it since the last `commit` is there completely or not at all.

For formats such as HDF5, of which one change touches many places of a file. Changes are kept in memory; `commit` first
writes what lies behind the present end of the file (a reader does not look there yet), then the pages inside it into a
redo log beside the file, then the pages themselves. A process that is killed in between leaves either a useless log or
a complete one, which the next opening carries out.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import zlib
from pathlib import Path

PAGE = 4096
_HEAD = struct.Struct("<8sQI")  # what it is, size of the file afterwards, number of pages
_ENTRY = struct.Struct("<QI")  # offset, length
_CHECK = struct.Struct("<I")
_MAGIC = b"EGSEREDO"


class RedoFile(io.RawIOBase):
    """A readable, writable, seekable file.

    Args:
        path: the file; made when it does not exist.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.log_path = path.with_name(f".{path.name}.redo")
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._replay()
        self._size = self._disk_size = os.fstat(self._fd).st_size
        self._pages: dict[int, bytearray] = {}
        self._at = 0

    # -- what a file can do --------------------------------------------------------------------------------------

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def truncate(self, size: int | None = None) -> int:
        self._size = self._at if size is None else size
        for number in [number for number in self._pages if number * PAGE >= self._size]:
            del self._pages[number]
        return self._size

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        count = max(0, min(len(view), self._size - self._at))
        done = 0
        while done < count:
            number, inside = divmod(self._at + done, PAGE)
            step = min(PAGE - inside, count - done)
            page = self._pages.get(number)
            if page is None:
                page = self._from_disk(number)
            view[done : done + step] = page[inside : inside + step]
            done += step
        self._at += count
        return count

    def write(self, data: object) -> int:
        view = memoryview(data).cast("B")  # type: ignore[arg-type]
        done = 0
        while done < len(view):
            number, inside = divmod(self._at + done, PAGE)
            step = min(PAGE - inside, len(view) - done)
            page = self._pages.get(number)
            if page is None:
                page = self._pages[number] = self._from_disk(number)
            page[inside : inside + step] = view[done : done + step]
            done += step
        self._at += done
        self._size = max(self._size, self._at)
        return done

    def _from_disk(self, number: int) -> bytearray:
        there = max(0, min(PAGE, self._disk_size - number * PAGE))
        page = bytearray(os.pread(self._fd, there, number * PAGE)) if there else bytearray()
        page.extend(bytes(PAGE - len(page)))
        return page

    # -- the whole change ----------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Makes what was written part of the file.

        Raises:
            OSError: the file is as it was before; call `discard` next.
        """
        changed = sorted((number * PAGE, bytes(page)) for number, page in self._pages.items())
        inside = [(offset, data) for offset, data in changed if offset < self._disk_size]
        behind = [(offset, data) for offset, data in changed if offset >= self._disk_size]
        try:
            for offset, data in behind:
                _write_at(self._fd, data[: max(0, self._size - offset)], offset)
            # The last page reaches behind the end: its place is taken here, so that nothing can fail further down.
            if self._size > os.fstat(self._fd).st_size:
                os.posix_fallocate(self._fd, self._disk_size, self._size - self._disk_size)
            self._write_log(inside)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._fd, self._disk_size)
                self.log_path.unlink(missing_ok=True)
            raise
        self._apply(inside, self._size)
        os.truncate(self.log_path, 0)
        self._disk_size = self._size
        self._pages.clear()

    def discard(self) -> None:
        """Forgets what was written since the last `commit`."""
        self._pages.clear()
        self._size = self._disk_size

    def descriptor(self) -> int:
        """Returns a descriptor for `fsync`, to be closed by the caller."""
        return os.dup(self._fd)

    def close(self) -> None:
        """Closes the file without a commit; the log goes, as nothing is left to be done."""
        if not self.closed:
            os.close(self._fd)
            self.log_path.unlink(missing_ok=True)
        super().close()

    def _write_log(self, pages: list[tuple[int, bytes]]) -> None:
        parts = [_HEAD.pack(_MAGIC, self._size, len(pages))]
        for offset, data in pages:
            parts += [_ENTRY.pack(offset, len(data)), data]
        body = b"".join(parts)
        descriptor = os.open(self.log_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            _write_at(descriptor, body + _CHECK.pack(zlib.crc32(body)), 0)
        finally:
            os.close(descriptor)

    def _apply(self, pages: list[tuple[int, bytes]], size: int) -> None:
        for offset, data in pages:
            _write_at(self._fd, data[: max(0, size - offset)], offset)
        os.ftruncate(self._fd, size)

    def _replay(self) -> None:
        """Carries out a change that a killed process had decided on; removes the log of one that it had not."""
        try:
            data = self.log_path.read_bytes()
        except FileNotFoundError:
            return
        change = _decode_log(data)
        if change is not None:
            self._apply(*change)
        self.log_path.unlink()


def _decode_log(data: bytes) -> tuple[list[tuple[int, bytes]], int] | None:
    body, check = data[: -_CHECK.size], data[-_CHECK.size :]
    if len(body) < _HEAD.size or check != _CHECK.pack(zlib.crc32(body)):
        return None
    magic, size, count = _HEAD.unpack_from(body)
    if magic != _MAGIC:
        return None
    pages, at = [], _HEAD.size
    for _ in range(count):
        offset, length = _ENTRY.unpack_from(body, at)
        at += _ENTRY.size
        pages.append((offset, body[at : at + length]))
        at += length
    return pages, size


def _write_at(descriptor: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written
