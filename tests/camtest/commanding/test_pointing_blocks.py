"""Pointing of the source, executed by the real Controllers on their models, on virtual time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

from camtest import GlobalState
from camtest.commanding import csl_gse, mgse
from camtest.core.dryrun import DryRun
from camtest.core.exec import Abort
from camtest.tasks.shared.original import rotation_stage_move, sma_rotation_move
from egse.command import CommandError
from egse.coordinates import FocalPlane
from egse.coordinates.focalplane import PIXEL_SIZE
from egse.fov import FOVProxy
from egse.setup import Setup
from egse.stages.huber.smc9300 import HuberError
from egse.visitedpositions import visit_ccd_position

TENTH = 0.1 * PIXEL_SIZE


def test_pointing_to_field_angles(dry_run: DryRun, assert_sequence: Callable[..., None]) -> None:
    csl_gse.point_source_to_fov(theta=10.0, phi=30.0)
    assert csl_gse.get_source_position() == pytest.approx((10.0, 30.0), abs=1e-3)
    assert_sequence(
        [
            "smc9300_cs.goto(axis=1, position=-29.304, wait=False)",
            "smc9300_cs.goto(axis=2, position=4.498, wait=False)",
            "smc9300_cs.goto(axis=3, position=445.4971, wait=False)",
        ]
    )
    assert 200.0 < dry_run.clock.monotonic() < 600.0
    with FOVProxy() as fov:
        position = fov.get_source_position()
        assert (position["cmd_theta"], position["cmd_phi"]) == (10.0, 30.0)
        assert position["act_theta"] == pytest.approx(10.0, abs=1e-3)
        (visited,) = fov.get_visited_positions()
    assert math.dist(visited, csl_gse.focal_plane().image_of(10.0, 30.0)) < 1e-9


def test_pointing_to_places_and_pixels(dry_run: DryRun) -> None:
    mgse.mgse_initialise()
    mgse.point_source_to_fp(x=-31.0, y=44.0)
    assert math.dist(csl_gse.get_source_focal_plane_position(), (-31.0, 44.0)) < TENTH
    for ccd, (row, column) in {1: (100, 4400), 2: (2000.25, 1517), 3: (4509, 3000), 4: (2254, 2255)}.items():
        mgse.point_source_to_ccd(row=row, column=column, ccd_code=ccd)
        x, y = csl_gse.get_source_focal_plane_position()
        found = csl_gse.focal_plane().focal_plane_to_ccd(x, y)
        assert found == pytest.approx((row, column, ccd), abs=0.1)
    assert mgse.get_source_position() == csl_gse.get_source_position()


def test_the_way_is_checked_before_anything_moves(
    dry_run: DryRun, assert_sequence: Callable[..., None]
) -> None:
    with pytest.raises(Abort, match=r"theta 5 deg, phi 180 deg: axis 1 .* hard stop at 179.316"):
        csl_gse.point_source_to_fov(theta=5.0, phi=180.0)
    with pytest.raises(CommandError, match="theta"):
        csl_gse.point_source_to_fov(theta=60.0, phi=0.0)
    assert_sequence([])


def test_a_stage_with_an_error_stops_all(dry_run: DryRun) -> None:
    mgse.point_source_to_fov(theta=1.0, phi=0.0)
    model: Any = dry_run._shared["smc9300"]
    model.inject("stall", {"axis": 2}, dry_run.clock.monotonic())
    with pytest.raises(HuberError, match="motor stalled"):
        mgse.point_source_to_fov(theta=15.0, phi=90.0)
    assert dry_run.sequence.commands[-1].name == "quit"
    assert not any(axis["moving"] for axis in model.describe()["axes"].values())
    mgse.mgse_initialise()
    mgse.point_source_to_fov(theta=15.0, phi=90.0)
    assert mgse.get_source_position() == pytest.approx((15.0, 90.0), abs=1e-3)


def test_one_stage_alone(dry_run: DryRun, assert_sequence: Callable[..., None]) -> None:
    csl_gse.move_stage(stage="translation_stage", position=120.5)
    sma_rotation_move(angle=-3.0)
    assert_sequence(
        [
            "smc9300_cs.goto(axis=3, position=120.5, wait=False)",
            "smc9300_cs.goto(axis=2, position=-3.0, wait=False)",
        ]
    )
    positions = csl_gse.get_stage_positions()
    assert (positions.small_rotation, positions.translation) == pytest.approx((-3.0, 120.5), abs=1e-3)
    with pytest.raises(Abort, match=r"big rotation stage cannot be moved to 185: axis 1 .* hard stop"):
        rotation_stage_move(angle=185.0)


def test_without_mechanisms(dry_run: DryRun) -> None:
    setup: Setup = GlobalState.setup
    del setup.gse["stages"]
    assert not mgse.pointing_is_possible()
    for block in (
        lambda: mgse.point_source_to_fov(theta=1.0, phi=0.0),
        mgse.mgse_stop,
        mgse.get_source_position,
    ):
        with pytest.raises(Abort, match="nothing that points the source"):
            block()
    if "hexapod" not in setup.gse:
        with pytest.raises(Abort, match="nothing that moves the focal plane"):
            mgse.set_focus(position=0.1)


def test_an_uncalibrated_site(dry_run: DryRun) -> None:
    setup: Setup = GlobalState.setup
    setup.gse.stages.calibration = {}
    with pytest.raises(Abort, match="lacks height_collimated_beam"):
        csl_gse.point_source_to_fov(theta=1.0, phi=0.0)


def test_visits_are_marked_undone_and_forgotten(dry_run: DryRun) -> None:
    setup: Setup = GlobalState.setup
    visit_ccd_position(10, 20, 3, setup)
    visit_ccd_position(11, 20, 3, setup)
    with FOVProxy() as fov:
        places = fov.get_visited_positions()
        assert FocalPlane.from_setup(setup).focal_plane_to_ccd(*places[0]) == pytest.approx((10, 20, 3))
        fov.undo_visit()
        assert fov.get_visited_positions() == places[:1]
        fov.clear_visited_positions()
        assert fov.get_visited_positions() == []
