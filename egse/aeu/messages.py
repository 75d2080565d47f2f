"""How the drivers of the AEU ask and command, and read the answers (`egse.dialect`)."""

from __future__ import annotations

from egse.aeu.lines import Six
from egse.device import DeviceError
from egse.dialect import Dialect, floats
from egse.response import register_error


@register_error
class AEUError(DeviceError):
    """A unit of the AEU refused a command or gave an answer that makes no sense."""


CRIO = Dialect(
    "the cRIO",
    "\r\n",
    "SYST:ERR?",
    {
        1: "unknown command",
        2: "a character that is not allowed",
        3: "an argument that makes no sense",
        4: "wrong number of arguments",
        5: "out of range",
        6: "not allowed in this operating mode",
    },
    AEUError,
)
PSU = Dialect(
    "the power supply",
    "\n",
    "SYST:ERR?",
    {
        -113: "unknown command",
        -221: "settings conflict",
        -222: "out of range",
        101: "a protection is active",
        102: "the output is on",
        155: "not during an alarm (see the questionable status, then clear_alarms)",
        156: "not while the output is on",
        157: "under external control",
        301: "no such channel",
    },
    AEUError,
)
AWG = Dialect(
    "the waveform generator",
    "\n",
    "EER?",
    {-111: "unknown command", -112: "unknown parameter", -27: "more than 8192 points"},
    AEUError,
)


def six(text: str) -> Six:
    """Reads six numbers, one for each line."""
    a, b, c, d, e, f = floats(6)(text)
    return a, b, c, d, e, f
