"""The AEU: power and synchronisation of the camera."""

from __future__ import annotations

from typing import Any

from camtest.commanding import aeu
from camtest.tasks import exec_ui
from camtest.tasks.blocks import block_task

UI_MODULE_DISPLAY_NAME = "2 - AEU"

n_cam_swon = block_task(aeu.n_cam_swon, "Switch ON", description="N-CAM switch on")
n_cam_swoff = block_task(aeu.n_cam_swoff, "Switch OFF", description="N-CAM switch off")
n_cam_sync_enable = block_task(
    aeu.n_cam_sync_enable, "Enable sync pulses", image_cycle_time=25.0, svm_nom=1, svm_red=0
)
n_cam_sync_disable = block_task(aeu.n_cam_sync_disable, "Disable sync pulses")
set_hk_frequency = block_task(aeu.set_hk_frequency, "Set HK frequency", hk_frequency=1.0)


@exec_ui(display_name="Power consumption", immediate_run=True)
def power_consumption() -> Any:
    """Shows voltage, current and power of the six lines of the N-CAM, and whether each is within its limits."""
    from rich.table import Table

    table = Table("line", "voltage [V]", "current [A]", "power [W]", "within limits", title="N-CAM")
    for line, state in aeu.check_lines("N").items():
        voltage, current = float(state["voltage"]), float(state["current"])
        good = "[green]yes[/]" if state["ok"] else "[red]NO[/]"
        table.add_row(line, f"{voltage:.3f}", f"{current:.3f}", f"{voltage * current:.3f}", good)
    return table


@exec_ui(display_name="Generate AEU report", immediate_run=True)
def aeu_report() -> dict[str, Any]:
    """Writes the state of power and clocks into the log, and shows it."""
    return aeu.log_report("N")
