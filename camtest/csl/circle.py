"""Images of the source on a circle around the optical axis."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from camtest.commanding import fov_scans
from camtest.tasks import exec_ui
from camtest.tasks.blocks import block_task
from camtest.tasks.exec import Directory

UI_MODULE_DISPLAY_NAME = "2 - Circle around optical axis"

command = block_task(
    fov_scans.circle,
    "Command",
    description="Circle around the optical axis",
    theta=8.3,
    num_positions=8,
    first_phi=22.5,
    num_cycles=1,
    half_height=100,
)


@exec_ui(display_name="Reduce")
def reduce(obsid: str, reduced_dir: Directory, data_dir: Directory | None = None) -> Path:
    """Measures the spots of an observation and writes them as CSV.

    Args:
        obsid: test id or obsid in any form.
        reduced_dir: where to write.
        data_dir: data folder of the site; that of this site when left empty.

    Returns:
        The file.
    """
    from camtest.analysis.scans import reduce_spots

    return reduce_spots(obsid, reduced_dir, data_dir)


@exec_ui(display_name="Analyse", use_gui_app=True)
def analyse(
    obsids: list[str],
    reduced_dir: Directory,
    save: bool = False,
    output_dir: Directory | None = None,
    verbose: bool = False,
) -> Any:
    """Shows widths and places of the spots of reduced circles.

    Args:
        obsids: test ids or obsids in any form.
        reduced_dir: where `Reduce` wrote.
        save: write the figure into `output_dir`.
        output_dir: where the figure goes; `reduced_dir` when left empty.
        verbose: print the table as well.
    """
    import matplotlib.pyplot as plt

    from camtest.analysis.scans import plot_circle, read_reduced

    table = read_reduced(obsids, reduced_dir)
    figure = plot_circle(table)
    if save:
        figure.savefig((output_dir or reduced_dir) / f"circle_{'_'.join(obsids)}.png")
    plt.show()
    return table if verbose else None
