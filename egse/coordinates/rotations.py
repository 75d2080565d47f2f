"""Rigid motions in space: six numbers (Tx Ty Tz in mm, Rx Ry Rz in deg) and 4x4 matrices.

A six-vector stands for the rotation Rz(rz) Ry(ry) Rx(rx), that is about the fixed axes x, then y, then z, followed by
the translation. Read as a frame, its matrix takes coordinates in the frame to coordinates in the frame's parent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Matrix: TypeAlias = NDArray[np.float64]
"""A rotation, shape (3, 3), or a rigid motion, shape (4, 4)."""

GIMBAL_LOCK = 1e-9
"""Cosine of ry below which x and z turn about the same axis."""


def rotation(rx: float, ry: float, rz: float) -> Matrix:
    """Returns the rotation about the fixed axes x, then y, then z.

    Args:
        rx, ry, rz: angles [deg].

    Returns:
        Shape (3, 3).
    """
    (cx, cy, cz), (sx, sy, sz) = np.cos(a := np.radians((rx, ry, rz))), np.sin(a)
    return np.array(
        [
            [cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx],
            [sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx],
            [-sy, cy * sx, cy * cx],
        ]
    )


def angles(turn: ArrayLike) -> Matrix:
    """Returns the angles rx, ry, rz of a rotation [deg], shape (3,); the inverse of `rotation`.

    ry is in -90..90. At its ends only the sum or difference of rx and rz is defined; rx is 0 then.

    Args:
        turn: shape (3, 3), or a rigid motion, shape (4, 4).
    """
    r = np.asarray(turn, dtype=float)
    cos_y = np.hypot(r[0, 0], r[1, 0])
    y = np.arctan2(-r[2, 0], cos_y)
    if cos_y < GIMBAL_LOCK:
        return np.degrees([0.0, y, np.arctan2(-r[0, 1], r[1, 1])])
    return np.degrees([np.arctan2(r[2, 1], r[2, 2]), y, np.arctan2(r[1, 0], r[0, 0])])


def rigid(turn: ArrayLike | None = None, shift: ArrayLike | None = None) -> Matrix:
    """Returns a rigid motion of a rotation and a translation that follows.

    Args:
        turn: rotation, shape (3, 3); none by default.
        shift: translation [mm], shape (3,); none by default.

    Returns:
        Shape (4, 4).
    """
    matrix: Matrix = np.eye(4)
    if turn is not None:
        matrix[:3, :3] = turn
    if shift is not None:
        matrix[:3, 3] = shift
    return matrix


def from_vector(vector: Sequence[float] | Matrix) -> Matrix:
    """Returns the 4x4 matrix of Tx Ty Tz [mm] Rx Ry Rz [deg].

    Raises:
        ValueError: when it is not six finite numbers.
    """
    six = np.asarray(vector, dtype=float)
    if six.shape != (6,) or not np.isfinite(six).all():
        raise ValueError(f"expected six finite numbers Tx Ty Tz Rx Ry Rz, got {vector!r}")
    return rigid(rotation(*six[3:]), six[:3])


def to_vector(motion: ArrayLike) -> Matrix:
    """Returns Tx Ty Tz [mm] Rx Ry Rz [deg] of a 4x4 matrix, shape (6,); the inverse of `from_vector`."""
    matrix = np.asarray(motion, dtype=float)
    return np.concatenate([matrix[:3, 3], angles(matrix)])


def inverse(motion: Matrix) -> Matrix:
    """Returns the inverse of a rigid motion, shape (4, 4)."""
    back = motion[:3, :3].T
    return rigid(back, -back @ motion[:3, 3])


def apply(motion: Matrix, points: ArrayLike) -> Matrix:
    """Returns points after a rigid motion.

    Args:
        motion: shape (4, 4).
        points: one point, shape (3,), or several, shape (n, 3) [mm].
    """
    return np.asarray(points, dtype=float) @ motion[:3, :3].T + motion[:3, 3]


def angle_between(one: Matrix, other: Matrix) -> float:
    """Returns by how much one has to turn to get from the attitude of one motion to that of another [deg, 0..180]."""
    turn = one[:3, :3].T @ other[:3, :3]
    sine = np.linalg.norm([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    return float(np.degrees(np.arctan2(sine, np.trace(turn) - 1.0)))


def check_rigid(motion: Any) -> Matrix:
    """Returns a 4x4 matrix after a check that it moves without distortion.

    Raises:
        ValueError: when it does not.
    """
    matrix = np.array(motion, dtype=float)
    if matrix.shape != (4, 4):
        raise ValueError(f"a rigid motion is a 4x4 matrix, got shape {matrix.shape}")
    turn = matrix[:3, :3]
    is_rotation = np.allclose(turn @ turn.T, np.eye(3), atol=1e-9) and np.linalg.det(turn) > 0
    if not is_rotation or not np.array_equal(matrix[3], [0, 0, 0, 1]):
        raise ValueError(f"this matrix distorts or mirrors, it is no rigid motion: {matrix.tolist()}")
    return matrix
