"""The inner loop of the DPU Processor as a state machine without I/O (developer manual, section 14.1.1).

It is fed with packets (`handle`) and time (`step`), and tells what is to be done through a `DPUSink`. One readout goes through the
phases

    IDLE -> HOUSEKEEPING -> READOUT -> HK_AREA -> SLOT -> (next timecode) HOUSEKEEPING -> ...

Commands go to the FEE in the SLOT only, after the data of the frame. A next timecode always starts the next frame, whatever was
missing in the one before, and data that come late still belong to their frame.
"""

from __future__ import annotations

import logging
from enum import Enum
from typing import Any

from egse.dpu.integrity import MOST_LISTED, ReadoutCheck
from egse.dpu.scripts import read_hk_area
from egse.dpu.sink import DPUSink, Timeouts
from egse.dpu.slot import Commands, CommandSlot
from egse.dpu.state import NFEEState
from egse.dpu.transactions import Transactions
from egse.dpu.watch import FEEWatch
from egse.fee import IMAGE_MODES, READOUT_PERIOD
from egse.fee.geometry import FrameLayout
from egse.h5 import Kind
from egse.h5.names import SUSPECT_ITEMS, SUSPECT_PACKETS
from egse.rmap import is_rmap_reply
from egse.spw import HEADER_SIZE, HK_PACKET_SIZE, CCDSide, PacketKind, is_timecode
from egse.spw.packets import DATA_PROTOCOL_ID
from egse.storage.naming import utc_text
from egse.zmq import MessageIdentifier

LOGGER = logging.getLogger(__name__)

_ERROR_FLAGS = slice(138, 140)
"""Where the error flags are in the housekeeping area (storage ICD, section 8.6)."""


class Phase(Enum):
    """Where the core is within a readout."""

    IDLE = "no timecode yet"
    HOUSEKEEPING = "waiting for the housekeeping packet"
    READOUT = "receiving image data"
    HK_AREA = "reading the housekeeping area"
    SLOT = "commands may be sent"


