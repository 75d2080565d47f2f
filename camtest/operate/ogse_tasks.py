"""The OGSE: light and its attenuation."""

from __future__ import annotations

from typing import Any

from camtest.commanding import ogse
from camtest.tasks import exec_ui
from camtest.tasks.blocks import block_task

UI_MODULE_DISPLAY_NAME = "5 - OGSE"

switch_on = block_task(ogse.ogse_swon, "Switch ON", description="OGSE switch on")
switch_off = block_task(ogse.ogse_swoff, "Switch OFF", description="OGSE switch off")
set_attenuation = block_task(ogse.set_attenuation, "Set Attenuation")
set_fwc_fraction = block_task(ogse.set_fwc_fraction, "Set fraction of the full well")
set_fw_position = block_task(ogse.set_fw_position, "Turn the filter wheels", positions=(2, 2))
level_up = block_task(ogse.att_level_up, "More light")
level_down = block_task(ogse.att_level_down, "Less light")


@exec_ui(display_name="Status", immediate_run=True)
def status() -> dict[str, Any]:
    """Shows whether the lamp burns, the attenuation, and the power meters."""
    return {"lamp": "on" if ogse.lamp_is_on() else "off", **ogse.get_attenuation(), **ogse.get_power()}
