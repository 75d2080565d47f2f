"""The commands of a Symetrie hexapod, defined once for all of its controllers.

Positions are tx ty tz [mm] and rx ry rz [deg] (`egse.hexapod.symetrie.kinematics`). A command that is accepted gives 0
with the Alpha controller and `(0, 'Success.')` with the Alpha+; one that is refused raises `HexapodError` with the reason.
Motions return when they are accepted; `is_in_position` tells when they have ended.
"""

from __future__ import annotations

from typing import Annotated

from egse.command import Range, Unit, dynamic_interface, urgent
from egse.deferral import deferred
from egse.device import DeviceInterface
from egse.security.roles import always_allowed, observe

Millimetre = Annotated[float, Range(-500, 500), Unit("mm")]
Degree = Annotated[float, Range(-180, 180), Unit("deg")]
Axis = Annotated[int, Range(1, 6)]
Done = int | tuple[int, str]
"""What an accepted command gives: 0, or `(0, 'Success.')`."""
State = tuple[int | dict[str, int], list[int | str]]
"""Alpha: the number, and the texts of the bits that are set. Alpha+: all bits by their texts, and as a list."""
Validation = tuple[int, dict[int, str]]
"""`(0, {})` when a position can be reached; else a number and the bits that are set in it, with their texts."""


class MoveCommands:
    """Moves of the platform; one that follows a running homing waits for its end."""

    @deferred
    @dynamic_interface
    def move_absolute(
        self, tx: Millimetre, ty: Millimetre, tz: Millimetre, rx: Degree, ry: Degree, rz: Degree
    ) -> Done:
        """Moves the object to a position of the user frame.

        Raises:
            HexapodError: when the controller refuses it: out of a workspace, homing not done, control loop off, moving.
        """

    @deferred
    @dynamic_interface
    def move_relative_object(
        self, tx: Millimetre, ty: Millimetre, tz: Millimetre, rx: Degree, ry: Degree, rz: Degree
    ) -> Done:
        """Moves the object relative to where it is, in its own axes."""

    @deferred
    @dynamic_interface
    def move_relative_user(
        self, tx: Millimetre, ty: Millimetre, tz: Millimetre, rx: Degree, ry: Degree, rz: Degree
    ) -> Done:
        """Moves the object along the axes of the user frame and turns it about its own axes."""

    @deferred
    @dynamic_interface
    def goto_specific_position(self, pos: Annotated[int, Range(0, 3)]) -> Done:
        """Moves to a position that the controller knows.

        Args:
            pos: 1 zero of the user frame, 2 retracted; Alpha also 0 maintenance (jog) zero, Alpha+ also 3 zero of the
                machine frame.
        """

    @deferred
    @dynamic_interface
    def goto_retracted_position(self) -> Done:
        """Moves to the retracted position, the lowest."""

    @deferred
    @dynamic_interface
    def goto_zero_position(self) -> Done:
        """Moves the object into the user frame."""

    @observe
    @dynamic_interface
    def check_absolute_movement(
        self, tx: Millimetre, ty: Millimetre, tz: Millimetre, rx: Degree, ry: Degree, rz: Degree
    ) -> Validation:
        """Says whether `move_absolute` would be feasible; nothing moves."""

    @observe
    @dynamic_interface
    def check_relative_object_movement(
        self, tx: Millimetre, ty: Millimetre, tz: Millimetre, rx: Degree, ry: Degree, rz: Degree
    ) -> Validation:
        """Says whether `move_relative_object` would be feasible; nothing moves."""

    @observe
    @dynamic_interface
    def check_relative_user_movement(
        self, tx: Millimetre, ty: Millimetre, tz: Millimetre, rx: Degree, ry: Degree, rz: Degree
    ) -> Validation:
        """Says whether `move_relative_user` would be feasible; nothing moves."""

    @dynamic_interface
    def jog(self, axis: Axis, inc: Annotated[float, Range(-50, 50), Unit("mm")]) -> Done:
        """Changes the length of one actuator, without regard to the workspace (maintenance).

        Args:
            axis: number of the actuator.
            inc: by how much.
        """

    @dynamic_interface
    def perform_maintenance(self, axis: int) -> Done:
        """Brings an actuator to its length in the zero position (maintenance).

        Args:
            axis: number 1..6 of the actuator; 10 for all.
        """


