"""Pointing of the source at CSL: the HUBER stages of the Setup (`gse.stages`), by field angles, focal plane or pixel.

theta is the distance to the optical axis, phi counts counter-clockwise from +x of the focal plane. Nothing moves before the
whole way is known to be free: the hard stop of the big rotation stage, and the ranges of the others by their controller.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Literal, cast, get_args

from camtest.commanding.utilities import device, wait_until
from camtest.core.exec import Abort, building_block, on_abort
from camtest.state import GlobalState
from egse.command import Range, Unit
from egse.coordinates import AvoidanceError, FocalPlane, StageLimits, StagePositions, StagesGeometry
from egse.coordinates.focalplane import COLUMNS, ROWS
from egse.fov import FOVProxy
from egse.setup.paths import value_at
from egse.stages.huber.smc9300 import HuberError, HuberSMC9300Proxy
from egse.visitedpositions import visit_field_angles

LOGGER = logging.getLogger(__name__)

Theta = Annotated[float, Range(0, 25), Unit("deg")]
Phi = Annotated[float, Range(-360, 360), Unit("deg")]
FocalPlanePosition = Annotated[float, Range(-120, 120), Unit("mm")]
StagePosition = Annotated[float, Range(-1000, 1000)]
Row = Annotated[float, Range(0, ROWS - 1), Unit("row")]
Column = Annotated[float, Range(0, COLUMNS - 1), Unit("column")]
CCDCode = Annotated[int, Range(1, 4)]

Stage = Literal["big_rotation_stage", "small_rotation_stage", "translation_stage"]

STAGES = get_args(Stage)
MOTION_TIMEOUT = 600.0
"""Longest time for the stages to arrive [s]."""
POLL_INTERVAL = 1.0
"""Time between two questions whether the stages stand still [s]."""


def stages() -> HuberSMC9300Proxy:
    """Returns the stages of the active Setup (`gse.stages.device`)."""
    return cast(HuberSMC9300Proxy, device("gse.stages"))


def stages_geometry() -> StagesGeometry:
    """Returns the calibration of the stages in the active Setup.

    Raises:
        Abort: when it is not complete.
    """
    try:
        return StagesGeometry.from_setup(GlobalState.setup)
    except ValueError as exc:
        raise Abort(f"The source cannot be pointed: {exc}") from exc


def focal_plane() -> FocalPlane:
    """Returns the focal plane of the camera in the active Setup."""
    return FocalPlane.from_setup(GlobalState.setup)


def get_stage_positions() -> StagePositions:
    """Asks the stages where they are."""
    overview = stages().get_overview()
    return StagePositions(*(float(overview[axis - 1]["position"]) for axis in stages_geometry().axes))


def get_source_position() -> tuple[float, float]:
    """Asks the stages, and returns theta, phi [deg] of the source."""
    return stages_geometry().angles(get_stage_positions())


def get_source_focal_plane_position() -> tuple[float, float]:
    """Asks the stages, and returns where the image of the source is in the focal plane [mm]."""
    return focal_plane().image_of(*get_source_position())


def check_pointing(theta: float, phi: float) -> StagePositions:
    """Returns where the stages have to go for a source at theta, phi [deg].

    Raises:
        Abort: when the way is not free; nothing has moved.
    """
    geometry = stages_geometry()
    try:
        positions = geometry.positions(theta, phi)
        StageLimits.from_setup(GlobalState.setup).check(geometry.axes[0], positions.big_rotation)
    except ValueError as exc:  # AvoidanceError is one
        raise Abort(f"The source cannot be pointed to theta {theta:g} deg, phi {phi:g} deg: {exc}") from exc
    return positions


@building_block
def stages_stop() -> None:
    """Stops the three stages at once."""
    stages().quit()


@building_block
def stages_default_speeds() -> None:
    """Sets the speeds of the stages to those of the Setup (`gse.stages.big_rotation_stage.default_speed`, ...)."""
    huber = stages()
    for axis, name in zip(stages_geometry().axes, STAGES, strict=True):
        speed = value_at(GlobalState.setup, f"gse.stages.{name}.default_speed")
        if speed is not None:
            huber.set_slew_speed(axis, int(speed))


@building_block
@on_abort(stages_stop)
def stages_homing() -> None:
    """Searches the references of the three stages, one after the other."""
    huber = stages()
    for axis in stages_geometry().axes:
        huber.home_forward_direction(axis, 0.0)
        _wait_for_stages()


@building_block
def stages_clear_errors() -> None:
    """Clears the errors of the three stages, once their cause has been seen to."""
    huber = stages()
    for axis in stages_geometry().axes:
        huber.clear_error(axis)


@building_block
@on_abort(stages_stop)
def move_stage(stage: Stage, position: StagePosition) -> None:
    """Moves one stage, whatever that does to the pointing; returns when it is there.

    Args:
        stage: its name in the Setup (`gse.stages`).
        position: where to [deg], of the translation stage [mm].

    Raises:
        Abort: when the hard stop is in the way; nothing has moved.
        HuberError: when a stage has an error; all have been stopped.
    """
    axis = stages_geometry().axes[STAGES.index(stage)]
    try:
        StageLimits.from_setup(GlobalState.setup).check(axis, position)
    except AvoidanceError as exc:
        raise Abort(f"The {stage.replace('_', ' ')} cannot be moved to {position:g}: {exc}") from exc
    _go({axis: position})


@building_block
@on_abort(stages_stop)
def point_source_to_fov(theta: Theta, phi: Phi) -> None:
    """Points the source to field angles; returns when it is there.

    Args:
        theta: distance to the optical axis.
        phi: counter-clockwise from +x of the focal plane.

    Raises:
        Abort: when the way is not free; nothing has moved.
        HuberError: when a stage has an error; all have been stopped.
    """
    _point(theta, phi)


@building_block
@on_abort(stages_stop)
def point_source_to_fp(x: FocalPlanePosition, y: FocalPlanePosition) -> None:
    """Points the source so that its image is at a place in the focal plane; returns when it is there.

    Args:
        x, y: place of the image, with the distortion of the optics.

    Raises:
        Abort, HuberError: as `point_source_to_fov`.
    """
    _point(*focal_plane().source_of(x, y))


@building_block
@on_abort(stages_stop)
def point_source_to_ccd(row: Row, column: Column, ccd_code: CCDCode) -> None:
    """Points the source so that its image is at a place on a CCD; returns when it is there.

    Args:
        row, column: place of the image; whole numbers are the centres of pixels.
        ccd_code: number of the CCD.

    Raises:
        Abort, HuberError: as `point_source_to_fov`.
    """
    plane = focal_plane()
    _point(*plane.source_of(*plane.ccd_to_focal_plane(row, column, ccd_code)))


def _point(theta: float, phi: float) -> None:
    positions = check_pointing(theta, phi)
    _tell(lambda fov: fov.set_commanded_position(theta, phi))
    targets = (positions.big_rotation, positions.small_rotation, positions.translation)
    _go(dict(zip(stages_geometry().axes, targets, strict=True)))
    visit_field_angles(theta, phi, GlobalState.setup)


def _go(targets: dict[int, float]) -> None:
    """Moves stages, by their axes, at the same time; they are stopped when it does not come to a good end."""
    huber = stages()
    try:
        for axis, target in targets.items():
            huber.goto(axis, round(target, 4), wait=False)
        _wait_for_stages()
    except BaseException:  # also Ctrl-C: what moves must not go on moving; it is raised again
        huber.quit()
        raise


def _wait_for_stages() -> None:
    """Waits until all stages stand still; HuberError when one of them has an error then."""
    huber, axes = stages(), stages_geometry().axes
    wait_until(
        lambda: huber.is_in_position(axes[0]),
        timeout=MOTION_TIMEOUT,
        interval=POLL_INTERVAL,
        what="the stages",
    )
    for axis, state in enumerate(huber.get_overview(), start=1):
        if state["error"]:
            error = huber.get_error(axis)
            raise HuberError(
                f"axis {axis} has error {error['number']} ({error['text']}): see to its cause, then stages_clear_errors()"
            )


def _tell(news: Callable[[FOVProxy], None]) -> None:
    """Tells `fov_hk`; pointing does not depend on it."""
    try:
        with FOVProxy(timeout=2.0) as fov:
            news(fov)
    except (ConnectionError, TimeoutError) as exc:
        LOGGER.warning("fov_hk does not know what was commanded, its housekeeping lacks it: %s", exc)
