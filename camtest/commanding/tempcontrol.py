"""Temperature control with the LakeShore 336 of the Setup (`gse.lsci336`): set points, plateaus.

Inputs A to D are the sensors (Setup: `gse.lsci336.sensors`), outputs 1 and 2 the heaters. Temperatures are in degrees
Celsius here; the instrument works in kelvins.
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

from camtest.commanding import plateau
from camtest.commanding.utilities import device
from camtest.core.exec import Abort, building_block, recovery
from egse.command import Range, Unit
from egse.tempcontrol.lsci336 import LakeShore336Interface, LakeShore336Proxy
from egse.tempcontrol.lsci336.interface import HeaterRange, HeaterStatus, OutputMode

Sensor = Literal["A", "B", "C", "D"]
Heater = Annotated[int, Range(1, 2)]
Celsius = Annotated[float, Range(-200, 100), Unit("degC")]

ZERO_CELSIUS = 273.15
"""Kelvins at 0 degC."""
INPUTS = "ABCD"


def lsci336() -> LakeShore336Proxy:
    """Returns the temperature controller of the active Setup (`gse.lsci336.device`)."""
    return cast(LakeShore336Proxy, device("gse.lsci336"))


def get_temperature(sensor: Sensor) -> float:
    """Returns the temperature of a sensor [degC].

    Raises:
        Abort: when the sensor has no valid reading.
    """
    return reading(lsci336(), sensor)


def reading(controller: LakeShore336Interface, sensor: Sensor) -> float:
    """Returns the temperature of a sensor of any LakeShore 336 [degC].

    Raises:
        Abort: when the sensor has no valid reading.
    """
    status = controller.get_reading_status(sensor)
    if status:
        raise Abort(
            f"Sensor {sensor} of the LakeShore 336 has no valid reading (status {status}): check its cable"
        )
    return float(controller.get_temperature(sensor)) - ZERO_CELSIUS


def require_heater(controller: LakeShore336Interface, heater: int) -> None:
    """Does nothing when a heater of any LakeShore 336 is fine.

    Raises:
        Abort: when it is open or shorted.
    """
    state = controller.get_heater_status(heater)
    if state != HeaterStatus.OK:
        raise Abort(f"Heater {heater} of the LakeShore 336 is {HeaterStatus(state).name}: check its cable")


@building_block
def set_temperature(heater: Heater, sensor: Sensor, temperature: Celsius, heater_range: HeaterRange) -> None:
    """Lets a heater bring a sensor to a temperature; returns at once, see `wait_for_plateau`.

    Args:
        heater: number of the output.
        sensor: the input that is controlled.
        temperature: set point.
        heater_range: power that the heater may take.

    Raises:
        Abort: when the sensor has no valid reading, or the heater is open or shorted.
    """
    get_temperature(sensor)
    controller = lsci336()
    require_heater(controller, heater)
    controller.set_output_mode(heater, OutputMode.CLOSED_LOOP, INPUTS.index(sensor) + 1, False)
    controller.set_temperature_setpoint(heater, temperature + ZERO_CELSIUS)
    controller.set_range(heater, heater_range)


@building_block
def heater_off(heater: Heater) -> None:
    """Switches a heater off; its set point stays.

    Args:
        heater: number of the output.
    """
    lsci336().set_range(heater, HeaterRange.OFF)


def wait_for_plateau(
    sensor: Sensor, temperature: float, tolerance: float, stable_for: float, timeout: float
) -> float:
    """Waits until a sensor has been near a temperature for a while without leaving it.

    Args:
        sensor: which.
        temperature: middle of the plateau [degC].
        tolerance: greatest distance from it [K].
        stable_for: how long it has to stay there [s].
        timeout: longest time to wait [s].

    Returns:
        How long it took [s].

    Raises:
        TimeoutError: when there was no plateau in time.
    """
    return plateau.wait_for_plateau(
        lambda: get_temperature(sensor), temperature, tolerance, stable_for, timeout, what=f"sensor {sensor}"
    )


recovery(heater_off)
