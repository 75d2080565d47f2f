"""TEB, shroud and bipods, executed by the real Controllers of three LakeShore 336 on their models, on virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from camtest import GlobalState
from camtest.commanding import tgse
from camtest.core.dryrun import DryRun
from camtest.core.exec import Abort
from camtest.operate import tcs_tasks, tgse_tasks
from egse.command import CommandError


def changing(dry: DryRun) -> list[tuple[str, str, dict[str, Any]]]:
    return [(e.device, e.name, e.arguments) for e in dry.sequence.commands if not e.query]


def test_one_control_point(dry_run: DryRun) -> None:
    assert tgse.get_temperature(tgse.TRP.TEB_SKY) == pytest.approx(-120.0, abs=0.1)
    tgse.set_temp_setpoint(trp=tgse.TRP.TEB_SKY, temperature=-80.0)
    assert tgse.get_temp_setpoint(tgse.TRP.TEB_SKY) == pytest.approx(-80.0)
    assert not tgse.is_controlled(tgse.TRP.TEB_SKY)
    tgse.start_control(trp=tgse.TRP.TEB_SKY)
    assert tgse.is_controlled(tgse.TRP.TEB_SKY)
    assert not tgse.is_controlled(tgse.TRP.TEB_TOU)
    tgse.wait_for_plateau(tgse.TRP.TEB_SKY, -80.0, tolerance=0.1, stable_for=60.0, timeout=3600.0)
    assert tgse.get_temperature(tgse.TRP.TEB_TOU) == pytest.approx(-120.0, abs=0.1), "the others stay cold"
    tgse.stop_control(trp=tgse.TRP.TEB_SKY)
    assert not tgse.is_controlled(tgse.TRP.TEB_SKY)
    assert [(device, name) for device, name, _ in changing(dry_run)] == [
        ("lsci336_1_cs", "set_temperature_setpoint"),
        ("lsci336_1_cs", "set_output_mode"),
        ("lsci336_1_cs", "set_range"),
        ("lsci336_1_cs", "set_range"),
    ]


def test_three_bipods_at_once_on_two_controllers(dry_run: DryRun) -> None:
    tgse.set_temp_setpoint(trp=tgse.TRP.TRP234, temperature=-60.0)
    tgse.start_control(trp="TRP234")  # type: ignore[arg-type]  # a form gives the name
    assert tgse.is_controlled(tgse.TRP.TRP234)
    tgse.wait_for_plateau(tgse.TRP.TRP234, -60.0, tolerance=0.1, stable_for=30.0, timeout=3600.0)
    for trp in tgse.TRP.TRP234.points:
        assert tgse.get_temperature(trp) == pytest.approx(-60.0, abs=0.1)
    assert {device for device, _, _ in changing(dry_run)} == {"lsci336_2_cs", "lsci336_3_cs"}
    tgse.stop_control(trp=tgse.TRP.TRP234)
    assert not any(tgse.is_controlled(trp) for trp in tgse.TRP.TRP234.points)
    with pytest.raises(Abort, match="several control points"):
        tgse.get_temp_setpoint(tgse.TRP.TRP234)


def test_nothing_is_started_when_a_sensor_is_broken(dry_run: DryRun) -> None:
    tgse.set_temp_setpoint(trp=tgse.TRP.TRP234, temperature=-60.0)
    dry_run._shared["lsci336_3"].inject("sensor_open", {"input": "B"}, 0.0)
    with pytest.raises(Abort, match=r"Sensor B of the LakeShore 336 has no valid reading \(status 128\)"):
        tgse.start_control(trp=tgse.TRP.TRP234)
    assert not any(tgse.is_controlled(trp) for trp in tgse.TRP.TRP234.points)


def test_a_setup_without_control_points(dry_run: DryRun) -> None:
    setup = GlobalState.setup
    assert setup is not None
    bare = setup.copy()
    del bare.gse["tgse"]
    GlobalState.setup = bare
    with pytest.raises(Abort, match="nothing called `tgse`"):
        tgse.start_control(trp=tgse.TRP.TEB_SKY)
    with pytest.raises(CommandError, match=r"must be in \[-200, 100\] degC"):
        tgse.set_temp_setpoint(trp=tgse.TRP.TEB_SKY, temperature=1000.0)


def test_the_tasks_show_all_points(dry_run: DryRun) -> None:
    shown = tgse_tasks.status()
    assert list(shown) == ["TEB_SKY", "TEB_TOU", "TEB_FEE", "TRP2", "TRP3", "TRP4"]
    assert shown["TRP3"]["temperature"] == pytest.approx(-120.0, abs=0.1)
    assert shown["TRP3"]["state"] == "not controlled"
    assert tcs_tasks.status()["task"] == "not running"
    assert tcs_tasks.status()["TRP1"] == pytest.approx(-110.0, abs=0.1)
