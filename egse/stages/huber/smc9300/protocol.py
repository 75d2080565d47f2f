"""Housekeeping of the SMC9300 control server."""

from __future__ import annotations

from typing import Any

from egse.instrument import InstrumentProtocol
from egse.stages.huber.smc9300.driver import HuberSMC9300Controller


class HuberSMC9300Protocol(InstrumentProtocol):
    """One row: position, encoder, state and error of the three axes.

    Names: `G<SITE>_SMC9300_POS_1..3` and `..._ENC_1..3` [deg or mm], `..._STATE_1..3` (bits as in `AxisState`),
    `..._ERROR_1..3` (0: none).
    """

    controller: HuberSMC9300Controller
    prefix = "{site}SMC9300_"
    synoptics_kind = ""

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        axes = self.controller.get_overview()
        names = {"position": "POS", "encoder": "ENC", "state": "STATE", "error": "ERROR"}
        return {
            f"{name}_{axis}": values[key]
            for key, name in names.items()
            for axis, values in enumerate(axes, start=1)
        }
