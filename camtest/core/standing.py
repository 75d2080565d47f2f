"""Standing still while a suspender holds: the operator sees it, and can end it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from camtest.core.context import ACTIVE
from camtest.core.control import Place
from camtest.core.suspenders import PERIOD, Stay
from egse.clock import system_clock

if TYPE_CHECKING:
    from camtest.core.recording import ObservationContext

LOGGER = logging.getLogger(__name__)

SUSPENDED, RESUMED = "suspended", "resumed"
"""Events of an observation."""


def stay_suspended(context: ObservationContext, place: Place, *blocks: str) -> None:
    """Returns when no suspender holds for the active building blocks and those named.

    Raises:
        SuspendAbort, OperatorAbort, HaltAbort, OperatorStop, ObservationError: as `stand_still`.
    """
    names = (*blocks, *(call.block.qualified_name for call in ACTIVE.get()))
    while (stay := context.suspenders.find(names)) is not None:
        stand_still(context, stay, place)


def stand_still(context: ObservationContext, stay: Stay, place: Place) -> None:
    """Returns when a procedure may go on.

    Raises:
        SuspendAbort: when the suspender has held for longer than its time-out.
        OperatorAbort, HaltAbort, OperatorStop, ObservationError: when the observation ends meanwhile.
    """
    name = stay.suspender.name
    LOGGER.warning("Suspended by %s: %s", name, stay.reason)
    context.mark(SUSPENDED, name=name, reason=stay.reason)
    context.tell("paused", f"suspended by {name}: {stay.reason}")
    now = system_clock().monotonic
    try:
        while not stay.may_go_on(now()):
            context.control.sleep(PERIOD)
            context.refuse_when_lost()
            context.control.pass_by(place)
    finally:
        seconds = round(now() - stay.since, 1)
        LOGGER.warning("Suspended no more by %s, after %g s", name, seconds)
        context.mark(RESUMED, name=name, seconds=seconds)
        context.tell("running", "")
