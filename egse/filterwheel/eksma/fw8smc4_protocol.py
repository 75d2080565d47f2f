"""Housekeeping of the control server of the filter wheels on one motor."""

from __future__ import annotations

from typing import Any

from egse.filterwheel.eksma.controller import full_well
from egse.filterwheel.eksma.fw8smc4 import SETTINGS, FilterWheel8SMC4Controller
from egse.instrument import InstrumentProtocol


class FilterWheel8SMC4Protocol(InstrumentProtocol):
    """One row: `G<SITE>_FW8SMC4_LVL` [transmission], `..._FWELL`, `..._WHEEL1`, `..._WHEEL2`, `..._MOVING`, `..._TEMP`, `..._CURRENT` [A]."""

    controller: FilterWheel8SMC4Controller
    prefix = "{site}FW8SMC4_"

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        wheels = self.controller
        level, status, (wheel1, wheel2) = wheels.att_get_level(), wheels.get_status(), wheels.get_position()
        return {
            "LVL": level["att_factor"],
            "FWELL": full_well(SETTINGS, level["att_factor"]),
            "WHEEL1": wheel1,
            "WHEEL2": wheel2,
            "MOVING": level["att_moving"],
            "TEMP": status[2],
            "CURRENT": status[3] / 1000.0,
        }
