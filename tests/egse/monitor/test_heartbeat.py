"""The dead man sees nothing: that is no sign of life."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from camtest.core.monitorguard import MonitorGuard
from egse.cli import main as cgse
from egse.env import get_data_storage_location
from egse.monitor.alarms import AlarmEvent
from egse.monitor.heartbeat import DeadMan, write_heartbeat
from egse.site.layout import SiteLayout


def remove(path: Path) -> None:
    path.unlink()


def damage(path: Path) -> None:
    path.write_bytes(b"")


def make_unreadable(path: Path) -> None:
    """Makes it a folder: permissions do not hinder root."""
    path.unlink(missing_ok=True)
    path.mkdir()


BLINDING = [remove, damage, make_unreadable]


@pytest.mark.parametrize("blind", BLINDING)
def test_a_monitor_that_was_alive_and_cannot_be_seen_any_more_is_gone(
    blind: Callable[[Path], None], tmp_path: Path
) -> None:
    calls: list[AlarmEvent] = []
    man = DeadMan(tmp_path, calls.extend, patience=10.0)
    write_heartbeat(tmp_path, 1000.0, "a")
    path = tmp_path / "heartbeat.json"
    assert man.look(1000.0, 0.0)
    blind(path)
    assert man.look(1009.0, 9.0)
    assert not man.look(1011.0, 11.0)
    assert [call.event for call in calls] == ["raised"]
    assert f"no sign of life can be read at {path}" in calls[0].cause
    if path.is_dir():
        path.rmdir()
    write_heartbeat(tmp_path, 1012.0, "b")
    assert man.look(1012.0, 12.0)
    assert [call.event for call in calls] == ["raised", "cleared"]


@pytest.mark.parametrize("blind", BLINDING)
def test_a_monitor_that_is_gone_is_not_back_when_nothing_can_be_read(
    blind: Callable[[Path], None], tmp_path: Path
) -> None:
    calls: list[AlarmEvent] = []
    man = DeadMan(tmp_path, calls.extend, patience=10.0)
    write_heartbeat(tmp_path, 1000.0, "a")
    man.look(1000.0, 0.0)
    assert not man.look(1011.0, 11.0)
    blind(tmp_path / "heartbeat.json")
    assert not man.look(1012.0, 12.0)
    assert [call.event for call in calls] == ["raised"]


def test_where_no_monitor_ever_ran_none_is_missed(tmp_path: Path) -> None:
    calls: list[AlarmEvent] = []
    man = DeadMan(tmp_path, calls.extend, patience=10.0)
    assert man.look(1000.0, 0.0)
    assert man.look(2000.0, 1000.0)
    assert (
        man.trouble
        == f"no sign of life can be read at {tmp_path / 'heartbeat.json'}: No such file or directory"
    )
    write_heartbeat(tmp_path, 2000.0, "a", ended=True)
    assert man.look(2001.0, 1001.0)
    remove(tmp_path / "heartbeat.json")
    assert man.look(3000.0, 2000.0), "it has ended on request"
    assert calls == []


@pytest.mark.parametrize("blind", [damage, make_unreadable])
def test_a_file_that_can_never_be_read_is_told(blind: Callable[[Path], None], tmp_path: Path) -> None:
    calls: list[AlarmEvent] = []
    man = DeadMan(tmp_path, calls.extend, patience=10.0)
    blind(tmp_path / "heartbeat.json")
    assert man.look(1000.0, 0.0), "it may be on its way"
    assert not man.look(1011.0, 11.0)
    assert [call.event for call in calls] == ["raised"]


def deadman() -> tuple[int, str]:
    result = CliRunner().invoke(cgse, ["alarm", "deadman", "--every", "0"])
    return result.exit_code, result.output


def test_the_command_line_tells_that_it_sees_nothing(site: SiteLayout) -> None:
    folder = get_data_storage_location() / "alarms"
    path = folder / "heartbeat.json"
    code, said = deadman()
    assert (code, said) == (1, f"Error: no sign of life can be read at {path}: No such file or directory\n")
    folder.mkdir(parents=True)
    damage(path)
    code, said = deadman()
    assert code == 1
    assert f"no sign of life can be read at {path}: it is damaged" in said
    write_heartbeat(folder, time.time(), "a")
    code, said = deadman()
    assert (code, "was heard" in said) == (0, True)
    write_heartbeat(folder, time.time() - 3600.0, "a", ended=True)
    assert deadman()[0] == 0
    write_heartbeat(folder, time.time() - 3600.0, "a")
    code, said = deadman()
    assert code == 1
    assert "the limit monitor is gone" in said


def test_the_watchdog_is_quiet_where_no_monitor_ever_ran(site: SiteLayout) -> None:
    guard = MonitorGuard("wd_cs", patience=0.0)
    assert guard.look()
    assert guard.look()
