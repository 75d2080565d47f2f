"""Images of the source at one place."""

from __future__ import annotations

from typing import Any

from camtest.commanding import fov_scans
from camtest.tasks import exec_ui
from camtest.tasks.blocks import block_task
from camtest.tasks.exec import Directory

UI_MODULE_DISPLAY_NAME = "1 - Single position measurement"

command = block_task(
    fov_scans.single_position,
    "Command",
    description="Single position measurement",
    theta=8.3,
    phi=45.0,
    num_cycles=1,
    half_height=100,
)
dither = block_task(
    fov_scans.dither,
    "Dither",
    description="Dither measurement",
    theta=8.3,
    phi=45.0,
    num=5,
    step=0.2,
    num_cycles=1,
    half_height=100,
)


@exec_ui(display_name="Analyse")
def analyse(obsid: str, data_dir: Directory | None = None) -> Any:
    """Measures the spots in all images of an observation.

    Args:
        obsid: test id or obsid in any form.
        data_dir: data folder of the site; that of this site when left empty.
    """
    from camtest.analysis.scans import measure

    return measure(obsid, data_dir)
