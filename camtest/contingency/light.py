"""Light and heat off."""

from __future__ import annotations

from camtest.commanding import ogse, tempcontrol
from camtest.tasks.blocks import block_task

UI_MODULE_DISPLAY_NAME = "4 - Light and heaters"

light_off = block_task(
    ogse.ogse_swoff, "OGSE OFF", description="OGSE off by contingency", allow_kernel_interrupt=True
)
heater_off = block_task(tempcontrol.heater_off, "Heater off", heater=1, allow_kernel_interrupt=True)
