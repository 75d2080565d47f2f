"""Which sensor and heater control what, as the Setup says."""

from __future__ import annotations

from typing import Any

import pytest

from egse.setup import Setup
from egse.tgse import TRP, ControlPoint, ControlPointError, control_point

GOOD = {"device": "gse.lsci336_1", "sensor": "A", "heater": 1}


def setup_with(value: Any) -> Setup:
    return Setup.from_dict({"gse": {"tgse": {"control_points": {"TEB_SKY": value}}}})


def test_a_control_point_of_the_setup() -> None:
    assert control_point(setup_with(GOOD), TRP.TEB_SKY) == ControlPoint(
        TRP.TEB_SKY, "gse.lsci336_1", "A", 1, "HIGH"
    )
    assert TRP.TRP234.points == (TRP.TRP2, TRP.TRP3, TRP.TRP4)
    assert TRP("TEB_TOU").points == (TRP.TEB_TOU,)


@pytest.mark.parametrize(
    "change",
    [{"sensor": "E"}, {"heater": 3}, {"device": None}, {"heater_range": "FULL"}, {"heater_range": None}],
)
def test_what_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(
        ControlPointError, match=r"`gse\.tgse\.control_points\.TEB_SKY` of the Setup must name device"
    ):
        control_point(setup_with(GOOD | change), TRP.TEB_SKY)


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(ControlPointError, match="nothing called `TRP2`"):
        control_point(setup_with(GOOD), TRP.TRP2)
    with pytest.raises(ControlPointError, match="nothing called `tgse`"):
        control_point(Setup.from_dict({"gse": {}}), TRP.TRP2)
    with pytest.raises(ControlPointError, match="TRP234 are several control points: TRP2, TRP3, TRP4"):
        control_point(setup_with(GOOD), TRP.TRP234)
