"""The camera: power off and on, by hand; its part of the Setup."""

from __future__ import annotations

from camtest.commanding import aeu
from camtest.tasks.blocks import block_task
from camtest.tasks.shared.camera.information import copy_camera_information

UI_MODULE_DISPLAY_NAME = "1 - Camera"

__all__ = ["copy_camera_information", "switch_off", "switch_on", "sync_off"]

switch_off = block_task(
    aeu.n_cam_swoff, "Switch OFF", description="CAM switch off by contingency", allow_kernel_interrupt=True
)
sync_off = block_task(
    aeu.n_cam_sync_disable, "Disable sync pulses", description="CAM sync off by contingency"
)
switch_on = block_task(aeu.n_cam_swon, "Switch ON", description="CAM switch on by contingency")
