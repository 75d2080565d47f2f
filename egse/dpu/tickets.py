"""Tickets: what becomes of a command to the FEE, from the queue to the pulse at which it is in effect.

    queued -> sent (in the slot of timecode T) -> acknowledged -> in effect (at pulse N)
                                                              or failed (reason)

Every command to the FEE has one, whether somebody waits for it or not. The tickets live in the control server: a client
may end and another one ask for them.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import msgspec

from egse.response import ErrorInfo, describe_error, restore_error

CAPACITY: Final = 1000
"""So many tickets are remembered."""


class TicketState(StrEnum):
    """Where a command is, in this order; `failed` ends it."""

    QUEUED = "queued"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    IN_EFFECT = "in effect"
    FAILED = "failed"


_ORDER: Final = {state: number for number, state in enumerate(TicketState)}


class Effect(StrEnum):
    """When what was written takes effect."""

    NOW = "at once"
    PULSE = "next pulse"
    LONG_PULSE = "next long pulse"


class TicketRecord(msgspec.Struct, frozen=True):
    """What is known about a command, or a batch of them.

    Attributes:
        id: names the ticket; not used again by a later control server.
        commands: names of its commands, in order.
        state: where it is, see `TicketState`.
        queued: when it was queued, Unix time [s]; so are the other times, 0 when it has not come to that.
        timecode: 0..63, in whose slot it was sent; None before the first timecode.
        sent: when the first register was written.
        acknowledged: when the last one was acknowledged.
        effect: what it waits for to be in effect, see `Effect`.
        pulse: number of the pulse since the DPU Processor started at which it took effect; None before.
        in_effect: when that was.
        error: of a command that failed.
    """

    id: str
    commands: list[str]
    state: TicketState
    queued: float
    timecode: int | None = None
    sent: float = 0.0
    acknowledged: float = 0.0
    effect: Effect = Effect.LONG_PULSE
    pulse: int | None = None
    in_effect: float = 0.0
    error: ErrorInfo | None = None

    @property
    def reason(self) -> str:
        """Why the command failed; empty when it did not."""
        return "" if self.error is None else f"{self.error.type.rpartition('.')[2]}: {self.error.message}"

    def has_reached(self, state: TicketState) -> bool:
        """Returns True when the command has got as far as `state`.

        Raises:
            Exception: what made it fail; it will never get there.
        """
        if self.state is TicketState.FAILED and state is not TicketState.FAILED:
            assert self.error is not None
            raise restore_error(self.error)
        return _ORDER[self.state] >= _ORDER[state]


@dataclass
class _Waiter:
    ticket: str
    state: TicketState
    deadline: float
    future: Future[TicketRecord]


class TicketBook:
    """The tickets of one control server; may be used from any thread."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._records: OrderedDict[str, TicketRecord] = OrderedDict()
        self._waiting_for_pulse: set[str] = set()
        self._waiters: list[_Waiter] = []

    # -- asking --------------------------------------------------------------------------------------------------

    def find(self, ticket: str) -> TicketRecord:
        """Returns a ticket.

        Raises:
            KeyError: when there is none.
        """
        with self._lock:
            record = self._records.get(ticket)
        if record is None:
            raise KeyError(
                f"no ticket {ticket!r}: the DPU control server was started again since, or it is older than the last "
                f"{CAPACITY}"
            )
        return record

    def last(self, count: int) -> list[TicketRecord]:
        """Returns the newest tickets, oldest first."""
        with self._lock:
            return list(self._records.values())[-count:] if count > 0 else []

    def wait(self, ticket: str, state: TicketState, timeout: float) -> Future[TicketRecord]:
        """Returns a future that is done when the ticket reaches `state` or fails, or `timeout` [s] is over (see `expire`).

        The result is the ticket as it is then.

        Raises:
            KeyError: when there is no such ticket.
        """
        future: Future[TicketRecord] = Future()
        with self._lock:
            record = self.find(ticket)
            if _is_settled(record, state) or timeout <= 0:
                future.set_result(record)
            else:
                self._waiters.append(_Waiter(ticket, state, time.monotonic() + timeout, future))
        return future

    def expire(self) -> None:
        """Ends the waiting of those whose time is over; call it now and then."""
        with self._lock:
            if self._waiters:
                self._notify(time.monotonic())

    # -- what happens --------------------------------------------------------------------------------------------

    def open(self, ticket: str, commands: Sequence[str], timestamp: float) -> TicketRecord:
        """A command was queued."""
        record = TicketRecord(ticket, list(commands), TicketState.QUEUED, timestamp)
        with self._lock:
            self._records[ticket] = record
            while len(self._records) > CAPACITY:
                self._waiting_for_pulse.discard(self._records.popitem(last=False)[0])
        return record

    def on_sent(self, ticket: str, timecode: int | None, timestamp: float) -> None:
        """Its first register is being written; again when the slot had ended too early."""
        self._change(ticket, state=TicketState.SENT, timecode=timecode, sent=timestamp)

    def on_acknowledged(
        self, ticket: str, effect: Effect, timecode: int | None, pulse: int, timestamp: float
    ) -> None:
        """All its registers are written."""
        facts = {"timecode": timecode, "acknowledged": timestamp, "effect": effect}
        if effect is Effect.NOW:
            self._change(ticket, state=TicketState.IN_EFFECT, pulse=pulse, in_effect=timestamp, **facts)
            return
        with self._lock:
            self._change(ticket, state=TicketState.ACKNOWLEDGED, **facts)
            self._waiting_for_pulse.add(ticket)

    def on_failed(self, ticket: str, error: BaseException) -> None:
        """It failed, or its outcome is not known."""
        with self._lock:
            self._waiting_for_pulse.discard(ticket)
            self._change(ticket, state=TicketState.FAILED, error=describe_error(error))

    def on_pulse(self, pulse: int, is_long: bool, timestamp: float) -> None:
        """A sync pulse came."""
        with self._lock:
            for ticket in sorted(self._waiting_for_pulse):
                if is_long or self.find(ticket).effect is Effect.PULSE:
                    self._waiting_for_pulse.discard(ticket)
                    self._change(ticket, state=TicketState.IN_EFFECT, pulse=pulse, in_effect=timestamp)

    def on_fee_lost(self, error: BaseException) -> None:
        """The FEE lost its registers: what has not taken effect yet never will."""
        with self._lock:
            for ticket in sorted(self._waiting_for_pulse):
                self.on_failed(ticket, error)

    def _change(self, ticket: str, **changes: object) -> None:
        with self._lock:
            record = self._records.get(ticket)
            if record is None or record.state in (TicketState.FAILED, TicketState.IN_EFFECT):
                return
            self._records[ticket] = msgspec.structs.replace(record, **changes)
            if self._waiters:
                self._notify(time.monotonic())

    def _notify(self, now: float) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            record = self.find(waiter.ticket) if waiter.ticket in self._records else None
            if record is not None and (_is_settled(record, waiter.state) or now >= waiter.deadline):
                waiter.future.set_result(record)
            elif record is not None:
                self._waiters.append(waiter)
            else:
                waiter.future.set_exception(KeyError(f"ticket {waiter.ticket!r} was forgotten"))


def _is_settled(record: TicketRecord, state: TicketState) -> bool:
    return record.state is TicketState.FAILED or _ORDER[record.state] >= _ORDER[state]
