"""Trees of reference frames: passive and active transformations, moves, links, and their text in a Setup."""

from __future__ import annotations

import numpy as np
import pytest

from egse.coordinates.frames import FrameError, ReferenceFrame, frames_from, frames_to
from egse.coordinates.rotations import from_vector

MODEL = {
    "camera": {"parent": "table", "translation": [10.0, 0.0, 0.0], "rotation": [0.0, 0.0, 90.0]},
    "lab": {},
    "table": {"parent": "lab", "translation": [0.0, 0.0, 850.0], "rotation": [0.0, 0.0, 0.0]},
    "cube": {
        "parent": "lab",
        "translation": [1.0, 2.0, 3.0],
        "rotation": [5.0, 6.0, 7.0],
        "links": ["camera"],
    },
}


@pytest.fixture
def lab() -> ReferenceFrame:
    return frames_from(MODEL)


def test_passive_transformation_takes_coordinates_along(lab: ReferenceFrame) -> None:
    camera = lab["camera"]
    assert camera.coordinates_in(lab, [1, 0, 0]) == pytest.approx([10, 1, 850])
    assert lab.coordinates_in(camera, [10, 1, 850]) == pytest.approx([1, 0, 0])
    assert camera.vector_in(lab) == pytest.approx([10, 0, 850, 0, 0, 90])
    assert camera.transformation_to(camera) == pytest.approx(np.eye(4))


def test_active_transformation_brings_a_frame_onto_another(lab: ReferenceFrame) -> None:
    camera, cube = lab["camera"], lab["cube"]
    motion = camera.motion_to(cube)
    camera.unlink(cube)
    camera.put(camera.placement @ motion)
    assert camera.transformation_to(cube) == pytest.approx(np.eye(4))


def test_the_hexapod_frames_of_the_golden_values() -> None:
    """Section 1.6 of the device reference: reported user position = U^-1 P O."""
    machine = ReferenceFrame("machine")
    user = machine.child("user", (-2, -2, -2), (-3, -4, -5))
    platform = machine.child("platform")
    thing = platform.child("object", (0, 0, 3), (30, 30, 0))
    golden = [2.162432, 1.909327, 4.967732, 34.010087, 33.658846, 7.221377]
    assert thing.vector_in(user) == pytest.approx(golden, abs=1e-5)


def test_what_is_linked_moves_along_and_children_follow(lab: ReferenceFrame) -> None:
    camera, cube, table = lab["camera"], lab["cube"], lab["table"]
    lens = camera.child("lens", (0, 0, 5))
    between = cube.transformation_to(camera)
    cube.move((1, 2, 3), (10, 20, 30))
    assert cube.transformation_to(camera) == pytest.approx(between)
    assert camera.parent is table
    assert lens.vector_in(camera) == pytest.approx([0, 0, 5, 0, 0, 0])
    assert table.vector == pytest.approx([0, 0, 850, 0, 0, 0])


def test_a_parent_and_its_child_that_are_linked_move_once(lab: ReferenceFrame) -> None:
    camera, table = lab["camera"], lab["table"]
    camera.link(table)
    before = camera.vector.copy()
    table.move((1, 0, 0))
    assert camera.vector == pytest.approx(before)
    assert lab["cube"].vector_in(lab)[0] == pytest.approx(2.0)  # through camera


def test_move_in_the_axes_of_another_frame(lab: ReferenceFrame) -> None:
    camera = lab["camera"]
    camera.move_in(lab, (0, 0, 1), (90, 0, 0))
    assert camera.coordinates_in(lab, [0, 0, 0]) == pytest.approx([10, 0, 851])
    assert camera.coordinates_in(lab, [1, 0, 0]) == pytest.approx([10, 0, 852])  # its x was the lab's y


def test_text_of_a_setup_and_back(lab: ReferenceFrame) -> None:
    again = frames_from(frames_to(lab))
    assert {f.name for f in again} == set(MODEL)
    assert again["camera"].links == {again["cube"]}
    for frame in lab:
        assert again[frame.name].vector_in(again) == pytest.approx(frame.vector_in(lab))


def test_what_cannot_be(lab: ReferenceFrame) -> None:
    with pytest.raises(FrameError, match="already"):
        lab["table"].child("cube")
    with pytest.raises(FrameError, match="no frame 'tabel'"):
        lab["tabel"]
    with pytest.raises(FrameError, match="root"):
        lab.move((1, 0, 0))
    with pytest.raises(FrameError, match="not in one tree"):
        lab["cube"].transformation_to(ReferenceFrame("elsewhere"))
    with pytest.raises(FrameError, match="check their parents"):
        frames_from({"lab": {}, "a": {"parent": "b"}, "b": {"parent": "a"}})
    with pytest.raises(FrameError, match="one frame without parent"):
        frames_from({"a": {}, "b": {}})
    with pytest.raises(ValueError, match="mirrors"):
        lab["cube"].put(np.diag([1, 1, -1, 1]))
    assert lab["table"].placement == pytest.approx(from_vector([0, 0, 850, 0, 0, 0]))
