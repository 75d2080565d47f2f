"""What must not be hit: the hard stop of the big rotation stage, and what surrounds the focal plane; by the Setup."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from egse.response import register_error
from egse.setup.paths import value_at

HARDSTOP = 179.316
"""Where the big rotation stage of CSL stops, in both directions [deg] (device reference, section 4.5)."""
AVOIDANCE = 3.0
"""So far from it the stage is kept [deg]."""


@register_error
class AvoidanceError(ValueError):
    """A motion would come too near to something; nothing has moved."""


@dataclass(frozen=True)
class StageLimits:
    """The axis with a hard stop, and where it is.

    Attributes:
        axis: number of the big rotation stage.
        hardstop: its largest position, in both directions [deg].
        avoidance: the distance that is kept from it [deg].
    """

    axis: int = 1
    hardstop: float = HARDSTOP
    avoidance: float = AVOIDANCE

    @classmethod
    def from_setup(cls, setup: Mapping[str, Any] | None) -> Self:
        """Reads `gse.stages` of a Setup; what it lacks is as at CSL."""
        return cls(
            int(value_at(setup, "gse.stages.BIG_ROTATION_STAGE_ID", 1)),
            float(value_at(setup, "gse.stages.big_rotation_stage.hardstop", HARDSTOP)),
            float(value_at(setup, "gse.stages.big_rotation_stage.avoidance", AVOIDANCE)),
        )

    @property
    def reach(self) -> float:
        """The largest position that may be commanded, in both directions [deg]."""
        return self.hardstop - self.avoidance

    def check(self, axis: int, position: float) -> None:
        """Raises AvoidanceError when an axis must not go to a position [deg]."""
        if axis == self.axis and abs(position) > self.reach:
            raise AvoidanceError(
                f"axis {axis} (big rotation stage) must not go to {position:g} deg: it is kept {self.avoidance:g} deg "
                f"from its hard stop at {self.hardstop:g} deg, that is within +-{self.reach:g} deg"
            )


@dataclass(frozen=True)
class AvoidanceVolume:
    """The room that the focal plane has: a circle of points on its rim, none of which may move further than the clearances.

    `camera.fpa.avoidance` of the Setup. What a clearance means is our own reading of its name [O]: `clearance_xy` is the
    largest motion of a point across the optical axis, `clearance_z` that along it, in either direction.

    Attributes:
        clearance_xy, clearance_z: [mm].
        vertices_nb: number of points.
        vertices_radius: radius of the circle [mm].
    """

    clearance_xy: float
    clearance_z: float
    vertices_nb: int = 60
    vertices_radius: float = 100.0

    @classmethod
    def from_setup(cls, setup: Mapping[str, Any] | None) -> Self | None:
        """Reads `camera.fpa.avoidance` of a Setup; None when its clearances have not been measured."""
        xy, z = (value_at(setup, f"camera.fpa.avoidance.clearance_{name}") for name in ("xy", "z"))
        if xy is None or z is None:
            return None
        return cls(
            float(xy),
            float(z),
            int(value_at(setup, "camera.fpa.avoidance.vertices_nb", 60)),
            float(value_at(setup, "camera.fpa.avoidance.vertices_radius", 100.0)),
        )

    def vertices(self) -> list[tuple[float, float, float]]:
        """Returns the points on the rim at the place where the focal plane belongs [mm]."""
        angles = (2 * math.pi * n / self.vertices_nb for n in range(self.vertices_nb))
        return [(self.vertices_radius * math.cos(a), self.vertices_radius * math.sin(a), 0.0) for a in angles]

    def check(self, motion: Sequence[Sequence[float]]) -> None:
        """Looks at where a motion would bring the focal plane.

        Args:
            motion: from the place where the focal plane belongs to where it will be, in the frame of the focal plane;
                rigid, homogeneous: 4 rows of 4 numbers, or an array of shape (4, 4) [mm].

        Raises:
            ValueError: when it has another shape.
            AvoidanceError: when a point of the rim would move too far; the text says which way, and how far.
        """
        rows = [[float(number) for number in row] for row in motion]
        if [len(row) for row in rows] != [4, 4, 4, 4]:
            raise ValueError("a motion is a matrix of 4 rows with 4 numbers")
        across = along = 0.0
        for point in self.vertices():
            dx, dy, dz = (
                sum(a * b for a, b in zip(row, point)) + row[3] - before for row, before in zip(rows, point)
            )
            across, along = max(across, math.hypot(dx, dy)), max(along, abs(dz))
        for distance, clearance, way in (
            (across, self.clearance_xy, "across"),
            (along, self.clearance_z, "along"),
        ):
            if distance > clearance:
                raise AvoidanceError(
                    f"the rim of the focal plane would move {distance:.3f} mm {way} the optical axis, its clearance "
                    f"is {clearance:g} mm (camera.fpa.avoidance of the Setup)"
                )
