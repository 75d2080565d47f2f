"""How the driver of Aim-TTi bench supplies asks and commands, and reads the answers."""

from __future__ import annotations

from egse.device import DeviceError
from egse.dialect import Dialect
from egse.response import register_error


@register_error
class AimTTiError(DeviceError):
    """A bench supply refused a command or gave an answer that makes no sense."""


TTI = Dialect(
    "the bench supply",
    "\n",
    "*ESR?",
    {
        4: "an answer was not taken",
        8: "the output did not reach the value in time",
        16: "the value is out of range, or the command is not possible now",
        32: "unknown command",
    },
    AimTTiError,
    before="*CLS\n",
)


def setpoint(text: str) -> float:
    """Reads `V1 3.300`."""
    return float(text.split()[1])


def measured(text: str) -> float:
    """Reads `3.300V`."""
    return float(text.rstrip("VAva"))
