"""Thermal control of the test set-up: TEB, shroud, bipods."""

from __future__ import annotations

from typing import Any

from camtest.commanding import tgse
from camtest.core.exec import Abort
from camtest.tasks import exec_ui
from camtest.tasks.blocks import block_task

UI_MODULE_DISPLAY_NAME = "9 - TEB and shroud"

set_temp_setpoint = block_task(tgse.set_temp_setpoint, "Set temperature set point", trp=tgse.TRP.TEB_SKY)
start_control = block_task(tgse.start_control, "Start control", trp=tgse.TRP.TEB_SKY)
stop_control = block_task(tgse.stop_control, "Stop control", trp=tgse.TRP.TEB_SKY)


@exec_ui(display_name="Status", immediate_run=True)
def status() -> dict[str, Any]:
    """Shows temperature and set point of each control point [degC], and whether it is controlled."""
    found: dict[str, Any] = {}
    for trp in (one for one in tgse.TRP if len(one.points) == 1):
        try:
            temperature: Any = round(tgse.get_temperature(trp), 3)
        except Abort as exc:
            temperature = str(exc)
        state = "controlled" if tgse.is_controlled(trp) else "not controlled"
        found[trp.value] = {
            "temperature": temperature,
            "set point": tgse.get_temp_setpoint(trp),
            "state": state,
        }
    return found
