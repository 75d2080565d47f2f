"""Deviations of an operator: taken with reason and a second name, and visible wherever the observation is."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, Any

import pytest

from camtest import CommandSequence, GlobalState, building_block, end_observation, red_line, start_observation
from camtest.core.exec import ObservationError
from camtest.core.redline import RedLineError

if TYPE_CHECKING:
    from conftest import FakeCore


@building_block
def set_light(factor: float) -> None:
    pass


def test_what_is_done_inside_belongs_to_it(core: FakeCore) -> None:
    start_observation("light")
    set_light(factor=0.1)
    with red_line("added", "once more", reason="too dark", second="M. Curie"):
        set_light(factor=0.2)
    red_line("skipped", "5. Light off", reason="needed later", second="M. Curie", name="P. Curie")
    set_light(factor=0.3)
    sequence = GlobalState.command_sequence
    end_observation()

    assert [(entry.name, entry.red_line) for entry in sequence] == [
        ("set_light", ""),
        ("added", "1 added"),
        ("set_light", "1 added"),
        ("skipped", "2 skipped"),
        ("set_light", ""),
    ]
    lines = [event for event in core.events if event["event"] == "red-line"]
    assert [(line["number"], line["kind"], line["what"]) for line in lines] == [
        (1, "added", "once more"),
        (2, "skipped", "5. Light off"),
    ]
    assert (lines[0]["by"], lines[0]["second"], lines[0]["reason"]) == (
        getpass.getuser(),
        "M. Curie",
        "too dark",
    )
    assert lines[1]["by"] == "P. Curie"
    assert core.kinds().count("red-line-end") == 1


def test_they_stand_out_in_the_diff_against_the_plan(core: FakeCore) -> None:
    plan = CommandSequence("light()")
    for factor in (0.1, 0.3):
        plan.add(None, "block", "set_light", start=0.0, arguments={"factor": factor})
    start_observation("light")
    with red_line("changed", "factor", planned=0.1, actual=0.2, reason="too dark", second="M. Curie"):
        set_light(factor=0.2)
    set_light(factor=0.3)
    sequence = GlobalState.command_sequence
    end_observation()

    diff = plan.diff(sequence)
    assert diff.unexplained == []
    assert [(d.kind, d.entry.red_line) for d in diff] == [
        ("red-line", "1 changed"),
        ("changed", "1 changed"),
    ] or [d.kind for d in diff] == ["changed", "red-line"]
    assert "reason='too dark'" in str(diff)


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"kind": "moved"}, "'moved' is no kind of red line; use changed, skipped, added"),
        ({"reason": " "}, "needs `reason`"),
        ({"second": "", "what": ""}, "needs `what` and `second`"),
        ({"second": getpass.getuser().upper()}, "two persons"),
    ],
)
def test_what_is_missing_is_said(core: FakeCore, given: dict[str, Any], text: str) -> None:
    start_observation("light")
    with pytest.raises(RedLineError, match=text):
        red_line(**{"kind": "skipped", "what": "3", "reason": "r", "second": "M. Curie"} | given)
    end_observation()
    assert "red-line" not in core.kinds()


@pytest.mark.usefixtures("core")
def test_only_inside_an_observation() -> None:
    with pytest.raises(ObservationError):
        red_line("skipped", "3", reason="r", second="M. Curie")
