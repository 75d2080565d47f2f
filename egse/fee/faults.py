"""Faults of the FEE and its link, on request: packets flipped, lost, cut, repeated; timecodes missing; a dead link.

`FaultyFEE` stands between a model and whoever serves it (a process, a memory link, a test) and is stepped like the model
itself. Faults of packets are armed for the next readout that has the packet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from egse.fee.model import NFEEModel, Packet
from egse.rmap import is_rmap_reply
from egse.spw import PacketKind, is_timecode

FAULTS: Final[dict[str, str]] = {
    "flip": "flip bits of one byte of one image packet of the next readout: packet, byte, mask (default 1)",
    "lose": "lose one image packet of the next readout: packet",
    "truncate": "cut one image packet of the next readout: packet, size (bytes that are left)",
    "repeat": "send one image packet of the next readout twice: packet",
    "missing_timecode": "do not send the next timecodes: count (default 1)",
    "late_hk": "send the next housekeeping packet late: seconds",
    "wrong_crc": "spoil the last byte, a CRC, of the next RMAP replies: count (default 1)",
    "dead_link": "nothing passes in either direction for a while: seconds",
    "buffer_full": "SRAM buffer of a side full, set at once: side (E or F)",
    "edac": "memory error, set at once: correctable (default true); an uncorrectable one also spoils image packet 0",
    "error_flags": "set the error flags of the FEE: value",
}
"""What can be injected, with its arguments; times in seconds of the simulation."""

_BUFFER_FULL: Final = {"E": 1 << 2, "F": 1 << 3}
_EDAC: Final = {True: 1 << 5, False: 1 << 6}


class PacketFaults:
    """Breaks image packets on their way out. The packets of a readout are counted from 0, housekeeping excluded."""

    def __init__(self) -> None:
        self._flip: dict[int, tuple[int, int]] = {}
        self._lose: set[int] = set()
        self._truncate: dict[int, int] = {}
        self._repeat: set[int] = set()
        self._index = 0
        self._armed = False

    def flip(self, packet: int, byte: int, mask: int = 1) -> None:
        """Inverts the bits of `mask` in a byte of a packet of the next readout that has this packet."""
        self._flip[packet] = (byte, mask & 0xFF)

    def lose(self, packet: int) -> None:
        """Loses a packet of the next readout that has this packet."""
        self._lose.add(packet)

    def truncate(self, packet: int, size: int) -> None:
        """Leaves the first `size` bytes of a packet of the next readout that has this packet."""
        if size < 1:
            raise ValueError(f"at least 1 byte is left of a packet, got {size}")
        self._truncate[packet] = size

    def repeat(self, packet: int) -> None:
        """Sends a packet of the next readout that has this packet twice."""
        self._repeat.add(packet)

    def apply(self, packets: Sequence[Packet]) -> Sequence[Packet]:
        """Returns the packets as they go onto the link."""
        out: list[Packet] = []
        for packet in packets:
            if is_timecode(packet):
                self._index = 0
                self._armed = bool(self._flip or self._lose or self._truncate or self._repeat)
                out.append(packet)
            elif self._armed and packet[5] & 3 != PacketKind.HOUSEKEEPING:
                index, self._index = self._index, self._index + 1
                out += self._broken(index, packet)
            else:
                out.append(packet)
        return out

    def _broken(self, index: int, packet: Packet) -> list[Packet]:
        if index in self._lose:
            self._lose.discard(index)
            return []
        if index in self._flip:
            packet = self._flipped(packet, *self._flip.pop(index))
        if index in self._truncate:
            packet = bytes(packet[: self._truncate.pop(index)])
        if index in self._repeat:
            self._repeat.discard(index)
            return [packet, packet]
        return [packet]

    @staticmethod
    def _flipped(packet: Packet, byte: int, mask: int) -> bytes:
        data = bytearray(packet)
        data[byte % len(data)] ^= mask
        return bytes(data)


class FaultyFEE:
    """A FEE whose link, memory or rhythm can be broken; without a fault it is the model, packet for packet.

    Args:
        model: the FEE.
        packets: faults of image packets.

    Attributes:
        swallowed: packets that did not pass a dead link.
    """

    def __init__(self, model: NFEEModel, packets: PacketFaults | None = None) -> None:
        self.model = model
        self.packets = packets or PacketFaults()
        self.swallowed = 0
        self._missing_timecodes = 0
        self._wrong_crcs = 0
        self._hk_delay = 0.0
        self._late: list[tuple[float, Packet]] = []
        self._dead_for = 0.0
        self._dead_until = float("-inf")
        self._now = float("-inf")

    def next_event(self) -> float:
        """Returns when the next thing happens [s]."""
        return min([self.model.next_event(), *(due for due, _ in self._late)])

    def step(self, now: float) -> list[Packet]:
        """Returns the packets due at `now` [s], as they go onto the link."""
        self._arm_dead_link(now)
        late = [packet for due, packet in self._late if due <= now]
        self._late = [item for item in self._late if item[0] > now]
        packets = self.model.step(now) if self.model.next_event() <= now else []
        out = late + [packet for packet in self.packets.apply(packets) if self._passes(packet, now)]
        if now < self._dead_until:
            self.swallowed += len(out)
            return []
        return out

    def handle(self, packet: bytes, now: float) -> list[bytes]:
        """Takes a packet from the link and returns the replies, as they go onto the link."""
        self._arm_dead_link(now)
        if now < self._dead_until:
            self.swallowed += 1
            return []
        return [self._spoiled(reply) for reply in self.model.handle(packet, now)]

    def inject(self, fault: str, **arguments: Any) -> None:
        """Arms a fault.

        Args:
            fault: one of `FAULTS`.
            **arguments: as described there.

        Raises:
            ValueError: when there is no such fault, or the arguments do not fit.
        """
        actions: dict[str, Callable[..., None]] = {
            "flip": self.packets.flip,
            "lose": self.packets.lose,
            "truncate": self.packets.truncate,
            "repeat": self.packets.repeat,
            "missing_timecode": self._lose_timecodes,
            "late_hk": self._delay_hk,
            "wrong_crc": self._spoil_crcs,
            "dead_link": self._kill_link,
            "buffer_full": lambda side: self._raise_flags(_BUFFER_FULL[side]),
            "edac": self._edac,
            "error_flags": self._set_flags,
        }
        if fault not in actions:
            raise ValueError(f"no fault {fault!r}; there are {', '.join(FAULTS)}")
        try:
            actions[fault](**arguments)
        except (TypeError, KeyError) as error:
            raise ValueError(f"{fault}: {FAULTS[fault]} ({error})") from error

    # --- the faults ---------------------------------------------------------------------------------------------

    def _lose_timecodes(self, count: int = 1) -> None:
        self._missing_timecodes = int(count)

    def _delay_hk(self, seconds: float) -> None:
        self._hk_delay = float(seconds)

    def _spoil_crcs(self, count: int = 1) -> None:
        self._wrong_crcs = int(count)

    def _kill_link(self, seconds: float) -> None:
        self._dead_for = float(seconds)

    def _edac(self, correctable: bool = True) -> None:
        self._raise_flags(_EDAC[bool(correctable)])
        if not correctable:
            self.packets.flip(0, 20, 0xFF)

    def _raise_flags(self, flags: int) -> None:
        self.model.error_flags |= flags

    def _set_flags(self, value: int) -> None:
        self.model.error_flags = int(value) & 0xFFFF_FFFF

    # --- on the way ---------------------------------------------------------------------------------------------

    def _arm_dead_link(self, now: float) -> None:
        if self._dead_for:
            self._dead_until, self._dead_for = now + self._dead_for, 0.0

    def _passes(self, packet: Packet, now: float) -> bool:
        """Returns False for a packet that is lost, or kept for later."""
        if is_timecode(packet):
            if self._missing_timecodes > 0:
                self._missing_timecodes -= 1
                return False
        elif self._hk_delay and len(packet) > 5 and packet[5] & 3 == PacketKind.HOUSEKEEPING:
            self._late.append((now + self._hk_delay, packet))
            self._hk_delay = 0.0
            return False
        return True

    def _spoiled(self, reply: bytes) -> bytes:
        if self._wrong_crcs > 0 and is_rmap_reply(reply):
            self._wrong_crcs -= 1
            return reply[:-1] + bytes((reply[-1] ^ 0xFF,))
        return reply
