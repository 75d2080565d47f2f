"""The limit monitor as a process: from a value in a simulator to the people who are called."""

from __future__ import annotations

import csv
import json
import signal
import threading
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner

from egse.cli import main as cgse
from egse.confman import ConfigurationManagerProxy
from egse.monitor import AlarmError, patrol
from egse.settings import Settings

from .conftest import VOLTAGE, Watched, wait_until

pytestmark = pytest.mark.system

LIMITS = f"""\
      {VOLTAGE}:
        warning: [0, 5]
        alarm: [0, 8]
        clear_after: 0.5
        cause: somebody has turned the knob
        action: turn it back
        when: [{{state: RUNNING, warning: [0, 2]}}]"""


def run(*arguments: str) -> str:
    result = CliRunner().invoke(cgse, ["alarm", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def of(events: list[Any], name: str) -> list[str]:
    return [event.event for event in events if event.name == name]


def test_a_value_that_crosses_a_limit_calls_people_and_is_in_the_journal(watched: Watched) -> None:
    watched.use_limits(LIMITS)
    begin = time.time()
    watched.set_voltage(9.0)
    arrived, event = wait_until(lambda: watched.call(), "the call")
    assert (event["name"], event["event"], event["priority"], event["value"]) == (
        VOLTAGE,
        "raised",
        "alarm",
        9.0,
    )
    assert (event["cause"], event["action"]) == ("somebody has turned the knob", "turn it back")
    assert event["limit"] == "above 8 Volts (alarm)"
    assert event["source"] == "dummy_cs"
    assert event["time"] <= arrived
    assert of(watched.events(begin), VOLTAGE) == ["raised"]
    assert watched.alarms()[VOLTAGE]["active"]
    port = Settings.load("Limit Monitor Control Server")["METRICS_PORT"]
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
        metrics = page.read().decode().splitlines()
    (active,) = [line for line in metrics if line.startswith("egse_alarm_active{")]
    assert f'alarm="{VOLTAGE}"' in active
    watched.set_voltage(1.0)
    wait_until(lambda: not watched.alarms()[VOLTAGE]["active"], "the end of the alarm")
    wait_until(
        lambda: [e["event"] for _, e in watched.calls][-2:] == ["raised", "cleared"], "the second call"
    )
    assert set(watched.alarms()) == {VOLTAGE}, "still there: nobody has seen it"
    day = watched.box.layout.data / "daily"
    path = wait_until(lambda: next(iter(day.glob("*/*_ALARM.csv")), None), "the file of the day")
    rows = wait_until(
        lambda: [r for r in csv.DictReader(path.read_text().splitlines()) if r["name"] == VOLTAGE], "its rows"
    )
    assert rows[0]["event"] == "raised"


def test_limits_change_with_the_state_and_the_setup(watched: Watched) -> None:
    watched.use_limits(LIMITS)
    watched.set_voltage(3.0)
    begin = time.time()
    with ConfigurationManagerProxy(timeout=60.0) as manager:
        record = manager.start_observation("run-1", "test()", "limits", False, 0.0, {"origin": "test"})
        try:
            (_, event) = wait_until(lambda: watched.call(), "the call")
            assert (event["name"], event["limit"]) == (VOLTAGE, "above 2 Volts (warning)")
            assert event["obsid"] == record["obsid"]
            assert event["context"]["state"] == "RUNNING"
            folder = Path(record["folder"])
            wait_until(lambda: list(folder.glob("*_ALARM*.csv")), "the alarms in the observation")
        finally:
            manager.end_observation("run-1", "done")
    wait_until(lambda: not watched.alarms()[VOLTAGE]["active"], "the end of the alarm")
    watched.use_limits(f"      {VOLTAGE}: {{warning: [0, 2], clear_after: 0.5}}")
    wait_until(lambda: watched.alarms()[VOLTAGE]["active"], "the alarm by the other Setup")
    assert of(watched.events(begin), VOLTAGE) == ["raised", "cleared", "raised"]


def test_a_bad_definition_is_an_alarm_with_file_line_and_parameter(watched: Watched) -> None:
    setup = watched.use_limits(f"      {VOLTAGE}:\n        warning: [5, 0]")
    alarm = wait_until(lambda: watched.alarms().get("mon_cs/limits"), "the alarm")
    assert f"_{setup}_" in alarm["cause"]
    assert f"monitor.limits.{VOLTAGE}.warning: the low limit 5 is above the high limit 0" in alarm["cause"]
    file, _, rest = alarm["cause"].partition(", line ")
    line = Path(file).read_text().splitlines()[int(rest.split(",")[0]) - 1]
    assert line.strip() == "warning: [5, 0]" or line.strip().startswith("warning:")
    assert (
        f"monitor.limits.{VOLTAGE}.warning"
        in CliRunner().invoke(cgse, ["alarm", "limits", "--check", file]).output
    )
    with watched.monitor() as monitor:
        (limits,) = monitor.get_limits(VOLTAGE)
        assert limits["alarm"] == [0.0, 10.0], "the TM dictionary counts"
    watched.use_limits(LIMITS)
    wait_until(lambda: not watched.alarms()["mon_cs/limits"]["active"], "the end of the alarm")


def test_a_server_that_is_killed_is_one_alarm_and_starting_again_clears_it(watched: Watched) -> None:
    begin = time.time()
    watched.box.kill("dummy_cs")
    wait_until(lambda: "dummy_cs/gone" in watched.alarms(), "the alarm")
    wait_until(lambda: not watched.alarms()["dummy_cs/gone"]["active"], "its end")
    assert {event.name for event in watched.events(begin)} == {"dummy_cs/gone"}
    assert of(watched.events(begin), "dummy_cs/gone") == ["raised", "cleared"]
    assert "SIGKILL" in watched.alarms()["dummy_cs/gone"]["limit"]


def test_a_server_that_hangs_is_an_alarm_until_it_goes_on(watched: Watched) -> None:
    begin = time.time()
    watched.box.kill("dummy_cs", signal.SIGSTOP)
    try:
        alarm = wait_until(lambda: watched.alarms().get("dummy_cs/gone"), "the alarm")
        assert "does not answer" in alarm["limit"]
    finally:
        watched.box.kill("dummy_cs", signal.SIGCONT)
    wait_until(lambda: not watched.alarms()["dummy_cs/gone"]["active"], "its end")
    assert {event.name for event in watched.events(begin)} == {"dummy_cs/gone"}


def test_a_monitor_that_hangs_is_told_by_the_watchdog_and_invents_nothing_afterwards(
    watched: Watched,
) -> None:
    begin = time.time()
    watched.box.kill("mon_cs", signal.SIGSTOP)
    try:
        # By name: a call about the server of the test before may still be on its way.
        _, event = wait_until(lambda: watched.call(name="mon_cs/gone"), "the call")
        assert (event["priority"], event["by"]) == ("critical", "wd_cs")
    finally:
        watched.box.kill("mon_cs", signal.SIGCONT)
    wait_until(lambda: watched.call("cleared", "mon_cs/gone"), "the call that it is there again")
    wait_until(lambda: _alarms_or_none(watched) == {}, "the monitor")
    assert watched.events(begin) == []


def test_the_death_of_the_monitor_is_told_and_nothing_is_lost_over_it(watched: Watched) -> None:
    watched.use_limits(LIMITS)
    watched.set_voltage(9.0)
    wait_until(lambda: VOLTAGE in watched.alarms(), "the alarm")
    with watched.monitor() as monitor:
        monitor.acknowledge(VOLTAGE, "anna@lab:1", "it is the test")
        monitor.shelve("GLAB_DUMMY_OUTPUT", "ben@lab:2", 3600.0, "not connected")
        before = {alarm["name"]: alarm for alarm in monitor.get_alarms()}
        shelves = monitor.get_shelves()
        last = monitor.get_history(last=1)[0]["number"]
    begin = time.time()
    watched.box.kill("mon_cs")
    wait_until(lambda: [e for e in watched.events(begin) if e.name == "mon_cs/gone"], "the alarm")
    after = wait_until(lambda: _alarms_or_none(watched), "the monitor")
    wait_until(
        lambda: of(watched.events(begin), "mon_cs/gone") == ["raised", "cleared"], "the end of the alarm"
    )
    assert after[VOLTAGE] == before[VOLTAGE]
    with watched.monitor() as monitor:
        assert monitor.get_shelves() == shelves
        numbers = [event["number"] for event in monitor.get_history(begin)]
        assert numbers == list(range(last + 1, last + 1 + len(numbers)))
        monitor.unshelve("GLAB_DUMMY_OUTPUT", "ben@lab:2")
    threading.Event().wait(
        2 * patrol.PERIOD
    )  # its supervisor says meanwhile that it was killed, which is no news
    events = watched.events(begin)
    assert {event.name for event in events} == {"mon_cs/gone", "GLAB_DUMMY_OUTPUT"}
    assert of(events, "mon_cs/gone") == ["raised", "cleared"]


def _alarms_or_none(watched: Watched) -> dict[str, dict[str, Any]] | None:
    try:
        return watched.alarms()
    except (ConnectionError, TimeoutError):
        return None


def test_two_operators_acknowledge_and_shelve_on_the_command_line(watched: Watched) -> None:
    watched.use_limits(LIMITS)
    begin = time.time()
    assert run("list") == "No alarms.\n"
    assert "is shelved until" in run("shelve", VOLTAGE, "--for", "1h", "-m", "knob test")
    watched.set_voltage(9.0)
    shown = wait_until(lambda: "active, shelved" in (text := run("list")) and text, "the alarm")
    assert "next:   turn it back" in shown
    assert watched.call() is None, "nobody is called"
    run("unshelve", VOLTAGE)
    wait_until(lambda: watched.call("unshelved"), "the call")
    assert "acknowledged by" in run("ack", VOLTAGE, "-m", "I am there")
    with watched.monitor() as other:
        other.acknowledge(VOLTAGE, "ben@lab:2", "me too")
        with pytest.raises(AlarmError, match="nothing of the name"):
            other.shelve("NOTHING", "", 60.0, "why not")
    assert of(watched.events(begin), VOLTAGE) == [
        "shelved",
        "raised",
        "unshelved",
        "acknowledged",
        "acknowledged",
    ]
    assert "me too" in run("history", VOLTAGE, "--since", "10m")
    listed = json.loads(run("list", "--json"))
    assert [alarm["acknowledged_by"] != "ben@lab:2" for alarm in listed] == [True]
    assert "0 … 5" in run("limits")
    assert json.loads(run("limits", VOLTAGE))[0]["contexts"] == 1
    assert "no limits of 'GLAB_DUMY'" in CliRunner().invoke(cgse, ["alarm", "limits", "GLAB_DUMY"]).output
    assert "was heard" in run("deadman", "--every", "0")
