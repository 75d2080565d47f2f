"""The N-FEE: its modes, by hand."""

from __future__ import annotations

from camtest.commanding import dpu
from camtest.tasks.blocks import block_task

UI_MODULE_DISPLAY_NAME = "3 - N-FEE"

to_on_mode = block_task(dpu.n_fee_to_on_mode, "To ON mode", description="CAM: FEE to ON MODE")
to_standby_mode = block_task(
    dpu.n_fee_to_standby_mode, "To STANDBY mode", description="CAM switch on: FEE to STANDBY MODE"
)
to_dump_mode = block_task(
    dpu.n_fee_to_dump_mode, "To DUMP mode", description="CAM switch on: FEE to DUMP MODE"
)
