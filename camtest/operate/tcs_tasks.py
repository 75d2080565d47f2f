"""The TCS EGSE: temperatures of the camera."""

from __future__ import annotations

from typing import Annotated, Any

from camtest.commanding import tcs
from camtest.commanding.tcs import TRP, Celsius
from camtest.tasks import exec_ui
from camtest.tasks.blocks import block_task
from egse.command import Range, Unit
from egse.tcs import OperatingMode

UI_MODULE_DISPLAY_NAME = "8 - TCS"

start_remote_mode = block_task(tcs.start_remote_mode, "Start Remote Mode")
stop_remote_mode = block_task(tcs.stop_remote_mode, "Stop Remote Mode")
set_operating_mode = block_task(tcs.set_operating_mode, "Set operating mode", mode=OperatingMode.EXTENDED)
set_trp1 = block_task(tcs.set_trp1, "Set TRP1 set point")
set_trp22 = block_task(tcs.set_trp22, "Set TRP22 set point")
enable_heater = block_task(tcs.enable_heater, "Enable heater", trp="TRP1", enabled=True)
start_task = block_task(tcs.start_task, "Start Task")
stop_task = block_task(tcs.stop_task, "Stop Task")


@exec_ui(display_name="Status", immediate_run=True)
def status() -> dict[str, Any]:
    """Shows remote mode, task, temperatures [degC] and heater powers [W]."""
    data = tcs.get_data()
    shown = {
        "TRP1": "tou_rtd_tav",
        "TRP22": "fee_rtd_tav",
        "TRP1 heater": "ch1_pout",
        "TRP22 heater": "ch2_pout",
    }
    return {
        "remote mode": tcs.is_remote_mode(),
        "task": "running" if data.get("task_is_running") == 1 else "not running",
        **{name: data.get(item) for name, item in shown.items()},
    }


@exec_ui(display_name="Configuration", immediate_run=True)
def configuration() -> dict[str, Any]:
    """Shows all parameters; in remote mode only."""
    return tcs.get_configuration()


@exec_ui(display_name="Wait for plateau")
def wait_for_plateau(
    temperature: Celsius,
    trp: TRP = "TRP1",
    tolerance: Annotated[float, Range(0.001, 10), Unit("K")] = 0.2,
    stable_for: Annotated[float, Range(1, 86400), Unit("s")] = 600.0,
    timeout: Annotated[float, Range(1, 604800), Unit("s")] = 36000.0,
) -> float:
    """Waits until TRP1 or TRP22 has stayed near a temperature for a while; returns how long it took [s]."""
    return tcs.wait_for_plateau(trp, temperature, tolerance, stable_for, timeout)
