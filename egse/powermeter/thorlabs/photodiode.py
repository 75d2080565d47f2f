"""The silicon photodiode of the simulated power meter, an S120C, and the light that falls on it.

Own proposal: the responsivity is that of a typical silicon photodiode behind its absorptive filter, in straight lines; a dark
current and noise that is a part of the signal and a floor.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from typing import Final

from egse.powermeter.thorlabs.light import FULL_POWER

SHORTEST, LONGEST = 400.0, 1100.0
"""Limits of the wavelength [nm]."""
STRONGEST: Final = 50e-3
"""Largest power that the sensor takes [W]."""
_RESPONSIVITY: Final = (
    (400.0, 2.0e-2), (500.0, 5.5e-2), (600.0, 8.5e-2), (700.0, 1.10e-1), (800.0, 1.30e-1), (900.0, 1.45e-1),
    (970.0, 1.50e-1), (1050.0, 1.0e-1), (1100.0, 4.0e-2),
)  # fmt: skip
DARK_CURRENT: Final = 2.0e-11
"""[A]"""
RELATIVE_NOISE, FLOOR = 1.0e-3, 1.0e-12
"""Standard deviation of one reading: part of the current, and a floor [A]."""


def responsivity(wavelength: float) -> float:
    """Returns the responsivity [A/W] at a wavelength [nm]."""
    wavelengths = [point[0] for point in _RESPONSIVITY]
    right = min(max(bisect_left(wavelengths, wavelength), 1), len(wavelengths) - 1)
    (x0, y0), (x1, y1) = _RESPONSIVITY[right - 1], _RESPONSIVITY[right]
    return max(1e-4, y0 + (y1 - y0) * (wavelength - x0) / (x1 - x0))


class Photodiode:
    """The sensor.

    Args:
        seed: of the noise.

    Attributes:
        power: of the light [W]; other models may set it.
        wavelength: of the light [nm].
        temperature: of the sensor head [degC].
        present: False when it is not plugged in.
    """

    def __init__(self, seed: int = 0) -> None:
        self._rng = random.Random(f"{seed}/photodiode")
        self.power = FULL_POWER
        self.wavelength = 633.0
        self.temperature = 22.0
        self.present = True

    def current(self, count: int) -> float:
        """Returns the mean photo current of so many readings [A]."""
        signal = self.power * responsivity(self.wavelength)
        noise = (RELATIVE_NOISE * signal + FLOOR) / math.sqrt(count)
        return signal + DARK_CURRENT + self._rng.gauss(0.0, noise)
