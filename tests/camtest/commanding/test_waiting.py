"""Waiting on the session's clock, and what is said when a device is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from camtest import Abort, GlobalState
from camtest.commanding import utilities
from camtest.commanding.utilities import check_devices, device, require_devices, wait_until
from camtest.core.dryrun import DryRun
from camtest.state import install_dry_run
from egse.clock import VirtualClock
from egse.device import DeviceConnectionError
from egse.setup import Setup
from egse.site.layout import SiteLayout


@pytest.fixture
def clock() -> VirtualClock:
    clock = VirtualClock()
    GlobalState.clock = clock
    return clock


def answers(*values: Any) -> Callable[[], Any]:
    """Returns a function that gives or raises one of these at each call, the last one for ever."""
    rest: Iterator[Any] = iter(values)
    last = values[-1]

    def ask() -> Any:
        value = next(rest, last)
        if isinstance(value, Exception):
            raise value
        return value

    return ask


def test_returns_how_long_it_took(clock: VirtualClock) -> None:
    assert wait_until(answers(True), timeout=10) == 0.0
    assert wait_until(answers(False, False, True), timeout=10, interval=2.0) == pytest.approx(4.0)


def test_in_vain(clock: VirtualClock) -> None:
    start = clock.monotonic()
    with pytest.raises(TimeoutError, match="waited 10 s for the lamp, in vain"):
        wait_until(answers(False), timeout=10, what="the lamp")
    assert clock.monotonic() - start == pytest.approx(10.0, abs=0.6)


def test_waiting_goes_on_while_there_is_progress(clock: VirtualClock) -> None:
    cycles_left = iter([3, 2, 1, 1])
    with pytest.raises(TimeoutError, match="in vain"):
        wait_until(lambda: False, timeout=100, what="the images", progress=lambda: next(cycles_left))
    assert 300 <= clock.monotonic() < 310


@pytest.mark.parametrize(
    "error", [ConnectionError("gone"), DeviceConnectionError("gone"), TimeoutError("late")]
)
def test_a_server_that_is_restarted_does_not_end_a_wait(clock: VirtualClock, error: Exception) -> None:
    assert wait_until(answers(False, error, error, False, error, True), timeout=60) > 0


def test_nobody_answers_for_too_long(clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(utilities, "PATIENCE", -1.0)
    with pytest.raises(ConnectionError, match="gone"):
        wait_until(answers(False, ConnectionError("gone")), timeout=60)


def test_other_errors_end_a_wait_at_once(clock: VirtualClock) -> None:
    with pytest.raises(ValueError, match="nonsense"):
        wait_until(answers(ValueError("nonsense"), True), timeout=60)


def test_in_a_dry_run_an_error_is_an_error(site: SiteLayout) -> None:
    install_dry_run(DryRun(None, supervised=True))
    with pytest.raises(ConnectionError):
        wait_until(answers(ConnectionError("gone"), True), timeout=60)


def test_no_setup_no_device(site: SiteLayout) -> None:
    with pytest.raises(Abort, match=r"no Setup.*cm_cs load-setup"):
        device("gse.ogse")


def test_devices_of_the_setup(site: SiteLayout) -> None:
    (path,) = site.conf.glob("SETUP_*.yaml")
    GlobalState.setup = Setup.from_yaml_file(path)
    camera = device("camera.dpu")
    assert camera.server_name == "dpu_cs"
    assert device("camera.dpu") is camera, "one connection, however often it is asked"
    GlobalState.setup = Setup.from_yaml_file(path)
    assert device("camera.dpu") is not camera
    with pytest.raises(Abort, match=r"no `gse.laser.device` \(nothing called `laser`\)"):
        device("gse.laser")
    # Nothing runs in this site.
    with pytest.raises(Abort, match=r"not connected: gse.ogse\. Start their control servers"):
        require_devices(["gse.ogse"])


def test_all_devices_are_there_in_a_dry_run(site: SiteLayout) -> None:
    (path,) = site.conf.glob("SETUP_*.yaml")
    install_dry_run(DryRun(Setup.from_yaml_file(path), supervised=True))
    names = ["camera.dpu", "gse.ogse", "gse.lsci336"]
    assert check_devices(names) == dict.fromkeys(names, True)
    require_devices(names)
