"""Rotations and rigid motions: there and back, and against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egse.coordinates.rotations import (
    angle_between,
    angles,
    apply,
    check_rigid,
    from_vector,
    inverse,
    rotation,
    to_vector,
)

length = st.floats(-1000, 1000)
angle = st.floats(-179, 179)
six = st.tuples(length, length, length, angle, st.floats(-89, 89), angle)


@given(six)
def test_six_numbers_and_back(vector: tuple[float, ...]) -> None:
    assert to_vector(from_vector(vector)) == pytest.approx(vector, abs=1e-7)


@given(six, six)
def test_inverse_undoes(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    a, b = from_vector(one), from_vector(other)
    assert inverse(a) @ a @ b == pytest.approx(b, abs=1e-9)


def test_order_of_rotations_is_x_then_y_then_z_about_fixed_axes() -> None:
    assert rotation(90, 90, 0) @ [0, 1, 0] == pytest.approx([1, 0, 0])  # y -> z -> x
    assert rotation(0, 90, 90) @ [1, 0, 0] == pytest.approx([0, 0, -1])
    assert apply(from_vector([1, 2, 3, 0, 0, 90]), [[1, 0, 0], [0, 0, 0]]) == pytest.approx(
        np.array([[1, 3, 3], [1, 2, 3]])
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_gimbal_lock_gives_the_same_attitude(sign: int) -> None:
    turn = rotation(20, 90 * sign, 30)
    rx, ry, rz = angles(turn)
    assert (rx, ry) == pytest.approx((0, 90 * sign))
    assert rotation(rx, ry, rz) == pytest.approx(turn, abs=1e-9)


def test_angle_between() -> None:
    start = from_vector([5, 0, 0, 10, 20, 30])
    assert angle_between(start, start) == pytest.approx(0, abs=1e-9)
    assert angle_between(start, start @ from_vector([0, 0, 9, 0, 0, -77])) == pytest.approx(77)
    assert angle_between(start, start @ from_vector([0, 0, 0, 180, 0, 0])) == pytest.approx(180)


@pytest.mark.parametrize("bad", [[1, 2, 3], [0, 0, 0, 0, 0, float("nan")]])
def test_what_is_no_position(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="six finite numbers"):
        from_vector(bad)


def test_what_is_no_rigid_motion() -> None:
    for bad in (np.diag([1.0, 1.0, -1.0, 1.0]), 2 * np.eye(4), np.eye(3)):
        with pytest.raises(ValueError, match=r"rigid motion"):
            check_rigid(bad)
