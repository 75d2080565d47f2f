"""How the driver of the EQ-99 asks and commands, and reads the answers."""

from __future__ import annotations

from typing import Any

from egse.device import DeviceError
from egse.dialect import Dialect, integer
from egse.response import register_error


@register_error
class LampEQ99Error(DeviceError):
    """The lamp's manager refused a command or gave an answer that makes no sense."""


EQ99 = Dialect(
    "the lamp",
    "\r\n",
    "ERRSTR?",
    {
        123: "unknown command",
        201: "out of range",
        202: "an argument of the wrong kind, or none",
        420: "not with an open interlock or a fault",
    },
    LampEQ99Error,
)

CONDITIONS = (
    "interlock", "controller_absent", "controller_fault", "lamp_fault", "output", "lamp", "laser", "laser_stable",
    "shutter",
)  # fmt: skip
"""Bits of the condition register, the lowest first; interlock True: open."""


def conditions(text: str) -> dict[str, Any]:
    """Reads the condition register."""
    register = integer(text)
    return {name: bool(register >> bit & 1) for bit, name in enumerate(CONDITIONS)}
