"""Shutter, filter wheels and power meter, executed by the real Controllers on their models, on virtual time."""

from __future__ import annotations

import math

import pytest

from camtest import Abort, GlobalState
from camtest.commanding import filter_wheel, power_meter, shutter
from camtest.core.dryrun import DryRun
from camtest.state import install_dry_run
from egse.command import CommandError
from egse.setup import Setup
from egse.site.layout import SiteLayout


def start(site: SiteLayout, **changes: str) -> DryRun:
    (path,) = site.conf.glob("SETUP_*.yaml")
    setup = Setup.from_yaml_file(path)
    for name, device in changes.items():
        setup.gse[name].device = device
    dry_run = DryRun(setup, supervised=True)
    install_dry_run(dry_run)
    return dry_run


def commands(dry: DryRun) -> list[str]:
    reading = ("get_", "is_", "att_get")
    return [entry.name for entry in dry.sequence.commands if not entry.name.startswith(reading)]


def test_shutter(site: SiteLayout) -> None:
    dry = start(site)
    shutter.shutter_open()
    assert shutter.shutter_is_open()
    shutter.shutter_close()
    assert not shutter.shutter_is_open()
    began = GlobalState.clock.monotonic()
    shutter.shutter_expose(exposure_time=2.0)
    assert 2.0 <= GlobalState.clock.monotonic() - began < 2.5
    assert not shutter.shutter_is_open()
    shutter.shutter_startloop(ccd=2, exposure_time=0.5)
    assert shutter.shutter().get_mode() == 4
    assert shutter.shutter().get_cycle()["Ontime"] == 500
    shutter.shutter_stoploop()
    assert shutter.shutter().get_mode() == 1
    assert commands(dry)[:4] == ["set_enable", "set_enable", "set_enable", "set_cycle"]
    with pytest.raises(CommandError, match="exposure_time"):
        shutter.shutter_expose(exposure_time=20.0)


def test_filter_wheels_on_one_motor(site: SiteLayout) -> None:
    dry = start(site)
    assert filter_wheel.get_fw_position() == (-1, -1)
    assert math.isnan(filter_wheel.get_fw_factor())
    filter_wheel.set_fw_position(positions=[3, 1])
    assert filter_wheel.get_fw_position() == (3, 1)
    filter_wheel.set_fw_factor(factor=0.01)
    assert filter_wheel.get_fw_factor() == 0.01
    filter_wheel.fw_level_up()
    assert filter_wheel.get_fw_factor() > 0.01
    filter_wheel.fw_level_down()
    assert filter_wheel.get_fw_factor() == 0.01
    filter_wheel.fw_homing()
    assert commands(dry) == [
        "set_position",
        "att_set_level_factor",
        "att_level_up",
        "att_level_down",
        "homing",
    ]
    with pytest.raises(CommandError, match="two filter wheels"):
        filter_wheel.set_fw_position(positions=[1])


def test_filter_wheels_with_a_motor_each(site: SiteLayout) -> None:
    dry = start(site, filter_wheel="class//egse.filterwheel.eksma.fw8smc5.FilterWheel8SMC5Proxy")
    filter_wheel.fw_homing()
    filter_wheel.set_fw_position(positions=[3, 1])
    assert filter_wheel.get_fw_position() == (3, 1)
    filter_wheel.set_fw_factor(factor=0.01)
    filter_wheel.fw_level_down()
    filter_wheel.fw_level_up()
    assert filter_wheel.get_fw_factor() == 0.01
    assert commands(dry)[:2] == ["home", "set_position_wheels"]


def test_the_power_meter_sees_what_stands_before_it(site: SiteLayout) -> None:
    """In a dry run the models know each other: shutter and filter wheels are before the meter."""
    start(site)
    shutter.shutter_close()
    assert power_meter.get_power() < 1e-8
    shutter.shutter_open()
    assert power_meter.get_power() == pytest.approx(1e-4, rel=0.01)
    filter_wheel.set_fw_factor(factor=0.01)
    assert power_meter.get_power() == pytest.approx(1e-6, rel=0.01)


def test_power_meter(site: SiteLayout) -> None:
    start(site)
    power_meter.set_up_power_meter(wavelength=633.0, average=10)
    mean, deviation = power_meter.measure_power(5, 1.0)
    assert mean == pytest.approx(1e-4, rel=1e-3)
    assert 0 < deviation < 1e-6
    assert power_meter.measure_power(1, 0.0)[1] == 0.0
    power_meter.power_meter().set_range("down")
    with pytest.raises(Abort, match="over its range"):
        power_meter.measure_power(1, 0.0)
    began = GlobalState.clock.monotonic()
    power_meter.zero_power_meter()
    assert GlobalState.clock.monotonic() - began >= 3.0