class DPUCore:
    """The state machine of the DPU Processor.

    Args:
        state: mirror of the FEE.
        sink: does what the core asks for.
        now: time [s] of the clock that all later times come from.
        timeouts: how long to wait.
        expect_data: False when the FEE sends no image packets although it would (dry runs).

    Attributes:
        state: mirror of the FEE.
        phase: where the core is within a readout.
        slot: the queue of commands.
        counters: packets and problems counted since start.
        notice: what was last found about a FEE that is not as its mirror was, and when; empty when nothing was.
    """

    def __init__(
        self,
        state: NFEEState,
        sink: DPUSink,
        now: float = 0.0,
        timeouts: Timeouts | None = None,
        expect_data: bool = True,
    ) -> None:
        self.state = state
        self.timeouts = timeouts or Timeouts()
        self.phase = Phase.IDLE
        self.counters = dict.fromkeys(_COUNTERS, 0)
        self.notice = ""
        self._watch = FEEWatch(state)
        self._check = ReadoutCheck()
        self._sink = sink
        self._expect_data = expect_data
        self._transactions = Transactions(sink.send, self.timeouts.rmap)
        self.slot = CommandSlot(state, self._transactions, sink, self.timeouts.guard, self._on_registers)
        self._timestamp = 0.0
        self._pulse_time = now
        self._last_data = now
        self._pending_timecode: tuple[int, float] | None = None
        self._frames_in_cycle: set[int] = set()
        self._cycle_open = False
        self._cycle_number = 0
        self._frame_open = False
        self._open_sides: set[CCDSide] = set()

    # -- input ---------------------------------------------------------------------------------------------------

    def submit(self, request: int, commands: Commands) -> None:
        """Queues commands that go out together, in their order; `DPUSink.finished` tells their outcome.

        Args:
            request: number that identifies them, from 1.
            commands: name (of `egse.dpu.operations.OPERATIONS`) and arguments of each.
        """
        self.slot.submit(request, commands)

    def handle(self, packet: bytes | memoryview, now: float, timestamp: float, flags: int = 0) -> None:
        """Takes a packet from the link.

        Args:
            packet: as received; a timecode is the 2 bytes 0x91 and timecode.
            now: time [s].
            timestamp: time of reception, Unix time [s], UTC.
            flags: 0 when it ended well (EOP), else it was cut by an error (EEP).
        """
        self._timestamp = timestamp
        if flags:
            self.counters["error_packets"] += 1
        if len(packet) >= HEADER_SIZE and packet[1] == DATA_PROTOCOL_ID:
            if packet[5] & 3 == PacketKind.HOUSEKEEPING:
                self._on_housekeeping(bytes(packet), now)
            else:
                self._on_data(packet, now, flags)
        elif is_timecode(packet):
            self._on_timecode(packet[1], now)
        elif is_rmap_reply(packet):
            self._check.add_unknown(len(packet))
            self._transactions.handle(bytes(packet), now)
        else:
            self._check.add_unknown(len(packet))
            self.counters["unknown_packets"] += 1

    def step(self, now: float, timestamp: float) -> None:
        """Follows the passing of time; call it every few milliseconds, and after packets and `submit`.

        Args:
            now: time [s].
            timestamp: Unix time [s], UTC.
        """
        self._timestamp = timestamp
        self._transactions.step(now)
        if self.phase is Phase.HOUSEKEEPING and now - self._pulse_time > self.timeouts.housekeeping:
            self._begin_frame(None, now)
        if self.phase is Phase.READOUT and now - self._last_data > self.timeouts.data:
            self._read_hk_area(now)  # data that come later still belong to the frame
        if self.phase is Phase.IDLE and now - self._pulse_time > READOUT_PERIOD + self.timeouts.housekeeping:
            self._open_slot(now)  # no pulses at all: nothing to keep out of the way of
        if self.phase is Phase.SLOT:
            self.slot.serve(now, timestamp)

    def next_event(self, now: float) -> float:
        """Returns when `step` has something to do at the latest [s], if no packet comes before."""
        times = [now + READOUT_PERIOD]
        if self._transactions.deadline is not None:
            times.append(self._transactions.deadline)
        if self.phase is Phase.HOUSEKEEPING:
            times.append(self._pulse_time + self.timeouts.housekeeping)
        elif self.phase is Phase.READOUT:
            times.append(self._last_data + self.timeouts.data)
        elif self.phase is Phase.IDLE:
            times.append(self._pulse_time + READOUT_PERIOD + self.timeouts.housekeeping)
        return min(times)

    def close(self) -> None:
        """Ends the running cycle as it stands."""
        self._end_frame()
        self._end_cycle()

    def status(self) -> dict[str, Any]:
        """Returns state, phase and counters in plain values."""
        return {
            **self.state.summary(),
            "phase": self.phase.name,
            "queued_commands": len(self.slot),
            "fee_notice": self.notice,
            "counters": {
                **self.counters,
                "commands": self.slot.sent,
                "failed_commands": self.slot.failed,
                "stale_replies": self._transactions.stale_replies,
                "fee_restarts": self._watch.restarts,
                "mirror_resyncs": self._watch.resyncs,
            },
        }

    # -- the frame -----------------------------------------------------------------------------------------------

    def _on_timecode(self, byte: int, now: float) -> None:
        timecode = byte & 0x3F
        self.counters["timecodes"] += 1
        if self._pending_timecode is not None:
            self._begin_frame(None, now)
        self._end_frame()
        self._pending_timecode = (byte, self._timestamp)
        self.state.timecode, self.state.timecode_timestamp = timecode, self._timestamp
        self._pulse_time = now
        self.slot.on_pulse(now)
        self.phase = Phase.HOUSEKEEPING
        self._sink.publish(MessageIdentifier.SYNC_TIMECODE, (timecode, utc_text(self._timestamp)))

    def _on_housekeeping(self, packet: bytes, now: float) -> None:
        self.counters["hk_packets"] += 1
        if len(packet) != HK_PACKET_SIZE:
            self._check.add_unknown(len(packet))
            self.counters["error_packets"] += 1
            return
        if self.phase is not Phase.HOUSEKEEPING:
            self.counters["orphan_packets"] += 1
            return
        self.state.frame_counter = int.from_bytes(packet[6:8], "big")
        self.state.frame_counter_known = True
        self._begin_frame((packet[5] >> 2) & 3, now, packet)
        self._watch.on_housekeeping(packet[4] & 0xF, self.state.frame_counter)
        self._sink.publish(MessageIdentifier.SYNC_HK_PACKET, (packet, utc_text(self._timestamp)))
        self._sink.housekeeping(packet[HEADER_SIZE:], self._timestamp)

    def _begin_frame(self, frame_number: int | None, now: float, packet: bytes = b"") -> None:
        """A frame starts: the mirror follows the pulse. Without housekeeping packet its number is a guess."""
        state = self.state
        if self._pending_timecode is None:
            return
        (byte, timestamp), self._pending_timecode = self._pending_timecode, None
        number = frame_number
        if number is None:
            self.counters["missing_hk"] += 1
            number = state.next_frame_number
            state.frame_counter = (state.frame_counter + 1) & 0xFFFF
        self._follow_pulse(number, timestamp)
        self._frame_open = True
        self._check.begin_frame(packet, byte)
        self._record_frame()
        self._sink.record(Kind.TIMECODE, bytes((byte & 0x3F,)), timestamp)
        if packet:
            self._sink.record(Kind.HK, packet, self._timestamp)
        self._last_data = now
        self._open_sides = set(state.sides) if state.known and state.sends_image else set()
        if self._expect_data and (self._open_sides or self._may_send_image(packet)):
            self.phase = Phase.READOUT
        else:
            self._read_hk_area(now)

    def _may_send_image(self, packet: bytes) -> bool:
        """Returns True when, with registers unknown, the mode in the housekeeping header does not exclude image data."""
        return not self.state.known and (not packet or packet[4] & 0xF in IMAGE_MODES)

    def _record_frame(self) -> None:
        attributes = self.state.data_attributes() if self.state.known else {}
        values = {"frame": self.state.frame_number, "attributes": attributes}
        self._sink.record_map(Kind.FRAME, values, self._timestamp)

    def _on_data(self, packet: bytes | memoryview, now: float, flags: int) -> None:
        self.counters["data_packets"] += 1
        if self._pending_timecode is not None:
            self._begin_frame(None, now)
        if not self._frame_open:
            self.counters["orphan_packets"] += 1
            return
        self._last_data = now
        self._check.add(packet, flags)
        self._sink.record(Kind.DATA, packet, self._timestamp)
        if self._sink.is_wanted(MessageIdentifier.SYNC_DATA_PACKET):
            self._sink.publish(MessageIdentifier.SYNC_DATA_PACKET, (packet, utc_text(self._timestamp)))
        if packet[5] & 0x80:
            self._on_last_packet(packet, now)

    def _on_last_packet(self, packet: bytes | memoryview, now: float) -> None:
        """Image and overscan packets both have a last one; the later kind ends the side."""
        final = PacketKind.OVERSCAN if self.state.has_overscan else PacketKind.DATA
        if packet[5] & 3 == final:
            self._open_sides.discard(CCDSide((packet[5] >> 6) & 1))
        if not self._open_sides and self.state.known and self.phase is Phase.READOUT:
            self._read_hk_area(now)

    def _end_frame(self) -> None:
        if not self._frame_open:
            return
        self._frame_open = False
        if self._open_sides and self._expect_data:
            self.counters["incomplete_readouts"] += 1
            sides = ", ".join(sorted(side.name for side in self._open_sides))
            LOGGER.error("frame %d: no last packet of side %s came", self.state.frame_number, sides)
        self._judge_frame()
        self._sink.record(Kind.FRAME_END, b"", self._timestamp)

    def _judge_frame(self) -> None:
        """Counts what does not fit into the frame, and lists it in its file."""
        verdict, number = self._check.verdict(self._layout()), self.state.frame_number
        self.counters["suspect_packets"] += len(verdict.suspects)
        self.counters["missing_packets"] += verdict.missing
        self.counters["suspect_hk"] += verdict.housekeeping
        self.counters["suspect_timecodes"] += verdict.timecode
        items = [*(["timecode"] if verdict.timecode else []), *(["hk"] if verdict.housekeeping else [])]
        if verdict.missing:
            LOGGER.error("frame %d: %d image packets are missing", number, verdict.missing)
        if not verdict.suspects and not items:
            return
        LOGGER.error(
            "frame %d: %d of %d image packets are suspect%s",
            number, len(verdict.suspects), self._check.count, "".join(f", {item} too" for item in items),
        )  # fmt: skip
        attributes: dict[str, Any] = {SUSPECT_ITEMS: items} if items else {}
        if verdict.suspects:
            attributes[SUSPECT_PACKETS] = verdict.suspects[:MOST_LISTED]
        self._sink.record_map(Kind.FRAME, {"frame": number, "attributes": attributes}, self._timestamp)

    def _layout(self) -> FrameLayout | None:
        """Returns how the readout is cut into packets; None when that is not known, as in windowing modes."""
        state = self.state
        return state.layout if self._expect_data and state.known and state.sends_image else None

    # -- the cycle -----------------------------------------------------------------------------------------------

    def _follow_pulse(self, number: int, timestamp: float) -> None:
        """The mirror follows a pulse; a long one, or a frame number seen before, starts the next cycle."""
        if number == 0 or number in self._frames_in_cycle:
            self._end_cycle()
        if number == 0:
            self.slot.on_long_pulse()
        self.state.on_pulse(number)
        self._sink.pulse(self.state.pulse_count, number == 0, timestamp)
        self._frames_in_cycle.add(number)
        if not self._cycle_open:
            self._begin_cycle(timestamp)

    def _begin_cycle(self, timestamp: float) -> None:
        state = self.state
        self._cycle_open = True
        self._cycle_number += 1
        facts: dict[str, Any] = {"num_cycles": state.num_cycles, "cycle": self._cycle_number}
        if state.known:
            facts["register"] = bytes(state.registers.memory)
        self._sink.begin_cycle(timestamp, facts)
        self._sink.publish(MessageIdentifier.NUM_CYCLES, state.num_cycles)
        if state.known:
            self._sink.publish(MessageIdentifier.N_FEE_REGISTER_MAP, facts["register"])

    def _end_cycle(self) -> None:
        self._frames_in_cycle.clear()
        if self._cycle_open:
            self._cycle_open = False
            self._sink.end_cycle()

    # -- housekeeping area and command slot ----------------------------------------------------------------------

    def _read_hk_area(self, now: float) -> None:
        self.phase = Phase.HK_AREA
        pulse = self.counters["timecodes"]
        self._transactions.run(
            read_hk_area(),
            now,
            lambda area, at: self._on_hk_area(area, pulse, at),
            lambda exc, at: self._on_hk_failed(exc, pulse, at),
        )

    def _on_hk_area(self, area: bytes, pulse: int, now: float) -> None:
        if pulse != self.counters["timecodes"]:
            return  # the answer came after the next pulse and describes another readout
        state = self.state
        state.error_flags = int.from_bytes(area[_ERROR_FLAGS], "big")
        self._sink.record(Kind.HK_DATA, area, self._timestamp)
        self._sink.housekeeping(area, self._timestamp)
        flags = (state.error_flags, state.frame_counter, utc_text(self._timestamp))
        self._sink.publish(MessageIdentifier.SYNC_ERROR_FLAGS, flags)
        self._open_slot(now)

    def _on_hk_failed(self, exc: Exception, pulse: int, now: float) -> None:
        LOGGER.error("the housekeeping area could not be read: %s", exc)
        if pulse == self.counters["timecodes"]:
            self._open_slot(now)

    def _open_slot(self, now: float) -> None:
        self.phase = Phase.SLOT
        if not self.state.known:
            self.slot.read_registers(now)
        elif self._watch.suspicion:
            self.slot.read_registers(now, self._on_compared)

    def _on_compared(self, memory: bytes) -> None:
        """The registers of a FEE under suspicion were read, before anything is written to it."""
        finding = self._watch.compare(memory)
        if finding is None:
            return
        LOGGER.error("%s; the mirror was resynchronised", finding.reason)
        self.notice = f"{utc_text(self._timestamp)} {finding.reason}"
        self.slot.forget_count()
        self._sink.fee_found(finding.restarted, finding.reason, self._timestamp)
        notice = (finding.restarted, finding.reason, utc_text(self._timestamp))
        self._sink.publish(MessageIdentifier.N_FEE_RESYNC, notice)
        self._on_registers(memory)

    def _on_registers(self, memory: bytes) -> None:
        if self._cycle_open:
            self._sink.record_map(Kind.CYCLE, {"register": memory}, self._timestamp)
        if self._frame_open:
            self._record_frame()
        self._sink.publish(MessageIdentifier.N_FEE_REGISTER_MAP, memory)


_COUNTERS = (
    "timecodes",
    "hk_packets",
    "data_packets",
    "unknown_packets",
    "error_packets",
    "orphan_packets",
    "missing_hk",
    "incomplete_readouts",
    "suspect_packets",
    "suspect_hk",
    "suspect_timecodes",
    "missing_packets",
)
