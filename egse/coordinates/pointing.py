"""From field angles to the stages of CSL and back.

The camera lies on the big rotation stage, which turns it about its optical axis; a mirror on the small rotation stage, carried by the
translation stage, turns the collimated beam into the camera. The references name the numbers of the calibration, not what they
mean; this is our own proposal [O]:

    big rotation    b = offset_phi - P_phi(phi)                       turns +phi of the source into -b of the camera
    small rotation  a = offset_alpha + P_alpha(theta / 2)             a mirror turns the beam by twice its own angle
    translation     d = offset_delta_x + P_delta_x(h tan(theta))      so that the beam hits the entrance pupil

with h = height_collimated_beam and the polynomials `*_correction_coefficients`, highest power first (as numpy has them), those of
the starter Setups being the identity. Where the image is follows from the two rotations; the translation only decides how much of
the beam enters the pupil.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

from egse.setup.paths import value_at

PUPIL_RADIUS = 60.0
"""Radius of the entrance pupil [mm]: 120 mm in diameter."""
BEAM_RADIUS = 100.0
"""Radius of the collimated beam [mm, own proposal]."""
LARGEST_THETA = 45.0
"""Beyond it there is no beam that could be meant [deg]."""


@dataclass(frozen=True)
class StagePositions:
    """Positions of the three stages.

    Attributes:
        big_rotation, small_rotation: [deg].
        translation: [mm].
    """

    big_rotation: float
    small_rotation: float
    translation: float


@dataclass(frozen=True)
class StagesGeometry:
    """The calibration of the stages, `gse.stages.calibration` of the Setup; the defaults are those of the sandbox.

    Attributes:
        height_collimated_beam: [mm].
        offset_phi, offset_alpha: [deg].
        offset_delta_x: [mm].
        phi_correction_coefficients, alpha_correction_coefficients: two numbers, highest power first.
        delta_x_correction_coefficients: three numbers, highest power first.
        axes: numbers of big rotation, small rotation and translation stage at their controller.
    """

    height_collimated_beam: float = 513.0
    offset_phi: float = 0.7
    offset_alpha: float = -0.5
    offset_delta_x: float = 355.0
    phi_correction_coefficients: tuple[float, ...] = (0.9998, 0.01)
    alpha_correction_coefficients: tuple[float, ...] = (1.0002, -0.003)
    delta_x_correction_coefficients: tuple[float, ...] = (0.00001, 0.999, 0.05)
    axes: tuple[int, int, int] = (1, 2, 3)

    @classmethod
    def from_setup(cls, setup: Mapping[str, Any] | None) -> Self:
        """Reads `gse.stages` of a Setup.

        Raises:
            ValueError: when the calibration is not complete, with what is missing; or with a slope of zero.
        """
        calibration = value_at(setup, "gse.stages.calibration", {})
        names = [one.name for one in fields(cls) if one.name != "axes"]
        missing = [name for name in names if calibration.get(name) is None]
        if missing:
            raise ValueError(f"gse.stages.calibration of the Setup lacks {', '.join(missing)}")
        known: dict[str, Any] = {
            name: tuple(map(float, calibration[name])) if name.endswith("s") else float(calibration[name])
            for name in names
        }
        for name in ("phi_correction_coefficients", "alpha_correction_coefficients"):
            if len(known[name]) != 2 or known[name][0] == 0:
                raise ValueError(
                    f"gse.stages.calibration.{name} must be two numbers, a slope that is not 0 and an offset"
                )
        ids = ("BIG_ROTATION_STAGE_ID", "SMALL_ROTATION_STAGE_ID", "TRANSLATION_STAGE_ID")
        big, small, translation = (
            int(value_at(setup, f"gse.stages.{name}", n)) for n, name in enumerate(ids, 1)
        )
        return cls(**known, axes=(big, small, translation))

    def positions(self, theta: float, phi: float) -> StagePositions:
        """Returns where the stages have to be for a source at theta, phi.

        Args:
            theta: 0..45 [deg].
            phi: any [deg]; of the positions of the big stage that are alike, that next to 0 is chosen.

        Raises:
            ValueError: for another theta.
        """
        if not 0 <= theta <= LARGEST_THETA:
            raise ValueError(f"theta must be within 0 and {LARGEST_THETA:g} deg, got {theta:g}")
        turns = [phi + 360.0 * n for n in range(-2, 3)]
        big = min(
            (self.offset_phi - polynomial(self.phi_correction_coefficients, one) for one in turns), key=abs
        )
        small = self.offset_alpha + polynomial(self.alpha_correction_coefficients, theta / 2)
        return StagePositions(big, small, self._translation(theta))

    def _translation(self, theta: float) -> float:
        reach = self.height_collimated_beam * math.tan(math.radians(theta))
        return self.offset_delta_x + polynomial(self.delta_x_correction_coefficients, reach)

    def angles(self, positions: StagePositions) -> tuple[float, float]:
        """Returns theta, phi [deg] of the source as the stages are; theta from 0, phi in (-180, 180]."""
        slope, offset = self.phi_correction_coefficients
        phi = (self.offset_phi - positions.big_rotation - offset) / slope
        slope, offset = self.alpha_correction_coefficients
        theta = 2 * (positions.small_rotation - self.offset_alpha - offset) / slope
        if theta < 0:  # beyond the optical axis
            theta, phi = -theta, phi + 180.0
        return theta, -((180.0 - phi) % 360.0 - 180.0)

    def illumination(self, positions: StagePositions) -> float:
        """Returns which part of the pupil the beam hits, 0..1: all of it when the translation stage is where it should be."""
        theta, _ = self.angles(positions)
        miss = abs(positions.translation - self._translation(min(theta, LARGEST_THETA)))
        return min(1.0, max(0.0, (BEAM_RADIUS + PUPIL_RADIUS - miss) / (2 * PUPIL_RADIUS)))


def polynomial(coefficients: Sequence[float], x: float) -> float:
    """Returns the value of a polynomial, highest power first."""
    value = 0.0
    for coefficient in coefficients:
        value = value * x + coefficient
    return value
