"""Hexapods."""

from egse.device import DeviceConnectionError, DeviceError
from egse.response import register_error

__all__ = ["HexapodConnectionError", "HexapodError"]


@register_error
class HexapodError(DeviceError):
    """A hexapod refused or failed a command, or gave an answer that makes no sense."""


@register_error
class HexapodConnectionError(HexapodError, DeviceConnectionError):
    """A hexapod cannot be reached, or closed the connection."""
