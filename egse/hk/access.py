"""Housekeeping parameters by name, from the CSV files of the archive (manual, section 5.6)."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from egse.archive import Observation
from egse.env import get_data_storage_location
from egse.hk.cache import ColumnCache, user_cache
from egse.hk.column import Column, MixedColumnError, join_columns
from egse.hk.files import (
    SECONDS_PER_DAY,
    Span,
    daily_files,
    day_span,
    files_of_observations,
    observation_files,
    observation_span,
)
from egse.setup import Setup
from egse.system import format_datetime, from_unix_time, unix_time
from egse.tmdict import Parameter, TMDictionaryError, find_dictionary

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

LOGGER = logging.getLogger(__name__)

Moment = str | datetime | float
TimeWindow = float | tuple[Moment, Moment]

Samples = tuple["NDArray[np.float64]", "NDArray[Any]"]


def get_housekeeping(
    hk_name: str,
    obsid: int | str | None = None,
    od: str | None = None,
    time_window: TimeWindow | None = None,
    data_dir: str | Path | None = None,
    setup: Setup | None = None,
    *,
    calibrated: bool = False,
) -> Samples:
    """Returns the values of one housekeeping parameter, in the order of time, each sample once.

    Exactly one of `obsid`, `od` and `time_window` says from when; without any of them it is today.

    The TM dictionary says in which file and beside which timestamp the parameter is; a parameter that it does not know is
    looked for in all files. Days without a daily file are filled from the files of the observations. Only whole lines count:
    one that is just being written, or was torn by a crash, is none.

    Args:
        hk_name: name of the parameter, e.g. `GCSL1_HEX_HOMED`.
        obsid: of this observation, in any form.
        od: of this UTC day, `YYYYMMDD`.
        time_window: of the last so many seconds, or `(start, end)`: text (`2023-06-20T09:58:19`, UTC), datetime or Unix
            time [s]; start <= time < end.
        data_dir: data folder of the site; that of this environment when None.
        setup: whose TM dictionary is used; None for that of the observation, or of this package.
        calibrated: apply the linear calibration of the TM dictionary, if there is one.

    Returns:
        Unix times [s] and values, both of shape (N,); values are numbers, booleans or texts as in the file. A missing one is
        nan.

    Raises:
        LookupError: when no file of that time has the parameter.
        ValueError: when more than one time is given, or a time makes no sense.
    """
    request = _Request.make(hk_name, obsid, od, time_window, data_dir, setup)
    times, values = request.read(user_cache())
    return times, request.calibrate(values) if calibrated else values


def get_housekeeping_frame(
    hk_names: str | Sequence[str],
    obsid: int | str | None = None,
    od: str | None = None,
    time_window: TimeWindow | None = None,
    data_dir: str | Path | None = None,
    setup: Setup | None = None,
    *,
    calibrated: bool = False,
) -> pd.DataFrame:
    """Returns housekeeping parameters as a table.

    Args:
        hk_names: one name or several.
        obsid, od, time_window, data_dir, setup, calibrated: as for `get_housekeeping`.

    Returns:
        One column for each parameter; the index holds UTC times. Parameters of different producers have rows of their own,
        with nan in the columns of the others. `attrs["units"]` holds the units by name.

    Raises:
        LookupError: when no file of that time has one of the parameters.
        ValueError: as for `get_housekeeping`.
    """
    import pandas as pd

    names = [hk_names] if isinstance(hk_names, str) else list(dict.fromkeys(hk_names))
    columns, units = [], {}
    for name in names:
        request = _Request.make(name, obsid, od, time_window, data_dir, setup)
        times, values = request.read(user_cache())
        # Rounded to 1 us: the files hold no more, and a Unix time in a float no less.
        index = pd.to_datetime(np.round(times * 1e6).astype("int64"), unit="us", utc=True)
        series = pd.Series(request.calibrate(values) if calibrated else values, index=index, name=name)
        columns.append(_unique_index(series))
        units[name] = request.parameter.unit if request.parameter else ""
    table = columns[0].to_frame() if len(columns) == 1 else pd.concat(columns, axis=1).sort_index()
    table.index = table.index.get_level_values(0)
    table.index.name = "timestamp"
    table.attrs["units"] = units
    return table


def _unique_index(series: pd.Series[Any]) -> pd.Series[Any]:
    """Returns a series whose index tells samples of the same moment apart, so that columns can be joined."""
    import pandas as pd

    count = series.groupby(level=0).cumcount()
    series.index = pd.MultiIndex.from_arrays([series.index, count.to_numpy()])
    return series


def get_hk_names(obsid: int | str, data_dir: str | Path | None = None) -> dict[str, list[str]]:
    """Returns the names of all parameters of an observation by storage mnemonic."""
    import csv

    names = {}
    for mnemonic, paths in sorted(Observation(obsid, data_dir).hk_files.items()):
        with paths[0].open(encoding="utf-8", newline="") as file:
            names[mnemonic] = next(csv.reader(file), [])
    return names


@dataclass(frozen=True)
class _Request:
    """What is asked for.

    Attributes:
        name: of the parameter.
        parameter: its row of the TM dictionary, None when it has none.
        site_folder: data folder of the site.
        when: the time, for messages.
        observation: the observation that is asked for.
        span: the time that is asked for; None for all of an observation.
    """

    name: str
    parameter: Parameter | None
    site_folder: Path
    when: str
    observation: Observation | None
    span: Span | None

    @classmethod
    def make(
        cls,
        name: str,
        obsid: int | str | None,
        od: str | None,
        window: TimeWindow | None,
        data_dir: str | Path | None,
        setup: Setup | None,
    ) -> _Request:
        if sum(choice is not None for choice in (obsid, od, window)) > 1:
            raise ValueError("give only one of obsid, od and time_window")
        site_folder = Path(data_dir) if data_dir is not None else None
        observation = None if obsid is None else Observation(obsid, site_folder)
        if observation is not None:
            site_folder = observation.site_folder
        parameter = _find_parameter(name, setup, observation)
        span, when = (None, str(obsid)) if observation is not None else _span(od, window)
        return cls(name, parameter, site_folder or get_data_storage_location(), when, observation, span)

    def calibrate(self, values: NDArray[Any]) -> NDArray[Any]:
        """Returns values with the linear calibration of the TM dictionary."""
        if self.parameter is None or values.dtype.kind not in "iuf":
            return values
        return np.asarray(self.parameter.calibrate(values))

    def read(self, cache: ColumnCache) -> Samples:
        mnemonic = self.parameter.mnemonic if self.parameter else None
        found = self._read_files(cache, mnemonic) if mnemonic else []
        if not found:
            found = self._read_files(cache, None)
        if not found:
            raise LookupError(
                f"no housekeeping file of {self.when} in {self.site_folder} has the parameter {self.name!r}"
            )
        times, values = _concatenate(found)
        if self.span is not None:
            times, values = _cut(times, values, self.span)
        return _in_order_and_once(times, values)

    def _read_files(self, cache: ColumnCache, mnemonic: str | None) -> list[tuple[Column, Column]]:
        if self.observation is not None:
            found = list(self._read_all(cache, observation_files(self.observation, mnemonic)))
            span = observation_span(self.observation)
            if found or span is None:
                return found
            span = Span(span.start, min(span.end, unix_time(format_datetime()) + 1.0))
            return [
                piece
                for day in span.days
                for piece in self._read_all(cache, daily_files(self.site_folder, day, mnemonic), span)
            ]
        assert self.span is not None
        found, missing = [], []
        for day in self.span.days:
            pieces = list(self._read_all(cache, daily_files(self.site_folder, day, mnemonic)))
            found += pieces
            if not pieces:
                missing.append(day_span(day))
        if missing:
            found += self._fill(cache, mnemonic, missing)
        return found

    def _fill(
        self, cache: ColumnCache, mnemonic: str | None, missing: list[Span]
    ) -> Iterator[tuple[Column, Column]]:
        """Yields what the observations have of days without a daily file."""
        whole = Span(missing[0].start, missing[-1].end)
        files = files_of_observations(self.site_folder, whole, mnemonic)
        for times, values in self._read_all(cache, files):
            days = np.floor(np.nan_to_num(times.data, nan=-1.0) / SECONDS_PER_DAY)
            chosen = np.isin(days, [span.start // SECONDS_PER_DAY for span in missing])
            if chosen.any():
                yield _chosen(times, chosen), _chosen(values, chosen)

    def _read_all(
        self, cache: ColumnCache, paths: Iterable[Path], span: Span | None = None
    ) -> Iterator[tuple[Column, Column]]:
        timestamp = (self.parameter.timestamp if self.parameter else "") or "timestamp"
        for path in paths:
            try:
                columns = cache.read(path, timestamp, self.name)
            except FileNotFoundError:
                continue  # moved away just now
            if columns is None:
                continue
            times, values = columns
            if span is not None:
                chosen = (times.data >= span.start) & (times.data < span.end)
                times, values = _chosen(times, chosen), _chosen(values, chosen)
            yield times, values


def _find_parameter(name: str, setup: Setup | None, observation: Observation | None) -> Parameter | None:
    """Returns the row of the TM dictionary: of the Setup, of the observation, or of this package."""
    if setup is not None:
        return find_dictionary(setup).get(name)
    if observation is not None:
        try:
            return find_dictionary(observation.setup).get(name)
        except (LookupError, ValueError) as exc:
            # Older observations have no Setup beside them; the files themselves tell then.
            LOGGER.debug("the TM dictionary of this package is used for %s: %s", observation, exc)
    try:
        return find_dictionary().get(name)
    except TMDictionaryError as exc:
        LOGGER.warning("%s", exc)
        return None


def _span(od: str | None, window: TimeWindow | None) -> tuple[Span, str]:
    if od is not None:
        return day_span(str(od)), str(od)
    now = unix_time(format_datetime())
    if window is None:
        return day_span(f"{from_unix_time(now):%Y%m%d}"), "today"
    if isinstance(window, (tuple, list)):
        start, end = (_unix(moment) for moment in window)
        if not start <= end:
            raise ValueError(f"the time window ends before it starts: {window}")
        return Span(start, end), f"{window[0]} to {window[1]}"
    if not window >= 0.0:
        raise ValueError(f"the time window must be a number of seconds, not {window}")
    # What was written within this very millisecond belongs to it.
    return Span(now - window, now + 0.001), f"the last {window:g} s"


def _unix(moment: Moment) -> float:
    return unix_time(moment) if isinstance(moment, (str, datetime)) else float(moment)


def _chosen(column: Column, chosen: NDArray[np.bool_]) -> Column:
    return Column(column.kind, column.data[chosen], column.texts)


def _concatenate(found: list[tuple[Column, Column]]) -> Samples:
    times = np.concatenate([times.data for times, _ in found])
    try:
        values = join_columns([values for _, values in found]).values()
    except MixedColumnError:
        values = np.concatenate([column.values().astype(object) for _, column in found])
    readable = np.isfinite(times)
    if not readable.all():
        LOGGER.warning("%d samples have no readable timestamp and are left out", int((~readable).sum()))
        times, values = times[readable], values[readable]
    return times, values


def _cut(times: NDArray[np.float64], values: NDArray[Any], span: Span) -> Samples:
    chosen = (times >= span.start) & (times < span.end)
    return (times, values) if chosen.all() else (times[chosen], values[chosen])


def _in_order_and_once(times: NDArray[np.float64], values: NDArray[Any]) -> Samples:
    """Returns samples in the order of time; the same moment with the same value is one sample."""
    steps = np.diff(times)
    if np.any(steps < 0):
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
        steps = np.diff(times)
    if np.all(steps > 0):
        return times, values
    same = np.concatenate(([False], steps == 0))
    keep = np.ones(len(times), dtype=bool)
    seen: set[object] = set()
    before = -1
    for place in np.flatnonzero(same).tolist():
        if place != before + 1:
            seen = {_key(values[place - 1])}
        before = place
        key = _key(values[place])
        keep[place] = key not in seen
        seen.add(key)
    return times[keep], values[keep]


def _key(value: Any) -> object:
    """Returns what makes two values the same; nan is the same as nan."""
    return "nan" if value != value else (type(value).__name__, value)


__all__ = ["get_hk_names", "get_housekeeping", "get_housekeeping_frame"]
