"""Calling people: real HTTP servers and a real program."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from camtest.core.monitorguard import MonitorGuard
from egse.clock import system_clock
from egse.env import get_data_storage_location
from egse.monitor import routes
from egse.monitor.alarms import AlarmBook, AlarmEvent, Condition
from egse.monitor.controller import LimitMonitorController
from egse.monitor.heartbeat import write_heartbeat
from egse.monitor.interface import SETTINGS
from egse.monitor.journal import AlarmJournal
from egse.monitor.routes import Route, Webhook, as_text, concerns, routes_of, still_to_tell
from egse.settings import Settings
from egse.site.layout import SiteLayout
from egse.site.localsettings import read_local_settings, write_local_settings

from ...receiver import JSONReceiver


class Hook:
    """An HTTP server that keeps what it gets.

    Attributes:
        got: path and content of each request.
        refuse: so many requests are answered with an error.
        code: the error.
        free: while this is not set, requests are not answered.
    """

    def __init__(self) -> None:
        self.got: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self.refuse = 0
        self.code = 503
        self.free = threading.Event()
        self.free.set()
        self.arrived = threading.Semaphore(0)
        self.receiver = JSONReceiver(self._take)
        self.url = self.receiver.url

    def _take(self, path: str, content: Any) -> int:
        self.arrived.release()
        self.free.wait(20.0)
        if self.refuse:
            self.refuse -= 1
            return self.code
        self.got.put((path, content))
        return 200

    def get(self, timeout: float = 30.0) -> Any:
        return self.got.get(timeout=timeout)[1]

    def numbers(self) -> list[int]:
        """Returns the numbers of the events in the next message."""
        return [event["number"] for event in self.get()["events"]]


@contextmanager
def serving() -> Iterator[Hook]:
    hook = Hook()
    with hook.receiver:
        yield hook
        hook.free.set()


@contextmanager
def running(*chosen: Route) -> Iterator[None]:
    for route in chosen:
        route.start()
    try:
        yield
    finally:
        for route in chosen:
            route.end()
        for route in chosen:
            route.join(20.0)
            assert not route.is_alive()


def event(
    number: int, name: str = "TEMP", kind: str = "raised", priority: str = "alarm", **more: Any
) -> AlarmEvent:
    fields: dict[str, Any] = {
        "time": 1_790_000_000.0 + number, "value": 31.5, "unit": "degC", "limit": "above 30", "cause": "the heater",
        "action": "switch it off",
    }  # fmt: skip
    return AlarmEvent(number=number, name=name, event=kind, priority=priority, **(fields | more))


def made(wanted: object, **more: Any) -> list[Route]:
    """Returns the routes of settings in which nothing is wrong."""
    found, problems = routes_of({"ROUTES": wanted}, "LAB", **more)
    assert problems == []
    return found


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


@pytest.fixture
def hook(site: SiteLayout) -> Iterator[Hook]:
    with serving() as made:
        yield made


def test_what_happens_at_once_is_one_message_and_the_next_ones_wait_for_nobody(hook: Hook) -> None:
    with serving() as slow:
        slow.free.clear()
        fast_route, slow_route = made({"WEBHOOKS": [hook.url, slow.url]})
        with running(fast_route, slow_route):
            for route in (fast_route, slow_route):
                route.put([event(1), event(2, "OTHER")])
            first = hook.get()
            assert first["site"] == "LAB"
            assert [e["number"] for e in first["events"]] == [1, 2]
            assert (
                "ALARM raised: TEMP = 31.5 degC, above 30. Cause: the heater. Next: switch it off"
                in first["text"]
            )
            assert slow.arrived.acquire(timeout=30.0)
            for number in range(3, 8):
                for route in (fast_route, slow_route):
                    route.put([event(number)])
            numbers: list[int] = []
            while len(numbers) < 5:
                numbers += [e["number"] for e in hook.get()["events"]]
            assert numbers == [3, 4, 5, 6, 7], "the slow one has delayed nobody"
            slow.free.set()
            assert [e["number"] for e in slow.get()["events"]] == [1, 2]
            assert [e["number"] for e in slow.get()["events"]] == [3, 4, 5, 6, 7], "grouped meanwhile"


def test_what_is_not_delivered_is_tried_again(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "RETRIES", (0.01, 0.01))
    hook.refuse = 2
    (route,) = made({"WEBHOOKS": hook.url})
    with running(route):
        route.put([event(1)])
        assert [e["number"] for e in hook.get()["events"]] == [1]
    assert route.describe() == {"route": "webhook-1", "delivered": 1, "waiting": 0, "dropped": 0, "failed": 2}


def test_nobody_is_called_for_what_is_shelved_or_not_urgent_enough() -> None:
    assert concerns(event(1))
    assert not concerns(event(1, shelved=True))
    assert not concerns(event(1, kind="shelved"))
    assert not concerns(event(1, priority="warning"), "alarm")
    assert concerns(event(1, priority="critical"), "alarm")


def test_a_program_gets_the_message_on_its_standard_input(site: SiteLayout, tmp_path: Path) -> None:
    target = tmp_path / "got"
    code = "import sys, pathlib; p = pathlib.Path(sys.argv[1]); p.with_suffix('.part').write_text(sys.stdin.read()); p.with_suffix('.part').rename(p)"
    (route,) = made({"COMMAND": [sys.executable, "-c", code, str(target)]})
    with running(route):
        route.put([event(1), event(2, value=float("inf"), cause="größer")])
    got = json.loads(target.read_text())["events"]
    assert [(e["name"], e["value"], e["cause"]) for e in got] == [
        ("TEMP", 31.5, "the heater"),
        ("TEMP", None, "größer"),
    ]


def test_alertmanager_is_told_what_is_active_and_what_has_ended(hook: Hook) -> None:
    alarms: list[dict[str, Any]] = [
        {
            "name": "TEMP", "priority": "alarm", "active": True, "shelved_until": 0.0, "last_raised": 1_790_000_000.0,
            "source": "dev_cs", "acknowledged": 0.0, "acknowledged_by": "", "value": 31.5, "unit": "degC",
            "limit": "above 30", "cause": "the heater", "action": "switch it off",
        }
    ]  # fmt: skip
    (route,) = made({"ALERTMANAGER": hook.url}, active=lambda: list(alarms))
    with running(route):
        path, (alert,) = hook.got.get(timeout=30.0)
        assert path == "/api/v2/alerts"
        assert alert["labels"] == {
            "alertname": "TEMP", "severity": "alarm", "site": "LAB", "source": "dev_cs", "acknowledged": "no",
        }  # fmt: skip
        assert alert["startsAt"] == "2026-09-21T14:13:20.000Z"
        assert "endsAt" not in alert
        alarms.clear()
        route.put([event(2, kind="cleared")])
        (ended,) = hook.get()
        assert ended["labels"] == alert["labels"]
        assert ended["endsAt"] > "2026"


def test_slack_is_told_when_it_has_a_webhook(hook: Hook, site: SiteLayout) -> None:
    with site.settings.open("a") as settings:
        settings.write(f"SLACK:\n  WEBHOOK: {hook.url}\n")
    Settings.clear_memoized()
    assert made({"SLACK": False}) == []
    (route,) = made(None)
    with running(route):
        route.put([event(1)])
        assert hook.get()["text"].startswith("LAB\n")


def test_a_long_list_is_cut_in_the_text() -> None:
    text = as_text([event(number) for number in range(30)], "LAB")
    assert text.startswith("LAB: 30 events")
    assert text.endswith("... and 10 more: `cgse alarm list`")


# -- settings that make no sense ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"WEBHOOKS": ["ftp://x/secret"]}, "ROUTES: WEBHOOKS: number 1 is no web address"),
        ({"WEBHOOKS": "http://[x/secret"}, "ROUTES: WEBHOOKS: number 1 is no web address"),
        ({"WEBHOOKS": "http://127.0.0.1:99 99/secret"}, "ROUTES: WEBHOOKS: number 1 is no web address"),
        ({"WEBHOOKS": 5}, "ROUTES: WEBHOOKS: number 1 is no web address"),
        ({"ALERTMANAGER": "localhost:9093"}, "ROUTES: ALERTMANAGER is no web address"),
        ({"COMMAND": "/usr/bin/call --site x"}, "ROUTES: COMMAND is no list of program and arguments"),
        ({"COMMAND": {"a": 1}}, "ROUTES: COMMAND is no list of program and arguments"),
        ({"WEBHOOK": "http://x"}, "ROUTES: unknown key WEBHOOK, did you mean 'WEBHOOKS'?"),
        ({"PRIORITY": "Alarm"}, "ROUTES: PRIORITY is 'Alarm', warning counts, did you mean 'alarm'?"),
        (["http://x/secret"], "ROUTES is no block with the keys PRIORITY, WEBHOOKS"),
    ],
)
def test_settings_that_make_no_sense_are_named_without_their_secrets(
    wrong: Any, told: str, site: SiteLayout
) -> None:
    found, (problem,) = routes_of({"ROUTES": wrong}, "LAB")
    assert found == []
    assert problem.startswith(told)
    assert "secret" not in problem


def test_a_wrong_route_does_not_take_the_good_ones_with_it(site: SiteLayout) -> None:
    wanted = {
        "PRIORITY": "loud",
        "WEBHOOKS": ["http://localhost/a", "example.org", "http://localhost/c"],
        "COMAND": "x",
    }
    found, problems = routes_of({"ROUTES": wanted}, "LAB")
    assert [(route.title, route.priority) for route in found] == [
        ("webhook-1", "warning"),
        ("webhook-3", "warning"),
    ]
    assert len(problems) == 3


@contextmanager
def watching(folder: Path, wanted: object) -> Iterator[LimitMonitorController]:
    """A limit monitor without its server."""
    controller = LimitMonitorController(folder, system_clock(), "LAB", {"ROUTES": wanted})
    controller.start()
    try:
        yield controller
    finally:
        controller.stop()
        for thread in (*controller.routes, controller.patrol):
            thread.join(20.0)


def test_operators_are_told_of_wrong_routes_and_the_good_ones_call(hook: Hook, tmp_path: Path) -> None:
    with watching(tmp_path, {"WEBHOOKS": [hook.url, "nowhere"]}) as monitor:
        (alarm,) = monitor.get_alarms()
        assert (alarm["name"], alarm["priority"], alarm["active"]) == ("mon_cs/routes", "alarm", True)
        assert alarm["cause"].startswith("ROUTES: WEBHOOKS: number 2 is no web address")
        assert [e["name"] for e in hook.get()["events"]] == ["mon_cs/routes"]
    with watching(tmp_path, {"WEBHOOKS": [hook.url]}) as monitor:
        assert [alarm["active"] for alarm in monitor.get_alarms()] == [False]


def test_the_watchdog_calls_by_the_good_routes(hook: Hook, site: SiteLayout) -> None:
    settings = read_local_settings(site.settings)
    settings[SETTINGS] = {**settings.get(SETTINGS, {}), "ROUTES": {"WEBHOOKS": ["nowhere", hook.url]}}
    write_local_settings(site.settings, settings)
    Settings.clear_memoized()
    folder = get_data_storage_location() / "alarms"
    folder.mkdir(parents=True)
    guard = MonitorGuard("wd_cs", patience=10.0)
    write_heartbeat(folder, time.time() - 60.0, "a")
    assert not guard.look()
    (gone,) = hook.get()["events"]
    assert (gone["name"], gone["event"], gone["by"]) == ("mon_cs/gone", "raised", "wd_cs")
    write_heartbeat(folder, time.time(), "a", ended=True)
    assert guard.look()
    assert [e["event"] for e in hook.get()["events"]] == ["cleared"]
    assert not (folder / "routes").exists()


# -- receivers that behave badly ---------------------------------------------------------------------------------------


def test_an_answer_that_is_no_http_does_not_end_the_route(
    site: SiteLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "RETRIES", (0.01, 0.01))
    with socket.create_server(("127.0.0.1", 0)) as server:
        (route,) = made({"WEBHOOKS": f"http://127.0.0.1:{server.getsockname()[1]}/x"})
        with running(route):
            route.put([event(1)])
            nonsense, fine = b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            for answer in (*[nonsense] * 5, fine):
                server.settimeout(20.0)
                connection, _ = server.accept()
                with connection:
                    connection.recv(100_000)
                    connection.sendall(answer)
            wait_until(lambda: route.delivered)
    assert (route.failed, route.delivered) == (5, 1), "it may be a proxy that starts"


class Stumbling(Route):
    """A route with a mistake in it."""

    def __init__(self) -> None:
        super().__init__("stumbling", "LAB")
        self.got: list[int] = []
        self.idles = 0

    def idle(self) -> float | None:
        self.idles += 1
        raise KeyError("idle")

    def deliver(self, events: Sequence[AlarmEvent]) -> None:
        if any(event.name == "ODD" for event in events):
            raise KeyError("ODD")
        self.got += [event.number for event in events]


def test_a_route_that_stumbles_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "RETRIES", (0.01, 0.01))
    route = Stumbling()
    with running(route):
        wait_until(lambda: route.idles > 1)
        route.put([event(1, "ODD")])
        wait_until(lambda: route.dropped)
        route.put([event(2)])
        wait_until(lambda: route.got)
    assert (route.got, route.dropped) == ([2], 1)


def test_numbers_that_json_does_not_know_are_null(hook: Hook) -> None:
    (route,) = made({"WEBHOOKS": hook.url})
    with running(route):
        route.put([event(1, value=float("inf")), event(2, value=float("nan"))])
        assert [e["value"] for e in hook.get()["events"]] == [None, None]


def test_what_is_refused_does_not_hold_up_what_comes_later(
    hook: Hook, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(routes, "RETRIES", (0.01,) * 5)
    hook.code, hook.refuse = 400, 3
    (route,) = made({"WEBHOOKS": hook.url})
    with running(route):
        route.put([event(1)])
        wait_until(lambda: route.dropped)
        route.put([event(2)])
        assert hook.numbers() == [2]
    assert (route.dropped, route.failed, route.delivered) == (1, 3, 1)
    assert (
        "route-webhook-1: 1 events are dropped, they were refused: 127.0.0.1: HTTP Error 400" in caplog.text
    )


@pytest.mark.parametrize("code", [408, 429, 500])
def test_a_receiver_that_has_no_time_now_gets_it_later(
    code: int, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "RETRIES", (0.01, 0.01))
    hook.code, hook.refuse = code, 5
    (route,) = made({"WEBHOOKS": hook.url})
    with running(route):
        route.put([event(1)])
        assert hook.numbers() == [1]


# -- the next life of the monitor --------------------------------------------------------------------------------------


def journal(folder: Path, *events: AlarmEvent) -> None:
    written = AlarmJournal(folder)
    written.write(events)
    written.close()


def taken_up(hook: Hook, folder: Path, newest: int) -> Route:
    """Returns the webhook of the next life of the monitor."""
    (route,) = made({"WEBHOOKS": hook.url})
    route.take_up(folder, newest, 1_790_000_100.0)
    return route


VICTIM = """
import sys, threading, pathlib
from egse.monitor.alarms import AlarmEvent
from egse.monitor.heartbeat import write_heartbeat
from egse.monitor.interface import SETTINGS
from egse.monitor.journal import AlarmJournal
from egse.monitor.routes import Webhook
folder = pathlib.Path(sys.argv[2])
route = Webhook(sys.argv[1], "LAB")
route.take_up(folder, 0, 1_790_000_000.0)
event = AlarmEvent(number=1, time=1_790_000_001.0, name="TEMP", event="raised", priority="alarm")
AlarmJournal(folder).write([event])
route.start()
route.put([event])
threading.Event().wait(60)
"""


def test_what_was_not_delivered_when_the_monitor_was_killed_is_told_by_its_next_life(
    hook: Hook, tmp_path: Path
) -> None:
    with serving() as busy:
        busy.free.clear()
        with subprocess.Popen([sys.executable, "-c", VICTIM, busy.url, str(tmp_path)]) as victim:
            try:
                assert busy.arrived.acquire(timeout=60.0)
            finally:
                victim.send_signal(signal.SIGKILL)
    with running(taken_up(hook, tmp_path, 1)):
        assert hook.numbers() == [1]
    mark = tmp_path / "routes" / "webhook-1.json"
    assert json.loads(mark.read_text()) == {"number": 1}
    assert (mark.stat().st_mode & 0o777, mark.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    with running(third := taken_up(hook, tmp_path, 1)):
        pass
    assert third.delivered == 0, "once"


def test_what_a_monitor_that_ends_has_not_delivered_is_told_by_its_next_life(
    hook: Hook, tmp_path: Path
) -> None:
    hook.refuse = 1_000_000
    with watching(tmp_path, {"WEBHOOKS": hook.url}) as monitor:
        monitor.monitor.note([Condition(name="TEMP", priority="alarm", value=31.5)])
        (route,) = monitor.routes
        wait_until(lambda: route.failed)
    assert route.delivered == 0
    hook.refuse = 0
    with watching(tmp_path, {"WEBHOOKS": hook.url}):
        assert [(e["name"], e["event"]) for e in hook.get()["events"]] == [("TEMP", "raised")]


def test_a_route_that_is_new_does_not_tell_the_past(hook: Hook, tmp_path: Path) -> None:
    journal(tmp_path, event(1), event(2, "OTHER"))
    with running(route := taken_up(hook, tmp_path, 2)):
        route.put([event(3)])
        assert hook.numbers() == [3]
    journal(tmp_path, event(3), event(4))
    with running(taken_up(hook, tmp_path, 4)):
        assert hook.numbers() == [4]


def test_what_was_dropped_or_is_old_is_not_told_again(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "RETRIES", (0.01,) * 5)
    taken_up(hook, tmp_path, 0)
    journal(tmp_path, event(1, "OLD", time=1_790_000_100.0 - 86_401.0), event(2), event(3, "OTHER"))
    hook.code, hook.refuse = 400, 3
    with running(route := taken_up(hook, tmp_path, 3)):
        wait_until(lambda: route.dropped)
    assert route.dropped == 2
    assert json.loads((tmp_path / "routes" / "webhook-1.json").read_text()) == {"number": 3}


def test_a_damaged_file_tells_twice_rather_than_never(hook: Hook, tmp_path: Path) -> None:
    taken_up(hook, tmp_path, 5)
    journal(tmp_path, event(4), event(5, kind="acknowledged"))
    mark = tmp_path / "routes" / "webhook-1.json"
    mark.write_text("")
    with running(taken_up(hook, tmp_path, 5)):
        assert hook.numbers() == [5]
    assert json.loads(mark.read_text()) == {"number": 5}
    mark.write_text('{"number": 99}')
    journal(tmp_path, event(6))
    taken_up(hook, tmp_path, 6)
    assert json.loads(mark.read_text()) == {"number": 6}, "the journal has begun anew"


def test_alertmanager_and_routes_without_a_folder_keep_nothing(hook: Hook, tmp_path: Path) -> None:
    (alertmanager,) = made({"ALERTMANAGER": hook.url})
    alertmanager.take_up(tmp_path / "alarms", 5, 0.0)
    with running(route := Webhook(hook.url, "LAB")):
        route.put([event(1)])
        assert hook.numbers() == [1]
    assert not (tmp_path / "alarms").exists()


def test_only_what_still_matters_is_told_late() -> None:
    def late(*events: AlarmEvent, priority: str = "warning") -> list[int]:
        return [event.number for event in still_to_tell(events, priority)]

    assert late(event(1), event(2, kind="cleared")) == [1, 2]
    assert late(event(1), event(2, kind="acknowledged"), event(3, kind="cleared")) == [2, 3]
    assert late(event(1), event(2, kind="shelved"), event(3, kind="cleared", shelved=True)) == []
    assert late(event(1), event(2, kind="shelved"), event(3, kind="unshelved", active=True)) == [3]
    assert late(event(1), event(2, kind="cleared"), event(3), event(4, "OTHER")) == [3, 4]
    assert late(event(1), event(2, kind="escalated"), event(3, kind="escalated")) == [1, 3]
    critical = event(1, priority="critical")
    assert late(critical, event(2, kind="cleared"), event(3), priority="critical") == [1]


# -- shelves -----------------------------------------------------------------------------------------------------------


def test_the_end_of_a_shelf_calls_people_only_for_an_alarm_that_waits_for_them() -> None:
    hot = Condition(
        name="TEMP", priority="alarm", value=31.5, unit="degC", limit="above 30", cause="the heater",
        action="switch it off",
    )  # fmt: skip
    book = AlarmBook()
    book.shelve("TEMP", "ben", 10.0, "sensor is changed", 0.0)
    (ended,) = book.tick(11.0)
    assert not concerns(ended), "nothing is wrong"
    book.shelve("TEMP", "ben", 10.0, "sensor is changed", 20.0)
    (raised,) = book.note(hot, 21.0)
    assert (raised.active, concerns(raised)) == (True, False)
    (ended,) = book.tick(31.0)
    assert concerns(ended)
    told = "ALARM unshelved: TEMP = 31.5 degC, above 30. Cause: the heater. Next: switch it off"
    assert told in as_text([ended], "LAB")
    book.shelve("TEMP", "ben", 10.0, "sensor is changed", 40.0)
    (acknowledged,) = book.acknowledge("TEMP", "anna", "", 41.0)
    assert not acknowledged.active
    (ended,) = book.tick(51.0)
    assert not concerns(ended), "anna knows"
    book.shelve("TEMP", "ben", 10.0, "sensor is changed", 60.0)
    book.note(Condition(name="OTHER", priority="alarm"), 60.0)
    book.shelve("OTHER", "ben", 10.0, "sensor is changed", 61.0)
    book.note(Condition(name="OTHER", clear_after=0.0), 62.0)
    assert not any(concerns(ended) for ended in book.tick(71.0)), "it is well again"
