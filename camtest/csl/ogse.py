"""The light of the source."""

from __future__ import annotations

from typing import Any

from camtest.commanding import ogse
from camtest.tasks import exec_ui
from camtest.tasks.blocks import block_task

UI_MODULE_DISPLAY_NAME = "7 - OGSE"

switch_on = block_task(ogse.ogse_swon, "Switch ON", description="OGSE switch on")
switch_off = block_task(ogse.ogse_swoff, "Switch OFF", description="OGSE switch off")
set_attenuation = block_task(ogse.set_attenuation, "Set Attenuation")


@exec_ui(display_name="Status", immediate_run=True)
def status() -> dict[str, Any]:
    """Shows whether the lamp burns, and the attenuation."""
    return {"lamp": "on" if ogse.lamp_is_on() else "off", **ogse.get_attenuation()}
