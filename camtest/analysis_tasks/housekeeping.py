"""Housekeeping of an observation."""

from __future__ import annotations

from typing import Any

from camtest.tasks import exec_ui
from camtest.tasks.exec import Directory

UI_MODULE_DISPLAY_NAME = "2 - Housekeeping"


@exec_ui(display_name="Plot", use_gui_app=True)
def plot(obsid: str, mnemonic: str, parameters: list[str], data_dir: Directory | None = None) -> None:
    """Plots housekeeping parameters over time.

    Args:
        obsid: test id or obsid in any form.
        mnemonic: storage mnemonic of the device, such as OGSE.
        parameters: names of the columns.
        data_dir: data folder of the site; that of this site when left empty.
    """
    import matplotlib.pyplot as plt

    from camtest.analysis.housekeeping import plot_housekeeping, read_housekeeping

    plot_housekeeping(read_housekeeping(obsid, mnemonic, data_dir), parameters, title=f"{obsid} {mnemonic}")
    plt.show()


@exec_ui(display_name="Limits")
def limits(
    obsid: str,
    mnemonics: list[str] | None = None,
    operational: bool = True,
    data_dir: Directory | None = None,
) -> Any:
    """Returns every numeric parameter of an observation with its limits, those that were out of them first.

    Args:
        obsid: test id or obsid in any form.
        mnemonics: producers; all when left empty.
        operational: use the operational limits where there are any.
        data_dir: data folder of the site; that of this site when left empty.
    """
    from camtest.analysis.limits import check_limits

    table = check_limits(obsid, mnemonics, operational=operational, location=data_dir)
    return table.sort_values("status", key=lambda status: status != "OUT", kind="stable", ignore_index=True)
