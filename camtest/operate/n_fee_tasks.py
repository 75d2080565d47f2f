"""The N-FEE: its modes, its registers, its housekeeping."""

from __future__ import annotations

from camtest.commanding import dpu
from camtest.tasks import exec_ui
from camtest.tasks.blocks import block_task
from camtest.tasks.shared.camera import n_fee

UI_MODULE_DISPLAY_NAME = "3 - N-FEE"

reset = block_task(n_fee.n_fee_reset, "Reset N-FEE", description="FEE reset")
sync_register_map = n_fee.sync_register_map
to_on_mode = block_task(dpu.n_fee_to_on_mode, "To ON mode", description="FEE to ON MODE")
to_standby_mode = block_task(dpu.n_fee_to_standby_mode, "To STANDBY mode", description="FEE to STANDBY MODE")
to_dump_mode = n_fee.to_dump_mode
set_fpga_defaults = block_task(dpu.n_fee_set_fpga_defaults, "Set FPGA defaults")
print_register_map = n_fee.print_register_map
temperatures_and_voltages = n_fee.temperatures_and_voltages


@exec_ui(display_name="Mode", immediate_run=True)
def mode() -> str:
    """Shows the mode of the N-FEE."""
    dump = " (DUMP)" if dpu.n_fee_is_dump_mode() else ""
    return f"{dpu.n_fee_get_mode().name}{dump}"


@exec_ui(display_name="Differences to FPGA defaults", immediate_run=True)
def fpga_differences() -> str:
    """Shows which register fields differ from the FPGA defaults of the camera."""
    return dpu.format_changes(dpu.fpga_default_changes())
