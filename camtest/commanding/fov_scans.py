"""Measurements with the source at many places of the field: single positions, dithers, FOV scans, circles, Hartmann, focus sweeps.

At each place the source is pointed, and the rows around its image on its CCD are read, four times a cycle. All places are looked at
before the first motion: one that cannot be reached, or whose image is beside the CCDs, ends the measurement before it begins.
The camera is in DUMP mode before and after. The images are measured by `camtest.analysis.scans`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from camtest.commanding import dpu, mgse
from camtest.commanding.csl_gse import Phi, Theta
from camtest.commanding.dpu import LAST_IMAGE_ROW, CCDSide
from camtest.core.exec import Abort, building_block
from camtest.state import GlobalState
from egse.command import Range, Unit
from egse.coordinates.focalplane import COLUMNS, ROWS
from egse.setup.paths import value_at

LOGGER = logging.getLogger(__name__)

NumCycles = Annotated[int, Range(1, 1000)]
HalfHeight = Annotated[int, Range(10, ROWS // 2), Unit("row")]
DitherSize = Annotated[int, Range(1, 25)]
DitherStep = Annotated[float, Range(0.01, 100), Unit("pixel")]
NumPositions = Annotated[int, Range(1, 360)]
FocusStep = Annotated[float, Range(0.001, 5), Unit("mm")]
Angles = tuple[float, float]

SEAM = 100
"""Both sides of a CCD are read when the image is so near to the seam between them [columns]."""


@dataclass(frozen=True)
class Place:
    """A place of the source, and where its image is.

    Attributes:
        theta, phi: field angles [deg].
        row, column: of the image on its CCD [pixels].
        ccd: number of the CCD.
    """

    theta: float
    phi: float
    row: float
    column: float
    ccd: int

    @property
    def side(self) -> CCDSide:
        """Which sides of the CCD have to be read."""
        if abs(self.column - COLUMNS / 2) < SEAM:
            return "BOTH"
        half = "left" if self.column < COLUMNS / 2 else "right"
        left = value_at(GlobalState.setup, "camera.fee.ccd_sides.left", "F")
        return "F" if (half == "left") == (left == "F") else "E"


def place_at(theta: float, phi: float) -> Place:
    """Returns the place of the image of a source at theta, phi [deg].

    Raises:
        Abort: when it is beside the CCDs, or the source cannot be pointed there.
    """
    mgse.check_pointing(theta, phi)
    plane = mgse.focal_plane()
    row, column, ccd = plane.focal_plane_to_ccd(*plane.image_of(theta, phi))
    if row is None or column is None or ccd is None:
        raise Abort(f"The image of a source at theta {theta:g} deg, phi {phi:g} deg is beside the CCDs")
    return Place(theta, phi, row, column, ccd)


def dither_offsets(num: int, step: float) -> list[tuple[float, float]]:
    """Returns a square of offsets around a place, line by line, to and fro, so that each step is a short one.

    Args:
        num: points in each direction.
        step: distance of neighbours [pixels].

    Returns:
        Rows and columns to add [pixels].
    """
    line = [step * (index - (num - 1) / 2) for index in range(num)]
    return [(y, x) for index, y in enumerate(line) for x in (line if index % 2 == 0 else line[::-1])]


def dithered(centre: Place, num: int, step: float) -> list[Place]:
    """Returns the places of a dither around a place.

    Raises:
        Abort: when one of them cannot be measured.
    """
    plane = mgse.focal_plane()
    offsets = dither_offsets(num, step)
    points = [plane.ccd_to_focal_plane(centre.row + y, centre.column + x, centre.ccd) for y, x in offsets]
    return places(plane.source_of(*point) for point in points)


def places(angles: Iterable[Sequence[float]]) -> list[Place]:
    """Returns the places of sources.

    Args:
        angles: theta, phi [deg] of each.

    Raises:
        Abort: when one or more cannot be measured; the text has all of them.
    """
    found, problems = [], []
    for theta, phi in angles:
        try:
            found.append(place_at(theta, phi))
        except Abort as exc:
            problems.append(str(exc))
    if problems:
        raise Abort("\n".join(problems))
    return found


def circle_angles(theta: float, num_positions: int, first_phi: float = 0.0) -> list[Angles]:
    """Returns places on a circle around the optical axis, evenly spread: theta, phi [deg], phi in [-180, 180)."""
    steps = (first_phi + 360.0 * index / num_positions for index in range(num_positions))
    return [(theta, (phi + 180.0) % 360.0 - 180.0) for phi in steps]


def reference_positions() -> list[Angles]:
    """Returns the reference positions of the Setup (`fov_positions.reference_full_40`, [mm]) as theta, phi [deg].

    Raises:
        Abort: when it has none.
    """
    x, y = (value_at(GlobalState.setup, f"fov_positions.reference_full_40.{axis}", []) for axis in "xy")
    if not x or len(x) != len(y):
        raise Abort("The Setup has no reference positions (fov_positions.reference_full_40.x and .y)")
    plane = mgse.focal_plane()
    return [plane.source_of(float(a), float(b)) for a, b in zip(x, y)]


def _measure(points: Sequence[Place], num_cycles: int, half_height: int) -> None:
    for number, place in enumerate(points, start=1):
        LOGGER.info(
            "Position %d of %d: theta %.4f deg, phi %.4f deg", number, len(points), place.theta, place.phi
        )
        mgse.point_source_to_fov(theta=place.theta, phi=place.phi)
        acquire_spot(
            row=place.row,
            ccd_code=place.ccd,
            ccd_side=place.side,
            num_cycles=num_cycles,
            half_height=half_height,
        )


@building_block
def acquire_spot(
    row: Annotated[float, Range(0, ROWS - 1), Unit("row")],
    ccd_code: Annotated[int, Range(1, 4)],
    ccd_side: CCDSide,
    num_cycles: NumCycles,
    half_height: HalfHeight,
) -> None:
    """Reads the rows around a place on a CCD, at all four pulses of the cycle.

    Args:
        row: the row in the middle.
        ccd_code: number of the CCD.
        ccd_side: which side is recorded.
        num_cycles: number of cycles.
        half_height: rows on either side of it.
    """
    dpu.n_cam_acquire_and_dump(
        num_cycles=num_cycles,
        row_start=max(0, round(row) - half_height),
        row_end=min(LAST_IMAGE_ROW, round(row) + half_height),
        rows_final_dump=ROWS,
        ccd_order=[ccd_code] * 4,
        ccd_side=ccd_side,
    )


@building_block
def single_position(theta: Theta, phi: Phi, num_cycles: NumCycles, half_height: HalfHeight) -> None:
    """Takes images of the source at one place.

    Args:
        theta: distance to the optical axis.
        phi: counter-clockwise from +x of the focal plane.
        num_cycles: number of cycles.
        half_height: rows on either side of the image that are read.
    """
    _measure(places([(theta, phi)]), num_cycles, half_height)


@building_block
def dither(
    theta: Theta, phi: Phi, num: DitherSize, step: DitherStep, num_cycles: NumCycles, half_height: HalfHeight
) -> None:
    """Takes images of the source in a square of places around one.

    Args:
        theta: distance to the optical axis of the place in the middle.
        phi: counter-clockwise from +x of the focal plane.
        num: places in each direction, 5 for 5 x 5.
        step: distance of neighbours.
        num_cycles: number of cycles at each place.
        half_height: rows on either side of the image that are read.
    """
    _measure(dithered(place_at(theta, phi), num, step), num_cycles, half_height)


@building_block
def fov_scan(
    positions: list[list[float]],
    num: DitherSize,
    step: DitherStep,
    num_cycles: NumCycles,
    half_height: HalfHeight,
) -> None:
    """Takes images of the source at many places, a dither around each.

    Args:
        positions: theta, phi [deg] of each.
        num: places of the dither in each direction; 1 for none.
        step: distance of neighbours.
        num_cycles: number of cycles at each place.
        half_height: rows on either side of the image that are read.
    """
    points = [point for centre in places(positions) for point in dithered(centre, num, step)]
    _measure(points, num_cycles, half_height)


@building_block
def circle(
    theta: Theta, num_positions: NumPositions, first_phi: Phi, num_cycles: NumCycles, half_height: HalfHeight
) -> None:
    """Takes images of the source on a circle around the optical axis.

    Args:
        theta: radius of the circle.
        num_positions: number of places.
        first_phi: phi of the first one.
        num_cycles: number of cycles at each place.
        half_height: rows on either side of the image that are read.
    """
    _measure(places(circle_angles(theta, num_positions, first_phi)), num_cycles, half_height)


@building_block
def hartmann(
    theta: Theta,
    num_positions: NumPositions,
    first_phi: Phi,
    defocus: FocusStep,
    num_cycles: NumCycles,
    half_height: HalfHeight,
) -> None:
    """Takes images through the Hartmann mask on a circle, on both sides of the focus; the focus is as before in the end.

    Args:
        theta: radius of the circle.
        num_positions: number of places.
        first_phi: phi of the first one.
        defocus: distance from the present focus, before and behind it.
        num_cycles: number of cycles at each place and focus.
        half_height: rows on either side of the image that are read.
    """
    points = places(circle_angles(theta, num_positions, first_phi))
    focus = mgse.get_focus()
    try:
        for position in (focus - defocus, focus + defocus):
            mgse.set_focus(position=position)
            _measure(points, num_cycles, half_height)
    finally:
        mgse.set_focus(position=focus)


@building_block
def focus_sweep(
    theta: Theta, phi: Phi, positions: list[float], num_cycles: NumCycles, half_height: HalfHeight
) -> None:
    """Takes images of the source at one place while the focus goes through positions; it is as before in the end.

    Args:
        theta: distance to the optical axis.
        phi: counter-clockwise from +x of the focal plane.
        positions: of the focus [mm], relative to the present one.
        num_cycles: number of cycles at each of them.
        half_height: rows on either side of the image that are read.
    """
    place = place_at(theta, phi)
    focus = mgse.get_focus()
    mgse.point_source_to_fov(theta=theta, phi=phi)
    try:
        for position in positions:
            mgse.set_focus(position=focus + position)
            acquire_spot(
                row=place.row,
                ccd_code=place.ccd,
                ccd_side=place.side,
                num_cycles=num_cycles,
                half_height=half_height,
            )
    finally:
        mgse.set_focus(position=focus)
