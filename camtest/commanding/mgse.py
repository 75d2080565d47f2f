"""Pointing and focusing under names that are the same at every test house; what moves is what the Setup names.

| Setup | what moves | module |
|---|---|---|
| `gse.stages` | HUBER stages of CSL | `camtest.commanding.csl_gse` |
| `gse.hexapod` | focus: hexapod under the focal plane | |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from camtest.commanding import csl_gse
from camtest.commanding.csl_gse import CCDCode, Column, FocalPlanePosition, Phi, Row, Theta
from camtest.commanding.utilities import device, wait_until
from camtest.core.exec import Abort, building_block
from camtest.state import GlobalState
from egse.command import Range, Unit
from egse.coordinates import AvoidanceError, AvoidanceVolume, FocalPlane
from egse.setup.paths import value_at

Focus = Annotated[float, Range(-5, 5), Unit("mm")]

FOCUS_TIMEOUT = 300.0
"""Longest time for the hexapod to arrive [s]."""


def _require(name: str, what: str) -> None:
    if value_at(GlobalState.setup, f"gse.{name}.device") is None:
        raise Abort(f"The Setup names nothing that {what}: it has no gse.{name}.device")


def pointing_is_possible() -> bool:
    """Returns True when the Setup names mechanisms that point the source."""
    return "stages" in (value_at(GlobalState.setup, "gse") or {})


def get_source_position() -> tuple[float, float]:
    """Asks the mechanisms, and returns theta, phi [deg] of the source."""
    _require("stages", "points the source")
    return csl_gse.get_source_position()


def focal_plane() -> FocalPlane:
    """Returns the focal plane of the camera in the active Setup."""
    return csl_gse.focal_plane()


def check_pointing(theta: float, phi: float) -> None:
    """Raises Abort when the source cannot be pointed to theta, phi [deg]; nothing moves."""
    _require("stages", "points the source")
    csl_gse.check_pointing(theta, phi)


@building_block
def mgse_initialise() -> None:
    """Brings the mechanisms into the state in which tests begin: errors cleared, speeds of the Setup, homed."""
    _require("stages", "points the source")
    csl_gse.stages_clear_errors()
    csl_gse.stages_default_speeds()
    csl_gse.stages_homing()


@building_block
def mgse_stop() -> None:
    """Stops the mechanisms at once."""
    _require("stages", "points the source")
    csl_gse.stages_stop()


@building_block
def point_source_to_fov(theta: Theta, phi: Phi) -> None:
    """Points the source to field angles; returns when it is there.

    Args:
        theta: distance to the optical axis.
        phi: counter-clockwise from +x of the focal plane.
    """
    _require("stages", "points the source")
    csl_gse.point_source_to_fov(theta=theta, phi=phi)


@building_block
def point_source_to_fp(x: FocalPlanePosition, y: FocalPlanePosition) -> None:
    """Points the source so that its image is at a place in the focal plane; returns when it is there.

    Args:
        x, y: place of the image.
    """
    _require("stages", "points the source")
    csl_gse.point_source_to_fp(x=x, y=y)


@building_block
def point_source_to_ccd(row: Row, column: Column, ccd_code: CCDCode) -> None:
    """Points the source so that its image is at a place on a CCD; returns when it is there.

    Args:
        row, column: place of the image.
        ccd_code: number of the CCD.
    """
    _require("stages", "points the source")
    csl_gse.point_source_to_ccd(row=row, column=column, ccd_code=ccd_code)


def _hexapod() -> Any:
    _require("hexapod", "moves the focal plane")
    return device("gse.hexapod")


def get_focus() -> float:
    """Asks the hexapod, and returns the position of the focal plane along the optical axis [mm]."""
    return float(_hexapod().get_user_positions()[2])


@building_block
def mgse_initialise_focus() -> None:
    """Homes the hexapod when it is not homed, and lets it hold its position."""
    hexapod = _hexapod()
    if not hexapod.is_homing_done():
        hexapod.homing()
        wait_until(
            hexapod.is_homing_done, timeout=FOCUS_TIMEOUT, interval=1.0, what="the homing of the hexapod"
        )
    hexapod.activate_control_loop()


@building_block
def set_focus(position: Focus) -> None:
    """Moves the focal plane along the optical axis; returns when it is there.

    Args:
        position: along the z axis of the hexapod's user frame; the other coordinates stay.

    Raises:
        Abort: when the hexapod is not homed, or the focal plane would leave its volume (`camera.fpa.avoidance` of the Setup);
            nothing has moved.
    """
    volume = AvoidanceVolume.from_setup(GlobalState.setup)
    if volume is not None:
        try:
            volume.check([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, position], [0, 0, 0, 1]])
        except AvoidanceError as exc:
            raise Abort(f"The focal plane cannot be moved to {position:g} mm: {exc}") from exc

    def move(hexapod: Any) -> None:
        tx, ty, _, rx, ry, rz = hexapod.get_user_positions()
        hexapod.move_absolute(tx, ty, position, rx, ry, rz)

    _go(move)


@building_block
def focal_plane_homing() -> None:
    """Searches the references of the hexapod, whether it knows them or not."""
    hexapod = _hexapod()
    hexapod.homing()
    wait_until(hexapod.is_homing_done, timeout=FOCUS_TIMEOUT, interval=1.0, what="the homing of the hexapod")


@building_block
def focal_plane_to_zero() -> None:
    """Moves the hexapod to its zero position."""
    _go(lambda hexapod: hexapod.goto_zero_position())


@building_block
def focal_plane_retract() -> None:
    """Moves the hexapod to its retracted position, away from the optics."""
    _go(lambda hexapod: hexapod.goto_retracted_position())


@building_block
def focal_plane_stop() -> None:
    """Stops the hexapod at once."""
    _hexapod().stop()


def _go(command: Callable[[Any], object]) -> None:
    hexapod = _hexapod()
    if not hexapod.is_homing_done():
        raise Abort("The hexapod is not homed: mgse_initialise_focus() first")
    command(hexapod)
    wait_until(hexapod.is_in_position, timeout=FOCUS_TIMEOUT, interval=1.0, what="the hexapod")
