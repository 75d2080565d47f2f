"""Housekeeping of the control server of a bench supply."""

from __future__ import annotations

from typing import Any

from egse.instrument import InstrumentProtocol
from egse.powersupply.aimtti.aimtti import AimTTiController

HOUSEKEEPING_OUTPUTS = (1, 2)
"""Outputs with columns of their own; a third one is not stored."""


class AimTTiProtocol(InstrumentProtocol):
    """One row: `G<SITE>_AIMTTI<unit>_V1` [V], `..._I1` [A], `..._OUT1`, `..._LIMIT1` (events since the last row), and of output 2."""

    controller: AimTTiController
    prefix = "{site}AIMTTI{unit}_"

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        supply = self.controller
        row: dict[str, Any] = {}
        for n in HOUSEKEEPING_OUTPUTS:
            row |= {
                f"V{n}": supply.get_voltage(n),
                f"I{n}": supply.get_current(n),
                f"OUT{n}": supply.get_output(n),
                f"LIMIT{n}": supply.get_limit_events(n),
            }
        return row