class StateCommands:
    """What the hexapod is like."""

    @observe
    @dynamic_interface
    def info(self) -> str:
        """Returns what controller it is, in several lines."""

    @observe
    @dynamic_interface
    def is_homing_done(self) -> bool:
        """Returns True when the homing is done; without it nothing moves."""

    @observe
    @dynamic_interface
    def is_in_position(self) -> bool:
        """Returns True when the last motion has ended where it should."""

    @observe
    @dynamic_interface
    def get_user_positions(self) -> list[float]:
        """Returns the object in the user frame: tx ty tz [mm] rx ry rz [deg]."""

    @observe
    @dynamic_interface
    def get_machine_positions(self) -> list[float]:
        """Returns the platform in the machine frame: tx ty tz [mm] rx ry rz [deg]."""

    @observe
    @dynamic_interface
    def get_actuator_length(self) -> list[float]:
        """Returns the lengths of the six actuators [mm]."""

    @observe
    @dynamic_interface
    def get_general_state(self) -> State:
        """Returns the state of the hexapod (Alpha: Q36, Alpha+: `s_hexa`)."""

    @observe
    @dynamic_interface
    def get_actuator_state(self) -> list[State]:
        """Returns the states of the six actuators (Alpha: Q30..Q35, Alpha+: `s_ax_n`)."""

    @observe
    @dynamic_interface
    def get_debug_info(self) -> list[int]:
        """Returns homing (0 not done, 1 running, 2 done, 3 failed), position (0 undefined, 1 abort input, 2 moving,
        3 reached, 4 error), kinematics (0 ok) and command register, as the controller reports them."""

    @observe
    @dynamic_interface
    def get_coordinates_systems(self) -> list[float]:
        """Returns user frame in machine frame and object frame in platform frame: twelve numbers [mm, deg]."""

    @observe
    @dynamic_interface
    def get_speed(self) -> list[float] | dict[str, float]:
        """Returns vt [mm/s], vr [deg/s], their minima and their maxima; ZONDA and JORAN by name (vt, vr, vtmin, ...)."""

    @observe
    @dynamic_interface
    def log_positions(self) -> None:
        """Writes user, machine and actuator positions to the log."""

    @observe
    @dynamic_interface
    def get_buffer(self) -> str:
        """Returns output of the controller that nobody has fetched."""


class HexapodInterface(MoveCommands, StateCommands, DeviceInterface):
    """All commands that every Symetrie hexapod has."""

    @urgent
    @always_allowed
    @dynamic_interface
    def stop(self) -> Done:
        """Stops the motion where it is; overtakes commands that wait at the server."""

    @dynamic_interface
    def homing(self) -> Done:
        """Starts the homing, which takes about two minutes and ends in the zero position of the machine frame.

        Returns at once, see `is_homing_done`.
        """

    @dynamic_interface
    def set_virtual_homing(
        self, tx: Millimetre, ty: Millimetre, tz: Millimetre, rx: Degree, ry: Degree, rz: Degree
    ) -> Done:
        """Declares the object to be at a position of the user frame, instead of a homing; nothing moves.

        A wrong position makes all later ones wrong: take what `get_user_positions` gave before power was lost, and only
        when the hexapod has not been moved since.
        """

    @dynamic_interface
    def clear_error(self) -> Done:
        """Clears all errors whose cause is gone."""

    @dynamic_interface
    def activate_control_loop(self) -> Done:
        """Switches the servo loops of the motors on."""

    @dynamic_interface
    def deactivate_control_loop(self) -> Done:
        """Switches the servo loops of the motors off; refused during a motion."""

    @dynamic_interface
    def configure_coordinates_systems(
        self,
        tx_u: Millimetre,
        ty_u: Millimetre,
        tz_u: Millimetre,
        rx_u: Degree,
        ry_u: Degree,
        rz_u: Degree,
        tx_o: Millimetre,
        ty_o: Millimetre,
        tz_o: Millimetre,
        rx_o: Degree,
        ry_o: Degree,
        rz_o: Degree,
    ) -> Done:
        """Sets the user frame in the machine frame (`_u`) and the object frame in the platform frame (`_o`).

        Volatile: lost when the controller loses power.
        """

    @dynamic_interface
    def set_speed(
        self,
        vt: Annotated[float, Range(0, 100), Unit("mm/s")],
        vr: Annotated[float, Range(0, 100), Unit("deg/s")],
    ) -> Done:
        """Sets the speeds of translation and rotation; the controller clips them to its limits."""

    @deferred
    @dynamic_interface
    def reset(self, wait: bool = True) -> Done:
        """Restarts the controller: it is deaf for a while (Alpha 30 s, Alpha+ two minutes), and homing is lost.

        Args:
            wait: return when it answers again.
        """
