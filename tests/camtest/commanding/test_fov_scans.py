"""Scans of the field, executed by the real Controllers on their models, on virtual time."""

from __future__ import annotations

import itertools
import math

import pytest

from camtest import GlobalState
from camtest.commanding import csl_gse, dpu, fov_scans, mgse
from camtest.core.dryrun import DryRun
from camtest.core.exec import Abort


@pytest.fixture
def camera(dry_run: DryRun) -> DryRun:
    """In DUMP mode."""
    dpu.n_fee_to_standby_mode()
    dpu.n_fee_to_dump_mode()
    return dry_run


def calls(run: DryRun, name: str) -> list[dict[str, object]]:
    return [entry.arguments for entry in run.sequence.walk() if entry.name == name]


def test_offsets_of_a_dither() -> None:
    offsets = fov_scans.dither_offsets(5, 0.2)
    assert len(set(offsets)) == 25
    assert offsets[0] == pytest.approx((-0.4, -0.4))
    assert (0.0, 0.0) in offsets
    steps = [math.dist(one, two) for one, two in itertools.pairwise(offsets)]
    assert steps == pytest.approx([0.2] * 24), "each step is a short one"
    assert fov_scans.dither_offsets(1, 3.0) == [(0.0, 0.0)]


def test_a_dither_goes_to_every_point_and_reads_the_rows_around_it(camera: DryRun) -> None:
    fov_scans.dither(theta=8.3, phi=45.0, num=2, step=2.0, num_cycles=1, half_height=50)
    commanded = calls(camera, "set_commanded_position")
    plane = csl_gse.focal_plane()
    pixels = [plane.focal_plane_to_ccd(*plane.image_of(c["theta"], c["phi"])) for c in commanded]  # type: ignore[arg-type]
    assert len(pixels) == 4
    row, column, ccd = plane.focal_plane_to_ccd(*plane.image_of(8.3, 45.0))
    assert ccd == 4
    assert sorted((round(r - row, 6), round(c - column, 6)) for r, c, _ in pixels) == [  # type: ignore[operator]
        (-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0),
    ]  # fmt: skip
    readouts = calls(camera, "n_fee_set_full_image_mode")
    assert len(readouts) == 4
    assert readouts[0]["ccd_order"] == [4, 4, 4, 4]
    assert readouts[0]["row_start"] == round(pixels[0][0]) - 50  # type: ignore[arg-type]
    assert readouts[0]["ccd_side"] == fov_scans.place_at(8.3, 45.0).side
    assert dpu.n_fee_is_dump_mode()


def test_an_fov_scan_is_checked_before_the_first_motion(camera: DryRun) -> None:
    with pytest.raises(Abort) as caught:
        fov_scans.fov_scan(
            positions=[[5.0, 45.0], [0.0, 0.0], [10.0, 180.0]], num=1, step=1.0, num_cycles=1, half_height=20
        )
    assert "beside the CCDs" in str(caught.value)
    assert "hard stop" in str(caught.value)
    assert not calls(camera, "goto")
    fov_scans.fov_scan(positions=[[5.0, 45.0], [6.0, -45.0]], num=1, step=1.0, num_cycles=1, half_height=20)
    assert [order["ccd_order"] for order in calls(camera, "n_fee_set_full_image_mode")] == [[4] * 4, [3] * 4]


def test_circles_and_single_positions(camera: DryRun) -> None:
    angles = fov_scans.circle_angles(10.0, 4, 20.0)
    assert [phi for _, phi in angles] == pytest.approx([20.0, 110.0, -160.0, -70.0])
    fov_scans.circle(theta=10.0, num_positions=4, first_phi=20.0, num_cycles=1, half_height=20)
    assert [order["ccd_order"][0] for order in calls(camera, "n_fee_set_full_image_mode")] == [4, 1, 2, 3]  # type: ignore[index]
    fov_scans.single_position(theta=3.0, phi=45.0, num_cycles=2, half_height=20)
    assert calls(camera, "n_fee_set_full_image_mode")[-1]["num_cycles"] == 2


def test_sides(dry_run: DryRun) -> None:
    def side(column: float) -> str:
        return fov_scans.Place(1.0, 1.0, 100.0, column, 1).side

    assert (side(100), side(4400), side(2250)) == ("F", "E", "BOTH")
    GlobalState.setup.camera.fee.ccd_sides.left = "E"
    assert (side(100), side(4400)) == ("E", "F")


def test_reference_positions(dry_run: DryRun) -> None:
    with pytest.raises(Abort, match="no reference positions"):
        fov_scans.reference_positions()
    GlobalState.setup.fov_positions = {"reference_full_40": {"x": [10.0, -20.0], "y": [5.0, 5.0]}}
    (theta, phi), _ = fov_scans.reference_positions()
    assert csl_gse.focal_plane().image_of(theta, phi) == pytest.approx((10.0, 5.0))


class Hexapod:
    """A stand-in for the hexapod: there at once."""

    def __init__(self) -> None:
        self.positions = [0.1, 0.0, 0.25, 0.0, 0.0, 0.0]
        self.visited: list[float] = []
        self.homed = False

    def is_homing_done(self) -> bool:
        return self.homed

    def homing(self) -> None:
        self.homed = True

    def activate_control_loop(self) -> None:
        assert self.homed

    def get_user_positions(self) -> list[float]:
        return list(self.positions)

    def move_absolute(self, tx: float, ty: float, tz: float, rx: float, ry: float, rz: float) -> None:
        self.positions = [tx, ty, tz, rx, ry, rz]
        self.visited.append(tz)

    def is_in_position(self) -> bool:
        return True


@pytest.fixture
def hexapod(monkeypatch: pytest.MonkeyPatch) -> Hexapod:
    found = Hexapod()
    device = mgse.device
    monkeypatch.setattr(mgse, "device", lambda path: found if path == "gse.hexapod" else device(path))
    GlobalState.setup.gse.hexapod = {"device": "the stand-in"}
    return found


def test_a_focus_sweep_ends_where_it_began(camera: DryRun, hexapod: Hexapod) -> None:
    with pytest.raises(Abort, match="not homed"):
        mgse.set_focus(position=0.1)
    mgse.mgse_initialise_focus()
    fov_scans.focus_sweep(theta=5.0, phi=45.0, positions=[-0.2, 0.0, 0.2], num_cycles=1, half_height=20)
    assert hexapod.visited == pytest.approx([0.05, 0.25, 0.45, 0.25])
    assert hexapod.positions[0] == 0.1, "the other coordinates stay"
    assert len(calls(camera, "n_fee_set_full_image_mode")) == 3
    hexapod.visited.clear()
    fov_scans.hartmann(theta=5.0, num_positions=2, first_phi=45.0, defocus=0.2, num_cycles=1, half_height=20)
    assert hexapod.visited == pytest.approx([0.05, 0.45, 0.25])
    assert len(calls(camera, "n_fee_set_full_image_mode")) == 7


def test_the_focal_plane_does_not_leave_its_volume(camera: DryRun, hexapod: Hexapod) -> None:
    mgse.mgse_initialise_focus()
    with pytest.raises(Abort, match=r"2\.500 mm along the optical axis"):
        mgse.set_focus(position=2.5)
    assert not hexapod.visited


def test_focus_needs_something_that_moves_the_focal_plane(camera: DryRun) -> None:
    GlobalState.setup.gse.pop("hexapod", None)
    with pytest.raises(Abort, match="moves the focal plane"):
        fov_scans.focus_sweep(theta=5.0, phi=45.0, positions=[0.0], num_cycles=1, half_height=20)
    assert not calls(camera, "goto")
