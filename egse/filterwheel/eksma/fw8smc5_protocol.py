"""Housekeeping of the control server of the filter wheels with a motor each."""

from __future__ import annotations

from typing import Any

from egse.filterwheel.eksma.controller import full_well
from egse.filterwheel.eksma.fw8smc5 import SETTINGS, FilterWheel8SMC5Controller
from egse.instrument import InstrumentProtocol


class FilterWheel8SMC5Protocol(InstrumentProtocol):
    """One row: `G<SITE>_FW8SMC5_LVL` [transmission], `..._FWELL`, `..._WHEEL1`, `..._WHEEL2`, `..._MOVING`, `..._ERRORS`."""

    controller: FilterWheel8SMC5Controller
    prefix = "{site}FW8SMC5_"

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        wheels = self.controller
        first, second = wheels.get_error_flags()
        level = wheels.get_relative_intensity()
        wheel1, wheel2 = wheels.get_position_wheels()
        return {
            "LVL": level,
            "FWELL": full_well(SETTINGS, level),
            "WHEEL1": wheel1,
            "WHEEL2": wheel2,
            "MOVING": wheels.in_motion(),
            "ERRORS": first | second,
        }
