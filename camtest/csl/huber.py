"""The HUBER stages, which point the source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from camtest.commanding import csl_gse
from camtest.tasks import exec_ui
from camtest.tasks.blocks import block_task

UI_MODULE_DISPLAY_NAME = "8 - HUBER stages"

STOP_ICON = Path(__file__).with_name("icons") / "stop.svg"

point_to_fov = block_task(
    csl_gse.point_source_to_fov, "Point to field angles", description="Point the source"
)
point_to_fp = block_task(csl_gse.point_source_to_fp, "Point to focal plane", description="Point the source")
point_to_ccd = block_task(csl_gse.point_source_to_ccd, "Point to pixel", description="Point the source")
homing = block_task(csl_gse.stages_homing, "Homing", description="Homing of the stages")
default_speeds = block_task(csl_gse.stages_default_speeds, "Default speeds")
clear_errors = block_task(csl_gse.stages_clear_errors, "Clear errors")
stop = block_task(
    csl_gse.stages_stop,
    "Stop",
    description="Stop of the stages",
    icons=(STOP_ICON,),
    immediate_run=True,
    allow_kernel_interrupt=True,
)


@exec_ui(display_name="Position", immediate_run=True)
def position() -> dict[str, Any]:
    """Shows where the stages are, and the source: in the field [deg], in the focal plane [mm] and on its CCD [pixels]."""
    stages, (theta, phi) = csl_gse.get_stage_positions(), csl_gse.get_source_position()
    x, y = csl_gse.focal_plane().image_of(theta, phi)
    row, column, ccd = csl_gse.focal_plane().focal_plane_to_ccd(x, y)
    found = vars(stages) | {"theta": theta, "phi": phi, "x": x, "y": y}
    return found | {"row": row, "column": column, "ccd": ccd}
