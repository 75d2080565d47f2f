"""What moves the source at a test house, found in the Setup: where it points to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from egse.coordinates.pointing import StagePositions, StagesGeometry
from egse.stages.huber.smc9300 import HuberSMC9300Interface


class SourceMechanism(Protocol):
    """Mechanisms that point the source, or the camera."""

    def angles(self) -> tuple[float, float]:
        """Asks the mechanisms, and returns theta, phi [deg] of the source."""


class HuberStages:
    """The stages of CSL.

    Args:
        setup: with `gse.stages`.

    Raises:
        ValueError: when their calibration is not complete.
    """

    def __init__(self, setup: Any) -> None:
        self.geometry = StagesGeometry.from_setup(setup)
        self.device: HuberSMC9300Interface = setup.gse.stages.device

    def positions(self) -> StagePositions:
        """Asks where the stages are."""
        overview = self.device.get_overview()
        return StagePositions(*(float(overview[axis - 1]["position"]) for axis in self.geometry.axes))

    def angles(self) -> tuple[float, float]:
        """Returns theta, phi [deg] of the source as the stages are."""
        return self.geometry.angles(self.positions())


def mechanism_of(setup: Mapping[str, Any] | None) -> SourceMechanism | None:
    """Returns the mechanisms that a Setup names, None when it names none that is known here.

    Raises:
        ValueError: when their calibration is not complete.
    """
    gse = {} if setup is None else setup.get("gse", {})
    return HuberStages(setup) if "stages" in gse else None
