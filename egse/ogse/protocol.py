"""Housekeeping of the OGSE control server (operations reference, section 9)."""

from __future__ import annotations

from typing import Any

from egse.instrument import InstrumentProtocol
from egse.ogse.driver import SETTINGS, OGSEController
from egse.ogse.messages import flags
from egse.settings import Settings

_FLAG_COLUMNS = {
    "interlock": "INTERLOCK",
    "power": "POWER",
    "lamp": "LAMP",
    "laser": "LASER",
    "lamp_fault": "LAMP_FAULT",
    "controller_fault": "CTRL_FAULT",
    "psu": "PSU",
    "operate": "OPERATE",
}


class OGSEProtocol(InstrumentProtocol):
    """One row: all flags, both power meters, attenuation.

    `GOGSE_LDLS_*` are booleans (INTERLOCK True: open), `GOGSE_PM_CH{1,2}_PWR` [W], `..._TEMP` [deg C], `..._STATUS`
    True for a working link, `GOGSE_ATT_LVL` the transmission 0..1, `GOGSE_ATT_FWELL` the fraction of the full well that
    it gives: transmission times the calibration of the site, `gse.ogse.fwc_factor` of the loaded Setup (`FWC_FACTOR` of the
    settings block while none is loaded, else 1).
    """

    controller: OGSEController
    prefix = "GOGSE_"

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        ogse = self.controller
        states = flags(ogse.get_flags())
        readings, links, level = ogse.get_power_and_temperature(), ogse.pm_status(), ogse.att_get_level()
        hk: dict[str, Any] = {f"LDLS_{column}": states[name] for name, column in _FLAG_COLUMNS.items()}
        for channel in (1, 2):
            hk[f"PM_CH{channel}_PWR"] = readings[f"power{channel}"]
            hk[f"PM_CH{channel}_TEMP"] = readings[f"temp{channel}"]
            hk[f"PM_CH{channel}_STATUS"] = links[f"pm{channel}"] == "OK"
        hk["ATT_LVL"] = level["att_factor"]
        default = Settings.load(SETTINGS).get("FWC_FACTOR", 1.0)
        hk["ATT_FWELL"] = level["att_factor"] * float(self.from_setup("gse.ogse.fwc_factor", default))
        return hk
