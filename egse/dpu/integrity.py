"""Does an image packet fit into its readout? The packets of the N-FEE carry no CRC; their headers must agree with each other."""

from __future__ import annotations

from typing import Final

from egse.spw import HEADER_SIZE, PacketKind

LOGICAL_ADDRESS: Final = 0x50
MOST_LISTED: Final = 4000
"""So many suspects of a frame are listed in its file (an attribute of HDF5 holds 64 kB)."""

_MODE: Final = 0x0F
_FRAME_NUMBER: Final = 0x0C


class PacketCheck:
    """Checks the image packets of one frame after the other.

    A packet is suspect when it was cut (EEP), when its size, address, mode, frame number or frame counter is not that of the
    readout, or when its sequence counter does not follow that of the packet before: it is broken, or one is missing.

    Attributes:
        suspects: indices of the suspect packets of the running frame, in the order of arrival.
        count: packets of the running frame.
    """

    def __init__(self) -> None:
        self.suspects: list[int] = []
        self.count = 0
        self._head: bytes | None = None
        self._last_head = b""
        self._expected: int | None = None
        self._seen: int | None = None
        self._good: dict[bytes, int] = {}

    def begin_frame(self, housekeeping: bytes) -> None:
        """A readout begins.

        Args:
            housekeeping: its housekeeping packet; empty when that was lost.
        """
        self.suspects = []
        self.count = 0
        self._expected = self._seen = None
        self._head = None
        self._last_head = b""
        self._good = {}
        if housekeeping:
            self._head = _head(housekeeping)

    def check(self, packet: bytes | memoryview, flags: int) -> bool:
        """Returns True when a packet of the running frame is suspect; it is kept all the same."""
        index, self.count = self.count, self.count + 1
        sequence = (packet[8] << 8) | packet[9]
        first = bytes(packet[:8])
        if sequence == self._expected and self._good.get(first) == len(packet) and not flags:
            # all but its sequence counter is as in a good packet of this frame before
            self._seen, self._expected = sequence, (sequence + 1) & 0xFFFF
            self._last_head = self._head or b""
            return False
        follows = self._follows(sequence)
        belongs = self._belongs(_head(packet))
        if not (follows and belongs and not flags and self._fits(packet)):
            self.suspects.append(index)
            return True
        self._good[first] = len(packet)
        return False

    def _fits(self, packet: bytes | memoryview) -> bool:
        is_whole = len(packet) - HEADER_SIZE == (packet[2] << 8) | packet[3]
        is_image = packet[5] & 3 in (PacketKind.DATA, PacketKind.OVERSCAN) and not packet[4] & 0xF0
        return packet[0] == LOGICAL_ADDRESS and is_whole and is_image

    def _belongs(self, head: bytes) -> bool:
        """Compares mode, frame number and frame counter with those of the housekeeping; two image packets overrule it."""
        last, self._last_head = self._last_head, head
        if self._head is None or (head == last and head != self._head):
            self._head = head
            self._good = {}
        return head == self._head

    def _follows(self, sequence: int) -> bool:
        """A counter that is wrong once does not make the next one wrong; after a gap two in a row are believed."""
        last, self._seen = self._seen, sequence
        expected = self._expected
        if expected is None or sequence == expected:
            self._expected = (sequence + 1) & 0xFFFF
            return True
        if last is not None and sequence == (last + 1) & 0xFFFF:
            self._expected = (sequence + 1) & 0xFFFF
            return True
        self._expected = (expected + 1) & 0xFFFF
        return False


def _head(packet: bytes | memoryview) -> bytes:
    return bytes((packet[4] & _MODE, packet[5] & _FRAME_NUMBER, packet[6], packet[7]))
