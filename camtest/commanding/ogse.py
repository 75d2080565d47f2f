"""Optical ground support equipment: lamp and attenuation (section 9 of the operations reference)."""

from __future__ import annotations

from collections import deque
from typing import Annotated, Any, cast

from camtest.commanding.utilities import device, wait_until
from camtest.core.exec import Abort, building_block, recovery
from camtest.state import GlobalState
from egse.command import Range, Unit
from egse.ogse import LEVELS, OGSEProxy

LAMP_TIMEOUT = 60.0
"""Longest time for the lamp to ignite [s]."""
ATTENUATOR_TIMEOUT = 30.0
"""Longest time for both filter wheels to arrive [s]; a move takes 6 to 9 s."""
WARM_UP_INTERVAL = 5.0
"""Time between two readings while the lamp warms up [s]."""
DARK = 1e-9
"""Channel 1 of the power meter sees no light below this [W]."""


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


def attenuation_levels() -> tuple[float, ...]:
    """Returns the transmissions of the levels of the attenuator, ascending: index 0 opaque.

    Those that were measured at the site (Setup: `gse.ogse.attenuation_factors`), else the products of the filters.

    Raises:
        Abort: when the table of the Setup is no ascending one of transmissions.
    """
    measured = _from_setup("attenuation_factors", None)
    if measured is None:
        return LEVELS
    levels = tuple(float(level) for level in measured)
    if not levels or list(levels) != sorted(levels) or not 0.0 <= levels[0] <= levels[-1] <= 1.0:
        raise Abort(f"gse.ogse.attenuation_factors of the Setup must be transmissions, ascending: {levels}")
    return levels


def fwc_factor() -> float:
    """Returns the fraction of the full well that a transmission of 1 gives (Setup: `gse.ogse.fwc_factor`).

    For an exposure of 25 s near the centre of the field; the full well is about 1e6 electrons.

    Raises:
        Abort: when the Setup has no such calibration.
    """
    factor = _from_setup("fwc_factor", None)
    if not isinstance(factor, int | float) or not factor > 0:
        raise Abort(
            f"The Setup has no calibration of the light (gse.ogse.fwc_factor is {factor}): measure it at the site, or set "
            "a transmission with set_attenuation"
        )
    return float(factor)


def level_of_fraction(fraction: float) -> int:
    """Returns the index of the level that is closest to a fraction of the full well."""
    factor = fwc_factor()
    levels = attenuation_levels()
    return min(range(len(levels)), key=lambda index: abs(levels[index] * factor - fraction))


def get_fwc_fraction() -> float:
    """Returns the fraction of the full well that the present level gives in 25 s near the centre of the field."""
    state, levels = get_attenuation(), attenuation_levels()
    index = int(state["att_index"])
    transmission = levels[index] if index < len(levels) else float(state["att_factor"])
    return transmission * fwc_factor()


def _from_setup(name: str, default: Any) -> Any:
    if GlobalState.setup is None:
        return default
    return GlobalState.setup.gse.ogse.get(name, default)


def get_power() -> dict[str, float]:
    """Returns the readings of the power meters: `power1`, `power2` [W], `temp1`, `temp2` [degC]; nan without meter."""
    return dict(ogse().get_power_and_temperature())


def wait_for_warm_up(tolerance: float, stable_for: float, timeout: float) -> float:
    """Waits until the light is steady; the attenuator must let some of it through.

    Args:
        tolerance: largest change of channel 1 of the power meter from one end of `stable_for` to the other, relative.
        stable_for: over so long [s].
        timeout: longest time to wait [s].

    Returns:
        How long it took [s].

    Raises:
        Abort: when the lamp is off or channel 1 is dark.
        TimeoutError: when it did not become steady in time.
    """
    if not lamp_is_on():
        raise Abort("The lamp of the OGSE is off, so it does not warm up: call ogse_swon")
    readings: deque[tuple[float, float]] = deque()
    clock = GlobalState.clock

    def is_steady() -> bool:
        now, power = clock.monotonic(), float(get_power()["power1"])
        if not power > DARK:
            raise Abort(f"Channel 1 of the power meter sees no light ({power:g} W): let some through")
        readings.append((now, power))
        while len(readings) > 1 and readings[1][0] <= now - stable_for:
            readings.popleft()
        return readings[0][0] <= now - stable_for and abs(power / readings[0][1] - 1.0) <= tolerance

    what = f"light that changes by less than {tolerance:g} in {stable_for:g} s"
    return wait_until(is_steady, timeout=timeout, interval=WARM_UP_INTERVAL, what=what)


@building_block
def set_fwc_fraction(fraction: Annotated[float, Range(0.0, 100.0), Unit("")]) -> None:
    """Sets the level closest to a fraction of the full well, and waits for the filter wheels.

    For an exposure of 25 s near the centre of the field, with the calibration of the site (`fwc_factor`).

    Args:
        fraction: of the full well; 1 saturates.

    Raises:
        Abort: when the Setup has no calibration.
    """
    ogse().att_set_level_index(level_of_fraction(fraction))
    _wait_for_attenuator()


@building_block
def set_fw_position(positions: tuple[int, int]) -> None:
    """Turns the two filter wheels, and waits for them.

    Args:
        positions: of the first and the second wheel, 1 to 8.
    """
    ogse().att_set_level_position(positions[0], positions[1])
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
