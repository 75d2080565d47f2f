"""The command slot: when commands go to the FEE, in which order, and how image cycles are counted."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from egse.dpu.operations import Operation, make_operation
from egse.dpu.scripts import read_registers, write_registers
from egse.dpu.sink import DPUSink
from egse.dpu.state import NFEEState
from egse.dpu.transactions import Script, Transactions
from egse.fee.timing import READOUT_PERIOD, internal_period
from egse.h5 import Kind

LOGGER = logging.getLogger(__name__)

INTERNAL_REQUEST = 0
"""Request number of commands that the DPU gives itself."""


@dataclass(frozen=True)
class _Queued:
    request: int
    name: str
    arguments: dict[str, Any]


class CommandSlot:
    """Queue of commands and the counting of image cycles.

    All writes of one command go out in one slot, in the order of their addresses, or none of them: when one fails, those before
    it are put back. In each slot in which something is sent, the error flags are cleared first.

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
        self._timestamp = 0.0
        self._cleared = False
        self._next_num_cycles: int | None = None
        self._dump_due = False
        self._dump_tried = False

    def __len__(self) -> int:
        return len(self._queue)

    def submit(self, request: int, name: str, arguments: dict[str, Any]) -> None:
        """Queues a command."""
        self._queue.append(_Queued(request, name, arguments))

    def on_pulse(self, now: float) -> None:
        """A pulse came (its timecode): the next slot begins after its data."""
        self._pulse_time = now
        self._cleared = False
        self._dump_tried = False

    def on_long_pulse(self) -> None:
        """Counts image cycles; call it before the mirror follows the pulse."""
        if self._next_num_cycles is not None:
            self._state.num_cycles, self._next_num_cycles = self._next_num_cycles, None
        elif self._state.num_cycles > 0:
            self._state.num_cycles -= 1

    def set_num_cycles(self, num_cycles: int) -> None:
        """Takes the counter over from a processor that died."""
        self._state.num_cycles = num_cycles

    def serve(self, now: float, timestamp: float) -> None:
        """Sends what may be sent; call it again and again while the slot is open.

        Args:
            now: time [s].
            timestamp: Unix time [s].
        """
        self._timestamp = timestamp
        if self._transactions.busy or not self._is_open(now):
            return
        self._look_after_cycles()
        if not self._queue:
            return
        if not self._state.known:
            self.read_registers(now)
            return
        queued = self._queue.popleft()
        try:
            operation = make_operation(queued.name, queued.arguments, self._state)
        except (ValueError, KeyError, TypeError) as exc:
            self._on_failed(queued, exc)
            return
        self._transactions.run(
            self._script(operation),
            now,
            lambda _, at: self._on_sent(queued, operation),
            lambda exc, at: self._on_failed(queued, exc),
        )

    def read_registers(self, now: float) -> None:
        """Reads the register memory of the FEE; without it no command can be worked out."""
        self._transactions.run(
            read_registers(self._state), now, self._on_registers, self._on_registers_failed
        )

    def _is_open(self, now: float) -> bool:
        """False shortly before the next pulse; True again when it should have come and did not."""
        elapsed = now - self._pulse_time
        internal = self._state.internal_sync
        period = internal_period(self._state.in_effect["int_sync_period"]) if internal else READOUT_PERIOD
        return not period - self._guard <= elapsed <= period + 2 * self._guard

    def _look_after_cycles(self) -> None:
        state = self._state
        if state.num_cycles == 1 and state.is_last_frame and self._next_num_cycles is None:
            self._dump_due = True
        if self._dump_due and state.is_last_frame and state.known and not self._dump_tried:
            self._dump_tried = True
            self._queue.appendleft(_Queued(INTERNAL_REQUEST, "n_fee_set_dump_mode", {}))

    def _script(self, operation: Operation) -> Script[None]:
        state = self._state
        if not self._cleared:
            self._cleared = True
            clear = state.registers.plan({"clear_error_flag": 1})
            yield from write_registers("clear_error_flags", clear, state, self._record)
        yield from write_registers(
            operation.name, state.registers.plan(operation.values), state, self._record
        )

    def _record(self, name: str) -> None:
        packet = self._transactions.last_packet
        self._sink.record_map(Kind.COMMAND, {"name": name, "packet": packet}, self._timestamp)

    def _on_sent(self, queued: _Queued, operation: Operation) -> None:
        self.sent += 1
        if operation.num_cycles is not None:
            self._next_num_cycles = operation.num_cycles
            self._dump_due = False
        LOGGER.info("%s sent after timecode %s", queued.name, self._state.timecode)
        if queued.request != INTERNAL_REQUEST:
            result = {"timecode": self._state.timecode, "timestamp": self._timestamp}
            self._sink.finished(queued.request, result, None)

    def _on_failed(self, queued: _Queued, exc: Exception) -> None:
        self.failed += 1
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
