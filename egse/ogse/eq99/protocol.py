"""Housekeeping of the lamp's control server."""

from __future__ import annotations

from typing import Any

from egse.instrument import InstrumentProtocol
from egse.ogse.eq99.eq99 import LampEQ99Controller

COLUMNS = {
    "LAMP": "lamp",
    "LASER": "laser",
    "STABLE": "laser_stable",
    "OPERATE": "output",
    "INTERLOCK": "interlock",
    "LAMP_FAULT": "lamp_fault",
    "CTRL_FAULT": "controller_fault",
}


class LampEQ99Protocol(InstrumentProtocol):
    """One row: `G<SITE>_EQ99_LAMP`, `..._LASER`, `..._STABLE`, `..._OPERATE`, `..._INTERLOCK` (True: open), faults, `..._HOURS`."""

    controller: LampEQ99Controller
    prefix = "{site}EQ99_"

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        status = self.controller.get_lamp_status()
        row: dict[str, Any] = {column: status[name] for column, name in COLUMNS.items()}
        return {**row, "HOURS": self.controller.get_lamp_time()}
