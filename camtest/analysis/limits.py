"""Telemetry against the limits of the TM dictionary; plateaus of temperatures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from camtest.analysis.housekeeping import read_housekeeping
from egse.archive import Observation
from egse.tmdict import Limits, TMDictionary, find_dictionary

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ["mnemonic", "name", "unit", "samples", "lowest", "highest", "low", "high", "status"]


def check_limits(
    obsid: str | int,
    mnemonics: Sequence[str] | None = None,
    *,
    operational: bool = True,
    dictionary: TMDictionary | None = None,
    location: Path | None = None,
) -> pd.DataFrame:
    """Returns every numeric housekeeping parameter of an observation with its limits and whether it stayed within.

    Args:
        obsid: test id or obsid in any form.
        mnemonics: producers; None for all that the observation has.
        operational: use the operational limits where there are any, else those out of operation only.
        dictionary: None for that of the observation's Setup.
        location: data folder of the site; that of this site when None.

    Returns:
        Columns mnemonic, name, unit, samples, lowest, highest, low, high, status: `ok`, `OUT`, `no limits` or `no data`.

    Raises:
        LookupError: when the observation lacks one of the producers.
    """
    import pandas as pd

    observation = Observation(obsid, location)
    known = dictionary or find_dictionary(observation.setup)
    rows: list[dict[str, Any]] = []
    for mnemonic in mnemonics if mnemonics is not None else list(observation.hk):
        table = read_housekeeping(obsid, mnemonic, location)
        for name in table.columns:
            values: Any = (
                pd.to_numeric(table[name], errors="coerce").dropna() if table[name].dtype != bool else []
            )
            if len(values) or table[name].isna().all():
                rows.append(
                    {"mnemonic": mnemonic, "name": name, **_row(known, name, np.asarray(values), operational)}
                )
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(dictionary: TMDictionary, name: str, values: Any, operational: bool) -> dict[str, Any]:
    parameter = dictionary.get(name)
    limits = Limits() if parameter is None else parameter.nonops
    if parameter is not None and operational and parameter.ops:
        limits = parameter.ops
    lowest, highest = (float(values.min()), float(values.max())) if len(values) else (np.nan, np.nan)
    if not len(values):
        status = "no data"
    elif not limits:
        status = "no limits"
    else:
        status = "ok" if lowest in limits and highest in limits else "OUT"
    return {
        "unit": "" if parameter is None else parameter.unit,
        "samples": len(values),
        "lowest": lowest,
        "highest": highest,
        "low": limits.low,
        "high": limits.high,
        "status": status,
    }


def stability(series: pd.Series) -> dict[str, float]:
    """Returns how steady a housekeeping parameter was.

    Args:
        series: values over time (UTC).

    Returns:
        mean, standard deviation `std`, `peak_to_peak`, all in the unit of the parameter, and `drift` [unit/h].

    Raises:
        ValueError: when there are less than three samples.
    """
    clean = series.dropna()
    if len(clean) < 3:
        raise ValueError(f"{len(clean)} samples of {series.name} are too few to tell whether it is steady")
    hours = (clean.index - clean.index[0]).total_seconds().to_numpy() / 3600.0
    values = clean.to_numpy(dtype=float)
    slope = float(np.polyfit(hours, values, 1)[0]) if np.ptp(hours) > 0 else 0.0
    return {
        "mean": float(values.mean()),
        "std": float(values.std()),
        "peak_to_peak": float(np.ptp(values)),
        "drift": slope,
    }
