"""The command slot: when commands go to the FEE, in which order, and how image cycles are counted."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from egse.dpu.errors import SlotOverrunError
from egse.dpu.operations import Plan, make_plan
from egse.dpu.scripts import read_registers, write_registers
from egse.dpu.sink import DPUSink
from egse.dpu.state import NFEEState
from egse.dpu.transactions import Script, Transactions
from egse.fee.timing import READOUT_PERIOD, internal_period
from egse.h5 import Kind

LOGGER = logging.getLogger(__name__)

INTERNAL_REQUEST = 0
"""Request number of commands that the DPU gives itself."""


MOST_TRIES = 3
"""A command that did not fit into so many slots fails: what was written of it was put back each time."""

Commands = Sequence[tuple[str, Mapping[str, Any]]]
"""Names and arguments of commands that go out together."""


@dataclass
class _Queued:
    request: int
    commands: Commands
    tries: int = 0
    held: int = 0
    last_pulse: int = -1

    @property
    def name(self) -> str:
        return self.commands[0][0] if len(self.commands) == 1 else f"batch of {len(self.commands)} commands"


class CommandSlot:
    """Queue of commands and the counting of image cycles.

    All writes of one command, or of a batch of them, go out in one slot, in their order, or none of them: what cannot be is
    refused before anything is sent; when a write fails, those before it are put back; what would not be done before the next
    pulse waits for the slot after it. In each slot in which something is sent, the error flags are cleared first.

    `num_cycles` N > 0 counts from the long pulse at which the images begin; in the last frame of the last cycle the DPU commands
    DUMP, so that it is in effect at the next long pulse. 0 counts nothing. (The original lets the counter become negative instead
    of stopping at 0; there is no such state here.)

    Args:
        state: mirror of the FEE.
        transactions: RMAP.
        sink: does what is asked for.
        guard: no command is started when the next pulse is expected within this time [s].
        on_registers: called with the register memory when it was read from the FEE.

    Attributes:
        sent: commands sent since start.
        failed: commands that failed since start.
    """

    def __init__(
        self,
        state: NFEEState,
        transactions: Transactions,
        sink: DPUSink,
        guard: float,
        on_registers: Callable[[bytes], None],
    ) -> None:
        self.sent = 0
        self.failed = 0
        self._state = state
        self._transactions = transactions
        self._sink = sink
        self._guard = guard
        self._registers_read = on_registers
        self._queue: deque[_Queued] = deque()
        self._pulse_time = 0.0
        self._pulses = 0
        self._timestamp = 0.0
        self._cleared = False
        self._next_num_cycles: int | None = None
        self._dump_due = False
        self._dump_tried = False
        self._overdue = False
        self._resume: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self._queue)

    def submit(self, request: int, commands: Commands) -> None:
        """Queues commands that go out together, in their order."""
        self._queue.append(_Queued(request, commands))

    def on_pulse(self, now: float) -> None:
        """A pulse came (its timecode): the next slot begins after its data."""
        self._pulse_time = now
        self._pulses += 1
        self._cleared = False
        self._dump_tried = False

    def on_long_pulse(self) -> None:
        """Counts image cycles; call it before the mirror follows the pulse."""
        if self._next_num_cycles is not None:
            self._state.num_cycles, self._next_num_cycles = self._next_num_cycles, None
        elif self._state.num_cycles > 0:
            self._state.num_cycles -= 1
        else:
            return
        self._sink.counting(self._state.num_cycles, self._state.frame_counter)

    def resume_count(self, num_cycles: int, frame_counter: int) -> None:
        """Takes the counter over from a processor that died; settled in the first slot, when the FEE is known.

        Args:
            num_cycles: image cycles that were to come.
            frame_counter: of the readout with which the first of them began, or begins.
        """
        self._resume = (num_cycles, frame_counter)

    def forget_count(self) -> None:
        """The FEE was restarted: there is nothing to count any more."""
        if self._state.num_cycles or self._next_num_cycles:
            LOGGER.error("the counting of image cycles ends")
        self._state.num_cycles, self._next_num_cycles, self._resume = 0, None, None
        self._dump_due = self._overdue = False
        self._sink.counting(0, 0)

    def serve(self, now: float, timestamp: float) -> None:
        """Sends what may be sent; call it again and again while the slot is open.

        Args:
            now: time [s].
            timestamp: Unix time [s].
        """
        self._timestamp = timestamp
        if self._transactions.busy or self._time_left(now) <= 0:
            return
        self._look_after_cycles()
        if not self._queue:
            return
        if not self._state.known:
            self.read_registers(now)
            return
        queued = self._queue[0]
        try:
            plan = make_plan(queued.commands, self._state)
        except (ValueError, KeyError, TypeError) as exc:
            self._queue.popleft()
            self._on_failed(queued, exc)
            return
        if self._fits(queued, plan, now):
            self._start(self._queue.popleft(), plan, now)

    def _fits(self, queued: _Queued, plan: Plan, now: float) -> bool:
        """Returns False when the rest of the slot is probably too short; after some slots that were, it is tried anyway."""
        needed = self._transactions.reply_time * (len(plan.writes) + 1)
        if needed < self._time_left(now) or queued.held >= MOST_TRIES:
            return True
        if queued.last_pulse != self._pulses:
            queued.last_pulse = self._pulses
            queued.held += 1
        return False

    def _start(self, queued: _Queued, plan: Plan, now: float) -> None:
        if queued.request != INTERNAL_REQUEST:
            self._sink.sending(queued.request, self._state.timecode, self._timestamp)
        self._transactions.run(
            self._script(plan),
            now,
            lambda _, at: self._on_sent(queued, plan),
            lambda exc, at: self._on_stopped(queued, exc),
        )

    def read_registers(self, now: float, compare: Callable[[bytes], None] | None = None) -> None:
        """Reads the register memory of the FEE; without it no command can be worked out.

        Args:
            now: time [s].
            compare: gets the memory; the mirror takes it over when None.
        """

        def done(memory: bytes, at: float) -> None:
            if compare is None:
                self._on_registers(memory, at)
            else:
                compare(memory)

        self._transactions.run(read_registers(self._state), now, done, self._on_registers_failed)

    def _time_left(self, now: float) -> float:
        """Time until the slot ends [s]; without end when the next pulse should have come and did not."""
        elapsed = now - self._pulse_time
        internal = self._state.internal_sync
        period = internal_period(self._state.in_effect["int_sync_period"]) if internal else READOUT_PERIOD
        return math.inf if elapsed > period + 2 * self._guard else period - self._guard - elapsed

    def _take_over_count(self, num_cycles: int, frame_counter: int) -> None:
        state = self._state
        ahead = (state.cycle_start - frame_counter + 0x8000 & 0xFFFF) - 0x8000
        elapsed = ahead // state.frames_per_cycle
        self._resume = None
        if not state.takes_images:
            LOGGER.warning("%d image cycles were being counted, but the N-FEE takes none", num_cycles)
            self._sink.counting(0, 0)
        elif elapsed < 0:
            self._next_num_cycles = num_cycles
        elif elapsed < num_cycles:
            state.num_cycles = num_cycles - elapsed
            LOGGER.warning("the counting of image cycles goes on: %d to come", state.num_cycles)
        else:
            self._overdue = True
            LOGGER.error("the image cycles that were counted are over since %d cycles", elapsed - num_cycles)

    def _look_after_cycles(self) -> None:
        state = self._state
        if self._resume is not None and state.known and state.frame_counter_known:
            self._take_over_count(*self._resume)
        if state.num_cycles == 1 and state.is_last_frame and self._next_num_cycles is None:
            self._dump_due = True
        due = self._overdue or (self._dump_due and state.is_last_frame)
        if due and state.known and not self._dump_tried:
            self._dump_tried = True
            self._queue.appendleft(_Queued(INTERNAL_REQUEST, [("n_fee_set_dump_mode", {})]))

    def _script(self, plan: Plan) -> Script[None]:
        state, pulses = self._state, self._pulses
        if not self._cleared:
            self._cleared = True
            clear = state.registers.plan({"clear_error_flag": 1})
            yield from write_registers([("clear_error_flags", write) for write in clear], state, self._record)
        yield from write_registers(plan.writes, state, self._record, lambda: self._pulses == pulses)

    def _record(self, name: str) -> None:
        packet = self._transactions.last_packet
        self._sink.record_map(Kind.COMMAND, {"name": name, "packet": packet}, self._timestamp)

    def _on_sent(self, queued: _Queued, plan: Plan) -> None:
        state = self._state
        self.sent += len(queued.commands)
        if plan.num_cycles is not None:
            self._next_num_cycles = plan.num_cycles
            self._dump_due = self._overdue = False
            begin = state.cycle_start + state.frames_per_cycle
            self._sink.counting(plan.num_cycles, begin & 0xFFFF)
        LOGGER.info("%s sent after timecode %s", queued.name, state.timecode)
        if queued.request != INTERNAL_REQUEST:
            result = {"timecode": state.timecode, "timestamp": self._timestamp}
            facts = {"effect": str(plan.effect), "pulse": state.pulse_count}
            self._sink.finished(queued.request, {**result, **facts}, None)

    def _on_stopped(self, queued: _Queued, exc: Exception) -> None:
        """A command was put back; when it is because the slot ended, it is tried again in the next one."""
        queued.tries += 1
        if isinstance(exc, SlotOverrunError) and queued.tries < MOST_TRIES:
            LOGGER.warning("%s: %s; it was put back and is tried again in the next slot", queued.name, exc)
            self._queue.appendleft(queued)
        else:
            self._on_failed(queued, exc)

    def _on_failed(self, queued: _Queued, exc: Exception) -> None:
        self.failed += len(queued.commands)
        LOGGER.error("%s failed: %s", queued.name, exc)
        if queued.request != INTERNAL_REQUEST:
            self._sink.finished(queued.request, None, exc)

    def _on_registers(self, memory: bytes, now: float) -> None:
        self._state.on_read(memory)
        LOGGER.info("the register map was read from the N-FEE, mode %s", self._state.mode)
        self._registers_read(memory)

    def _on_registers_failed(self, exc: Exception, now: float) -> None:
        LOGGER.warning("the register map could not be read: %s", exc)
        while self._queue:
            self._on_failed(self._queue.popleft(), exc)
