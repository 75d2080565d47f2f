"""Housekeeping of the DAQ6510 control server: the newest readings of the sensors that the settings name."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from egse.instrument import InstrumentProtocol
from egse.settings import Settings
from egse.tempcontrol.keithley.daq6510 import SETTINGS, DAQ6510Controller
from egse.tempcontrol.keithley.sensors import OVERFLOW

STALE_AFTER = 60.0
"""Readings older than this [s] are none, unless `STALE_AFTER` of the settings block says otherwise."""


def sensor_names() -> dict[str, str]:
    """Returns channel -> name of its sensor, from `SENSORS` of the settings block."""
    named: Mapping[Any, Any] = Settings.load(SETTINGS).get("SENSORS") or {}
    return {str(channel): str(name) for channel, name in named.items()}


def valid(value: float) -> float:
    """Returns a reading, nan for the overflow of a sensor that is not there."""
    return math.nan if abs(value) >= OVERFLOW else value


class DAQ6510Protocol(InstrumentProtocol):
    """One row: `G<SITE>_DAQ6510_<SENSOR>` [degC] for each sensor; nan when it is not connected or was not read lately.

    The instrument is not asked for it: a scan belongs to whoever started it (`das daq6510`, a building block).
    """

    controller: DAQ6510Controller
    prefix = "{site}DAQ6510_"

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        limit = float(Settings.load(SETTINGS).get("STALE_AFTER", STALE_AFTER))
        readings = self.controller.get_last_readings()
        row = {}
        for channel, name in sensor_names().items():
            age, value, _ = readings.get(channel, [math.inf, math.nan, ""])
            row[name] = valid(value) if age <= limit else math.nan
        return row
