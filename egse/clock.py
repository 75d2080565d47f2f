"""The one source of time: real, sped up, or virtual.

State machines and drivers never ask the operating system for the time. They are given a `Clock`, so that the same
code flies with the instrument, runs a 25 s camera cycle in 5 s in a sandbox, and steps through hours in milliseconds
in a dry run or a test. This is the only module that sleeps.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from functools import cache


class Clock(ABC):
    """Time as seen by simulators, drivers and procedures.

    Durations are in seconds of the clock itself: with `speed` 5, `sleep(10)` takes 2 s on the wall.
    """

    speed: float = 1.0

    @abstractmethod
    def now(self) -> float:
        """Returns UTC as Unix time [s]; it may step when the host's clock is adjusted."""

    @abstractmethod
    def monotonic(self) -> float:
        """Returns the seconds of this clock since an arbitrary start; it never steps back."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Lets `seconds` [s] of this clock pass."""

    @abstractmethod
    def wait(self, event: threading.Event, timeout: float) -> bool:
        """Waits until `event` is set, at most `timeout` seconds of this clock.

        Returns:
            True when the event is set.
        """


class RealClock(Clock):
    """The host's clock, optionally with time running faster.

    `now()` stays true UTC at any speed (timestamps in files must not lie); `monotonic()`, `sleep()` and `wait()` run
    `speed` times faster than the wall.

    Args:
        speed: how many seconds of this clock pass in one second; larger than 0.

    Raises:
        ValueError: when `speed` is not larger than 0.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if not speed > 0:
            raise ValueError(f"the speed of a clock must be larger than 0, got {speed!r}")
        self.speed = float(speed)

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic() * self.speed

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            time.sleep(seconds / self.speed)

    def wait(self, event: threading.Event, timeout: float) -> bool:
        return event.wait(max(0.0, timeout / self.speed))

    def __repr__(self) -> str:
        return f"RealClock(speed={self.speed:g})"


class VirtualClock(Clock):
    """A clock that only moves when it is told to: dry runs and tests.

    Args:
        start: Unix time [s] at which it stands; the default is 2026-01-01T00:00:00 UTC, so that two dry runs of the
            same procedure read the same.
    """

    START = 1_767_225_600.0

    def __init__(self, start: float = START) -> None:
        self._start = start
        self._elapsed = 0.0
        self._lock = threading.Lock()

    def now(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Moves the clock forward.

        Args:
            seconds: by how much [s]; not negative.

        Raises:
            ValueError: when `seconds` is negative.
        """
        if seconds < 0:
            raise ValueError(f"a clock cannot run backwards ({seconds} s)")
        with self._lock:
            self._elapsed += seconds

    def sleep(self, seconds: float) -> None:
        self.advance(max(0.0, seconds))

    def wait(self, event: threading.Event, timeout: float) -> bool:
        if not event.is_set():
            self.advance(max(0.0, timeout))
        return event.is_set()

    def __repr__(self) -> str:
        return f"VirtualClock(start={self._start}, elapsed={self._elapsed:.3f})"


@cache
def system_clock() -> RealClock:
    """Returns the host's clock at true speed (one instance per process)."""
    return RealClock()
