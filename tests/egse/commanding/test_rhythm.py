"""The rhythm of housekeeping and monitoring: the wanted one, unless what is called takes too long for it (manual, section 6.4)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest

from egse.telemetry import Lane


class Action:
    """Takes as long as it is told [s], and remembers when it was called."""

    def __init__(self) -> None:
        self.takes = 0.0
        self.starts: list[float] = []

    def __call__(self) -> None:
        self.starts.append(time.monotonic())
        threading.Event().wait(self.takes)

    def pauses(self) -> list[float]:
        """Returns the times between two calls [s]."""
        return [later - earlier for earlier, later in pairwise(self.starts)]


@pytest.fixture
def action() -> Action:
    return Action()


@pytest.fixture
def start(action: Action) -> Iterator[Callable[[float, float], Lane]]:
    """Starts a lane with wanted period and margin [s]."""
    lanes: list[Lane] = []

    def run(period: float, margin: float) -> Lane:
        lanes.append(Lane("test-lane", action, period, margin))
        lanes[-1].start()
        return lanes[-1]

    yield run
    for lane in lanes:
        lane.end()
        lane.join(5)
        assert not lane.is_alive()


def wait_until(condition: Callable[[], bool], limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.005)


def test_a_rhythm_from_the_settings_keeps_the_margin_too(
    action: Action, start: Callable[[float, float], Lane]
) -> None:
    lane = start(0.01, 0.1)
    wait_until(lambda: lane.count >= 6)
    assert (action.starts[5] - action.starts[0]) / 5 > 0.08
    assert lane.period >= 0.1
    assert lane.wanted == 0.01


def test_the_first_call_counts_as_long_as_it_took(
    action: Action, start: Callable[[float, float], Lane]
) -> None:
    action.takes = 0.3
    lane = start(0.05, 0.3)
    wait_until(lambda: len(action.starts) >= 3)
    assert min(action.pauses()) >= 0.5  # also after the first one
    assert lane.period >= 0.6


def test_a_device_that_becomes_slow_gets_more_time_until_it_is_quick_again(
    action: Action, start: Callable[[float, float], Lane]
) -> None:
    lane = start(0.05, 0.02)
    wait_until(lambda: lane.count >= 10 and lane.period < 0.08)
    missed = lane.missed
    action.takes = 0.2
    wait_until(lambda: lane.period > 0.15)
    assert lane.missed > missed  # they were due before the lane knew
    wait_until(lambda: lane.period > 0.2)
    before, missed = lane.count, lane.missed
    wait_until(lambda: lane.count >= before + 4)
    assert lane.missed < missed + 8  # not four for each call: now the lane is as slow as the device
    action.takes = 0.0
    wait_until(lambda: lane.period < 0.08)
    assert lane.wanted == 0.05


def test_the_frequency_told_is_the_one_applied(action: Action, start: Callable[[float, float], Lane]) -> None:
    action.takes = 0.05
    lane = start(0.5, 0.1)
    wait_until(lambda: lane.count >= 1)
    assert lane.set_frequency(1.0) == pytest.approx(1.0)
    assert lane.set_frequency(100.0) < 1.0 / 0.15
    assert lane.wanted == 0.01
    assert lane.period >= 0.15


def test_a_lane_with_period_zero_never_calls(action: Action, start: Callable[[float, float], Lane]) -> None:
    lane = start(0.0, 0.1)
    assert lane.period == 0.0
    assert not action.starts
    lane.set_frequency(5.0)
    wait_until(lambda: lane.count >= 1)
