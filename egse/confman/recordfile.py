"""An append-only file of records that survives crashes and shows tampering.

One record is one line of JSON. Its last key `crc` is the CRC-32 of the line without it, and `prev` is the SHA-256 of
the line before, so that no line can be altered, removed or inserted unnoticed. A record is on disk when `append`
returns. The incomplete last line that a crash leaves behind is removed at the next opening: it was never acknowledged.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from egse.files import fsync_folder
from egse.storage.disk import full_disk_is_named
from egse.storage.files import repair_tail, write_all

LOGGER = logging.getLogger(__name__)

_CRC = re.compile(rb',"crc":"([0-9a-f]{8})"\}$')


class DamagedRecordError(ValueError):
    """A line that is no valid record: altered, or damaged by the disk."""


def encode_line(fields: dict[str, Any]) -> bytes:
    """Returns a record as a line, with its checksum and newline."""
    body = msgspec.json.encode(fields)
    return body[:-1] + b',"crc":"%08x"}\n' % zlib.crc32(body)


def decode_line(line: bytes) -> dict[str, Any]:
    """Returns the fields of a record, without `crc`.

    Raises:
        DamagedRecordError: when the checksum does not fit.
    """
    line = line.rstrip(b"\n")
    match = _CRC.search(line)
    if match is None:
        raise DamagedRecordError("no checksum")
    body = line[: match.start()] + b"}"
    if int(match[1], 16) != zlib.crc32(body):
        raise DamagedRecordError("the checksum does not fit")
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError as exc:
        raise DamagedRecordError(str(exc)) from exc


def digest(line: bytes) -> str:
    """Returns what the next record has as `prev`."""
    return hashlib.sha256(line.rstrip(b"\n")).hexdigest()


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields line number (from 1) and content of every complete line; nothing when the file is missing."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.endswith(b"\n"):
                yield number, line


def check_chain(path: Path) -> list[str]:
    """Returns what is wrong with a record file, one text for each damaged or missing line; empty when all is well."""
    problems = []
    previous = ""
    for number, line in read_lines(path):
        try:
            fields = decode_line(line)
        except DamagedRecordError as exc:
            problems.append(f"{path.name}, line {number}: {exc}")
        else:
            if fields.get("prev", "") != previous:
                problems.append(
                    f"{path.name}, line {number}: the line before it was altered, removed or inserted"
                )
        previous = digest(line)
    if not ends_with_line(path):
        problems.append(f"{path.name}: its last line was cut off, or a crash has left a part of one")
    return problems


def ends_with_line(path: Path) -> bool:
    """Says whether the last line of a file is complete; so it is in a file that is empty or missing."""
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
        if file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
    return True


class RecordFile:
    """The file, opened for appending.

    Args:
        path: made with the first record; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        removed = repair_tail(path)
        if removed:
            LOGGER.warning("%s: %d bytes of an incomplete last record removed", path, removed)
        self._previous = ""
        for _, line in read_lines(path):
            self._previous = digest(line)

    def append(self, fields: dict[str, Any]) -> None:
        """Adds a record; it is on disk afterwards.

        Raises:
            StorageFullError: the disk is full, it is not in the file.
            OSError: it is not in the file.
        """
        with full_disk_is_named(self.path.parent):
            self._append(encode_line({**fields, "prev": self._previous}))

    def _append(self, line: bytes) -> None:
        new = not self.path.exists()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            size = os.fstat(descriptor).st_size
            write_all(descriptor, line)
            try:
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)
        if new:
            fsync_folder(self.path.parent)
        self._previous = digest(line)
