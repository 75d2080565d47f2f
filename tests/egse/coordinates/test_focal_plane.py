"""Focal plane, CCDs, field angles, distortion: the frames of the references, and there and back to 0.1 pixel."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import egse.coordinates as coordinates
from egse.coordinates import FocalPlane
from egse.coordinates.focalplane import DISTORTION, INVERSE_DISTORTION, PIXEL_SIZE
from egse.fits import CameraFacts
from egse.fits.cards import Cards
from egse.fits.headers import add_focal_plane
from egse.setup import Setup

FOCAL_LENGTH = 247.52
TENTH = 0.1 * PIXEL_SIZE

PLANE = FocalPlane()


@pytest.mark.parametrize(
    ("ccd", "quadrant", "x_direction", "y_direction"),
    [
        (1, (-1, 1), (-1, 0), (0, -1)),
        (2, (-1, -1), (0, -1), (1, 0)),
        (3, (1, -1), (1, 0), (0, 1)),
        (4, (1, 1), (0, 1), (-1, 0)),
    ],
)
def test_the_frames_of_the_reference(
    ccd: int, quadrant: tuple[int, int], x_direction: tuple[int, int], y_direction: tuple[int, int]
) -> None:
    """FEE operations reference, section 4: where each CCD is, and which way its columns and rows go."""
    x, y = PLANE.ccd_to_focal_plane(2254.5, 2254.5, ccd)
    assert (math.copysign(1, x), math.copysign(1, y)) == quadrant
    along_x = PLANE.ccd_to_focal_plane(2254.5, 2255.5, ccd)
    along_y = PLANE.ccd_to_focal_plane(2255.5, 2254.5, ccd)
    assert (along_x[0] - x, along_x[1] - y) == pytest.approx([PIXEL_SIZE * d for d in x_direction], abs=1e-9)
    assert (along_y[0] - x, along_y[1] - y) == pytest.approx([PIXEL_SIZE * d for d in y_direction], abs=1e-9)


@given(st.floats(-0.49, 4509.49), st.floats(-0.49, 4509.49), st.sampled_from([1, 2, 3, 4]))
def test_pixels_there_and_back(row: float, column: float, ccd: int) -> None:
    found = PLANE.focal_plane_to_ccd(*PLANE.ccd_to_focal_plane(row, column, ccd))
    assert found == pytest.approx((row, column, ccd), abs=1e-6)


@given(st.floats(0, 19), st.floats(-180, 180))
def test_angles_there_and_back(theta: float, phi: float) -> None:
    x, y = PLANE.image_of(theta, phi)
    again = PLANE.source_of(x, y)
    assert PLANE.image_of(*again) == pytest.approx((x, y), abs=1e-9)
    assert again[0] == pytest.approx(theta, abs=1e-9)


@given(st.floats(0, 18.8), st.floats(-180, 180))
def test_the_polynomial_of_the_way_back_is_good_to_a_tenth_of_a_pixel(theta: float, phi: float) -> None:
    x, y = coordinates.angles_to_focal_plane_coordinates(theta, phi, {})
    there = coordinates.undistorted_to_distorted_focal_plane_coordinates(x, y, DISTORTION, FOCAL_LENGTH)
    back = coordinates.distorted_to_undistorted_focal_plane_coordinates(
        *there, INVERSE_DISTORTION, FOCAL_LENGTH
    )
    assert math.dist(back, (x, y)) < TENTH
    assert math.dist(PLANE.undistorted(*there), (x, y)) < 1e-9
    assert coordinates.focal_plane_coordinates_to_angles(x, y, {})[0] == pytest.approx(theta, abs=1e-9)


def test_figures() -> None:
    assert coordinates.focal_plane_coordinates_to_angles(FOCAL_LENGTH, 0.0, {}) == pytest.approx((45.0, 0.0))
    assert coordinates.focal_plane_coordinates_to_angles(0.0, -1.0, {})[1] == -90.0
    assert coordinates.undistorted_to_distorted_focal_plane_coordinates(
        FOCAL_LENGTH, 0.0, [0.1, 0.0, 0.0], FOCAL_LENGTH
    ) == pytest.approx((1.1 * FOCAL_LENGTH, 0.0))
    assert coordinates.focal_plane_to_ccd_coordinates(0.0, 0.0, {}) == (None, None, None), "between the CCDs"
    assert coordinates.focal_plane_to_ccd_coordinates(200.0, 0.0, {}) == (None, None, None)
    with pytest.raises(ValueError, match="1 to 4, not 5"):
        coordinates.ccd_to_focal_plane_coordinates(0, 0, 5, {})


@pytest.mark.parametrize("ccd", [1, 2, 3, 4])
@pytest.mark.parametrize("side", ["E", "F"])
def test_the_same_place_as_in_the_fits_files(ccd: int, side: str, camtest_setup: Setup) -> None:
    """What the keywords of an IMAGE extension say of a pixel is what `ccd_to_focal_plane_coordinates` says."""
    keys: Any = Cards()
    add_focal_plane(keys, CameraFacts.from_setup(camtest_setup), ccd, side, 2255, 1000)
    column, row = 17.0, 250.0  # FITS counts pixels from 1
    dx, dy = column + 1 - keys["CRPIX1"], row + 1 - keys["CRPIX2"]
    x = keys["CRVAL1"] + keys["CD1_1"] * dx + keys["CD1_2"] * dy
    y = keys["CRVAL2"] + keys["CD2_1"] * dx + keys["CD2_2"] * dy
    first = 2255 if side == "E" else 0
    assert (x, y) == pytest.approx(
        coordinates.ccd_to_focal_plane_coordinates(1000 + row, first + column, ccd, camtest_setup), abs=1e-6
    )


def test_without_a_setup_the_one_of_the_session_counts(
    monkeypatch: pytest.MonkeyPatch, camtest_setup: Setup
) -> None:
    monkeypatch.setattr("egse.coordinates.focalplane._loaded", None)
    monkeypatch.setattr("egse.coordinates.focalplane.get_setup", lambda: camtest_setup)
    camtest_setup.camera.fov.focal_length = 100.0
    assert coordinates.focal_plane_coordinates_to_angles(100.0, 0.0)[0] == pytest.approx(45.0)
