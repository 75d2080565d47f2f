"""Small durable file operations: what the records of the core services are made of."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
from pathlib import Path

CHUNK = 1 << 20


def write_all(descriptor: int, data: bytes) -> None:
    """Appends `data` as a whole: on a short write (disk full) what was written is taken back.

    Args:
        descriptor: file opened with O_APPEND.
        data: whole rows.

    Raises:
        OSError: nothing of `data` is in the file.
    """
    size = os.fstat(descriptor).st_size
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def repair_tail(path: Path) -> int:
    """Removes an incomplete last line, which a crash in the middle of a write leaves behind.

    Args:
        path: text file of lines; may be missing.

    Returns:
        How many bytes were removed.
    """
    if not path.exists():
        return 0
    with path.open("r+b") as file:
        size = end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - CHUNK)
            file.seek(start)
            newline = file.read(end - start).rfind(b"\n")
            if newline >= 0:
                end = start + newline + 1
                break
            end = start
        if end != size:
            file.truncate(end)
            file.flush()
            os.fsync(file.fileno())
    return size - end


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file as hexadecimal text."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(path: Path, folder: Path) -> Path:
    """Returns the resolved `path` when it lies inside `folder`.

    Raises:
        ValueError: when it does not (symbolic links are followed).
    """
    resolved = path.resolve()
    if not resolved.is_relative_to(folder.resolve()):
        raise ValueError(f"{path} is outside {folder}")
    return resolved


class FolderLock:
    """Makes sure that one process at a time owns a folder; the operating system frees it when that process dies.

    Args:
        folder: made when missing.
        owner: who wants it, for the message to the next one.

    Raises:
        BlockingIOError: when another process owns it.
    """

    def __init__(self, folder: Path, owner: str) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        path = folder / f".{owner}.lock"
        self._fd: int | None = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            holder = os.pread(self._fd, 100, 0).decode(errors="replace").strip()
            os.close(self._fd)
            self._fd = None
            raise BlockingIOError(
                f"{folder} is in use by another {owner} (process {holder or 'unknown'})"
            ) from exc
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    @property
    def descriptor(self) -> int:
        """The descriptor that holds the lock; a child that inherits it holds the folder, too.

        Raises:
            ValueError: when the folder was freed.
        """
        if self._fd is None:
            raise ValueError("the folder was freed")
        return self._fd

    def release(self) -> None:
        """Frees the folder; safe to call twice."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
