"""Temperature control with the LakeShore 336."""

from __future__ import annotations

from typing import Annotated, Any

from camtest.commanding import tempcontrol
from camtest.commanding.tempcontrol import Celsius, Sensor
from camtest.core.exec import Abort
from camtest.tasks import exec_ui
from camtest.tasks.blocks import block_task
from egse.command import Range, Unit
from egse.tempcontrol.lsci336.interface import HeaterRange

UI_MODULE_DISPLAY_NAME = "6 - Temperature control"

set_temperature = block_task(
    tempcontrol.set_temperature, "Set temperature", heater=1, sensor="A", heater_range=HeaterRange.LOW
)
heater_off = block_task(tempcontrol.heater_off, "Heater off", heater=1)


@exec_ui(display_name="Temperatures", immediate_run=True)
def temperatures() -> dict[str, Any]:
    """Shows the temperatures of all sensors [degC]."""
    found: dict[str, Any] = {}
    for sensor in ("A", "B", "C", "D"):
        try:
            found[sensor] = round(tempcontrol.get_temperature(sensor), 3)
        except Abort as exc:
            found[sensor] = str(exc)
    return found


@exec_ui(display_name="Wait for plateau")
def wait_for_plateau(
    temperature: Celsius,
    sensor: Sensor = "A",
    tolerance: Annotated[float, Range(0.001, 10), Unit("K")] = 0.1,
    stable_for: Annotated[float, Range(1, 86400), Unit("s")] = 300.0,
    timeout: Annotated[float, Range(1, 604800), Unit("s")] = 7200.0,
) -> float:
    """Waits until a sensor has stayed near a temperature for a while; returns how long it took [s]."""
    return tempcontrol.wait_for_plateau(sensor, temperature, tolerance, stable_for, timeout)
