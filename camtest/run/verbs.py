"""What a runner does when an operator wants its run to end: the kernel obeys by itself, or is interrupted."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from camtest.core.handle import ObservationHandle
from camtest.run.client import Outcome
from camtest.run.interrupts import Interrupts
from egse.clock import system_clock
from egse.confman.desk import ENDING, MAKING_SAFE, RANKS, VerbRequest

OBEDIENCE = 5.0
"""How long an active building block may take to obey `abort` or `halt` before the kernel is interrupted [s]."""
SAFES_TIME = 300.0
"""How long the kernel may make safe, once it has begun, before it is interrupted and a fresh process does it [s]."""


def obey_verbs(
    handle: ObservationHandle,
    interrupts: Interrupts,
    also: Callable[[VerbRequest], None] = lambda request: None,
) -> None:
    """Has a run end as operators want: no cell is started any more, and a cell that does not end is interrupted.

    Args:
        handle: the observation.
        interrupts: those of the run.
        also: told each verb.
    """

    def obey(request: VerbRequest) -> None:
        if RANKS[request.verb] >= ENDING:
            interrupts.reason = interrupts.reason or describe(request)
            if request.verb != "stop":
                deadline = system_clock().monotonic() + SAFES_TIME
                _interrupt_later(handle, interrupts, describe(request), deadline)
        also(request)

    handle.when_verb = obey


def _interrupt_later(handle: ObservationHandle, interrupts: Interrupts, text: str, deadline: float) -> None:
    """Interrupts the kernel when it has not obeyed in a while; not while it makes safe."""

    def interrupt() -> None:
        if handle.state == MAKING_SAFE and system_clock().monotonic() < deadline:
            _interrupt_later(handle, interrupts, text, deadline)
            return
        interrupts.reason = None  # it was noted, not acted upon
        interrupts.stop(text)

    timer = threading.Timer(OBEDIENCE, interrupt)
    timer.daemon = True
    timer.start()


def describe(request: VerbRequest) -> str:
    """Returns the reason of an end that an operator wanted."""
    return f"{request.verb} by {request.by}" + (f": {request.reason}" if request.reason else "")


def as_operator_wanted(handle: ObservationHandle, outcome: Outcome) -> Outcome:
    """Returns how a run ended, when an operator ended it: stop is a good end, abort and halt are bad ones."""
    ending = handle.ending
    if ending is None or outcome.status == "kernel-lost":
        return outcome
    if ending.verb != "stop":
        return replace(outcome, status="aborted", reason=describe(ending))
    stopped = outcome.status == "interrupted" or outcome.reason.startswith("OperatorStop")
    return replace(outcome, status="done", reason=describe(ending), error=None) if stopped else outcome
