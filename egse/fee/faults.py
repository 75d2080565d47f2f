"""Faults of the link, on request: a bit flipped in a packet, a packet lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from egse.fee.model import Packet
from egse.spw import PacketKind, is_timecode

FAULTS: Final[dict[str, str]] = {
    "flip": "flip bits of one byte of one image packet of the next readout: packet, byte, mask (default 1)",
    "lose": "lose one image packet of the next readout: packet",
    "error_flags": "set the error flags of the FEE: value",
}
"""What can be injected, with its arguments."""


class PacketFaults:
    """Breaks image packets on their way out. The packets of a readout are counted from 0, housekeeping excluded."""

    def __init__(self) -> None:
        self._flip: dict[int, tuple[int, int]] = {}
        self._lose: set[int] = set()
        self._index = 0
        self._armed = False

    def flip(self, packet: int, byte: int, mask: int = 1) -> None:
        """Inverts the bits of `mask` in a byte of a packet of the next readout that has this packet."""
        self._flip[packet] = (byte, mask & 0xFF)

    def lose(self, packet: int) -> None:
        """Loses a packet of the next readout that has this packet."""
        self._lose.add(packet)

    def apply(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Returns the packets as they go onto the link."""
        out = []
        for packet in packets:
            if is_timecode(packet):
                self._index = 0
                self._armed = bool(self._flip or self._lose)
            elif packet[5] & 3 != PacketKind.HOUSEKEEPING and self._armed:
                index, self._index = self._index, self._index + 1
                if index in self._lose:
                    self._lose.discard(index)
                    continue
                if index in self._flip:
                    packet = self._flipped(packet, *self._flip.pop(index))
            out.append(packet)
        return out

    @staticmethod
    def _flipped(packet: Packet, byte: int, mask: int) -> bytes:
        data = bytearray(packet)
        data[byte % len(data)] ^= mask
        return bytes(data)
