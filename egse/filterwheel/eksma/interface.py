"""What the filter wheels have in common, whichever controller turns them (device reference, section 9.3)."""

from __future__ import annotations

from typing import Annotated, Any

from egse.command import Range, Unit, dynamic_interface, urgent
from egse.device import DeviceInterface
from egse.security.roles import always_allowed, observe

WheelPosition = Annotated[int, Range(0, 7)]
Factor = Annotated[float, Range(0, 1)]
LevelIndex = Annotated[int, Range(0, 63)]
Steps = Annotated[int, Range(-1_000_000, 1_000_000), Unit("step")]


class FilterWheelsInterface(DeviceInterface):
    """Commands of any pair of filter wheels."""

    @observe
    @dynamic_interface
    def wheel_factors(self) -> list[Any]:
        """Returns the attenuation levels: transmissions, ascending, then the texts of colour filters."""

    @observe
    @dynamic_interface
    def is_moving(self) -> bool:
        """Returns True until both wheels have arrived.

        Raises:
            FilterWheelError: when the last motion has failed.
        """

    @urgent
    @always_allowed
    @dynamic_interface
    def stop(self) -> None:
        """Stops the motion; with one motor for both wheels their positions are not known then."""
