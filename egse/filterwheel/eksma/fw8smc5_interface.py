"""The commands of the filter wheels with a motor each (8SMC5), defined once (device reference, section 9.3)."""

from __future__ import annotations

from typing import Annotated

from egse.command import Range, Unit, dynamic_interface
from egse.filterwheel.eksma.interface import Factor, FilterWheelsInterface, LevelIndex, Steps, WheelPosition
from egse.security.roles import observe

WheelNumber = Annotated[int, Range(1, 2)]


class FilterWheel8SMC5Interface(FilterWheelsInterface):
    """All commands of the filter wheels; commands return on acceptance."""

    @observe
    @dynamic_interface
    def get_idn(self) -> str:
        """Returns manufacturer, product, serial number and firmware of both controllers."""

    @observe
    @dynamic_interface
    def get_error_flags(self) -> list[int]:
        """Returns the error flags of both controllers, 0 for none; see the protocol."""

    @dynamic_interface
    def home(self) -> None:
        """Looks for the references of both wheels; needed before positions can be set."""

    @observe
    @dynamic_interface
    def get_position_steps(self, id: WheelNumber) -> Annotated[float, Unit("step")]:
        """Returns where a wheel stands [steps from its reference].

        Args:
            id: number of the wheel.
        """

    @dynamic_interface
    def set_position_steps(self, id: WheelNumber, position: Steps) -> None:
        """Turns a wheel.

        Args:
            id: number of the wheel.
            position: [steps from its reference].
        """

    @observe
    @dynamic_interface
    def get_position_wheels(self) -> list[int]:
        """Returns the positions 0..7 of both wheels; -1 between two of them and before `home`."""

    @dynamic_interface
    def set_position_wheels(self, wheel1: WheelPosition, wheel2: WheelPosition) -> None:
        """Turns both wheels.

        Args:
            wheel1, wheel2: position 0..7.
        """

    @dynamic_interface
    def set_position_wheel(self, id: WheelNumber, position: WheelPosition) -> None:
        """Turns one wheel.

        Args:
            id: number of the wheel.
            position: 0..7.
        """

    @observe
    @dynamic_interface
    def get_position_index(self) -> int:
        """Returns the attenuation level, -1 when not known."""

    @dynamic_interface
    def set_position_index(self, index: LevelIndex) -> None:
        """Selects an attenuation level.

        Args:
            index: place in `wheel_factors()`.
        """

    @observe
    @dynamic_interface
    def get_relative_intensity(self) -> float:
        """Returns the transmission 0..1, a colour filter counts as clear; nan when not known."""

    @dynamic_interface
    def set_relative_intensity(self, factor: Factor) -> None:
        """Selects the level closest to a transmission.

        Args:
            factor: 0 opaque, 1 clear.
        """

    @dynamic_interface
    def intensity_level_up(self) -> None:
        """Selects the next higher transmission; no effect at the highest, for a colour filter, and when not known."""

    @dynamic_interface
    def intensity_level_down(self) -> None:
        """Selects the next lower transmission; no effect at the lowest, for a colour filter, and when not known."""
