"""Temperature control, executed by the real Controller on its model, on virtual time."""

from __future__ import annotations

import pytest

from camtest import GlobalState
from camtest.commanding import tempcontrol
from camtest.core.dryrun import DryRun
from camtest.state import install_dry_run
from egse.command import CommandError
from egse.setup import Setup
from egse.site.layout import SiteLayout
from egse.tempcontrol.lsci336.interface import HeaterRange, OutputMode


@pytest.fixture
def dry(site: SiteLayout) -> DryRun:
    (path,) = site.conf.glob("SETUP_*.yaml")
    dry_run = DryRun(Setup.from_yaml_file(path), supervised=True)
    install_dry_run(dry_run)
    return dry_run


def test_a_plateau_is_reached_and_watched(dry: DryRun) -> None:
    start = tempcontrol.get_temperature("A")
    assert start == pytest.approx(20.0, abs=1.0)
    tempcontrol.set_temperature(heater=1, sensor="A", temperature=30.0, heater_range=HeaterRange.HIGH)
    began = GlobalState.clock.monotonic()
    took = tempcontrol.wait_for_plateau("A", 30.0, tolerance=0.1, stable_for=60.0, timeout=3600.0)
    assert took >= 60.0
    assert GlobalState.clock.monotonic() - began == pytest.approx(took, abs=1.0)
    assert tempcontrol.get_temperature("A") == pytest.approx(30.0, abs=0.1)
    tempcontrol.heater_off(heater=1)
    commands = [(e.name, e.arguments) for e in dry.sequence.commands if e.name.startswith("set_")]
    assert commands == [
        ("set_output_mode", {"output": 1, "mode": OutputMode.CLOSED_LOOP, "input": 1, "powerup": False}),
        ("set_temperature_setpoint", {"output": 1, "value": 303.15}),
        ("set_range", {"output": 1, "range": HeaterRange.HIGH}),
        ("set_range", {"output": 1, "range": HeaterRange.OFF}),
    ]


def test_a_plateau_that_is_not_reached_in_time(dry: DryRun) -> None:
    with pytest.raises(TimeoutError, match="90 degC"):
        tempcontrol.wait_for_plateau("A", 90.0, tolerance=0.1, stable_for=60.0, timeout=300.0)


def test_ranges(dry: DryRun) -> None:
    with pytest.raises(CommandError, match="temperature"):
        tempcontrol.set_temperature(heater=1, sensor="A", temperature=500.0, heater_range=HeaterRange.HIGH)
