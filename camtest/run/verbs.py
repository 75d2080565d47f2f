"""What a runner does when an operator wants its run to end: the kernel obeys by itself, or is interrupted."""

from __future__ import annotations

import threading
from dataclasses import replace

from camtest.core.handle import ObservationHandle
from camtest.run.client import Outcome
from camtest.run.interrupts import Interrupts
from egse.confman.desk import ENDING, RANKS, VerbRequest

OBEDIENCE = 5.0
"""How long an active building block may take to obey `abort` or `halt` before the kernel is interrupted [s]."""


def obey_verbs(handle: ObservationHandle, interrupts: Interrupts) -> None:
    """Has a run end as operators want: no cell is started any more, and a cell that does not end is interrupted.

    Args:
        handle: the observation.
        interrupts: those of the run.
    """

    def obey(request: VerbRequest) -> None:
        if RANKS[request.verb] < ENDING:
            return
        text = describe(request)
        interrupts.reason = interrupts.reason or text
        if request.verb != "stop":
            timer = threading.Timer(OBEDIENCE, _interrupt, (interrupts, text))
            timer.daemon = True
            timer.start()

    handle.when_verb = obey


def _interrupt(interrupts: Interrupts, text: str) -> None:
    interrupts.reason = None  # it was noted, not acted upon
    interrupts.stop(text)


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
