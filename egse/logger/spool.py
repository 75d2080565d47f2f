"""What a process could not deliver before it ended: a small file that the log manager takes in later.

Such a file is a sequence of batches, written as a whole under its final name (`NAME-PID-SESSION.spool`) in the folder
`spool` beside the log files.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from egse.files import make_folder, write_atomically
from egse.logger.records import Batch, MalformedError, decode_batch, encode_batch

FOLDER = "spool"
SUFFIX = ".spool"

_frames = msgspec.msgpack.Decoder(list[bytes])


def write_spool(folder: Path, batches: Sequence[Batch]) -> Path:
    """Writes the batches of one process into a file.

    Args:
        folder: folder of the log files.
        batches: at least one.

    Raises:
        OSError: when it cannot be written; nothing is left behind then.
    """
    spool = folder / FOLDER
    make_folder(spool, 0o700)
    first = batches[0]
    name = "".join(letter if letter.isalnum() or letter in "-_." else "_" for letter in first.process)
    path = spool / f"{name[:80]}-{first.pid}-{first.session}{SUFFIX}"
    write_atomically(
        path, msgspec.msgpack.encode([encode_batch(batch) for batch in batches]), 0o600, durable=False
    )
    return path


def spool_files(folder: Path) -> list[Path]:
    """Returns the files in the spool, oldest first.

    Args:
        folder: folder of the log files.
    """
    found: list[tuple[int, Path]] = []
    for path in (folder / FOLDER).glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):
            found.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(found)]


def read_spool(path: Path) -> Iterator[Batch]:
    """Yields the batches of a file.

    Raises:
        MalformedError: when the file is damaged.
        OSError: when it cannot be read.
    """
    try:
        frames = _frames.decode(path.read_bytes())
    except msgspec.MsgspecError as exc:
        raise MalformedError(f"{path}: {exc}") from exc
    for frame in frames:
        yield decode_batch(frame)
