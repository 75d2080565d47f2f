"""The seam between the DPU core and its surroundings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from egse.fee import READOUT_PERIOD
from egse.h5 import Kind
from egse.zmq import MessageIdentifier


@dataclass(frozen=True)
class Timeouts:
    """How long the core waits, in seconds of its clock.

    Attributes:
        housekeeping: for the housekeeping packet after a timecode.
        data: for the next data packet of a readout; then commands are sent although the readout is not complete.
        rmap: for the reply to an RMAP command.
        guard: no command is started when the next pulse is expected within this time.
    """

    housekeeping: float = 1.0
    data: float = 1.5
    rmap: float = 1.0
    guard: float = 0.2

    @classmethod
    def scaled(cls, speed: float) -> Timeouts:
        """Returns time-outs for a clock that runs `speed` times faster, not shorter than a busy host can keep.

        What is waited for in each readout must be given up before the next pulse, or there would never be a command slot.
        """
        return cls(
            housekeeping=min(max(cls.housekeeping, 0.5 * speed), 0.5 * READOUT_PERIOD),
            data=min(max(cls.data, 0.2 * speed), 0.6 * READOUT_PERIOD),
            rmap=max(cls.rmap, 1.0 * speed),
            guard=max(cls.guard, 0.01 * speed),
        )


class DPUSink(Protocol):
    """What the core asks its surroundings to do; called in the thread that feeds it."""

    def send(self, packet: bytes) -> None:
        """Sends a packet over the SpaceWire link; raises SpaceWireLinkError when that is impossible."""

    def is_wanted(self, identifier: MessageIdentifier) -> bool:
        """Returns False when nobody would get such a message, so that it need not be made."""

    def publish(self, identifier: MessageIdentifier, payload: Any) -> None:
        """Publishes a message on the streams it belongs to."""

    def begin_cycle(self, timestamp: float, facts: dict[str, Any]) -> None:
        """A readout cycle starts.

        Args:
            timestamp: reception of its first timecode, Unix time [s].
            facts: `cycle` (running number of the file since start), `num_cycles`, and `register` (2048 bytes) when it is known.
        """

    def record(self, kind: Kind, payload: bytes | bytearray | memoryview, timestamp: float) -> None:
        """Keeps a packet of the running cycle; nothing happens when there is none."""

    def record_map(self, kind: Kind, values: dict[str, Any], timestamp: float) -> None:
        """Keeps facts of the running cycle or frame; nothing happens when there is none."""

    def end_cycle(self) -> None:
        """The running cycle is complete."""

    def housekeeping(self, area: bytes, timestamp: float) -> None:
        """144 bytes of housekeeping came, twice a pulse: in the packet, and read after the data."""

    def counting(self, num_cycles: int, frame_counter: int) -> None:
        """What a successor has to know: the counting of image cycles has changed.

        Args:
            num_cycles: image cycles still to come; 0 when they are not counted.
            frame_counter: the FEE's counter at the first readout of the first of them.
        """

    def fee_found(self, restarted: bool, reason: str, timestamp: float) -> None:
        """The FEE is not as its mirror was, which has been corrected; see `egse.dpu.watch.Finding`."""

    def pulse(self, number: int, is_long: bool, timestamp: float) -> None:
        """The mirror has followed a pulse.

        Args:
            number: of the pulse since start, from 1.
            is_long: True when a cycle begins and all registers are in effect.
            timestamp: reception of its timecode, Unix time [s].
        """

    def sending(self, request: int, timecode: int | None, timestamp: float) -> None:
        """The first register of a command is being written, in the slot of `timecode`."""

    def finished(self, request: int, value: Any, error: Exception | None) -> None:
        """A command was sent and acknowledged, or failed.

        Args:
            request: its number.
            value: `timecode`, `timestamp`, `effect` (see `egse.dpu.tickets.Effect`) and `pulse`, the number of the last pulse.
            error: why it failed.
        """
