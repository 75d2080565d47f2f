"""The N-FEE: reset, and its modes, by hand."""

from __future__ import annotations

from camtest.commanding import dpu
from camtest.tasks.blocks import block_task
from camtest.tasks.shared.camera import n_fee

UI_MODULE_DISPLAY_NAME = "3 - N-FEE"

reset = block_task(n_fee.n_fee_reset, "Reset N-FEE", description="CAM: FEE reset")
to_on_mode = block_task(dpu.n_fee_to_on_mode, "To ON mode", description="CAM: FEE to ON MODE")
to_standby_mode = block_task(
    dpu.n_fee_to_standby_mode, "To STANDBY mode", description="CAM switch on: FEE to STANDBY MODE"
)
to_dump_mode = n_fee.to_dump_mode
