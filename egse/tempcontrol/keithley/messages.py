"""How the driver of the DAQ6510 asks and commands, and reads the answers."""

from __future__ import annotations

from egse.device import DeviceError
from egse.dialect import Dialect
from egse.response import register_error


@register_error
class DAQ6510Error(DeviceError):
    """The DAQ6510 refused a command or gave an answer that makes no sense."""


DAQ = Dialect(
    "the DAQ6510",
    "\n",
    "SYST:ERR?",
    {
        -104: "an argument of the wrong kind",
        -109: "an argument is missing",
        -113: "unknown command",
        -221: "settings conflict",
        -222: "out of range: a value, a channel, or a reading that is not there",
        1115: "there is a buffer with this name already, or none",
    },
    DAQ6510Error,
    before="*CLS\n",
)


def quoted(text: str) -> str:
    """Returns the text in an answer without its quotes."""
    return text.strip('"')
