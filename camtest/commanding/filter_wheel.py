"""Filter wheels that are not behind an OGSE: Eksma wheels on a Standa 8SMC4 or 8SMC5 (`gse.filter_wheel`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, cast

from camtest.commanding.utilities import device, wait_until
from camtest.core.exec import building_block
from egse.command import Range, Unit
from egse.filterwheel.eksma import FilterWheel8SMC4Interface, FilterWheel8SMC5Interface
from egse.parameter import CommandError

Factor = Annotated[float, Range(0.0, 1.0), Unit("")]
Wheels = FilterWheel8SMC4Interface | FilterWheel8SMC5Interface

WHEEL_TIMEOUT = 60.0
"""Longest time for both wheels to arrive [s]; with the search for the reference it takes about ten."""


def filter_wheel() -> Wheels:
    """Returns the filter wheels of the active Setup (`gse.filter_wheel.device`), of either kind."""
    return cast(Wheels, device("gse.filter_wheel"))


def get_fw_position() -> tuple[int, int]:
    """Returns the positions 0..7 of both wheels, -1 when they are not known."""
    wheels = filter_wheel()
    found = (
        wheels.get_position()
        if isinstance(wheels, FilterWheel8SMC4Interface)
        else wheels.get_position_wheels()
    )
    return int(found[0]), int(found[1])


def get_fw_factor() -> float:
    """Returns the transmission of the wheels, nan when it is not known."""
    wheels = filter_wheel()
    if isinstance(wheels, FilterWheel8SMC4Interface):
        return float(wheels.att_get_level()["att_factor"])
    return float(wheels.get_relative_intensity())


@building_block
def fw_homing() -> None:
    """Looks for the references of the wheels, and returns when they are found."""
    _move(lambda wheels: wheels.homing(), lambda wheels: wheels.home())


@building_block
def set_fw_position(positions: list[int]) -> None:
    """Turns both wheels, and returns when they have arrived.

    Args:
        positions: of wheel 1 and wheel 2, 0..7.

    Raises:
        CommandError: when these are not two.
    """
    if len(positions) != 2:
        raise CommandError(f"set_fw_position: there are two filter wheels, got {list(positions)}")
    one, two = positions
    _move(lambda wheels: wheels.set_position(one, two), lambda wheels: wheels.set_position_wheels(one, two))


@building_block
def set_fw_factor(factor: Factor) -> None:
    """Selects the level closest to a transmission, and returns when the wheels have arrived.

    Args:
        factor: 0 opaque, 1 clear.
    """
    _move(
        lambda wheels: wheels.att_set_level_factor(factor),
        lambda wheels: wheels.set_relative_intensity(factor),
    )


@building_block
def fw_level_up() -> None:
    """Goes one level up (more light); no effect at the highest."""
    _move(lambda wheels: wheels.att_level_up(), lambda wheels: wheels.intensity_level_up())


@building_block
def fw_level_down() -> None:
    """Goes one level down (less light); no effect at the lowest."""
    _move(lambda wheels: wheels.att_level_down(), lambda wheels: wheels.intensity_level_down())


def _move(
    on_one_motor: Callable[[FilterWheel8SMC4Interface], Any],
    with_a_motor_each: Callable[[FilterWheel8SMC5Interface], Any],
) -> None:
    """Commands a motion and waits for its end."""
    wheels = filter_wheel()
    if isinstance(wheels, FilterWheel8SMC4Interface):
        on_one_motor(wheels)
    else:
        with_a_motor_each(wheels)
    wait_until(lambda: not wheels.is_moving(), timeout=WHEEL_TIMEOUT, interval=0.5, what="the filter wheels")
