"""The time that a report is about, and how times stand in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from egse.hk.files import SECONDS_PER_DAY, Span, day_span
from egse.system import format_datetime, from_unix_time


@dataclass(frozen=True)
class Scope:
    """What is looked at.

    Attributes:
        site: data folder of the site.
        span: the time; its end is not later than `now`.
        now: when it is looked at [Unix s].
    """

    site: Path
    span: Span
    now: float

    @classmethod
    def of_day(cls, site: Path, day: str, now: float) -> Scope:
        """Returns the scope of a UTC day, `YYYYMMDD`; of today up to now.

        Raises:
            ValueError: when it is no day, or one to come.
        """
        whole = day_span(day)
        if whole.start > now:
            raise ValueError(f"the day {day} has not come yet")
        return cls(site, Span(whole.start, min(whole.end, max(now, whole.start))), now)

    @classmethod
    def of_last(cls, site: Path, seconds: float, now: float) -> Scope:
        """Returns the scope of the last so many seconds."""
        return cls(site, Span(now - seconds, now), now)

    @property
    def seconds(self) -> float:
        """Its length [s]."""
        return self.span.end - self.span.start

    @property
    def is_one_day(self) -> bool:
        """True when all of it is on one day, so that times of day are enough."""
        return len(self.span.days) == 1

    def clock_text(self, time: float | None) -> str:
        """Returns a time as it stands in a table: with its date where that is not clear; a dash for None."""
        if time is None:
            return "-"
        text = format_datetime(from_unix_time(time))
        inside = self.is_one_day and self.span.start <= time < self.span.start + SECONDS_PER_DAY
        return text[11:19] if inside else text[:19].replace("T", " ")


def duration_text(seconds: float | None) -> str:
    """Returns a length of time for people, `2 h 05 min`; a dash for None."""
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
