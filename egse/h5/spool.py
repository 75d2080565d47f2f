"""The spool: every packet on disk as it comes, in one append-only file per readout cycle.

The spool is what survives a kill: each record is one `writev` into the page cache, so that all that was received before a
`kill -9` is there afterwards. The HDF5 file of a cycle is a projection of its spool (`egse.h5.writer`), made frame by frame
while the next packets come in, or at the next start when the process died. The spool is removed when the HDF5 file is closed
and renamed.

File format (all numbers little endian)::

    file    = MAGIC (8 bytes b"EGSESPL1"), record*
    record  = header (20 bytes), payload
    header  = sync word u16 (0x5350), kind u8, reserved u8, payload length u32, timestamp f64 (Unix s, UTC),
              CRC-32 u32 over the 16 header bytes before it and the payload

A record whose CRC does not fit ends the good part of the file: what follows is the torn tail of a write.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from egse.files import create_file, make_folder

MAGIC = b"EGSESPL1"
SUFFIX = ".spool"

_HEADER = struct.Struct("<HBBId")
_CRC = struct.Struct("<I")
_SYNC = 0x5350
_HEADER_SIZE = _HEADER.size + _CRC.size
_MAX_PAYLOAD = 1 << 24


class Kind(IntEnum):
    """What a record of the spool holds."""

    CYCLE = 1
    """msgpack map with facts about the whole cycle (`obsid`, `register`, `num_cycles`, ...); later ones override."""
    FRAME = 2
    """msgpack map `{"frame": 0..3, "attributes": {register field: int}}`: a frame starts, or its attributes are known now."""
    TIMECODE = 3
    """One byte, the timecode 0..63; the timestamp is that of reception."""
    HK = 4
    """The whole housekeeping packet (154 bytes)."""
    DATA = 5
    """A whole data or overscan packet, as received."""
    HK_DATA = 6
    """The housekeeping area read over RMAP after the data (144 bytes)."""
    COMMAND = 7
    """msgpack map `{"name": text, "packet": RMAP request bytes}`."""
    FRAME_END = 8
    """No payload: nothing more belongs to the frame."""


_KINDS = frozenset(int(kind) for kind in Kind)


class SpoolError(Exception):
    """A file is not a spool, or a record could not be written."""


class Record(NamedTuple):
    """Where one record of a spool is.

    Attributes:
        kind: what it holds.
        timestamp: time of reception, Unix time [s], UTC.
        offset: position of the payload in the file [byte].
        length: size of the payload [byte].
    """

    kind: Kind
    timestamp: float
    offset: int
    length: int


class SpoolWriter:
    """Appends records to a new spool file.

    Args:
        path: the file; its folder is made when it is not there.

    Raises:
        FileExistsError: when the file exists (it belongs to another cycle).
        OSError: when it cannot be made.
    """

    def __init__(self, path: Path) -> None:
        make_folder(path.parent)
        self.path = path
        self._fd = create_file(path)
        self._size = os.write(self._fd, MAGIC)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._size

    def append(self, kind: Kind, payload: bytes | bytearray | memoryview, timestamp: float) -> Record:
        """Appends one record with one system call.

        Args:
            kind: what the payload is.
            payload: the bytes as received, up to 16 MiB.
            timestamp: time of reception, Unix time [s], UTC.

        Returns:
            Where the record is.

        Raises:
            SpoolError: when the record could not be written whole (disk full); the file ends after the last good record
                then, and writing may go on.
        """
        length = len(payload)
        head = _HEADER.pack(_SYNC, kind, 0, length, timestamp)
        crc = _CRC.pack(zlib.crc32(payload, zlib.crc32(head)))
        try:
            written = os.writev(self._fd, (head, crc, payload))
        except OSError as exc:
            self._forget_tail()
            raise SpoolError(f"cannot write to the spool {self.path}: {exc}") from exc
        if written != _HEADER_SIZE + length:
            self._forget_tail()
            raise SpoolError(
                f"cannot write to the spool {self.path}: {written} of {_HEADER_SIZE + length} bytes written"
            )
        record = Record(kind, timestamp, self._size + _HEADER_SIZE, length)
        self._size += written
        return record

    def append_map(self, kind: Kind, values: dict[str, Any], timestamp: float) -> Record:
        """Appends a record with a msgpack map as payload; see `append`."""
        return self.append(kind, msgspec.msgpack.encode(values), timestamp)

    def _forget_tail(self) -> None:
        os.ftruncate(self._fd, self._size)
        os.lseek(self._fd, self._size, os.SEEK_SET)

    def close(self) -> None:
        """Closes the file; the second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


class SpoolReader:
    """Reads the payloads of a spool through one memory map, without copying them.

    Args:
        path: the spool; it may grow while it is read, records added later need a new reader or `refresh`.

    Raises:
        FileNotFoundError: when there is no such file.
        SpoolError: when the file does not start as a spool does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open(path, "rb")  # noqa: SIM115 (closed in close)
        self._map: mmap.mmap | None = None
        try:
            self.refresh()
            if bytes(self.buffer[: len(MAGIC)]) != MAGIC:
                raise SpoolError(f"{path} is not a spool file (it does not start with {MAGIC!r})")
        except BaseException:
            self.close()
            raise

    @property
    def buffer(self) -> memoryview:
        """The whole file as it was at the last `refresh`."""
        if self._map is None:
            return memoryview(b"")
        return memoryview(self._map)

    def refresh(self) -> None:
        """Maps the file anew, so that what was appended meanwhile can be read."""
        size = os.fstat(self._file.fileno()).st_size
        if self._map is not None and len(self._map) == size:
            return
        # The old map goes when its last view is gone; closing it here would fail while views are alive.
        self._map = mmap.mmap(self._file.fileno(), size, access=mmap.ACCESS_READ) if size else None

    def payload(self, record: Record) -> memoryview:
        """Returns the payload of a record; refreshes the map when the record is newer than it."""
        end = record.offset + record.length
        if self._map is None or end > len(self._map):
            self.refresh()
        return self.buffer[record.offset : end]

    def map_of(self, record: Record) -> dict[str, Any]:
        """Returns the msgpack map that a record holds.

        Raises:
            SpoolError: when the payload is not a map.
        """
        try:
            return msgspec.msgpack.decode(bytes(self.payload(record)), type=dict[str, Any])
        except msgspec.MsgspecError as exc:
            raise SpoolError(f"record at byte {record.offset} of {self.path} is damaged: {exc}") from exc

    def scan(self, start: int = len(MAGIC), end: int | None = None) -> Iterator[Record]:
        """Walks over the good records, checking each CRC; ends at the first one that is torn or damaged.

        Args:
            start: where a record begins [byte].
            end: go on to here [byte]; None for the end of the file as it was at the last `refresh`.
        """
        buffer = self.buffer[:end]
        position = start
        while position + _HEADER_SIZE <= len(buffer):
            sync, kind, _, length, timestamp = _HEADER.unpack_from(buffer, position)
            start = position + _HEADER_SIZE
            if sync != _SYNC or length > _MAX_PAYLOAD or start + length > len(buffer):
                return
            (crc,) = _CRC.unpack_from(buffer, position + _HEADER.size)
            head_crc = zlib.crc32(buffer[position : position + _HEADER.size])
            if zlib.crc32(buffer[start : start + length], head_crc) != crc or kind not in _KINDS:
                return
            yield Record(Kind(kind), timestamp, start, length)
            position = start + length

    def close(self) -> None:
        """Closes the file; views handed out earlier stay good."""
        self._map = None
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()
