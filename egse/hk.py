"""Housekeeping parameters by name, from the CSV files of the archive (manual, section 5.6)."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from egse.archive import Observation, parse_filename
from egse.env import get_data_storage_location
from egse.system import format_datetime, from_unix_time, unix_time

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SECONDS_PER_DAY = 86_400


def get_housekeeping(
    hk_name: str,
    obsid: int | str | None = None,
    od: str | None = None,
    time_window: float | None = None,
    data_dir: str | Path | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.generic]]:
    """Returns the values of one housekeeping parameter.

    Exactly one of `obsid`, `od` and `time_window` says from when; without any of them it is today.

    Args:
        hk_name: name of the parameter, e.g. `GCSL1_HEX_HOMED`.
        obsid: of this observation, in any form.
        od: of this UTC day, `YYYYMMDD`.
        time_window: of the last so many seconds.
        data_dir: data folder of the site; that of this environment when None.

    Returns:
        Unix times [s] and values, both of shape (N,); values are numbers, booleans or texts as in the file.

    Raises:
        LookupError: when no file of that time has the parameter.
        ValueError: when more than one time is given.
    """
    import numpy as np
    import pandas as pd

    if sum(choice is not None for choice in (obsid, od, time_window)) > 1:
        raise ValueError("give only one of obsid, od and time_window")
    site_folder = Path(data_dir) if data_dir is not None else get_data_storage_location()
    tables = []
    for path in _files(site_folder, obsid, od, time_window):
        if hk_name in _columns(path):
            tables.append(pd.read_csv(path, usecols=["timestamp", hk_name]))
    if not tables:
        where = obsid or od or (f"the last {time_window:g} s" if time_window is not None else "today")
        raise LookupError(f"no housekeeping file of {where} in {site_folder} has the parameter {hk_name!r}")
    table = pd.concat(tables, ignore_index=True)
    moments = pd.to_datetime(table["timestamp"], utc=True, format="ISO8601")
    times = np.asarray(moments.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64) / 1e6)
    values = table[hk_name].to_numpy()
    if time_window is not None:
        chosen = times >= unix_time(format_datetime()) - time_window
        times, values = times[chosen], values[chosen]
    return times, values


def get_hk_names(obsid: int | str, data_dir: str | Path | None = None) -> dict[str, list[str]]:
    """Returns the names of all parameters of an observation by storage mnemonic."""
    files = Observation(obsid, data_dir).hk_files
    return {mnemonic: _columns(paths[0]) for mnemonic, paths in sorted(files.items())}


def _files(
    site_folder: Path, obsid: int | str | None, od: str | None, window: float | None
) -> Iterator[Path]:
    """Yields the housekeeping files of a time, oldest first."""
    if obsid is not None:
        for paths in Observation(obsid, site_folder).hk_files.values():
            yield from paths
        return
    now = unix_time(format_datetime())
    days = [od] if od is not None else _days(now - (window or 0.0), now)
    for day in days:
        for path in sorted((site_folder / "daily" / day).glob("*.csv")):
            if _is_housekeeping(path):
                yield path


def _days(start: float, end: float) -> list[str]:
    first, last = int(start // SECONDS_PER_DAY), int(end // SECONDS_PER_DAY)
    return [f"{from_unix_time(day * SECONDS_PER_DAY):%Y%m%d}" for day in range(first, last + 1)]


def _is_housekeeping(path: Path) -> bool:
    try:
        parse_filename(path.name)
    except ValueError:
        return False
    return True


def _columns(path: Path) -> list[str]:
    with path.open(encoding="utf-8", newline="") as file:
        return next(csv.reader(file), [])
