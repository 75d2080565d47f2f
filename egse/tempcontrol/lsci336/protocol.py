"""Housekeeping of the LakeShore 336 control server."""

from __future__ import annotations

import math
from typing import Any

from egse.deviceprotocol import DeviceProtocol
from egse.env import EnvError, get_site_id
from egse.synoptics import SynopticsForwarder
from egse.tempcontrol.lsci336.driver import LakeShore336Controller


def site_prefix() -> str:
    """Returns the prefix of housekeeping names for this site, `G<SITE>_` (storage ICD, section 7.1)."""
    try:
        return f"G{get_site_id().upper().replace('-', '_')}_"
    except EnvError:
        return "GLAB_"


class LakeShore336Protocol(DeviceProtocol):
    """One row: temperatures of the four inputs, set points, heater outputs and ranges of the two heaters.

    Names: `G<SITE>_LSCI336_TEMP_A..D` [K] (nan without a valid reading), `..._STATUS_A..D`, `..._SETPOINT_1..2`,
    `..._HEATER_1..2` [%], `..._RANGE_1..2`.
    """

    controller: LakeShore336Controller
    synoptics: SynopticsForwarder | None = None

    def start(self) -> None:
        """Connects to the device; from now on housekeeping goes to the synoptics too."""
        super().start()
        self.synoptics = SynopticsForwarder(self.control_server.name)

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one housekeeping row."""
        prefix, overview = f"{site_prefix()}LSCI336_", self.controller.get_overview()
        for channel in "ABCD":
            if overview[f"status_{channel}"]:
                overview[f"temp_{channel}"] = math.nan
        hk = {f"{prefix}{name.upper()}": value for name, value in overview.items()}
        if self.synoptics is not None:
            self.synoptics.store_th_synoptics(hk)
        return hk

    def quit(self) -> None:
        """Disconnects from the device, which goes on as it is."""
        if self.synoptics is not None:
            self.synoptics.close()
        super().quit()
