"""Focus with the Hartmann mask: images on a circle, before and behind the focus."""

from __future__ import annotations

from typing import Any

from camtest.commanding import fov_scans
from camtest.csl import circle
from camtest.tasks import exec_ui
from camtest.tasks.blocks import block_task
from camtest.tasks.exec import Directory

UI_MODULE_DISPLAY_NAME = "3 - Hartmann"

command = block_task(
    fov_scans.hartmann,
    "Command",
    description="Hartmann measurement",
    theta=8.3,
    num_positions=8,
    first_phi=22.5,
    defocus=0.3,
    num_cycles=1,
    half_height=100,
)
focus_sweep = block_task(
    fov_scans.focus_sweep,
    "Focus sweep",
    description="Focus sweep",
    theta=8.3,
    phi=45.0,
    positions=[-0.4, -0.2, 0.0, 0.2, 0.4],
    num_cycles=1,
    half_height=100,
)


reduce = circle.reduce
"""Spots are measured as those of a circle."""


@exec_ui(display_name="Analyse")
def analyse(obsid: str, positions: list[float], reduced_dir: Directory) -> dict[str, Any]:
    """Finds the focus at which the spots are sharpest, from the images of a focus sweep.

    Args:
        obsid: test id or obsid in any form.
        positions: of the focus, in the order of the measurement [mm].
        reduced_dir: where `Reduce` wrote.

    Returns:
        best_focus [mm] and width there [pixels].
    """
    from camtest.analysis.scans import focus_of_sweep, read_reduced

    position, width = focus_of_sweep(read_reduced([obsid], reduced_dir), positions)
    return {"best_focus": position, "width": width}
