"""What the two kinds of controllers answer, as numbers; and their command registers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from egse.clock import Clock
from egse.hexapod import HexapodError

N = TypeVar("N", int, float)


def to_numbers(texts: list[str], kind: Callable[[str], N], count: int) -> list[N]:
    """Returns the values of an answer as numbers.

    Args:
        texts: the values.
        kind: `int` or `float`.
        count: how many there must be.

    Raises:
        HexapodError: when they are no numbers, or not so many.
    """
    try:
        found = [kind(text) for text in texts]
    except ValueError as exc:
        raise HexapodError(f"the controller answered {texts}, which are no numbers") from exc
    if len(found) != count:
        raise HexapodError(f"the controller answered {len(found)} values, expected {count}: {texts}")
    return found


def wait_for_register(look: Callable[[], int], clock: Clock, interval: float, limit: float, what: str) -> int:
    """Looks at a command register until the controller has taken the command.

    Args:
        look: returns what stands in the register: positive while the command is not taken.
        clock: of the pauses.
        interval: between two looks [s].
        limit: longest time [s].
        what: the command, for the error.

    Returns:
        0, or a negative number for a command that is refused.

    Raises:
        HexapodError: when it does not take the command in time.
    """
    deadline = clock.monotonic() + limit
    while (code := look()) > 0:
        if clock.monotonic() >= deadline:
            raise HexapodError(
                f"the controller did not take {what!r} within {limit:g} s; restart it if that stays so"
            )
        clock.sleep(interval)
    return code
