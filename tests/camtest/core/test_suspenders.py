"""Suspenders: what the Setup says, and a procedure that stands still and goes on."""

from __future__ import annotations

from typing import Any

import pytest

from camtest.core import interlocks, suspenders
from camtest.core.suspenders import Stay, SuspendAbort, Suspender, Suspenders
from egse.clock import VirtualClock
from egse.setup import Setup


class Plate:
    def __init__(self) -> None:
        self.value: Any = -90.0

    def get_temperature(self, channel: str) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value


@pytest.fixture
def plate(monkeypatch: pytest.MonkeyPatch) -> Plate:
    found = Plate()
    monkeypatch.setattr(interlocks, "device", lambda place: found)
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> VirtualClock:
    moved = VirtualClock()
    monkeypatch.setattr(suspenders, "system_clock", lambda: moved)
    return moved


WARM = {
    "device": "gse.lsci336",
    "query": "get_temperature",
    "arguments": {"channel": "A"},
    "maximum": -80.0,
    "resume": {"maximum": -85.0},
    "resume_after": 10.0,
    "timeout": 100.0,
    "blocks": ["camtest.commanding.dpu.*"],
}


def of(**entries: Any) -> Suspenders:
    return Suspenders.of(Setup({"monitor": {"suspenders": entries}}))


def test_it_goes_on_when_the_narrower_limits_have_held_for_a_while(plate: Plate, clock: VirtualClock) -> None:
    found = of(warm=WARM)
    blocks = ["camtest.commanding.dpu.n_cam_full_ccd"]
    assert found.find(blocks) is None
    plate.value = -70.0
    assert found.find(blocks) is None  # not asked again within a second
    clock.advance(1.0)
    assert found.find(["camtest.commanding.ogse.ogse_swon"]) is None  # it does not concern that one
    clock.advance(1.0)
    stay = found.find(blocks)
    assert stay is not None
    assert "gives -70.0, above -80" in stay.reason
    plate.value = -82.0  # fine for beginning, not for going on
    clock.advance(20.0)
    assert not stay.may_go_on(clock.monotonic())
    plate.value = -86.0
    assert not stay.may_go_on(clock.monotonic())
    plate.value = -84.0
    clock.advance(9.0)
    assert not stay.may_go_on(clock.monotonic())
    plate.value = -86.0
    assert not stay.may_go_on(clock.monotonic())  # the time counts from here
    clock.advance(9.9)
    assert not stay.may_go_on(clock.monotonic())
    clock.advance(0.1)
    assert stay.may_go_on(clock.monotonic())


def test_one_that_holds_for_too_long_aborts(plate: Plate, clock: VirtualClock) -> None:
    plate.value = OSError("no answer")
    stay = of(warm=WARM).find(["camtest.commanding.dpu.x"])
    assert stay is not None
    assert "cannot be asked" in stay.reason
    clock.advance(101.0)
    with pytest.raises(SuspendAbort, match="more than 100 s"):
        stay.may_go_on(clock.monotonic())


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("no", "monitor.suspenders.warm: needs a device"),
        ({}, "monitor.suspenders.warm.* needs `device`"),
        (WARM | {"resume": {"lower": 1}}, r"monitor.suspenders.warm.resume: takes minimum"),
        (WARM | {"resume_after": "soon"}, r"monitor.suspenders.warm.resume_after: must be a number"),
        (WARM | {"timeout": True}, r"monitor.suspenders.warm.timeout"),
        (WARM | {"colour": 1}, "unknown keys colour"),
        ({"alarm": "TRP*", "maximum": 1}, r"monitor.suspenders.warm.maximum: is no key here"),
        ({"alarm": "TRP*", "at": "now"}, "`at` one of warning, alarm, critical"),
        ({"alarm": []}, "names of alarms"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(entry: Any, problem: str) -> None:
    with pytest.raises(SuspendAbort, match=problem):
        of(warm=entry)


def test_alarms_suspend_too() -> None:
    alarms = [
        {"name": "TRP5", "priority": "warning", "active": True},
        {"name": "TRP6", "priority": "critical", "active": True},
        {"name": "TRP7", "priority": "critical", "active": False},
    ]
    assert suspenders._active(alarms, ("TRP*",), "alarm") == "alarm TRP6 (critical)"
    assert suspenders._active(alarms, ("TRP5",), "warning") == "alarm TRP5 (warning)"
    assert suspenders._active(alarms, ("TRP7",), "warning") == ""


def test_a_limit_monitor_that_is_away_neither_begins_nor_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(timeout: float) -> None:
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(suspenders, "LimitMonitorProxy", nobody)
    question = Suspender.of("chamber", {"alarm": "TRP*"}).question
    assert question(False) == ""
    assert question(True)


def test_without_resume_after_it_goes_on_at_once() -> None:
    stay = Stay(Suspender("x", lambda suspended: ""), "", 0.0)
    assert stay.may_go_on(1.0)
    assert not Suspenders()
