"""The TCS EGSE: task, remote mode, set point, by hand."""

from __future__ import annotations

from pathlib import Path

from camtest.commanding import tcs
from camtest.tasks.blocks import block_task

UI_MODULE_DISPLAY_NAME = "5 - TCS"

STOP_ICON = Path(__file__).with_name("icons") / "stop.svg"

start_task = block_task(tcs.start_task, "Start Task", description="TCS start task", immediate_run=True)
stop_task = block_task(
    tcs.stop_task, "Stop Task", description="TCS stop task", immediate_run=True, allow_kernel_interrupt=True
)
start_remote_mode = block_task(
    tcs.start_remote_mode, "Start Remote Mode", description="TCS start remote mode", immediate_run=True
)
stop_remote_mode = block_task(
    tcs.stop_remote_mode, "Stop Remote Mode", description="TCS stop remote mode", immediate_run=True
)
stop_tcs_egse = block_task(
    tcs.stop_tcs_egse,
    "Stop TCS EGSE",
    description="TCS EGSE off by contingency",
    icons=(STOP_ICON,),
    immediate_run=True,
    allow_kernel_interrupt=True,
)
set_trp1 = block_task(tcs.set_trp1, "Set TRP1 set point", description="TCS set TRP1 set point")
