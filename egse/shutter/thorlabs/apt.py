"""Frames of the APT protocol of Thorlabs: short ones of 6 bytes, long ones with data behind them (device reference, section 8.1)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

HOST, UNIT = 0x01, 0x50
"""Addresses."""
HEADER_LENGTH = 6
LONG = 0x80
"""Bit of the destination that marks a long frame."""
MAX_DATA = 4096
"""Longer data [bytes] are no frame of these devices."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.

    Attributes:
        id: which message.
        param1, param2: of a short frame; 0 in a long one.
        data: of a long frame; None for a short one.
        dest, source: addresses, without the bit of long frames.
    """

    id: int
    param1: int = 0
    param2: int = 0
    data: bytes | None = None
    dest: int = UNIT
    source: int = HOST

    def pack(self) -> bytes:
        """Returns the bytes of the frame."""
        if self.data is None:
            return struct.pack("<HBBBB", self.id, self.param1, self.param2, self.dest, self.source)
        return struct.pack("<HHBB", self.id, len(self.data), self.dest | LONG, self.source) + self.data

    @classmethod
    def unpack(cls, data: bytes) -> Frame:
        """Reads the bytes of one frame.

        Raises:
            ValueError: when they are not one.
        """
        if frame_length(data) != len(data):
            raise ValueError(f"{data.hex(' ')} is no frame")
        number, first, second, dest, source = struct.unpack_from("<HBBBB", data)
        if dest & LONG:
            return cls(number, data=data[HEADER_LENGTH:], dest=dest & ~LONG, source=source)
        return cls(number, first, second, None, dest, source)


def frame_length(data: bytes) -> int | None:
    """Returns the length of the first frame, None while it is not complete."""
    if len(data) < HEADER_LENGTH:
        return None
    length = HEADER_LENGTH
    if data[4] & LONG:
        length += int.from_bytes(data[2:4], "little")
    return length if len(data) >= length else None


class FrameFramer:
    """Cuts a stream into frames; data that are too long for one drop what has come."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Takes the next bytes and returns the frames that are complete now."""
        self._pending += data
        frames = []
        while (length := frame_length(self._pending)) is not None:
            frames.append(self._pending[:length])
            self._pending = self._pending[length:]
        if len(self._pending) > MAX_DATA:
            self._pending = b""
        return frames
