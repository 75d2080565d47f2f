"""The housekeeping files in which a parameter may be, for a day, a span of time or an observation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from egse.archive import Observation, parse_filename, parse_prefix
from egse.storage.naming import FileName
from egse.system import from_unix_time, unix_time

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Span:
    """A span of time, `start <= t < end` [Unix s]."""

    start: float
    end: float

    @property
    def days(self) -> list[str]:
        """The UTC days that it touches, `YYYYMMDD`."""
        first = int(self.start // SECONDS_PER_DAY)
        last = max(first, -int(-self.end // SECONDS_PER_DAY) - 1)
        return [f"{from_unix_time(day * SECONDS_PER_DAY):%Y%m%d}" for day in range(first, last + 1)]


def day_span(day: str) -> Span:
    """Returns the span of a UTC day, `YYYYMMDD` or `YYYY-MM-DD`.

    Raises:
        ValueError: when it is no day.
    """
    start = unix_time(day)
    if start % SECONDS_PER_DAY:
        raise ValueError(f"{day!r} is no UTC day, expected as in 20230620")
    return Span(start, start + SECONDS_PER_DAY)


@lru_cache(maxsize=65_536)
def read_name(name: str) -> FileName | None:
    """Returns what the name of a housekeeping file says, None for the name of another file."""
    if not name.endswith(".csv"):
        return None
    try:
        return parse_filename(name)
    except ValueError:
        return None


def daily_files(site_folder: Path, day: str, mnemonic: str | None = None) -> Iterator[Path]:
    """Yields the housekeeping files of a day, of one producer or (None) of all."""
    for path in sorted((site_folder / "daily" / day).glob("*.csv")):
        name = read_name(path.name)
        if name is not None and mnemonic in (None, name.mnemonic):
            yield path


def observation_files(observation: Observation, mnemonic: str | None = None) -> Iterator[Path]:
    """Yields the housekeeping files of an observation, of one producer or (None) of all."""
    for found, paths in observation.hk_files.items():
        if mnemonic in (None, found):
            yield from paths


def files_of_observations(site_folder: Path, span: Span, mnemonic: str | None = None) -> Iterator[Path]:
    """Yields the housekeeping files of all observations that had begun before the end of a span.

    They hold the same rows as the daily files, and are what is left where those are gone.
    """
    last = f"{from_unix_time(span.end):%Y%m%d%H%M%S}"
    for folder in sorted((site_folder / "obs").glob("[0-9]*")):
        if not _is_observation(folder):
            continue
        for path in sorted(folder.glob("*.csv")):
            name = read_name(path.name)
            if name is None or mnemonic not in (None, name.mnemonic):
                continue
            if f"{name.date}{name.time}" < last and path.stat().st_mtime >= span.start:
                yield path


def _is_observation(folder: Path) -> bool:
    try:
        parse_prefix(folder.name)
    except ValueError:
        return False
    return folder.is_dir()


def observation_span(observation: Observation) -> Span | None:
    """Returns when an observation ran, up to now while it is open; None when that is not known (older systems)."""
    if not observation.start:
        return None
    end = unix_time(observation.end) if observation.end else float("inf")
    return Span(unix_time(observation.start), end)
