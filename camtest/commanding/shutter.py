"""The slow shutter of the source: a Thorlabs KSC101 (`gse.shutter`; operations reference, section 9)."""

from __future__ import annotations

from typing import Annotated, cast

from camtest.commanding.utilities import device, wait_until
from camtest.core.exec import Abort, building_block
from egse.command import Range, Unit
from egse.shutter.thorlabs import Mode, ShutterKSC101Proxy

Seconds = Annotated[float, Range(0.01, 10.0), Unit("s")]
CCD = Annotated[int, Range(1, 4)]

TRAVEL_TIMEOUT = 5.0
"""Longest time for the shutter to open or close [s]; it takes tens of ms."""
CLOSED_TIME = 10
"""Shortest time between two exposures of a loop [ms]: that of the controller."""


def shutter() -> ShutterKSC101Proxy:
    """Returns the shutter of the active Setup (`gse.shutter.device`)."""
    return cast(ShutterKSC101Proxy, device("gse.shutter"))


def shutter_is_open() -> bool:
    """Returns True while the shutter is open."""
    return bool(shutter().get_status()["open"])


@building_block
def shutter_open() -> None:
    """Opens the shutter, and returns when it is open.

    Raises:
        Abort: when its interlock is open.
    """
    ksc101 = shutter()
    _check_interlock()
    if ksc101.get_mode() != Mode.MANUAL:
        ksc101.set_mode("manual")
    ksc101.set_enable(True)
    wait_until(shutter_is_open, timeout=TRAVEL_TIMEOUT, interval=0.1, what="the shutter to open")


@building_block
def shutter_close() -> None:
    """Closes the shutter, in any mode, and returns when it is closed."""
    ksc101 = shutter()
    if ksc101.get_mode() != Mode.MANUAL:
        ksc101.set_mode("manual")
    ksc101.set_enable(False)
    _wait_until_closed(TRAVEL_TIMEOUT)


@building_block
def shutter_expose(exposure_time: Seconds) -> None:
    """Opens the shutter for one exposure, and returns when it is closed again; the controller keeps the time.

    Args:
        exposure_time: how long it is open.

    Raises:
        Abort: when its interlock is open.
    """
    ksc101 = shutter()
    _check_interlock()
    _prepare("single", exposure_time)
    ksc101.set_enable(True)
    _wait_until_closed(exposure_time + TRAVEL_TIMEOUT)
    ksc101.set_mode("manual")


@building_block
def shutter_startloop(ccd: CCD, exposure_time: Seconds) -> None:
    """Lets the shutter open at the integration start of a CCD, again and again, until `shutter_stoploop`.

    The pulses come from the AEU, at the trigger input of the controller; which CCD they belong to is wired there, and the number here goes
    into the record.

    Args:
        ccd: number of the CCD.
        exposure_time: length of the pulses, for the record.

    Raises:
        Abort: when its interlock is open.
    """
    _check_interlock()
    _prepare("trigger", exposure_time)


@building_block
def shutter_stoploop() -> None:
    """Ends `shutter_startloop`; the shutter is closed."""
    ksc101 = shutter()
    ksc101.set_mode("manual")
    ksc101.set_enable(False)
    _wait_until_closed(TRAVEL_TIMEOUT)


def _prepare(mode: str, exposure_time: float) -> None:
    ksc101 = shutter()
    ksc101.set_enable(False)
    ksc101.set_cycle(round(1000 * exposure_time), CLOSED_TIME, 1)
    ksc101.set_mode(mode)  # type: ignore[arg-type]


def _check_interlock() -> None:
    ksc101 = shutter()
    if ksc101.get_interlock() and not ksc101.get_status()["interlock"]:
        raise Abort("The interlock of the shutter is open: close it (a plug or a key at the controller)")


def _wait_until_closed(timeout: float) -> None:
    wait_until(lambda: not shutter_is_open(), timeout=timeout, interval=0.1, what="the shutter to close")
