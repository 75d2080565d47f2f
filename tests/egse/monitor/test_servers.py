"""Which servers are gone: one alarm for each, and only for that one."""

from __future__ import annotations

from pathlib import Path

from egse.monitor.alarms import AlarmEvent, Condition
from egse.monitor.heartbeat import DeadMan, read_heartbeat, write_heartbeat
from egse.monitor.servers import Servers
from egse.process import ProgramStatus, State

RUNNING = ProgramStatus(state=State.RUNNING, pid=10)


def status(pid: int = 10, life: str = "a", **more: object) -> dict[str, object]:
    return {
        "name": "dev_cs",
        "pid": pid,
        "incarnation": life,
        "housekeeping": {"period": 1.0, "rows": 5},
        **more,
    }


def told(conditions: list[Condition]) -> list[tuple[str, str]]:
    """Returns name and priority of what is bad."""
    return [(c.name, c.priority) for c in conditions if c.priority]


def well(conditions: list[Condition]) -> list[str]:
    return [c.name for c in conditions if not c.priority]


def heard(servers: Servers, now: float = 0.0, **more: object) -> None:
    servers.hear("dev_cs", status(**more), now)  # type: ignore[arg-type]
    servers.hear_row("dev_cs", now)


def test_a_silent_server_is_looked_after_and_told_once() -> None:
    servers = Servers([], {}, 0.0)
    heard(servers)
    assert servers.suspects(4.0) == []
    assert servers.suspects(6.0) == ["dev_cs"]
    assert servers.take_finding("dev_cs", "", 6.0) == [], "it answers: a slow machine is no alarm"
    assert told(servers.take_finding("dev_cs", "nobody listens", 7.0)) == [("dev_cs/gone", "alarm")]
    assert servers.suspects(8.0) == []
    assert told(servers.look(100.0)) == [], "no second alarm for its housekeeping or its device"
    assert not servers.is_there("dev_cs")
    assert servers.hear("dev_cs", status(), 101.0) == [], "its last words"
    assert well(servers.hear("dev_cs", status(11, "b"), 102.0)) == ["dev_cs/gone"]
    assert told(servers.look(103.0)) == []


def test_a_server_that_hangs_is_told_and_may_come_back_by_itself() -> None:
    servers = Servers([], {}, 0.0)
    heard(servers)
    assert told(servers.take_finding("dev_cs", "it does not answer", 9.0)) == [("dev_cs/gone", "alarm")]
    assert well(servers.hear("dev_cs", status(), 10.0)) == ["dev_cs/gone"]


def test_a_crash_that_the_supervisor_mends_at_once_is_told() -> None:
    servers = Servers([], {}, 0.0)
    servers.take_programs({"dev_cs": RUNNING}, True, 0.0)
    heard(servers)
    again = ProgramStatus(state=State.RUNNING, pid=11, restarts=1, reason="dev_cs killed by SIGKILL")
    (condition,) = [c for c in servers.take_programs({"dev_cs": again}, True, 2.0) if c.priority]
    assert (condition.name, condition.limit) == ("dev_cs/gone", "dev_cs killed by SIGKILL")
    assert servers.hear("dev_cs", status(10), 2.1) == []
    assert well(servers.hear("dev_cs", status(11, "b"), 3.0)) == ["dev_cs/gone"]
    assert told(servers.take_programs({"dev_cs": again}, True, 4.0)) == []


def test_a_program_without_a_stream_is_watched_by_its_process() -> None:
    servers = Servers([], {}, 0.0)
    servers.take_programs({"dev_sim": RUNNING}, True, 0.0)
    down = ProgramStatus(state=State.FATAL, restarts=3, reason="dev_sim crashed\nTraceback")
    (condition,) = [c for c in servers.take_programs({"dev_sim": down}, True, 1.0) if c.priority]
    assert (condition.name, condition.limit) == ("dev_sim/gone", "dev_sim crashed")
    up = ProgramStatus(state=State.RUNNING, pid=12, restarts=3)
    assert "dev_sim/gone" in well(servers.take_programs({"dev_sim": up}, True, 2.0))


def test_what_was_stopped_on_request_is_no_alarm() -> None:
    servers = Servers([], {}, 0.0)
    servers.take_programs({"dev_cs": RUNNING}, True, 0.0)
    heard(servers)
    stopping = ProgramStatus(state=State.STOPPING, pid=10)
    servers.take_programs({"dev_cs": stopping}, True, 1.0)
    assert servers.take_finding("dev_cs", "nobody listens", 7.0) == []
    assert told(servers.take_programs({}, True, 8.0)) == []
    assert servers.suspects(100.0) == []
    heard(servers, 101.0, pid=20, life="c")
    assert servers.suspects(110.0) == ["dev_cs"], "it counts again once it was heard again"


