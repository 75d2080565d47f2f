"""The clock of a session: whatever waits on it can be paused and aborted, and shows that it is waiting.

It stands still while an operator has paused the run, so that no time-out runs down meanwhile.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from egse.clock import RealClock, system_clock

LOGGER = logging.getLogger(__name__)

REPORT_AFTER = 5.0
"""A wait is reported when it has taken so long, and again after as much more time as it has taken [s of the wall]."""
LONGEST_REPORT = 60.0
"""At the latest it is reported again after this time [s of the wall]."""
SHOWN_EVERY = 1.0
"""From then on `on_progress` is told so often [s of the wall]."""
_SLICE = 0.5


@dataclass(frozen=True)
class Waiting:
    """How a long wait goes.

    Attributes:
        what: what is waited for.
        elapsed: how long by now [s of the session's clock].
        timeout: how long at most [s of the session's clock].
        figure: what moves meanwhile (cycles left, a temperature), None when nothing is known.
        over: it has ended.
    """

    what: str
    elapsed: float
    timeout: float
    figure: object = None
    over: bool = False

    def __str__(self) -> str:
        figure = "" if self.figure is None else f", {self.figure}"
        return f"waiting for {self.what}: {self.elapsed:.0f} s of at most {self.timeout:.0f} s{figure}"


class Watch(Protocol):
    """What a wait inside a building block asks; made by the observation."""

    def pass_by(self) -> float:
        """Returns the time spent in a pause [s of the wall]; raises when the building block must end."""

    def sleep(self, seconds: float) -> bool:
        """Waits `seconds` [s of the wall]; returns True at once when an operator wants something."""

    def report(self, waiting: Waiting) -> None:
        """Records how a long wait goes."""


_find_watch: Callable[[], Watch | None] = lambda: None  # noqa: E731
_shown: list[Callable[[Waiting], None]] = []


def watch_waits(find: Callable[[], Watch | None]) -> None:
    """Has every wait ask the watch that `find` returns; None where no building block is active."""
    global _find_watch
    _find_watch = find


def on_progress(show: Callable[[Waiting], None]) -> None:
    """Has the progress of long waits shown by `show`, about once a second, besides the log and the events."""
    if show not in _shown:
        _shown.append(show)


class SessionClock(RealClock):
    """The host's clock at the speed of the site; see the text of this module."""

    def __init__(self, speed: float = 1.0) -> None:
        super().__init__(speed)
        self._stood = 0.0

    def monotonic(self) -> float:
        return super().monotonic() - self._stood * self.speed

    def sleep(self, seconds: float) -> None:
        if seconds / self.speed <= REPORT_AFTER:
            self._pass(seconds, None)
            return
        started = self.monotonic()
        report = Progress(f"{seconds:g} s to pass", seconds, lambda: self.monotonic() - started)
        try:
            while (left := started + seconds - self.monotonic()) > 0:
                self._pass(min(left, _SLICE * self.speed), None)
                report.tick()
        finally:
            report.end()

    def wait(self, event: threading.Event, timeout: float) -> bool:
        self._pass(timeout, event)
        return event.is_set()

    def _pass(self, seconds: float, event: threading.Event | None) -> None:
        watch = _find_watch()
        if watch is None:
            if event is None:
                super().sleep(seconds)
            else:
                super().wait(event, seconds)
            return
        now = system_clock().monotonic
        left = max(0.0, seconds) / self.speed
        while True:
            self._stood += watch.pass_by()
            if left <= 0 or (event is not None and event.is_set()):
                return
            started = now()
            if event is None:
                watch.sleep(left)
            else:
                event.wait(min(left, _SLICE))
            left -= now() - started


class Progress:
    """Reports a wait while it takes long.

    Args:
        what: what is waited for.
        timeout: how long at most [s of the session's clock].
        elapsed: returns how long by now [s of the session's clock].
    """

    def __init__(self, what: str, timeout: float, elapsed: Callable[[], float]) -> None:
        self.what = what
        self.timeout = timeout
        self._elapsed = elapsed
        self._now = system_clock().monotonic
        self._started = self._now()
        self._next = self._started + REPORT_AFTER
        self._next_shown = self._next
        self._figure: object = None
        self._reported = False

    def tick(self, figure: Callable[[], object] | None = None) -> None:
        """Reports when it is time to."""
        now = self._now()
        if now >= self._next:
            self._next = now + min(LONGEST_REPORT, max(REPORT_AFTER, now - self._started))
            self._figure = None if figure is None else figure()
            self._report()
        elif now >= self._next_shown:
            self._show(self._waiting())

    def end(self) -> None:
        """Says that it is over, when it was reported at all."""
        if self._reported:
            self._figure = None
            self._report(over=True)

    def _waiting(self, over: bool = False) -> Waiting:
        return Waiting(self.what, self._elapsed(), self.timeout, self._figure, over)

    def _show(self, waiting: Waiting) -> None:
        self._next_shown = self._now() + SHOWN_EVERY
        for show in _shown:
            show(waiting)

    def _report(self, over: bool = False) -> None:
        self._reported = True
        waiting = self._waiting(over)
        LOGGER.info("%s%s", "done " if over else "", waiting)
        watch = _find_watch()
        if watch is not None:
            watch.report(waiting)
        self._show(waiting)
