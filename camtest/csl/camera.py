"""The camera."""

from __future__ import annotations

from camtest.commanding import aeu, dpu
from camtest.tasks.blocks import block_task

UI_MODULE_DISPLAY_NAME = "6 - Camera"

switch_on = block_task(aeu.n_cam_swon, "Switch ON", description="Camera switch on")
sync_on = block_task(
    aeu.n_cam_sync_enable,
    "Sync pulses ON",
    description="Camera sync on",
    image_cycle_time=25.0,
    svm_nom=1,
    svm_red=0,
)
to_standby = block_task(dpu.n_cam_to_standby_mode, "To STANDBY mode", description="Camera to STANDBY")
to_dump = block_task(dpu.n_cam_to_dump_mode, "To DUMP mode", description="Camera to DUMP")
sync_off = block_task(aeu.n_cam_sync_disable, "Sync pulses OFF", description="Camera sync off")
switch_off = block_task(aeu.n_cam_swoff, "Switch OFF", description="Camera switch off")
