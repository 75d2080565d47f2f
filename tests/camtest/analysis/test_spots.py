"""Pointing seen by the simulated camera: angles -> stages -> pixels -> angles to 0.1 pixel; the width follows the focus."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from camtest.analysis.spots import best_focus, find_spot
from camtest.commanding import csl_gse
from camtest.core.dryrun import DryRun
from egse.coordinates import FocalPlane, StagesGeometry
from egse.coordinates.focalplane import PIXEL_SIZE
from egse.fee import NUMBERINGS, FrameLayout
from egse.fee.follow import follow_hexapod, follow_stages
from egse.fee.frame import Frame, plan_chunks
from egse.fee.light import Exposure
from egse.fee.model import NFEEModel
from egse.fee.n_fee_sim import make_model
from egse.fee.source import spot_width
from egse.h5 import SideImage, sides_in_frame
from egse.stages.huber.smc9300 import HuberSMC9300Simulator

PLANE = FocalPlane()
GEOMETRY = StagesGeometry()
MARGIN = 100
RIGHT = {"fm": "E", "pfm": "E", "em": "F"}


def take(model: NFEEModel, ccd: int, row: float, seconds: float = 20.0) -> list[SideImage]:
    """One readout of rows around a place, both sides, from the packets of the simulated camera."""
    first = min(max(0, round(row) - MARGIN), 4509 - 2 * MARGIN)
    fields = {"v_start": first, "v_end": first + 2 * MARGIN, "h_end": 2294, "sensor_sel": 3}
    layout = FrameLayout(fields["v_start"], fields["v_end"])
    numbering = NUMBERINGS[model.camera]
    code = numbering.id_to_bin[ccd]
    frame = Frame(layout, 5, 1, 7, Exposure(code, 9, seconds, model.light_level), model._pixel_source())
    packets = [
        np.frombuffer(packet, np.uint8) for chunk in plan_chunks(layout) for packet in frame.packets(chunk)
    ]
    return sides_in_frame(packets, fields, numbering.bin_to_id, model.camera == "em")


@pytest.mark.parametrize(
    ("theta", "phi"), [(2.0, 45.0), (8.5, 137.0), (12.0, -160.0), (14.2, -30.5), (18.0, 170.0), (10.0, 135.0)]
)
def test_pointing_there_and_back_to_a_tenth_of_a_pixel(dry_run: DryRun, theta: float, phi: float) -> None:
    """Building block, stages, simulated camera, image, measured centre: the field angles are those commanded."""
    csl_gse.point_source_to_fov(theta=theta, phi=phi)
    model = make_model("fm", seed=1)
    stages: Any = dry_run._shared["smc9300"]
    follow_stages(model, GEOMETRY, stages.describe())
    assert model.source is not None
    assert model.source.light == 1.0
    row, column, ccd = PLANE.focal_plane_to_ccd(*PLANE.image_of(theta, phi))
    assert row is not None
    spot = find_spot(take(model, ccd, row), ccd)
    assert spot is not None
    assert math.hypot(spot.row - row, spot.column - column) < 0.1
    measured = spot.field_angles(PLANE)
    assert math.dist(PLANE.image_of(*measured), PLANE.image_of(theta, phi)) < 0.1 * PIXEL_SIZE
    assert measured[0] == pytest.approx(theta, abs=0.0005)


@pytest.mark.parametrize("camera", ["em", "pfm", "fm"])
@pytest.mark.parametrize("column", [10.3, 2252.0, 2254.5, 2256.8, 4499.9])
def test_any_camera_and_either_side(camera: str, column: float) -> None:
    model = make_model(camera, seed=1)
    for ccd in (1, 3):
        model.point_source_at(*PLANE.source_of(*PLANE.ccd_to_focal_plane(3000.4, column, ccd)))
        spot = find_spot(take(model, ccd, 3000.4), ccd, RIGHT[camera])
        assert spot is not None
        assert (spot.row, spot.column) == pytest.approx((3000.4, column), abs=0.05)
        other = find_spot(take(model, 4, 3000.4), 4, RIGHT[camera])
        assert other is None, "nothing is seen on another CCD"


def test_light_and_beam(dry_run: DryRun) -> None:
    model = make_model("fm", seed=1)
    place = PLANE.source_of(*PLANE.ccd_to_focal_plane(1000.0, 1000.0, 2))
    model.point_source_at(*place)
    bright = find_spot(take(model, 2, 1000), 2)
    model.point_source_at(*place, 0.25)
    dim = find_spot(take(model, 2, 1000), 2)
    assert bright is not None
    assert dim is not None
    assert dim.flux / bright.flux == pytest.approx(0.25, rel=0.02)
    model.light_level = 0.0
    assert find_spot(take(model, 2, 1000), 2) is None
    with HuberSMC9300Simulator() as huber:
        follow_stages(model, GEOMETRY, huber.model.describe())
    assert model.source is not None
    assert model.source.light == 0.0, "with the stages at rest the beam misses the camera"


def test_the_star_field_is_there_until_a_source_is(dry_run: DryRun) -> None:
    model = make_model("fm", seed=1)
    before = find_spot(take(model, 1, 500), 1)
    assert before is not None
    model.point_source_at(5.0, 20.0)
    assert find_spot(take(model, 1, 500), 1) is None


def test_the_width_follows_the_focus() -> None:
    model = make_model("fm", seed=1)
    model.best_focus = 0.13
    row, column, ccd = 2000.0, 1500.0, 3
    model.point_source_at(*PLANE.source_of(*PLANE.ccd_to_focal_plane(row, column, ccd)))
    positions = [-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6, 0.8]
    widths = []
    for position in positions:
        follow_hexapod(model, {"user": [0.0, 0.0, position, 0.0, 0.0, 0.0]})
        spot = find_spot(take(model, ccd, row), ccd)
        assert spot is not None
        assert spot.width == pytest.approx(spot_width(position - 0.13, PIXEL_SIZE), rel=0.03)
        widths.append(spot.width)
    position, width = best_focus(positions, widths)
    assert position == pytest.approx(0.13, abs=0.01)
    assert width == pytest.approx(1.1, abs=0.15)


def test_a_focus_that_cannot_be_found() -> None:
    with pytest.raises(ValueError, match="three different"):
        best_focus([0.0, 0.1, 0.1], [1, 2, 2])
    with pytest.raises(ValueError, match="no minimum"):
        best_focus([0.0, 0.1, 0.2], [1.0, 2.0, 1.0])


def test_a_model_that_makes_its_detector_late_shows_the_source_too() -> None:
    model = NFEEModel("fm", seed=3)
    model.point_source_at(*PLANE.source_of(*PLANE.ccd_to_focal_plane(800.0, 900.0, 4)))
    spot = find_spot(take(model, 4, 800.0), 4)
    assert spot is not None
    assert (spot.row, spot.column) == pytest.approx((800.0, 900.0), abs=0.05)
