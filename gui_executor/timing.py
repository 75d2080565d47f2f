"""Times in `gui_executor.utils`: how long something takes, and moments as text."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

DAYS = {"day before yesterday": -2, "yesterday": -1, "today": 0, "tomorrow": 1}
"""Words for days, and how far they are from today."""


class Timer:
    """A context manager that logs how long its block takes; called, it returns the time until now, or the end [s].

    Args:
        name: stands in the log.
        precision: digits behind the point.
        log_level: level of the record.
    """

    def __init__(self, name: str = "Timer", precision: int = 3, log_level: int = logging.INFO) -> None:
        self.name = name
        self.precision = precision
        self.log_level = log_level
        self._start = time.perf_counter()
        self._end: float | None = None

    def __enter__(self) -> Self:
        self._start, self._end = time.perf_counter(), None
        return self

    def __exit__(self, *_: object) -> None:
        self._end = time.perf_counter()
        self._log("")

    def __call__(self) -> float:
        return (time.perf_counter() if self._end is None else self._end) - self._start

    def log_elapsed(self) -> None:
        """Logs the time until now."""
        self._log(" elapsed")

    def _log(self, what: str) -> None:
        logging.log(self.log_level, "%s: %.*f seconds%s", self.name, self.precision, self(), what)


def timer(*, precision: int = 4) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Makes a function print how long it took; used with brackets.

    Args:
        precision: digits behind the point.
    """

    def decorator(function: Callable[P, R]) -> Callable[P, R]:
        @wraps(function)
        def timed(*args: P.args, **kwargs: P.kwargs) -> R:
            begun = time.perf_counter()
            value = function(*args, **kwargs)
            took = time.perf_counter() - begun
            print(f"Finished {function.__name__!r} in {took:.{precision}f} secs")  # noqa: T201
            return value

        return timed

    return decorator


def format_datetime(
    dt: str | date | None = None, fmt: str | None = None, width: int = 6, precision: int = 3
) -> str:
    """Returns a moment as text: `2026-11-26T14:30:12.345+0000`, without the zone when it has none.

    Args:
        dt: the moment; now (UTC) when None. Or a word for a day (`today`, `yesterday`, `tomorrow`,
            `day before yesterday`), which is written `20261126`.
        fmt: format for `strftime` in place of these.
        width: digits of the fraction, not more than `precision`, that are filled up with zeros.
        precision: digits of the fraction of a second; what is beyond is cut off.

    Raises:
        ValueError: when a word is not known.
    """
    if isinstance(dt, str):
        if dt.lower() not in DAYS:
            raise ValueError(f"{dt!r} is no day: {', '.join(DAYS)}")
        dt = date.today() + timedelta(days=DAYS[dt.lower()])
        fmt = fmt or "%Y%m%d"
    moment = dt or datetime.now(UTC)
    if fmt:
        return moment.strftime(fmt)
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    fraction = moment.microsecond // 10 ** (6 - precision)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:0{min(width, precision)}d}{moment:%z}"
