"""Thermal control with the TCS EGSE, executed by the real Controller on its model, on virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from camtest.commanding import tcs
from camtest.core.dryrun import DryRun
from camtest.core.exec import Abort
from egse.command import CommandError
from egse.tcs import OperatingMode


def changing(dry: DryRun) -> list[tuple[str, dict[str, Any]]]:
    """Returns the commands that change something, with their arguments."""
    return [(entry.name, entry.arguments) for entry in dry.sequence.commands if not entry.query]


def test_trp1_is_set_and_committed(dry_run: DryRun) -> None:
    tcs.set_trp1(temperature=-70.0)
    assert changing(dry_run) == [("set_parameter", {"name": "ch1_tset", "value": -70.0}), ("commit", {})]
    assert tcs.get_configuration()["ch1_tset"] == -70
    with pytest.raises(CommandError, match=r"must be in \[-200, 100\] degC"):
        tcs.set_trp1(temperature=700.0)


def test_nothing_is_changed_while_a_task_is_running(dry_run: DryRun) -> None:
    tcs.start_task()
    assert tcs.is_task_running()
    before = len(changing(dry_run))
    for refused, arguments in (
        (tcs.set_trp1, {"temperature": -70.0}),
        (tcs.set_trp22, {"temperature": -30.0}),
        (tcs.set_operating_mode, {"mode": OperatingMode.SAFE}),
        (tcs.enable_heater, {"trp": "TRP22", "enabled": True}),
    ):
        with pytest.raises(Abort, match="a task is running on the TCS"):
            refused(**arguments)
    assert len(changing(dry_run)) == before
    tcs.stop_task()
    assert not tcs.is_task_running()


def test_remote_mode_is_asked_for_when_it_is_not_there(dry_run: DryRun) -> None:
    assert tcs.is_remote_mode(), "as in system state INITIALIZED"
    tcs.stop_remote_mode()
    assert not tcs.is_remote_mode()
    assert not tcs.is_task_running()
    assert tcs.get_temperature("TRP22") == pytest.approx(-110.0, abs=0.1)
    tcs.set_trp1(temperature=-71.0)
    assert tcs.is_remote_mode()
    tcs.stop_tcs_egse()
    assert not tcs.is_remote_mode()
    tcs.start_remote_mode()
    assert tcs.is_remote_mode()


def test_both_plateaus(dry_run: DryRun) -> None:
    with pytest.raises(Abort, match="neither controlled nor measured: call start_task"):
        tcs.wait_for_plateau("TRP1", -70.0, 0.1, 60.0, 100.0)
    tcs.set_operating_mode(mode=OperatingMode.EXTENDED)
    tcs.set_trp1(temperature=-80.0)
    tcs.set_trp22(temperature=-100.0)
    tcs.enable_heater(trp="TRP22", enabled=True)
    tcs.start_task()
    took = tcs.wait_for_plateau("TRP1", -80.0, tolerance=0.2, stable_for=600.0, timeout=20_000.0)
    assert took > 600.0
    assert tcs.get_temperature("TRP1") == pytest.approx(-80.0, abs=0.2)
    assert tcs.get_temperature("TRP22") == pytest.approx(-100.0, abs=0.2)
    assert tcs.get_data()["ch2_pout"] > 0.5
    with pytest.raises(TimeoutError, match=r"-20 degC \+/- 0.1 K for 60 s at TRP1, in vain"):
        tcs.wait_for_plateau("TRP1", -20.0, 0.1, 60.0, 600.0)


def test_a_value_that_is_not_taken_as_it_was_set_aborts(dry_run: DryRun) -> None:
    tcs.set_parameter(name="ch1_pwm_frequency", value=80)
    with pytest.raises(Abort, match="could not take a parameter as it was set"):
        tcs.commit()
    assert tcs.get_configuration()["ch1_pwm_frequency"] == 50
    tcs.set_parameter(name="ch1_pwm_frequency", value=35.5)
    tcs.commit()
    assert tcs.get_configuration()["ch1_pwm_frequency"] == 35.5


def test_looking_changes_nothing(dry_run: DryRun, capsys: pytest.CaptureFixture[str]) -> None:
    assert tcs.get_housekeeping_value("ambient_rtd").value == pytest.approx(21.0, abs=0.2)
    assert tcs.get_error() == []
    assert len(tcs.get_all_housekeeping()) > 80
    tcs.print_all_housekeeping()
    tcs.print_configuration()
    printed = capsys.readouterr().out
    assert "All Housekeeping" in printed
    assert "ambient_rtd" in printed
    assert "PT100-01" in printed
    assert changing(dry_run) == []
