"""Waiting for a temperature plateau, whoever controls the temperature."""

from __future__ import annotations

from collections.abc import Callable

from camtest.commanding.utilities import wait_until
from camtest.state import GlobalState

POLL_INTERVAL = 2.0
"""Time between two readings [s]."""


def wait_for_plateau(
    read: Callable[[], float],
    temperature: float,
    tolerance: float,
    stable_for: float,
    timeout: float,
    *,
    what: str,
) -> float:
    """Waits until a temperature has been near a value for a while without leaving it.

    Args:
        read: returns the temperature [degC].
        temperature: middle of the plateau [degC].
        tolerance: greatest distance from it [K].
        stable_for: how long it has to stay there [s].
        timeout: longest time to wait [s].
        what: where it is measured, for messages.

    Returns:
        How long it took [s].

    Raises:
        TimeoutError: when there was no plateau in time.
    """
    clock = GlobalState.clock
    since: float | None = None

    def is_stable() -> bool:
        nonlocal since
        if abs(read() - temperature) > tolerance:
            since = None
            return False
        since = clock.monotonic() if since is None else since
        return clock.monotonic() - since >= stable_for

    where = f"{temperature:g} degC +/- {tolerance:g} K for {stable_for:g} s at {what}"
    return wait_until(is_stable, timeout=timeout, interval=POLL_INTERVAL, what=where)
