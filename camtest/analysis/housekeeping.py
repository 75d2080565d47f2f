"""Housekeeping of an observation: read it as a table, plot it with limits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from egse.archive import Observation

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def read_housekeeping(obsid: str | int, mnemonic: str, location: Path | None = None) -> pd.DataFrame:
    """Returns the housekeeping of one device during an observation, indexed by time (UTC).

    Args:
        obsid: test id or obsid in any form; the observation may still be running.
        mnemonic: storage mnemonic of the device, such as "OGSE" or "N-FEE-HK".
        location: data folder of the site; that of this site when None.

    Raises:
        LookupError: when the observation has no such file; the message lists the mnemonics that there are.
    """
    return Observation(obsid, location).hk[mnemonic]


def plot_housekeeping(
    table: pd.DataFrame,
    names: Sequence[str],
    unit: str = "",
    limits: tuple[float, float] | None = None,
    title: str = "",
) -> Figure:
    """Plots parameters over time, with the band of their limits.

    Args:
        table: as from `read_housekeeping`.
        names: columns to show.
        unit: label of the vertical axis.
        limits: lowest and highest nominal value; outside is shaded.
        title: above the plot.
    """
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(10, 3.2), constrained_layout=True)
    for name in names:
        axis.plot(table.index, table[name], marker=".", label=name)
    if limits is not None:
        for limit in limits:
            axis.axhline(limit, color="tab:red", linestyle="--", linewidth=1)
    axis.set_xlabel("time (UTC)")
    axis.set_ylabel(unit)
    axis.set_title(title)
    axis.legend(loc="best", fontsize=8)
    axis.grid(alpha=0.3)
    figure.autofmt_xdate()
    return figure
