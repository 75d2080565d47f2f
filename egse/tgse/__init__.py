"""Thermal control of the test set-up: thermal enclosure (TEB), shroud, bipods on the manipulation ring (MaRi).

Six control points, each a sensor and a heater of a temperature controller. Which ones is said by the Setup:

    gse:
      tgse:
        control_points:
          TEB_SKY: {device: gse.lsci336_1, sensor: A, heater: 1, heater_range: HIGH}
          ...
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from egse.setup import Setup

SENSORS = ("A", "B", "C", "D")
HEATERS = (1, 2)
RANGES = ("LOW", "MEDIUM", "HIGH")


class TRP(StrEnum):
    """Control points (operations reference, section 10)."""

    TEB_SKY = "TEB_SKY"
    """Shroud."""
    TEB_TOU = "TEB_TOU"
    TEB_FEE = "TEB_FEE"
    TRP2 = "TRP2"
    """Bipod interfaces on the manipulation ring: TRP2, TRP3, TRP4."""
    TRP3 = "TRP3"
    TRP4 = "TRP4"
    TRP234 = "TRP234"
    """The three bipod interfaces together."""

    @property
    def points(self) -> tuple[TRP, ...]:
        """The control points that this stands for."""
        return (TRP.TRP2, TRP.TRP3, TRP.TRP4) if self is TRP.TRP234 else (self,)


class ControlPointError(LookupError):
    """The Setup does not say, or says wrongly, what controls a control point."""


@dataclass(frozen=True)
class ControlPoint:
    """What controls one temperature.

    Attributes:
        trp: which.
        device: place of the temperature controller in the Setup, `gse.lsci336_1`.
        sensor: letter of the input.
        heater: number of the output.
        heater_range: power that the heater may take: LOW, MEDIUM or HIGH.
    """

    trp: TRP
    device: str
    sensor: str
    heater: int
    heater_range: str


def control_point(setup: Setup, trp: TRP) -> ControlPoint:
    """Returns what controls a control point according to a Setup.

    Raises:
        ControlPointError: when the Setup does not say, or says something that cannot be; TRP234 are three.
    """
    if len(trp.points) > 1:
        raise ControlPointError(f"{trp} are several control points: {', '.join(trp.points)}")
    node: Any = setup
    place = f"gse.tgse.control_points.{trp}"
    for name in place.split("."):
        if not isinstance(node, Mapping) or name not in node:
            raise ControlPointError(f"the Setup has no `{place}` (nothing called `{name}`)")
        node = node[name]
    values = {name: node.get(name) for name in ("device", "sensor", "heater")}
    chosen = node.get("heater_range", "HIGH")
    fits = values["sensor"] in SENSORS and values["heater"] in HEATERS and chosen in RANGES
    if not fits or not isinstance(values["device"], str):
        raise ControlPointError(
            f"`{place}` of the Setup must name device, sensor (one of {', '.join(SENSORS)}), heater (1 or 2) and "
            f"heater_range (one of {', '.join(RANGES)}), not {dict(node)}"
        )
    return ControlPoint(trp, values["device"], values["sensor"], values["heater"], chosen)
