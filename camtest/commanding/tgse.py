"""Thermal control of the test set-up: TEB, shroud, bipods on the manipulation ring (operations reference, section 10).

    tgse.set_temp_setpoint(trp=tgse.TRP.TEB_SKY, temperature=-80.0)
    tgse.start_control(trp=tgse.TRP.TEB_SKY)

Each control point is a sensor and a heater of a LakeShore 336; the Setup says which (`gse.tgse.control_points`).
"""

from __future__ import annotations

from typing import Annotated, cast

from camtest.commanding import plateau
from camtest.commanding.tempcontrol import INPUTS, ZERO_CELSIUS, Sensor, reading, require_heater
from camtest.commanding.utilities import device
from camtest.core.exec import Abort, building_block
from camtest.state import GlobalState
from egse.command import Range, Unit
from egse.tempcontrol.lsci336 import HeaterRange, LakeShore336UnitProxy, OutputMode
from egse.tgse import TRP, ControlPoint, ControlPointError, control_point

__all__ = [
    "TRP",
    "get_temp_setpoint",
    "get_temperature",
    "is_controlled",
    "set_temp_setpoint",
    "start_control",
    "stop_control",
    "wait_for_plateau",
]

Celsius = Annotated[float, Range(-200, 100), Unit("degC")]


def _point(trp: TRP) -> tuple[ControlPoint, LakeShore336UnitProxy]:
    """Returns a control point and its temperature controller."""
    if GlobalState.setup is None:
        raise Abort(
            "There is no Setup, so the control points are not known: load a Setup (`cm_cs load-setup ID`)"
        )
    try:
        point = control_point(GlobalState.setup, trp)
    except ControlPointError as exc:
        raise Abort(str(exc)) from exc
    return point, cast(LakeShore336UnitProxy, device(point.device))


def get_temp_setpoint(trp: TRP) -> float:
    """Returns the set point of a control point [degC]; not of TRP234, which are three.

    Args:
        trp: which.
    """
    point, controller = _point(trp)
    return float(controller.get_temperature_setpoint(point.heater)) - ZERO_CELSIUS


def get_temperature(trp: TRP) -> float:
    """Returns the temperature of a control point [degC]; not of TRP234, which are three.

    Args:
        trp: which.

    Raises:
        Abort: when its sensor has no valid reading.
    """
    point, controller = _point(trp)
    return reading(controller, cast(Sensor, point.sensor))


def is_controlled(trp: TRP) -> bool:
    """Returns True while a control point is controlled; of TRP234: all three.

    Args:
        trp: which.
    """
    return all(_is_on(*_point(one)) for one in trp.points)


def _is_on(point: ControlPoint, controller: LakeShore336UnitProxy) -> bool:
    mode = controller.get_output_mode(point.heater)["mode"]
    return mode == OutputMode.CLOSED_LOOP and controller.get_range(point.heater) != HeaterRange.OFF


@building_block
def set_temp_setpoint(trp: TRP, temperature: Celsius) -> None:
    """Sets the set point of a control point; it is controlled after `start_control`.

    Args:
        trp: which; TRP234 sets three.
        temperature: set point.
    """
    for one in trp.points:
        point, controller = _point(one)
        controller.set_temperature_setpoint(point.heater, temperature + ZERO_CELSIUS)


@building_block
def start_control(trp: TRP) -> None:
    """Starts to control a control point; nothing is started when one sensor or heater of them is broken.

    Args:
        trp: which; TRP234 starts three.

    Raises:
        Abort: when a sensor has no valid reading, or a heater is open or shorted.
    """
    found = [_point(one) for one in trp.points]
    for point, controller in found:
        reading(controller, cast(Sensor, point.sensor))
        require_heater(controller, point.heater)
    for point, controller in found:
        controller.set_output_mode(
            point.heater, OutputMode.CLOSED_LOOP, INPUTS.index(point.sensor) + 1, False
        )
        controller.set_range(point.heater, HeaterRange[point.heater_range])


@building_block
def stop_control(trp: TRP) -> None:
    """Stops controlling a control point: its heater goes off, its set point stays.

    Args:
        trp: which; TRP234 stops three.
    """
    for one in trp.points:
        point, controller = _point(one)
        controller.set_range(point.heater, HeaterRange.OFF)


def wait_for_plateau(
    trp: TRP, temperature: float, tolerance: float, stable_for: float, timeout: float
) -> float:
    """Waits until a control point has been near a temperature for a while; returns how long it took [s].

    Args:
        trp: which; TRP234 waits for the worst of three.
        temperature: middle of the plateau [degC].
        tolerance: greatest distance from it [K].
        stable_for: how long it has to stay there [s].
        timeout: longest time to wait [s].

    Raises:
        TimeoutError: when there was no plateau in time.
    """

    def worst() -> float:
        return max(map(get_temperature, trp.points), key=lambda value: abs(value - temperature))

    return plateau.wait_for_plateau(worst, temperature, tolerance, stable_for, timeout, what=trp)
