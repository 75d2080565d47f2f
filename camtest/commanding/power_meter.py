"""The power meter of the source: a Thorlabs PM100 (`gse.thorlabs`)."""

from __future__ import annotations

import math
import statistics
from typing import Annotated, cast

from camtest.commanding.utilities import device, wait_until
from camtest.core.exec import Abort, building_block
from camtest.state import GlobalState
from egse.command import Range, Unit
from egse.powermeter.thorlabs import ThorlabsPM100Proxy

Nanometers = Annotated[float, Range(100, 20_000), Unit("nm")]
Count = Annotated[int, Range(1, 10_000)]

ZERO_TIMEOUT = 60.0
"""Longest time for a dark adjustment [s]; it takes some seconds."""


def power_meter() -> ThorlabsPM100Proxy:
    """Returns the power meter of the active Setup (`gse.thorlabs.device`)."""
    return cast(ThorlabsPM100Proxy, device("gse.thorlabs"))


def get_power() -> float:
    """Returns the power [W], nan over the range."""
    return float(power_meter().get_value())


def measure_power(num_readings: int, interval: float) -> tuple[float, float]:
    """Measures the power several times.

    Args:
        num_readings: how often.
        interval: from one reading to the next [s].

    Returns:
        Mean and standard deviation [W]; the latter is 0 for one reading.

    Raises:
        Abort: when a reading is over the range.
    """
    readings = []
    for number in range(num_readings):
        if number:
            GlobalState.clock.sleep(interval)
        readings.append(get_power())
    if any(math.isnan(reading) for reading in readings):
        raise Abort("The power meter is over its range: choose a larger one, or less light")
    return statistics.fmean(readings), statistics.stdev(readings) if num_readings > 1 else 0.0


@building_block
def set_up_power_meter(wavelength: Nanometers, average: Count) -> None:
    """Sets what the power meter reckons with; its range is chosen automatically.

    Args:
        wavelength: of the light.
        average: readings of 3 ms that are averaged.
    """
    meter = power_meter()
    meter.set_wavelength(wavelength)
    meter.set_average(average)
    meter.set_range(None, True)


@building_block
def zero_power_meter() -> None:
    """Makes a dark adjustment, and returns when it is done; the sensor must be dark."""
    meter = power_meter()
    meter.set_zero(True)
    wait_until(
        lambda: not meter.get_autozero()["set"],
        timeout=ZERO_TIMEOUT,
        interval=0.5,
        what="the dark adjustment of the power meter",
    )
