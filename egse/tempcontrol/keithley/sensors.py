"""What the channels of the simulated DAQ6510 are connected to, and what it measures there.

Own proposal: a Pt100 in four-wire connection on channels 1 to 10 of each card, near room temperature with a slow drift, and
nothing on the others; a voltage of 0.1 V times the number of the channel for whoever measures volts.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import Final

from egse.tempcontrol.keithley.channels import CHANNELS

OVERFLOW: Final = 9.9e37
"""Reading of a sensor that is not there."""
CONNECTED: Final = 10
"""Channels of each card that have a sensor."""
DRIFT, PERIOD = 0.05, 3600.0
"""Slow change of all temperatures [K, s]."""
NOISE: Final = {"TEMP": 0.005, "VOLT:DC": 1e-6, "RES": 2e-4, "FRES": 2e-4, "CURR:DC": 1e-7}
"""Standard deviation of one reading [degC, V, ohm, A]."""
UNITS: Final = {"VOLT:DC": "Volt DC", "CURR:DC": "Amp DC", "RES": "Ohm", "FRES": "Ohm"}
TEMPERATURE_UNITS: Final = {"CELS": "Celsius", "KELV": "Kelvin", "FAHR": "Fahrenheit"}


def pt100(celsius: float) -> float:
    """Returns the resistance of a Pt100 [ohm] (IEC 60751 above 0 degC, its quadratic part continued below)."""
    return 100.0 * (1 + 3.9083e-3 * celsius - 5.775e-7 * celsius**2)


def in_unit(celsius: float, unit: str) -> float:
    """Returns a temperature in CELS, KELV or FAHR."""
    return {"CELS": celsius, "KELV": celsius + 273.15, "FAHR": 1.8 * celsius + 32.0}[unit]


@dataclass
class Sensors:
    """The sensors on all channels.

    Args:
        seed: of their noise.

    Attributes:
        temperatures: of each channel [degC], without drift and noise.
        broken: channels with nothing connected.
    """

    seed: int = 0
    temperatures: dict[int, float] = field(default_factory=dict)
    broken: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._rng = random.Random(f"{self.seed}/sensors")
        self.temperatures = {channel: 20.0 + 0.1 * (channel % 100) for channel in CHANNELS}
        self.broken = {channel for channel in CHANNELS if channel % 100 > CONNECTED}

    def read(self, channel: int, function: str, now: float, unit: str = "CELS") -> float:
        """Returns one reading.

        Args:
            channel: 0 for the terminals at the front, which have nothing connected but a short.
            function: `TEMP`, `VOLT:DC`, `FRES`, ...; another one reads 0.
            now: when [s].
            unit: of a temperature.
        """
        noise = self._rng.gauss(0.0, NOISE.get(function, 0.0))
        if channel in self.broken:
            return OVERFLOW
        celsius = self.temperatures.get(channel, 20.0) + DRIFT * math.sin(2 * math.pi * now / PERIOD)
        if function == "TEMP":
            return in_unit(celsius + noise, unit)
        if function in ("RES", "FRES"):
            return (pt100(celsius) if channel else 0.0) + noise
        return (0.1 * (channel % 100) if function == "VOLT:DC" else 0.0) + noise
