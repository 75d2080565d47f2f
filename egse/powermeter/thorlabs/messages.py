"""How the driver of the PM100 asks and commands, and reads the answers."""

from __future__ import annotations

import math
from typing import Any

from egse.device import DeviceConnectionError, DeviceError
from egse.dialect import Dialect, flag, integer
from egse.response import register_error


@register_error
class PM100Error(DeviceError):
    """The power meter refused a command or gave an answer that makes no sense."""


@register_error
class PM100ConnectionError(PM100Error, DeviceConnectionError):
    """The power meter cannot be reached, or closed the connection."""


PM = Dialect(
    "the power meter",
    ";:",
    "SYST:ERR?",
    {
        -104: "an argument of the wrong kind",
        -109: "an argument is missing",
        -113: "unknown command",
        -221: "this sensor cannot do it",
        -222: "out of range",
        -230: "there is no new reading",
    },
    PM100Error,
    checked=True,
)

OVER_RANGE = 9.9e37
"""Reading over the range."""


def reading(text: str) -> float:
    """Reads a value; nan over the range."""
    value = float(text)
    return math.nan if abs(value) >= OVER_RANGE else value


def power_range(text: str) -> dict[str, Any]:
    """Reads `5.0E-03;1`: range and automatic."""
    largest, auto = text.split(";")
    return {"range": float(largest), "auto": flag(auto)}


def zero(text: str) -> dict[str, Any]:
    """Reads `0;1.2E-10`: dark adjustment running, and its magnitude."""
    running, magnitude = text.split(";")
    return {"set": flag(running), "magnitude": float(magnitude)}


def overview(text: str) -> dict[str, Any]:
    """Reads what housekeeping needs."""
    power, wavelength, largest, auto, average = text.split(";")
    return {
        "power": reading(power),
        "wavelength": float(wavelength),
        "range": float(largest),
        "auto": flag(auto),
        "average": integer(average),
    }
