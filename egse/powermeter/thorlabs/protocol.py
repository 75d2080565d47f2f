"""Housekeeping of the power meter's control server."""

from __future__ import annotations

from typing import Any

from egse.instrument import InstrumentProtocol
from egse.powermeter.thorlabs.pm100a import ThorlabsPM100Controller

COLUMNS = {"power": "PWR", "wavelength": "WAVELENGTH", "range": "RANGE", "auto": "AUTO", "average": "AVERAGE"}


class ThorlabsPM100Protocol(InstrumentProtocol):
    """One row: `G<SITE>_PM100A_PWR` [W, nan over the range], `..._WAVELENGTH` [nm], `..._RANGE` [W], `..._AUTO`, `..._AVERAGE`."""

    controller: ThorlabsPM100Controller
    prefix = "{site}PM100A_"

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        found = self.controller.get_overview()
        return {column: found[name] for name, column in COLUMNS.items()}
