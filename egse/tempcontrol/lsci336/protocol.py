"""Housekeeping of the LakeShore 336 control server."""

from __future__ import annotations

import math
from typing import Any

from egse.instrument import InstrumentProtocol
from egse.tempcontrol.lsci336.driver import LakeShore336Controller


class LakeShore336Protocol(InstrumentProtocol):
    """One row: temperatures of the four inputs, set points, heater outputs and ranges of the two heaters.

    Names: `G<SITE>_LSCI336_TEMPA..D` [K] (nan without a valid reading), `..._STATUSA..D`, `..._SETPOINT_1..2`,
    `..._HEATER_1..2` [%], `..._RANGE_1..2`.
    """

    controller: LakeShore336Controller
    prefix = "{site}LSCI336_"

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        overview = self.controller.get_overview()
        row: dict[str, Any] = {}
        for channel in "ABCD":  # `TEMP_B` would be a temperature in units of B for Prometheus
            status, temperature = overview.pop(f"status_{channel}"), overview.pop(f"temp_{channel}")
            row |= {f"TEMP{channel}": math.nan if status else temperature, f"STATUS{channel}": status}
        return row | {name.upper(): value for name, value in overview.items()}


class LakeShore336UnitProtocol(LakeShore336Protocol):
    """The same row, of one of several instruments: `G<SITE>_LSCI336_2_TEMPA` and so on."""

    prefix = "{site}LSCI336_{unit}_"
