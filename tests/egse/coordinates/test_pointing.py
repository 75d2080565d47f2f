"""From field angles to the stages and back, and what must not be hit."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egse.coordinates import (
    AvoidanceError,
    AvoidanceVolume,
    FocalPlane,
    StageLimits,
    StagePositions,
    StagesGeometry,
)
from egse.coordinates.focalplane import PIXEL_SIZE
from egse.setup import Setup

GEOMETRY = StagesGeometry()
PLANE = FocalPlane()
ENCODER_STEP = 1e-4


@given(st.floats(0, 19), st.floats(-720, 720))
def test_there_and_back_with_the_resolution_of_the_stages(theta: float, phi: float) -> None:
    """Angles -> stages, rounded as they are commanded -> angles: the image stays within 0.1 pixel."""
    wanted = GEOMETRY.positions(theta, phi)
    real = StagePositions(
        *(round(value, 4) for value in (wanted.big_rotation, wanted.small_rotation, wanted.translation))
    )
    again = GEOMETRY.angles(real)
    assert abs(wanted.big_rotation) <= 180.5
    distance = math.dist(PLANE.image_of(*again), PLANE.image_of(theta, phi))
    assert distance < PIXEL_SIZE * 0.1
    assert GEOMETRY.angles(wanted)[0] == pytest.approx(theta, abs=1e-9)
    assert math.dist(PLANE.image_of(*GEOMETRY.angles(wanted)), PLANE.image_of(theta, phi)) < 1e-6


def test_directions() -> None:
    plain = StagesGeometry(513.0, 0.0, 0.0, 0.0, (1.0, 0.0), (1.0, 0.0), (0.0, 1.0, 0.0))
    assert plain.positions(10.0, 30.0).big_rotation == -30.0
    assert plain.positions(10.0, 30.0).small_rotation == 5.0
    assert plain.positions(45.0, 0.0).translation == pytest.approx(513.0)
    assert plain.angles(StagePositions(-30.0, 5.0, 90.0)) == pytest.approx((10.0, 30.0))
    assert plain.angles(StagePositions(0.0, -5.0, 0.0)) == pytest.approx((10.0, 180.0)), "beyond the axis"
    with pytest.raises(ValueError, match="theta"):
        plain.positions(-1.0, 0.0)


def test_the_beam_hits_the_pupil_when_the_translation_stage_is_right() -> None:
    positions = GEOMETRY.positions(12.0, 0.0)
    assert GEOMETRY.illumination(positions) == 1.0
    shares = [
        GEOMETRY.illumination(
            StagePositions(positions.big_rotation, positions.small_rotation, positions.translation + miss)
        )
        for miss in (30.0, 100.0, 200.0)
    ]
    assert shares == pytest.approx([1.0, 0.5, 0.0])


def test_the_defaults_are_those_of_the_sandbox(camtest_setup: Setup) -> None:
    assert StagesGeometry.from_setup(camtest_setup) == GEOMETRY
    assert StageLimits.from_setup(camtest_setup) == StageLimits()
    assert FocalPlane.from_setup(camtest_setup) == FocalPlane()


def test_a_calibration_that_is_not_complete(camtest_setup: Setup) -> None:
    with pytest.raises(ValueError, match="lacks height_collimated_beam, offset_phi"):
        StagesGeometry.from_setup({})
    camtest_setup.gse.stages.calibration.alpha_correction_coefficients = [0.0, 1.0]
    with pytest.raises(ValueError, match="alpha_correction_coefficients must be two numbers"):
        StagesGeometry.from_setup(camtest_setup)


def test_ids_of_the_stages_of_csl(camtest_setup: Setup) -> None:
    camtest_setup.gse.stages.SMALL_ROTATION_STAGE_ID = 3
    camtest_setup.gse.stages.TRANSLATION_STAGE_ID = 2
    assert StagesGeometry.from_setup(camtest_setup).axes == (1, 3, 2)


def shift(x: float = 0.0, y: float = 0.0, z: float = 0.0, tilt: float = 0.0) -> list[list[float]]:
    cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    return [[1, 0, 0, x], [0, cos, -sin, y], [0, sin, cos, z], [0, 0, 0, 1]]


def test_the_volume_around_the_focal_plane() -> None:
    assert AvoidanceVolume.from_setup({}) is None
    volume = AvoidanceVolume.from_setup(
        {"camera": {"fpa": {"avoidance": {"clearance_xy": 3, "clearance_z": 2}}}}
    )
    assert volume is not None
    assert len(volume.vertices()) == 60
    volume.check(shift(x=2.9, z=-1.9))
    for motion, way in (
        (shift(x=2.2, y=2.2), "3.111 mm across"),
        (shift(z=-2.1), "2.100 mm along"),
        (shift(tilt=2.0), "3.490 mm along"),
    ):
        with pytest.raises(AvoidanceError, match=way):
            volume.check(motion)
    with pytest.raises(ValueError, match="4 rows"):
        volume.check([[1, 0], [0, 1]])
