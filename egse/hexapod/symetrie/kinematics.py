"""Geometry of a hexapod: its frames, its moves, and the lengths of its six actuators.

Four frames: *machine* (fixed to the base), *platform* (fixed to the moving plate), *user* (given in the machine frame)
and *object* (given in the platform frame). Positions are six numbers, see `egse.coordinates.rotations`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np

from egse.coordinates.rotations import Matrix, apply, from_vector, inverse, rigid, to_vector

Six = Sequence[float] | Matrix
ITERATIONS = 20
"""Longest search of the pose that belongs to six lengths."""
PRECISION = 1e-10
"""Greatest error of a length when a pose is found [mm]."""


class Mode(IntEnum):
    """What the six numbers of a move mean (`Q70` of the Alpha controller, `cm` of the Alpha+)."""

    ABSOLUTE = 0
    OBJECT_RELATIVE = 1
    USER_RELATIVE = 2


@dataclass(frozen=True)
class Frames:
    """The two frames that can be configured.

    Attributes:
        user: user frame in the machine frame, shape (4, 4).
        object: object frame in the platform frame, shape (4, 4).
    """

    user: Matrix
    object: Matrix

    @classmethod
    def of(cls, user: Six = (0,) * 6, object: Six = (0,) * 6) -> Frames:
        """Returns frames given as six-vectors."""
        return cls(from_vector(user), from_vector(object))

    def object_in_user(self, platform_in_machine: Matrix) -> Matrix:
        """Returns the position that is reported as user position, shape (4, 4)."""
        return inverse(self.user) @ platform_in_machine @ self.object

    def platform_in_machine(self, object_in_user: Matrix) -> Matrix:
        """Returns where the platform has to be, shape (4, 4)."""
        return self.user @ object_in_user @ inverse(self.object)


def moved(position: Matrix, mode: Mode, by: Six) -> Matrix:
    """Returns the object's position in the user frame after a move.

    Args:
        position: before, shape (4, 4).
        mode: absolute, or relative to the object's axes, or along the user's axes with rotations about the object's.
        by: Tx Ty Tz [mm] Rx Ry Rz [deg].
    """
    step = from_vector(by)
    if mode is Mode.ABSOLUTE:
        return step
    if mode is Mode.OBJECT_RELATIVE:
        return position @ step
    return rigid(shift=step[:3, 3]) @ position @ rigid(step[:3, :3])


@dataclass(frozen=True)
class Legs:
    """Six actuators between base and platform, in three pairs.

    Attributes:
        base_radius, platform_radius: of the circles of joints [mm].
        base_split, platform_split: half the angle between the joints of a pair [deg].
        height: of the platform above the base in the zero position [mm].
    """

    base_radius: float
    platform_radius: float
    height: float
    base_split: float = 12.0
    platform_split: float = 48.0

    @cached_property
    def joints(self) -> tuple[Matrix, Matrix]:
        """Joints on the base and on the platform, each in its own frame, shape (6, 3); the machine frame is `height`
        above the base, so that it coincides with the platform frame in the zero position."""
        pairs = np.repeat([0.0, 120.0, 240.0], 2)
        signs = np.tile([-1.0, 1.0], 3)
        base = _circle(self.base_radius, pairs + signs * self.base_split)
        base[:, 2] = -self.height
        return base, _circle(self.platform_radius, pairs + signs * self.platform_split)

    def lengths(self, platform_in_machine: Matrix) -> Matrix:
        """Returns the lengths of the actuators [mm], shape (6,) (inverse kinematics)."""
        base, platform = self.joints
        return np.asarray(np.linalg.norm(apply(platform_in_machine, platform) - base, axis=1))

    def pose(self, lengths: Six, start: Six) -> Matrix:
        """Returns the pose that six lengths force, as six-vector (forward kinematics, by Newton's method).

        Args:
            lengths: of the actuators [mm].
            start: a six-vector near the result.

        Raises:
            ValueError: when no pose has these lengths.
        """
        wanted, six = np.asarray(lengths, dtype=float), np.array(start, dtype=float)
        for _ in range(ITERATIONS):
            error = wanted - self.lengths(from_vector(six))
            if np.abs(error).max() < PRECISION:
                return six
            steps = np.eye(6) * 1e-6
            now = self.lengths(from_vector(six))
            slope = np.array([self.lengths(from_vector(six + step)) - now for step in steps]).T / 1e-6
            six = six + np.linalg.lstsq(slope, error, rcond=None)[0]
            if not np.isfinite(six).all() or np.abs(six).max() > 1e4:
                break
        raise ValueError(f"no pose of the platform has the lengths {wanted.tolist()}")


def _circle(radius: float, degrees: Matrix) -> Matrix:
    angle = np.radians(degrees)
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle), np.zeros_like(angle)])


def mixed(start: Matrix, end: Matrix, fraction: float) -> Matrix:
    """Returns the position at a fraction of the way (0..1): all six numbers change in step."""
    if fraction >= 1.0:
        return end
    one, other = to_vector(start), to_vector(end)
    other[3:] = one[3:] + (other[3:] - one[3:] + 180.0) % 360.0 - 180.0  # the short way round
    return from_vector(one + fraction * (other - one))
