"""When the servers of a site were there, as their housekeeping tells, and how much room the disk had.

A server writes a row of housekeeping every few seconds as long as it lives. Where the next row is late by more than twice its
usual distance, the server (or the storage manager) was not there. Where no row comes at all from a server that stored some
not long ago, it was not there for the whole time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from egse.hk.access import get_housekeeping
from egse.hk.cache import user_cache
from egse.hk.files import SECONDS_PER_DAY, Span, daily_files, read_name
from egse.report.span import Scope
from egse.settings import Settings
from egse.system import from_unix_time

LATE = 3.0
"""A row that comes after so many usual distances has come after a gap."""
SHORTEST_GAP = 5.0
"""Shorter times without a row are none [s]."""
USUAL = 10.0
"""Distance of rows when there are too few to tell [s]; HK_DELAY of the Settings."""
LOOK_BACK = 31
"""A producer that stored rows on one of so many days before is expected to be there [days]."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Presence:
    """When the rows of one producer came.

    Attributes:
        mnemonic: its storage mnemonic.
        server: its block in the Settings, empty when none has this mnemonic.
        rows: how many there are.
        first: time of the first one [Unix s], None when there is none.
        last: time of the last one [Unix s]; of one before when there is none.
        period: usual distance [s].
        gaps: spans without rows.
        counted_from: from when on it is counted [Unix s].
        until: to when [Unix s].
    """

    mnemonic: str
    server: str
    rows: int
    first: float | None
    last: float | None
    period: float
    gaps: tuple[Span, ...]
    counted_from: float
    until: float

    @property
    def missing(self) -> float:
        """How long it was not there [s]."""
        return sum(gap.end - gap.start for gap in self.gaps)

    @property
    def availability(self) -> float:
        """The part of the time in which it was there, 0 to 1."""
        whole = self.until - self.counted_from
        return 1.0 if whole <= 0 else max(0.0, 1.0 - self.missing / whole)


def presences(scope: Scope) -> list[Presence]:
    """Returns when each producer of housekeeping was there, by mnemonic.

    One that was there before, within `LOOK_BACK`, counts from the beginning of the time, any other from its first row.
    """
    names = _server_names()
    before = _mnemonics(scope.site, _days_before(scope.span.start))
    known = sorted(before | _mnemonics(scope.site, scope.span.days))
    found = (_presence(scope, mnemonic, mnemonic in before, names.get(mnemonic, "")) for mnemonic in known)
    return [one for one in found if one is not None]


def _presence(scope: Scope, mnemonic: str, before: bool, server: str) -> Presence | None:
    """Returns when a producer was there; None for one that has stored nothing."""
    span = scope.span
    times = _times(scope.site, span.days, mnemonic)
    earlier, times = times[times < span.start], times[(times >= span.start) & (times < span.end)]
    found = presence(mnemonic, times, span, before=before or earlier.size > 0, server=server)
    if times.size:
        return found
    last = float(earlier[-1]) if earlier.size else _last_row(scope.site, span.start, mnemonic)
    return None if last is None else replace(found, last=last)


def presence(mnemonic: str, times: Floats, span: Span, *, before: bool = False, server: str = "") -> Presence:
    """Returns when a producer was there, from the times of its rows.

    Args:
        mnemonic: its storage mnemonic.
        times: of its rows [Unix s], ascending, shape (N,).
        span: what is looked at.
        before: it was there before, also without any row now.
        server: its block in the Settings.
    """
    steps = np.diff(times)
    period = float(np.median(steps)) if steps.size >= 3 else USUAL
    allowed = max(LATE * period, SHORTEST_GAP)
    start = span.start if before or not times.size else float(times[0])
    edges = np.concatenate(([start], times, [span.end]))
    late = np.flatnonzero(np.diff(edges) > allowed)
    gaps = tuple(Span(float(edges[i]), float(edges[i + 1])) for i in late)
    first, last = (float(times[0]), float(times[-1])) if times.size else (None, None)
    return Presence(mnemonic, server, len(times), first, last, period, gaps, start, span.end)


def disk_samples(scope: Scope) -> tuple[Floats, Floats, Floats]:
    """Returns times [Unix s], free room [bytes] and used part [%] of the data disk; empty when nobody recorded them."""
    window = (scope.span.start, scope.span.end)
    try:
        times, free = get_housekeeping("SM_DISK_FREE", time_window=window, data_dir=scope.site)
        same, percent = get_housekeeping("SM_DISK_PERCENT", time_window=window, data_dir=scope.site)
    except LookupError:
        empty = np.empty(0)
        return empty, empty, empty
    length = min(len(times), len(same))
    return times[:length], free[:length].astype(np.float64), percent[:length].astype(np.float64)


def _mnemonics(site: Path, days: Iterable[str]) -> set[str]:
    """Returns the producers that have files of some days, by the names of the files only."""
    found = (read_name(path.name) for day in days for path in daily_files(site, day))
    return {name.mnemonic for name in found if name is not None and name.mnemonic}


def _last_row(site: Path, start: float, mnemonic: str) -> float | None:
    """Returns when the last row before the day of `start` came [Unix s]; the newest files may have none."""
    days = (_times(site, [day], mnemonic) for day in _days_before(start))
    return next((float(times[-1]) for times in days if times.size), None)


def _times(site: Path, days: Iterable[str], mnemonic: str) -> Floats:
    pieces = [times for day in days for times in _times_of_files(daily_files(site, day, mnemonic))]
    times = np.sort(np.concatenate(pieces)) if pieces else np.empty(0)
    return times[np.isfinite(times)]


def _times_of_files(paths: Iterator[Path]) -> Iterator[Floats]:
    cache = user_cache()
    for path in paths:
        try:
            columns = cache.read(path, "timestamp", "timestamp")
        except FileNotFoundError:
            continue  # moved away just now
        if columns is not None:
            yield columns[0].data.astype(np.float64)


def _days_before(start: float) -> list[str]:
    """Returns the days before that of `start`, the newest first."""
    return [f"{from_unix_time(start - n * SECONDS_PER_DAY):%Y%m%d}" for n in range(1, LOOK_BACK + 1)]


def _server_names() -> dict[str, str]:
    """Returns the blocks of the Settings by storage mnemonic."""
    blocks = Settings.load().items()
    return {
        str(block["STORAGE_MNEMONIC"]): str(name)
        for name, block in blocks
        if isinstance(block, dict) and block.get("STORAGE_MNEMONIC")
    }
