"""The commands of the gimbal, defined once.

The references say nothing of the gimbal but that there is one: its protocol and its commands are assumptions of ours, to be replaced when the
real one is known.
"""

from __future__ import annotations

from typing import Annotated

from egse.command import Range, Unit, urgent
from egse.device import DeviceInterface
from egse.mgse.gimbal.messages import angles, limits, question, setting, status
from egse.security.roles import always_allowed

Angle = Annotated[float, Range(-90, 90), Unit("deg")]
Speed = Annotated[float, Range(0.001, 10), Unit("deg/s")]


class GimbalInterface(DeviceInterface):
    """All commands of the gimbal; motions return on acceptance."""

    @question("*IDN?")
    def info(self) -> str:
        """Returns manufacturer, model, serial number and firmware, separated by commas."""

    @setting("HOME")
    def homing(self) -> None:
        """Looks for the references of both axes; needed before any motion."""

    @setting("MOVE ${tip} ${tilt}")
    def move_absolute(self, tip: Angle, tilt: Angle) -> None:
        """Turns both axes to angles, within the limits.

        Args:
            tip, tilt: [deg].
        """

    @setting("REL ${tip} ${tilt}")
    def move_relative(self, tip: Angle, tilt: Angle) -> None:
        """Turns both axes by angles from where they are heading, within the limits.

        Args:
            tip, tilt: [deg].
        """

    @urgent
    @always_allowed
    @setting("STOP")
    def stop(self) -> None:
        """Stops both axes."""

    @setting("RESET")
    def clear_error(self) -> None:
        """Ends a fault; the axes have to be homed again."""

    @question("POS?", angles)
    def get_position(self) -> Annotated[tuple[float, float], Unit("deg")]:
        """Returns the angles of tip and tilt [deg]."""

    @question("TARGET?", angles)
    def get_target(self) -> Annotated[tuple[float, float], Unit("deg")]:
        """Returns the commanded angles of tip and tilt [deg]."""

    @question("LIM?", limits)
    def get_limits(self) -> dict[str, tuple[float, float]]:
        """Returns the limits; keys tip, tilt: smallest and largest angle [deg]."""

    @question("STAT?", status)
    def get_status(self) -> dict[str, bool]:
        """Returns the state; keys tip_moving, tilt_moving, tip_homed, tilt_homed, limit (a limit switch), fault."""

    @question("SPEED?", float)
    def get_speed(self) -> Speed:
        """Returns the speed of motions [deg/s]."""

    @setting("SPEED ${speed}")
    def set_speed(self, speed: Speed) -> None:
        """Sets the speed of motions to come.

        Args:
            speed: [deg/s].
        """
