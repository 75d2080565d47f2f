"""How far a stage may turn: the hard stop of the big rotation stage, from the Setup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from egse.response import register_error
from egse.setup.paths import value_at
from egse.stages.huber.smc9300.messages import HuberError

HARDSTOP = 179.316
"""Where the big rotation stage of CSL stops, in both directions [deg] (device reference, section 4.5)."""
AVOIDANCE = 3.0
"""So far from it the stage is kept [deg]."""


@register_error
class AvoidanceError(HuberError, ValueError):
    """A motion would come too near to the hard stop; nothing has moved."""


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
