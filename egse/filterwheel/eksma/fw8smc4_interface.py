"""The commands of the filter wheels on one motor (8SMC4), defined once (device reference, section 9.3)."""

from __future__ import annotations

from typing import Annotated, Any

from egse.command import Unit, dynamic_interface
from egse.filterwheel.eksma.interface import Factor, FilterWheelsInterface, LevelIndex, Steps, WheelPosition
from egse.security.roles import observe


class FilterWheel8SMC4Interface(FilterWheelsInterface):
    """All commands of the filter wheels; motions take up to ten seconds, commands return on acceptance."""

    @observe
    @dynamic_interface
    def get_id(self) -> str:
        """Returns manufacturer, product, serial number and firmware of the controller."""

    @dynamic_interface
    def load_wheels(self) -> dict[str, list[Any]]:
        """Reads the tables of the wheels from the settings again.

        Returns:
            Keys wheel1, wheel2: eight optical densities each, or texts of colour filters.
        """

    @dynamic_interface
    def set_position(self, wheel1: WheelPosition, wheel2: WheelPosition) -> None:
        """Takes both wheels to positions: from the reference, which is looked for first.

        Args:
            wheel1, wheel2: position 0..7.
        """

    @observe
    @dynamic_interface
    def get_position(self) -> list[int]:
        """Returns the positions 0..7 of both wheels, those they are heading for while moving; -1 before they were set."""

    @dynamic_interface
    def homing(self) -> None:
        """Looks for the reference and makes it position 0 of the motor; where wheel 2 stands is not known then."""

    @observe
    @dynamic_interface
    def get_status(self) -> list[Any]:
        """Returns position [steps], speed [steps/s], temperature [degC], current [mA], voltage [V], flags (hexadecimal text)."""

    @observe
    @dynamic_interface
    def get_speed(self) -> Annotated[float, Unit("step/s")]:
        """Returns the present speed of the motor [steps/s]."""

    @dynamic_interface
    def move_wheel(self, steps: Steps) -> None:
        """Turns the motor to a position; the positions of the wheels are not known then.

        Args:
            steps: absolute position [steps], 25 for each filter.
        """

    @dynamic_interface
    def command_zero(self) -> None:
        """Makes the present position of the motor 0."""

    @observe
    @dynamic_interface
    def att_status(self) -> str:
        """Returns `att: OK`, or `att: ERROR` when the controller reports an error or the last motion has failed."""

    @observe
    @dynamic_interface
    def att_get_level(self) -> dict[str, Any]:
        """Returns the attenuation.

        Returns:
            Keys att_moving [bool], att_factor [transmission 0..1, a colour filter counts as clear; nan when not known],
            att_index [level, -1 when not known].
        """

    @dynamic_interface
    def att_set_level_factor(self, factor: Factor) -> None:
        """Selects the level closest to a transmission.

        Args:
            factor: 0 opaque, 1 clear.
        """

    @dynamic_interface
    def att_set_level_index(self, index: LevelIndex) -> None:
        """Selects a level.

        Args:
            index: place in `wheel_factors()`.
        """

    @dynamic_interface
    def att_set_level_position(self, wheel1: WheelPosition, wheel2: WheelPosition) -> None:
        """Same as `set_position`.

        Args:
            wheel1, wheel2: position 0..7.
        """

    @dynamic_interface
    def att_level_up(self) -> None:
        """Selects the next higher transmission; no effect at the highest, for a colour filter, and when not known."""

    @dynamic_interface
    def att_level_down(self) -> None:
        """Selects the next lower transmission; no effect at the lowest, for a colour filter, and when not known."""
