"""Housekeeping of the gimbal's control server."""

from __future__ import annotations

from typing import Any

from egse.instrument import InstrumentProtocol
from egse.mgse.gimbal.driver import GimbalController
from egse.mgse.gimbal.messages import BITS


class GimbalProtocol(InstrumentProtocol):
    """One row: `G<SITE>_GIMBAL_TIP_POS`, `..._TIP_CMD`, `..._TILT_POS`, `..._TILT_CMD` [deg], `..._MOVING`, `..._HOMED`, `..._STATUS`."""

    controller: GimbalController
    prefix = "{site}GIMBAL_"

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        gimbal = self.controller
        (tip, tilt), (wanted_tip, wanted_tilt), state = (
            gimbal.get_position(),
            gimbal.get_target(),
            gimbal.get_status(),
        )
        return {
            "TIP_POS": tip,
            "TIP_CMD": wanted_tip,
            "TILT_POS": tilt,
            "TILT_CMD": wanted_tilt,
            "MOVING": state["tip_moving"] or state["tilt_moving"],
            "HOMED": state["tip_homed"] and state["tilt_homed"],
            "STATUS": sum(1 << bit for bit, name in enumerate(BITS) if state[name]),
        }
