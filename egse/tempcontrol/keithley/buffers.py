"""Buffers of readings and the scan that fills them, in the simulated DAQ6510."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

DEFAULT_CAPACITY: Final = 100_000
ELEMENTS: Final = (
    "READing", "CHANnel", "TSTamp", "TSTAmp", "UNIT", "DATE", "TIME", "STATus", "RELative", "SEConds", "FORMatted",
)  # fmt: skip
"""What can be asked of a reading; more than the reference lists is general knowledge of the manual."""


def element_named(word: str) -> str:
    """Returns the long name of an element that was given in its short or long form; raises KeyError."""
    wanted = word.strip().upper()
    for name in ELEMENTS:
        short = "".join(character for character in name if not character.islower())
        if wanted in (short, name.upper()):
            return name.upper()
    raise KeyError(word)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading.

    Attributes:
        when: time of the simulation [s].
        date: by the clock of the instrument.
        relative: since the first reading of its buffer [s].
        channel: 0 for the front.
        value, unit: what was measured.
    """

    when: float
    date: datetime
    relative: float
    channel: int
    value: float
    unit: str

    def element(self, name: str) -> str:
        """Returns one element as text."""
        fraction = f".{self.date.microsecond:06d}000"
        value = "+9.900000E+37" if self.value >= 9.9e37 else f"{self.value:.6E}"
        return {
            "READING": value,
            "FORMATTED": f"{value} {self.unit}",
            "CHANNEL": str(self.channel),
            "TSTAMP": f"{self.date:%m/%d/%Y %H:%M:%S}{fraction}",
            "DATE": f"{self.date:%m/%d/%Y}",
            "TIME": f"{self.date:%H:%M:%S}{fraction}",
            "SECONDS": str(int(self.date.timestamp())),
            "RELATIVE": f"{self.relative:.6f}",
            "UNIT": self.unit,
            "STATUS": "0",
        }[name]


@dataclass
class Buffer:
    """A buffer; when it is full the oldest reading goes."""

    capacity: int = DEFAULT_CAPACITY
    readings: list[Reading] = field(default_factory=list)

    def add(self, when: float, date: datetime, channel: int, value: float, unit: str) -> Reading:
        """Stores a reading."""
        relative = (date - self.readings[0].date) / timedelta(seconds=1) if self.readings else 0.0
        reading = Reading(when, date, relative, channel, value, unit)
        self.readings.append(reading)
        del self.readings[: -self.capacity]
        return reading


@dataclass
class Scan:
    """A scan: which channels, how often, where to.

    Attributes:
        channels: in their order; empty: no scan is defined.
        buffer: name of its buffer.
        count: how many scans, 0 without end.
        interval: from the beginning of one to that of the next [s].
        channel_time: how long a channel takes [s].
        start: when it was started [s], None while it does not run.
        taken: readings so far.
    """

    channel_time: float
    channels: list[int] = field(default_factory=list)
    buffer: str = "defbuffer1"
    count: int = 1
    interval: float = 0.0
    start: float | None = None
    taken: int = 0

    @property
    def running(self) -> bool:
        """True until the last reading is taken."""
        return self.start is not None

    def due(self, index: int) -> float:
        """Returns when a reading (from 0) is complete [s]."""
        scan, position = divmod(index, len(self.channels))
        period = max(self.interval, len(self.channels) * self.channel_time)
        return (self.start or 0.0) + scan * period + (position + 1) * self.channel_time

    @property
    def total(self) -> float:
        """How many readings it takes; infinite when it has no end."""
        return self.count * len(self.channels) if self.count else float("inf")

    @property
    def end(self) -> float:
        """When the last reading is complete [s]."""
        return self.due(int(self.total) - 1) if self.count else float("inf")
