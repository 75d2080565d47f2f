"""Housekeeping of the shutter's control server."""

from __future__ import annotations

from typing import Any

from egse.instrument import InstrumentProtocol
from egse.shutter.thorlabs.ksc101 import ShutterKSC101Controller


class ShutterKSC101Protocol(InstrumentProtocol):
    """One row: `G<SITE>_KSC101_OPEN`, `..._MODE` (1 manual, 2 single, 3 auto, 4 trigger), `..._INTERLOCK` (True: closed)."""

    controller: ShutterKSC101Controller
    prefix = "{site}KSC101_"

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        status = self.controller.get_status()
        return {"OPEN": status["open"], "MODE": self.controller.get_mode(), "INTERLOCK": status["interlock"]}
