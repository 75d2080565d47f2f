"""The hexapod of the Setup (`gse.hexapod`: PUNA, ZONDA or JORAN): homing, frames, moves.

Every move is checked by the controller before it begins, is waited for, and ends at its stop when the block is aborted.
Positions are those of the object in the user frame [mm, deg]; both frames are set with `hexapod_set_frames`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, cast

from camtest.commanding.utilities import device, wait_until
from camtest.core.exec import Abort, building_block, on_abort
from egse.command import Range, Unit
from egse.hexapod.symetrie import PunaProxy
from egse.hexapod.symetrie.interface import Degree, Millimetre

Vector = list[float]
"""Tx Ty Tz [mm] Rx Ry Rz [deg]."""

HOMING_TIMEOUT = 300.0
"""Longest homing [s]; it takes about two minutes."""
MOVE_TIMEOUT = 3600.0
"""Longest move [s], at the slowest speeds too."""
POLL_INTERVAL = 0.5
"""Time between two looks at a motion [s]."""


def hexapod() -> PunaProxy:
    """Returns the hexapod of the active Setup (`gse.hexapod.device`)."""
    return cast(PunaProxy, device("gse.hexapod"))


def hexapod_positions() -> tuple[Vector, Vector]:
    """Returns the object in the user frame and the platform in the machine frame."""
    one = hexapod()
    return list(one.get_user_positions()), list(one.get_machine_positions())


def hexapod_has_error() -> bool:
    """Returns True when the controller reports an error."""
    state: Any = hexapod().get_general_state()[0]
    return bool(state["Error"] if isinstance(state, dict) else state & 1)


@building_block
def hexapod_stop() -> None:
    """Stops the hexapod where it is."""
    hexapod().stop()


@building_block
@on_abort(hexapod_stop)
def hexapod_homing(force: bool) -> None:
    """Does the homing and waits for its end; the hexapod is in the zero position of its machine frame then.

    Args:
        force: also when it is done already.

    Raises:
        Abort: when it fails.
    """
    one = hexapod()
    if one.is_homing_done() and not force:
        return
    one.homing()
    _wait_for(one.is_homing_done, HOMING_TIMEOUT, "the homing of the hexapod")


@building_block
def hexapod_control(on: bool) -> None:
    """Switches the servo loops of the hexapod; nothing moves without them.

    Args:
        on: or off.
    """
    one = hexapod()
    if on:
        one.activate_control_loop()
    else:
        one.deactivate_control_loop()


@building_block
def hexapod_set_speed(
    translation: Annotated[float, Range(0.001, 20), Unit("mm/s")],
    rotation: Annotated[float, Range(0.001, 20), Unit("deg/s")],
) -> None:
    """Sets the speeds of the moves that follow; the controller clips them to what it can."""
    hexapod().set_speed(translation, rotation)


@building_block
def hexapod_set_frames(user: Vector, object: Vector) -> None:
    """Sets the frames in which positions are meant.

    Args:
        user: user frame in the machine frame, six numbers.
        object: object frame in the platform frame, six numbers.

    Raises:
        Abort: when they are not six numbers each.
    """
    if len(user) != 6 or len(object) != 6:
        raise Abort("A frame of the hexapod is given by six numbers: Tx Ty Tz [mm] Rx Ry Rz [deg]")
    hexapod().configure_coordinates_systems(*user, *object)


@building_block
@on_abort(hexapod_stop)
def hexapod_move_absolute(
    tx: Millimetre, ty: Millimetre, tz: Millimetre, rx: Degree, ry: Degree, rz: Degree
) -> None:
    """Moves the object to a position of the user frame, and waits until it is there.

    Raises:
        Abort: when the position cannot be reached (nothing moves then), or the hexapod stops with an error.
    """
    one = hexapod()
    _move(one.check_absolute_movement, one.move_absolute, [tx, ty, tz, rx, ry, rz])


@building_block
@on_abort(hexapod_stop)
def hexapod_move_relative_object(
    tx: Millimetre, ty: Millimetre, tz: Millimetre, rx: Degree, ry: Degree, rz: Degree
) -> None:
    """Moves the object in its own axes, and waits until it is there; errors as `hexapod_move_absolute`."""
    one = hexapod()
    _move(one.check_relative_object_movement, one.move_relative_object, [tx, ty, tz, rx, ry, rz])


@building_block
@on_abort(hexapod_stop)
def hexapod_move_relative_user(
    tx: Millimetre, ty: Millimetre, tz: Millimetre, rx: Degree, ry: Degree, rz: Degree
) -> None:
    """Moves the object along the axes of the user frame, turns it about its own axes, and waits until it is there.

    Raises:
        Abort: when the position cannot be reached (nothing moves then), or the hexapod stops with an error.
    """
    one = hexapod()
    _move(one.check_relative_user_movement, one.move_relative_user, [tx, ty, tz, rx, ry, rz])


@building_block
@on_abort(hexapod_stop)
def hexapod_goto_zero() -> None:
    """Moves the object into the user frame, and waits until it is there."""
    hexapod().goto_zero_position()
    _wait_for(hexapod().is_in_position, MOVE_TIMEOUT, "the zero position of the hexapod")


@building_block
@on_abort(hexapod_stop)
def hexapod_goto_retracted() -> None:
    """Moves the platform to its retracted position, the lowest, and waits until it is there."""
    hexapod().goto_retracted_position()
    _wait_for(hexapod().is_in_position, MOVE_TIMEOUT, "the retracted position of the hexapod")


@building_block
def hexapod_clear_error() -> None:
    """Clears the errors of the hexapod.

    Raises:
        Abort: when one stays, because its cause is still there.
    """
    hexapod().clear_error()
    if hexapod_has_error():
        raise Abort(
            "The hexapod still has an error: look at its panel (puna_ui, zonda_ui) and remove the cause"
        )


def _move(check: Callable[..., Any], move: Callable[..., Any], vector: Vector) -> None:
    found, texts = check(*vector)
    if found:
        reasons = ", ".join(texts.values())
        raise Abort(f"The hexapod cannot move to {vector}: {reasons}. Nothing has moved.")
    move(*vector)
    _wait_for(hexapod().is_in_position, MOVE_TIMEOUT, f"the hexapod on its way to {vector}")


def _wait_for(is_there: Callable[[], bool], timeout: float, what: str) -> None:
    def ended() -> bool:
        if is_there():
            return True
        if hexapod_has_error():
            raise Abort(f"The hexapod has stopped with an error while waiting for {what}: look at its panel")
        return False

    wait_until(ended, timeout=timeout, interval=POLL_INTERVAL, what=what)
