"""Files that are replaced as a whole: a reader, or a start after a crash, sees the old content or the new one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def write_atomically(
    path: Path, data: bytes | Iterable[bytes], mode: int | None = 0o640, *, durable: bool = True
) -> None:
    """Writes a whole file, or leaves what was there.

    Args:
        path: the file; its folder must exist.
        data: the content, whole or in parts.
        mode: permissions of the file; None for those that the process gives to new files.
        durable: file and name are on disk when this returns (fsync); otherwise when the system gets to it.

    Raises:
        OSError: when it cannot be written; nothing has changed then.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fchmod(file.fileno(), _usual_mode() if mode is None else mode)
            if durable:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if durable:
        fsync_folder(path.parent)


def create_file(path: Path, mode: int = 0o640) -> int:
    """Makes a new file with exactly these permissions, whatever the umask of the process.

    Returns:
        Its descriptor, open for writing.

    Raises:
        FileExistsError: when it is there already.
        OSError: when it cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    os.fchmod(descriptor, mode)
    return descriptor


def make_folder(folder: Path, mode: int = 0o750) -> None:
    """Makes a folder and what is missing above it, all with these permissions; one that is there stays as it is.

    Raises:
        OSError: when it cannot be made.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent, mode)
    try:
        folder.mkdir(mode)
    except FileExistsError:
        if not folder.is_dir():
            raise
    else:
        folder.chmod(mode)


def fsync_folder(folder: Path) -> None:
    """Puts the names in `folder` on disk (new, renamed or removed files)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _usual_mode() -> int:
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def read_tail(path: Path, size: int) -> bytes:
    """Returns at most the last `size` bytes of a file, starting at the beginning of a line."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        start = max(0, end - size)
        file.seek(start)
        data = file.read()
    if start == 0:
        return data
    newline = data.find(b"\n")
    return data[newline + 1 :] if newline >= 0 else b""
