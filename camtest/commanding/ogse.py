"""Optical ground support equipment: lamp and attenuation (section 9 of the operations reference)."""

from __future__ import annotations

from typing import Annotated, Any, cast

from camtest.commanding.utilities import device, wait_until
from camtest.core.exec import Abort, building_block, recovery
from egse.command import Range, Unit
from egse.ogse import OGSEProxy

LAMP_TIMEOUT = 60.0
"""Longest time for the lamp to ignite [s]."""
ATTENUATOR_TIMEOUT = 30.0
"""Longest time for both filter wheels to arrive [s]; a move takes 6 to 9 s."""


def ogse() -> OGSEProxy:
    """Returns the OGSE of the active Setup (`gse.ogse.device`)."""
    return cast(OGSEProxy, device("gse.ogse"))


def get_attenuation() -> dict[str, Any]:
    """Returns the state of the attenuator: `att_moving` [bool], `att_factor` [transmission 0..1], `att_index`."""
    return ogse().att_get_level()


def _state_of(reply: str) -> str:
    return str(reply).rpartition(":")[2].strip().upper()


def lamp_is_on() -> bool:
    """Returns True when the lamp burns."""
    return _state_of(ogse().get_lamp()) == "ON"


@building_block
def ogse_swon() -> None:
    """Switches the source on, attenuation opaque; returns when the lamp burns (not when it is warm).

    Raises:
        Abort: when the interlock is open.
    """
    source = ogse()
    if _state_of(source.get_interlock()) == "OPEN":
        raise Abort("The interlock of the OGSE is open: close the door of the source before switching it on")
    source.att_set_level_index(0)
    source.power_on()
    source.operate_on()
    wait_until(lamp_is_on, timeout=LAMP_TIMEOUT, interval=1.0, what="the lamp of the OGSE")
    _wait_for_attenuator()


@building_block
def ogse_swoff() -> None:
    """Switches the source off, attenuation opaque."""
    source = ogse()
    source.att_set_level_index(0)
    source.operate_off()
    source.power_off()
    _wait_for_attenuator()


@building_block
def set_attenuation(factor: Annotated[float, Range(0.0, 1.0), Unit("")]) -> None:
    """Sets the attenuation closest to a transmission factor, and waits for the filter wheels.

    Args:
        factor: transmission, 0 for opaque and 1 for clear.
    """
    ogse().att_set_level_factor(factor)
    _wait_for_attenuator()


@building_block
def att_level_up() -> None:
    """Goes one attenuation level up (more light); no effect at the highest."""
    ogse().att_level_up()
    _wait_for_attenuator()


@building_block
def att_level_down() -> None:
    """Goes one attenuation level down (less light); no effect at the lowest."""
    ogse().att_level_down()
    _wait_for_attenuator()


def _wait_for_attenuator() -> None:
    wait_until(
        lambda: not get_attenuation()["att_moving"],
        timeout=ATTENUATOR_TIMEOUT,
        interval=1.0,
        what="the filter wheels of the OGSE",
    )


recovery(ogse_swoff)