def test_a_server_that_was_started_by_hand_is_watched_as_well() -> None:
    servers = Servers([], {}, 0.0)
    heard(servers)
    assert servers.to_remember() == ["dev_cs"]
    found = servers.hear("dev_cs", status(11, "b"), 3.0)
    assert told(found) == [("dev_cs/gone", "warning")]
    assert well(found) == ["dev_cs/gone"]
    later = Servers([], {}, 0.0, servers.to_remember())
    assert later.suspects(10.0) == []
    assert later.suspects(31.0) == ["dev_cs"]


def test_crashes_while_the_monitor_was_away_are_told() -> None:
    servers = Servers([], {}, 0.0, (), {"dev_cs": 1})
    again = ProgramStatus(state=State.RUNNING, pid=11, restarts=2, reason="killed")
    assert told(servers.take_programs({"dev_cs": again}, True, 1.0)) == [("dev_cs/gone", "alarm")]


def test_a_monitor_that_was_started_again_is_no_crash_to_itself() -> None:
    """It has told of its absence when it started; what the supervisor says of it comes a second later."""
    servers = Servers([], {}, 0.0, (), {"dev_cs": 1}, itself="dev_cs")
    again = ProgramStatus(state=State.RUNNING, pid=11, restarts=2, reason="killed")
    assert told(servers.take_programs({"dev_cs": again}, True, 1.0)) == []


def test_a_core_service_must_come_up() -> None:
    servers = Servers(["cm_cs"], {}, 100.0)
    assert servers.suspects(120.0) == []
    assert servers.suspects(131.0) == ["cm_cs"]


def test_the_death_of_the_supervisor_is_told() -> None:
    servers = Servers([], {}, 0.0)
    assert told(servers.take_programs({}, False, 0.0)) == []
    servers.take_programs({"dev_cs": RUNNING}, True, 1.0)
    assert told(servers.take_programs({"dev_cs": RUNNING}, False, 2.0)) == [("supervisor/gone", "alarm")]
    assert "supervisor/gone" in well(servers.take_programs({"dev_cs": RUNNING}, True, 3.0))


def test_a_lost_device_is_told_after_a_while_unless_its_simulator_is_gone() -> None:
    servers = Servers([], {"dev_cs": ("dev_sim",)}, 0.0)
    servers.take_programs({"dev_sim": RUNNING}, True, 0.0)
    heard(servers, device_connected=True)
    heard(servers, 1.0, device_connected=False)
    assert told(servers.look(11.0)) == []
    assert told(servers.look(11.5)) == [("dev_cs/device", "alarm")]
    assert not servers.is_there("dev_cs"), "its values are not to be expected"
    down = ProgramStatus(state=State.BACKOFF, restarts=1, reason="killed")
    servers.take_programs({"dev_sim": down}, True, 12.0)
    assert told(servers.look(30.0)) == []
    heard(servers, 31.0, device_connected=True)
    assert "dev_cs/device" in well(servers.look(31.0))


def test_missing_housekeeping_is_told_but_not_of_a_reserved_device() -> None:
    servers = Servers([], {}, 0.0)
    heard(servers)
    servers.hear("dev_cs", status(), 9.0)
    assert told(servers.look(9.0)) == []
    assert told(servers.look(11.0)) == [("dev_cs/housekeeping", "alarm")]
    servers.hear("dev_cs", status(reserved="by anna"), 12.0)
    assert told(servers.look(30.0)) == []


def test_the_dead_man_calls_once_and_tells_when_the_monitor_is_back(tmp_path: Path) -> None:
    calls: list[AlarmEvent] = []
    man = DeadMan(tmp_path, calls.extend, patience=10.0, by="wd_cs")
    assert man.look(1000.0, 0.0), "there never was one"
    write_heartbeat(tmp_path, 1000.0, "a", ["dev_cs"], {"dev_cs": 1})
    beat = read_heartbeat(tmp_path)
    assert beat is not None
    assert (beat.servers, beat.restarts, beat.ended) == (("dev_cs",), {"dev_cs": 1}, False)
    assert man.look(1001.0, 1.0)
    assert man.look(5000.0, 9.0), "a clock that steps is no death"
    assert not man.look(1012.0, 12.1)
    assert not man.look(1013.0, 13.0)
    assert [(c.name, c.event, c.priority, c.by) for c in calls] == [
        ("mon_cs/gone", "raised", "critical", "wd_cs")
    ]
    write_heartbeat(tmp_path, 1014.0, "b")
    assert man.look(1014.0, 14.0)
    assert [c.event for c in calls] == ["raised", "cleared"]
    write_heartbeat(tmp_path, 1015.0, "b", ended=True)
    assert man.look(9999.0, 9999.0), "it has ended on request"
    fresh = DeadMan(tmp_path, calls.extend, patience=10.0)
    write_heartbeat(tmp_path, 1000.0, "c")
    assert not fresh.look(1100.0, 5.0), "an old sign of life is none"
