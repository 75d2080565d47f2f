"""Sync pulses of the AEU: four per cycle, 6.25 s apart, the first one long, then a gap until the cycle is over."""

from __future__ import annotations

from dataclasses import dataclass

from egse.fee.timing import CYCLE_TIMES, FRAMES_PER_CYCLE, LONG_PULSE, READOUT_PERIOD, SHORT_PULSE


@dataclass(frozen=True, slots=True)
class Pulse:
    """A sync pulse.

    Attributes:
        time: its start [s].
        long: True for the first pulse of a cycle, and for every internal one.
    """

    time: float
    long: bool

    @property
    def length(self) -> float:
        """Length of the pulse [s]; the readout starts at its end."""
        return LONG_PULSE if self.long else SHORT_PULSE


class SyncGenerator:
    """The schedule of external pulses.

    Args:
        start: time of the first long pulse [s].
        cycle_time: one of `CYCLE_TIMES` [s].

    Raises:
        ValueError: for another cycle time.
    """

    def __init__(self, start: float = 0.0, cycle_time: float = 25.0) -> None:
        self._start = start
        self._index = 0
        self._cycle_time = self._next_cycle_time = _checked(cycle_time)

    @property
    def cycle_time(self) -> float:
        """Image cycle time [s]; a new one counts from the next long pulse on."""
        return self._next_cycle_time

    @cycle_time.setter
    def cycle_time(self, value: float) -> None:
        self._next_cycle_time = _checked(value)
        if self._index == 0:
            self._cycle_time = self._next_cycle_time

    @property
    def next(self) -> Pulse:
        """The next pulse."""
        return Pulse(self._start + self._index * READOUT_PERIOD, self._index == 0)

    def advance(self) -> None:
        """Takes the next pulse as done."""
        if self._index == 0:
            self._cycle_time = self._next_cycle_time
        self._index += 1
        if self._index == FRAMES_PER_CYCLE:
            self._start += self._cycle_time
            self._index = 0

    def skip_until(self, time: float) -> None:
        """Takes all pulses before `time` as done: they went by while the FEE did not listen to them."""
        while self.next.time < time:
            self.advance()


def _checked(cycle_time: float) -> float:
    if cycle_time not in CYCLE_TIMES:
        raise ValueError(f"the cycle time is one of {CYCLE_TIMES} s, got {cycle_time!r}")
    return float(cycle_time)
