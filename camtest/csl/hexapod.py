"""The hexapod under the focal plane."""

from __future__ import annotations

from pathlib import Path

from camtest.commanding import mgse
from camtest.tasks import exec_ui
from camtest.tasks.blocks import block_task

UI_MODULE_DISPLAY_NAME = "4 - PUNA Hexapod"

STOP_ICON = Path(__file__).with_name("icons") / "stop.svg"

homing = block_task(mgse.focal_plane_homing, "Homing", description="Hexapod homing")
retract = block_task(mgse.focal_plane_retract, "Retract", description="Hexapod to retracted position")
zero_position = block_task(mgse.focal_plane_to_zero, "Zero Position", description="Hexapod to zero position")
emergency_stop = block_task(
    mgse.focal_plane_stop,
    "Emergency stop",
    description="Hexapod emergency stop",
    icons=(STOP_ICON,),
    immediate_run=True,
    allow_kernel_interrupt=True,
)


@exec_ui(display_name="Position", immediate_run=True)
def position() -> float:
    """Shows the position of the focal plane along the optical axis [mm]."""
    return mgse.get_focus()
