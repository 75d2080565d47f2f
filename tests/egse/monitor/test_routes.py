"""Calling people: real HTTP servers and a real program."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from egse.monitor import routes
from egse.monitor.alarms import AlarmEvent
from egse.monitor.routes import Route, RouteError, as_text, concerns, routes_of
from egse.settings import Settings
from egse.site.layout import SiteLayout


class Hook:
    """An HTTP server that keeps what it gets.

    Attributes:
        got: path and content of each request.
        refuse: so many requests are answered with an error.
        busy: while this is set, requests are not answered.
    """

    def __init__(self) -> None:
        self.got: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self.refuse = 0
        self.free = threading.Event()
        self.free.set()
        self.arrived = threading.Semaphore(0)
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.arrived.release()
                hook.free.wait(20.0)
                if hook.refuse:
                    hook.refuse -= 1
                    self.send_error(503)
                    return
                hook.got.put((self.path, json.loads(body)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def get(self, timeout: float = 30.0) -> Any:
        return self.got.get(timeout=timeout)[1]


@contextmanager
def serving() -> Iterator[Hook]:
    hook = Hook()
    thread = threading.Thread(target=hook.server.serve_forever)
    thread.start()
    try:
        yield hook
    finally:
        hook.free.set()
        hook.server.shutdown()
        thread.join()
        hook.server.server_close()


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
    return AlarmEvent(
        number=number, time=1_790_000_000.0 + number, name=name, event=kind, priority=priority, value=31.5, unit="degC",
        limit="above 30", cause="the heater", action="switch it off", **more,
    )  # fmt: skip


@pytest.fixture
def hook(site: SiteLayout) -> Iterator[Hook]:
    with serving() as made:
        yield made


def test_what_happens_at_once_is_one_message_and_the_next_ones_wait_for_nobody(hook: Hook) -> None:
    with serving() as slow:
        slow.free.clear()
        fast_route, slow_route = routes_of({"ROUTES": {"WEBHOOKS": [hook.url, slow.url]}}, "LAB")
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
    (route,) = routes_of({"ROUTES": {"WEBHOOKS": hook.url}}, "LAB")
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
    (route,) = routes_of({"ROUTES": {"COMMAND": [sys.executable, "-c", code, str(target)]}}, "LAB")
    with running(route):
        route.put([event(1)])
    assert json.loads(target.read_text())["events"][0]["name"] == "TEMP"


def test_alertmanager_is_told_what_is_active_and_what_has_ended(hook: Hook) -> None:
    alarms: list[dict[str, Any]] = [
        {
            "name": "TEMP", "priority": "alarm", "active": True, "shelved_until": 0.0, "last_raised": 1_790_000_000.0,
            "source": "dev_cs", "acknowledged": 0.0, "acknowledged_by": "", "value": 31.5, "unit": "degC",
            "limit": "above 30", "cause": "the heater", "action": "switch it off",
        }
    ]  # fmt: skip
    (route,) = routes_of({"ROUTES": {"ALERTMANAGER": hook.url}}, "LAB", lambda: list(alarms))
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
    assert routes_of({"ROUTES": {"SLACK": False}}, "LAB") == []
    (route,) = routes_of({}, "LAB")
    with running(route):
        route.put([event(1)])
        assert hook.get()["text"].startswith("LAB\n")


@pytest.mark.parametrize("wanted", [{"WEBHOOKS": ["ftp://x"]}, {"PRIORITY": "loud"}])
def test_routes_that_make_no_sense_are_refused(wanted: dict[str, Any], site: SiteLayout) -> None:
    with pytest.raises(RouteError):
        routes_of({"ROUTES": wanted}, "LAB")


def test_a_long_list_is_cut_in_the_text() -> None:
    text = as_text([event(number) for number in range(30)], "LAB")
    assert text.startswith("LAB: 30 events")
    assert text.endswith("... and 10 more: `cgse alarm list`")
