from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta, timezone

import pytest

from egse.clock import VirtualClock
from egse.timing import Timer, duration, wait_until


def test_timer_measures_on_its_clock_and_logs_the_end(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    with caplog.at_level(logging.INFO), Timer("readout", precision=1, clock=clock) as timer:
        clock.advance(1.5)
        assert timer.elapsed == timer() == 1.5
        timer.log_elapsed()
        clock.advance(1.0)
    clock.advance(100)
    assert timer.elapsed == 2.5
    assert caplog.messages == ["readout: 1.5 s", "readout: 2.5 s"]


def fail_after_two_seconds(timer: Timer, clock: VirtualClock) -> None:
    with timer:
        clock.advance(2)
        assert 1 / 0


def test_timer_starts_anew_and_tells_the_time_of_what_failed(caplog: pytest.LogCaptureFixture) -> None:
    clock = VirtualClock()
    timer = Timer(log_level=logging.WARNING, clock=clock)
    clock.advance(5)
    assert timer() == 5.0  # also without `with`
    with pytest.raises(ZeroDivisionError):
        fail_after_two_seconds(timer, clock)
    assert timer() == 2.0
    assert caplog.messages == ["Timer: 2.000 s"]


def test_timer_on_the_clock_of_the_host() -> None:
    with Timer() as timer:
        assert 0 <= timer() < 1


def test_duration() -> None:
    start = "2022-06-01T07:47:25.672+0000"
    assert duration(start, "2022-06-01T07:47:27.000+0000") == timedelta(seconds=1.328)
    assert duration(datetime(2022, 6, 1, 7, 47), datetime(2022, 6, 1, 8, 47, tzinfo=UTC)) == timedelta(
        hours=1
    )
    brussels = timezone(timedelta(hours=2))
    assert duration(datetime(2022, 6, 1, 9, 47, tzinfo=brussels), "2022-06-01 07:47") == timedelta(0)
    assert duration("20220602", "20220601") == timedelta(days=-1)
    with pytest.raises(ValueError, match="no date and time: 'noon'"):
        duration(start, "noon")


def test_wait_until_is_false_when_the_condition_held_and_true_when_the_time_was_over() -> None:
    clock = VirtualClock()
    asked = []

    def later_than(seconds: float, *, factor: int = 1) -> bool:
        asked.append(clock.monotonic())
        return clock.monotonic() >= seconds * factor

    assert wait_until(later_than, 1.0, timeout=10, interval=0.25, clock=clock) is False
    assert asked == [0, 0.25, 0.5, 0.75, 1.0]
    assert wait_until(later_than, 100.0, timeout=1.1, interval=0.5, clock=clock, factor=2) is True
    assert clock.monotonic() == asked[-1] == pytest.approx(2.1)  # asked a last time when the time was over
    assert wait_until(lambda: True, timeout=0) is False
    assert wait_until(lambda: False, timeout=0) is True
    with pytest.raises(ValueError, match="interval must be larger than 0"):
        wait_until(lambda: False, interval=0)


def test_wait_until_on_the_clock_of_the_host() -> None:
    with Timer() as timer:
        assert wait_until(lambda: timer() > 0.02, interval=0.01) is False
