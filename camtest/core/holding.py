"""A building block that failed in a supervised run is held: the cell waits where it is for what an operator decides.

The kernel lives, so does everything that the cell has done before: `retry` calls the building block again with the same
arguments and the cell goes on with what it returns; `continue` goes on as if it had not failed (it returns None); `abort`
makes safe and ends. Without a decision in time the error is raised, as in a run that is not held.

How long is said by whoever starts the run (`camtest run --hold`); runs that nobody attends are not held.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from camtest.core.context import Abort, InterlockAbort, OperatorStop, PreconditionAbort
from camtest.core.variables import HOLD_VARIABLE

if TYPE_CHECKING:
    from camtest.core.recording import ObservationContext

LOGGER = logging.getLogger(__name__)

LONGEST_HOLD = 7 * 86_400.0
"""[s]"""
HELD, UNDECIDED = "held", "undecided"
"""Events: something is held, and nobody has decided about it in time."""
MAY_BE_DECIDED = (PreconditionAbort, InterlockAbort)
"""What can be put right by an operator, of what ends a run on purpose."""


class HoldError(ValueError):
    """`CAMTEST_HOLD` is no time."""


def hold_seconds() -> float:
    """Returns how long a failure waits for a decision (`CAMTEST_HOLD`) [s]; 0 for not at all.

    Raises:
        HoldError: when the variable holds something else.
    """
    text = os.environ.get(HOLD_VARIABLE, "").strip()
    try:
        seconds = float(text or 0.0)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= LONGEST_HOLD:
        raise HoldError(f"{HOLD_VARIABLE} must be a time in seconds, 0 to {LONGEST_HOLD:g}; it is {text!r}")
    return seconds


def may_be_held(error: BaseException) -> bool:
    """Returns True for what an operator may decide about: not for what ends the run on purpose, nor for interrupts."""
    if isinstance(error, MAY_BE_DECIDED):
        return True
    return isinstance(error, Exception) and not isinstance(error, (Abort, OperatorStop))


def await_decision(context: ObservationContext, error: BaseException) -> str:
    """Waits for the decision about the building block that has just failed in a run.

    Args:
        context: the observation, held by a runner.
        error: what the building block raised.

    Returns:
        `retry`, `continue`, or "" when the failure stands: it may not be held, or nobody has decided.

    Raises:
        OperatorAbort, HaltAbort: when an operator ends the observation meanwhile.
    """
    failure = context.failure
    if failure is None or not may_be_held(error):
        return ""
    seconds = hold_seconds()
    if not seconds:
        return ""
    about = {"block": failure.block.qualified_name, "error": failure.text}
    context.mark(HELD, **about, timeout=seconds)
    context.tell(HELD, f"{failure.block.name}: {failure.text}")
    LOGGER.error(
        "`%s` has failed (%s) and waits %g s for `camtest decide retry|continue|abort`",
        *(failure.block.name, failure.text, seconds),
    )

    def over() -> bool:
        now = context.failure
        return now is None or now.retry or context.lost is not None or context.control.is_pressing

    context.control.wait_for(over, seconds)
    context.obey_now()
    if context.failure is None:
        return "continue"
    if context.failure.retry:
        return "retry"
    context.mark(UNDECIDED, **about)
    context.tell("failed", f"nobody has decided about {failure.block.name}: {failure.text}")
    return ""
