"""Geometry of the hexapods: golden values of section 1.6 of the device reference, legs there and back."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egse.coordinates.rotations import from_vector, to_vector
from egse.hexapod.symetrie.kinematics import Frames, Mode, mixed, moved
from egse.hexapod.symetrie.mechanisms import PUNA

U, O = (-2, -2, -2, -3, -4, -5), (0, 0, 3, 30, 30, 0)  # noqa: E741  # as the reference calls them
GOLDEN = [
    (Mode.ABSOLUTE, (1, 3, 4, 35, 25, 10), (1, 3, 4, 35, 25, 10),
     (-0.555058, 1.204306, -1.068915, 1.019529, -8.466485, 2.799323)),
    (Mode.OBJECT_RELATIVE, (-1, -1, -1, 1, 7, -1), (-0.429545, 2.498569, 3.160383, 37.825975, 31.257504, 13.736722),
     (-2.317006, 0.873765, -2.006061, 3.052234, -1.946659, 4.741402)),
    (Mode.USER_RELATIVE, (-2, -2, -2, 1, 7, -1), (-2.429542, 0.498565, 1.160389, 41.372251, 37.323099, 18.140085),
     (-4.710342, -0.977992, -4.017462, 5.310002, 4.496313, 6.918575)),
]  # fmt: skip


def test_golden_values() -> None:
    frames = Frames.of(U, O)
    position = frames.object_in_user(from_vector((0,) * 6))
    assert to_vector(position) == pytest.approx(
        (2.162432, 1.909327, 4.967732, 34.010087, 33.658846, 7.221377), abs=1e-5
    )
    for mode, by, user, machine in GOLDEN:
        position = moved(position, mode, by)
        assert to_vector(position) == pytest.approx(user, abs=1e-5)
        assert to_vector(frames.platform_in_machine(position)) == pytest.approx(machine, abs=1e-5)
        assert frames.object_in_user(frames.platform_in_machine(position)) == pytest.approx(position)
        position = from_vector(user)  # the published values are rounded: each step begins where they say


inside = st.tuples(*(st.floats(-limit / 2, limit / 2) for limit in PUNA.limits))


@settings(max_examples=40, deadline=None)
@given(inside)
def test_lengths_of_a_pose_and_back(vector: tuple[float, ...]) -> None:
    legs = PUNA.legs
    found = legs.pose(legs.lengths(from_vector(vector)), (0,) * 6)
    assert found == pytest.approx(vector, abs=1e-6)


def test_lengths_that_no_pose_has() -> None:
    with pytest.raises(ValueError, match="no pose"):
        PUNA.legs.pose([10, 10, 10, 800, 800, 800], (0,) * 6)


def test_the_way_between_two_positions_turns_the_short_way_round() -> None:
    one, other = from_vector((0, 0, 0, 0, 0, 170)), from_vector((4, 0, 0, 0, 0, -170))
    assert to_vector(mixed(one, other, 0.25)) == pytest.approx((1, 0, 0, 0, 0, 175))
    assert mixed(one, other, 1.0) is other
