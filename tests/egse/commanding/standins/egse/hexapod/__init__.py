"""Stand-in for the hexapods of the manual."""

from egse.device import DeviceError
from egse.response import register_error


@register_error
class HexapodError(DeviceError):
    """Something is wrong with a hexapod."""
