"""Hexapods."""

from egse.device import DeviceError
from egse.response import register_error

__all__ = ["HexapodError"]


@register_error
class HexapodError(DeviceError):
    """A hexapod refused or failed a command, or gave an answer that makes no sense."""
