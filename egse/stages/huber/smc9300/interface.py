"""The commands of the HUBER SMC9300, defined once (device reference, section 4; manual, section 6.6.3)."""

from __future__ import annotations

from typing import Annotated, Any

from egse.command import Range, Unit, dynamic_interface, needs_setup, urgent
from egse.device import DeviceInterface
from egse.security.roles import always_allowed, observe
from egse.stages.huber.smc9300.messages import (
    action,
    decode_axis_float,
    decode_axis_int,
    decode_error,
    decode_parameter,
    decode_parameter_int,
    decode_status,
    order,
    question,
    text_of,
)

Axis = Annotated[int, Range(1, 3)]
Position = Annotated[float, Unit("deg or mm")]
Speed = Annotated[int, Range(1, 200_000), Unit("1e-4 deg/s or mm/s")]
Seconds = Annotated[float, Range(0, 1200), Unit("s")]

LONGEST_MOTION = 300.0
"""Longest time that a motion is waited for [s]: 360 deg at the slowest speed in use."""


class MotionCommands:
    """Motions; axis 1 is the big rotation stage, 2 the small one, 3 the translation stage, unless the Setup says otherwise.

    A motion is refused while its axis has an error.
    """

    @needs_setup
    @dynamic_interface
    def goto(self, axis: Axis, position: Position, wait: bool = True) -> None:
        """Moves an axis to a position; the big rotation stage keeps clear of its hard stop.

        Args:
            axis: number of the axis.
            position: where to.
            wait: return when it is there, not when it begins to move.

        Raises:
            AvoidanceError: when the position is too near to the hard stop; nothing moves.
            HuberError: when the axis has an error, before, or after waiting.
        """

    @needs_setup
    @dynamic_interface
    def move(self, axis: Axis, distance: Position, wait: bool = True) -> None:
        """Moves an axis by a distance; the big rotation stage keeps clear of its hard stop.

        Args:
            axis: number of the axis.
            distance: how far.
            wait: return when it is there, not when it begins to move.

        Raises:
            AvoidanceError: when it would end too near to the hard stop; nothing moves.
            HuberError: when the axis has an error, before, or after waiting.
        """

    @action("goto{axis}:{position:.4f}")
    def goto_direct(self, axis: Axis, position: Position) -> None:
        """Moves an axis to a position without regard to the hard stop; returns when it begins to move."""

    @action("move{axis}:{distance:.4f}")
    def move_direct(self, axis: Axis, distance: Position) -> None:
        """Moves an axis by a distance without regard to the hard stop; returns when it begins to move."""

    @action("home{axis}:he;hm{pos:g}")
    def home_forward_direction(self, axis: Axis, pos: Position = 0) -> None:
        """Searches the reference in positive direction; the place where it is found becomes position `pos`."""

    @action("home{axis}:he;hr{pos:g}")
    def home_reverse_direction(self, axis: Axis, pos: Position = 0) -> None:
        """Searches the reference in negative direction; the place where it is found becomes position `pos`."""

    @action("zero{axis}")
    def zero(self, axis: Axis) -> None:
        """Makes the present position of an axis position 0."""

    @always_allowed
    @urgent
    @order("quit")
    def quit(self) -> None:
        """Stops all axes at once."""

    @observe
    @dynamic_interface
    def wait_until_axis_ready(self, axis: Axis, timeout: Seconds = LONGEST_MOTION) -> bool:
        """Waits until an axis, and with it all axes, stand still.

        Args:
            axis: number of the axis.
            timeout: longest time to wait.

        Returns:
            True when they stand still, False when the time is over.
        """


class StateCommands:
    """Positions, states and errors."""

    @question("?p${axis}", decode_axis_float)
    def get_current_position(self, axis: Axis) -> Position:
        """Returns the current position for this axis as a float."""

    @question("?e${axis}", decode_axis_float)
    def get_current_encoder_position(self, axis: Axis) -> Position:
        """Returns the position of an axis as its encoder has it."""

    @question("?ec${axis}", decode_axis_int)
    def get_current_encoder_counter_value(self, axis: Axis) -> int:
        """Returns the count of the encoder of an axis."""

    @question("?s${axis}", decode_axis_int)
    def get_state(self, axis: Axis) -> int:
        """Returns the state of an axis; bits as in `AxisState`."""

    @observe
    @dynamic_interface
    def is_in_position(self, axis: Axis) -> bool:
        """Returns True when an axis, and with it all axes, stand still."""

    @question("?status${axis}", decode_status)
    def get_status(self, axis: Axis) -> dict[str, Any]:
        """Returns what the controller tells of an axis; keys as in `STATUS_FIELDS`."""

    @question("?err${axis}", decode_error)
    def get_error(self, axis: Axis) -> dict[str, Any]:
        """Returns the error of an axis; keys number (0: none) and text."""

    @order("cerr${axis}")
    def clear_error(self, axis: Axis) -> None:
        """Clears the error of an axis."""

    @observe
    @dynamic_interface
    def get_overview(self) -> list[dict[str, Any]]:
        """Returns position, encoder, state and error of the axes 1 to 3, taken at one moment."""


class ParameterCommands:
    """Speeds and other parameters."""

    @action("ffast{axis}:{v}")
    def set_slew_speed(self, axis: Axis, v: Speed) -> None:
        """Sets the speed of motions."""

    @question("?ffast${axis}", decode_parameter_int)
    def get_slew_speed(self, axis: Axis) -> Annotated[int, Unit("1e-4 deg/s or mm/s")]:
        """Returns the speed of motions."""

    @action("edev{axis}:{v:g}")
    def set_edev(self, axis: Axis, v: Annotated[float, Range(0, None)]) -> None:
        """Sets the deviation of the encoder that is allowed."""

    @question("?edev${axis}", decode_parameter)
    def get_edev(self, axis: Axis) -> float:
        """Returns the deviation of the encoder that is allowed."""

    @action("edir{axis}:{v}")
    def set_edir(self, axis: Axis, v: Annotated[int, Range(0, 1)]) -> None:
        """Sets the direction in which the encoder counts."""

    @question("?edir${axis}", decode_parameter_int)
    def get_edir(self, axis: Axis) -> int:
        """Returns the direction in which the encoder counts."""

    @observe
    @dynamic_interface
    def get_parameter(self, axis: Axis, name: str) -> Any:
        """Asks for one parameter of an axis by its name, as in `get_configuration`.

        Raises:
            HuberError: when it has no such parameter.
            CommandError: when that is no name; nothing is sent.
        """

    @observe
    @dynamic_interface
    def get_configuration(self, axis: Axis) -> dict[str, Any]:
        """Returns all parameters of an axis: alias, type, unit, ffast, frun, gnum, gden, ..."""

    @observe
    @dynamic_interface
    def get_conf_value(self, axis: Axis, name: str) -> Any:
        """Returns one parameter of an axis out of its configuration.

        Raises:
            HuberError: when it has no such parameter.
        """

    @order("update")
    def save_configuration(self) -> None:
        """Saves the parameters, so that they last over a restart of the controller."""


class HuberSMC9300Interface(MotionCommands, StateCommands, ParameterCommands, DeviceInterface):
    """All commands of the SMC9300."""

    @observe
    @dynamic_interface
    def info(self) -> str:
        """Returns what the controller tells of itself, several lines."""

    @question("?v", text_of)
    def get_version(self) -> str:
        """Returns name and version of the controller: `smc 1.2.1093`."""

    @order("reset")
    def reset(self) -> None:
        """Restarts the controller: all axes stop, parameters are as last saved."""
