"""Measuring and waiting (manual, section 18.3); all of it on a `Clock`, so that it also works on virtual time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from egse.clock import Clock, system_clock
from egse.system import str_to_datetime

__all__ = ["Timer", "duration", "wait_until"]

LOGGER = logging.getLogger("egse.timing")


class Timer:
    """Measures how long something takes.

        with Timer("Reading the image") as timer:
            ...
            timer.log_elapsed()     # so far
        timer.elapsed               # 1.2345 s; the end was logged

    Args:
        name: what is measured, for the log.
        precision: digits after the point in the log.
        log_level: of the messages.
        clock: what it is measured with; the host's clock by default.
    """

    def __init__(
        self,
        name: str = "Timer",
        *,
        precision: int = 3,
        log_level: int = logging.INFO,
        clock: Clock | None = None,
    ) -> None:
        self.name = name
        self.precision = precision
        self.log_level = log_level
        self._clock = clock or system_clock()
        self._start = self._clock.monotonic()
        self._end: float | None = None

    def __enter__(self) -> Timer:
        self._start, self._end = self._clock.monotonic(), None
        return self

    def __exit__(self, *_: object) -> None:
        self._end = self._clock.monotonic()
        self.log_elapsed()

    @property
    def elapsed(self) -> float:
        """Time from the start to the end, or to now while it runs [s of the clock]."""
        return (self._clock.monotonic() if self._end is None else self._end) - self._start

    def __call__(self) -> float:
        """Returns `elapsed` [s]."""
        return self.elapsed

    def log_elapsed(self) -> None:
        """Logs the time so far."""
        LOGGER.log(self.log_level, "%s: %.*f s", self.name, self.precision, self.elapsed)


def duration(dt_start: str | datetime, dt_end: str | datetime) -> timedelta:
    """Returns the time between two moments.

    Args:
        dt_start: the earlier one; a datetime, or text as `egse.system.str_to_datetime` reads it (timestamps of
            housekeeping). Without a time zone it is taken for UTC.
        dt_end: the later one.

    Returns:
        The difference, negative when `dt_end` is the earlier one.

    Raises:
        ValueError: when a text is no date.
    """
    return _moment(dt_end) - _moment(dt_start)


def _moment(moment: str | datetime) -> datetime:
    return str_to_datetime(moment if isinstance(moment, str) else moment.isoformat())


def wait_until(
    condition: Callable[..., object],
    *args: Any,
    timeout: float = 1.0,
    interval: float = 0.1,
    slack: float = 0.0,
    clock: Clock | None = None,
    **kwargs: Any,
) -> bool:
    """Waits until a condition holds.

        if wait_until(lamp.is_on, timeout=20):
            raise TimeoutError("the lamp does not light")

    Args:
        condition: called with `args` and `kwargs` again and again until its result is true; at least once, and once
            more when the time is over.
        timeout: longest time to wait [s of the clock].
        interval: time between two calls [s of the clock].
        slack: a pause may be longer: this part of the time waited so far.
        clock: what is waited with; the host's clock by default.

    Returns:
        True when the time was over before the condition held, False when it held.

    Raises:
        ValueError: when `interval` is not larger than 0.
    """
    if not interval > 0:
        raise ValueError(f"the interval must be larger than 0, got {interval!r}")
    clock = clock or system_clock()
    started = clock.monotonic()
    deadline = started + timeout
    while not condition(*args, **kwargs):
        now = clock.monotonic()
        if now >= deadline:
            return True
        clock.sleep(min(max(interval, slack * (now - started)), deadline - now))
    return False
