"""Taking images."""

from __future__ import annotations

from camtest.commanding import dpu
from camtest.tasks.blocks import block_task

UI_MODULE_DISPLAY_NAME = "4 - Camera"

full_standard = block_task(dpu.n_cam_full_standard, "Full CCDs", num_cycles=1, ccd_side="BOTH")
full_ccd = block_task(
    dpu.n_cam_full_ccd,
    "Full CCDs, chosen",
    num_cycles=1,
    ccd_order=[1, 2, 3, 4],
    ccd_side="BOTH",
    rows_overscan=30,
)
partial_ccd = block_task(
    dpu.n_cam_partial_ccd,
    "Range of rows",
    num_cycles=1,
    row_start=0,
    row_end=1000,
    rows_final_dump=4510,
    ccd_order=[1, 2, 3, 4],
    ccd_side="BOTH",
)
acquire_and_dump = block_task(
    dpu.n_cam_acquire_and_dump,
    "Acquire, then DUMP",
    num_cycles=1,
    row_start=0,
    row_end=4539,
    rows_final_dump=0,
    ccd_order=[1, 2, 3, 4],
    ccd_side="BOTH",
)
