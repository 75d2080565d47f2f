"""Scheduled tasks and `serve()` of a control server (section 7.5 of the manual), in a thread of this process."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from egse.command import dynamic_interface
from egse.control import ControlServer, ControlServerApp
from egse.proxy import DynamicProxy
from egse.settings import Settings


class TaskInterface:
    @dynamic_interface
    def schedule(self, number: int, after: float = 0.0) -> int:
        """Schedules a task during a command."""


class TaskController(TaskInterface):
    def __init__(self, control_server: ControlServer) -> None:
        self.done: list[tuple[int, str]] = []
        self._control_server = control_server

    def schedule(self, number: int, after: float = 0.0) -> int:
        self._control_server.schedule_task(partial(self.note, number), after=after)
        assert (number, threading.current_thread().name) not in self.done  # not before this command has ended
        return number

    def note(self, number: int) -> None:
        self.done.append((number, threading.current_thread().name))


class TaskProxy(DynamicProxy, TaskInterface):
    settings_name = "Task Control Server"
    server_name = "task_cs"


APP = ControlServerApp(
    name="task_cs",
    settings="Task Control Server",
    title="Tasks",
    interface=TaskInterface,
    controller=lambda context: TaskController(context.control_server),  # type: ignore[arg-type]
    device=False,
)


@pytest.fixture
def server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> Iterator[ControlServer]:
    a, b, c = free_ports(3)
    (tmp_path / "local.yaml").write_text(
        "SITE:\n  ID: LAB\nTask Control Server:\n"
        f"  COMMANDING_PORT: {a}\n  SERVICE_PORT: {b}\n  MONITORING_PORT: {c}\n"
    )
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(tmp_path / "local.yaml"))
    Settings.load(force=True)
    made = ControlServer(APP)
    thread = threading.Thread(target=made.serve, name="event-loop")
    thread.start()
    yield made
    made.stop()
    thread.join(5)
    assert not thread.is_alive()
    monkeypatch.undo()
    Settings.load(force=True)


def wait_until(condition: Callable[[], bool], limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.01)


def test_a_task_runs_in_the_event_loop_after_the_command(server: ControlServer) -> None:
    with TaskProxy() as proxy:
        assert [proxy.schedule(number) for number in range(3)] == [0, 1, 2]
    wait_until(lambda: server.controller.done == [(number, "event-loop") for number in range(3)])


def test_after_some_time(server: ControlServer) -> None:
    started = time.monotonic()
    with TaskProxy() as proxy:
        proxy.schedule(1, 0.3)
        proxy.schedule(2)
    wait_until(lambda: len(server.controller.done) == 2)
    assert time.monotonic() - started >= 0.3
    assert [number for number, _ in server.controller.done] == [2, 1]


def test_when_a_condition_holds_and_after_some_time_together(server: ControlServer) -> None:
    asked: list[float] = []
    condition, done = threading.Event(), threading.Event()
    started = time.monotonic()

    def when() -> bool:
        asked.append(time.monotonic() - started)
        return condition.is_set()

    server.schedule_task(done.set, after=0.3, when=when)
    wait_until(lambda: len(asked) >= 2)
    assert asked[0] >= 0.3  # not looked at before
    assert not done.is_set()
    condition.set()
    assert done.wait(30)
    count = len(asked)
    server.schedule_task(done.clear)
    wait_until(lambda: not done.is_set())
    assert len(asked) == count  # once


def test_results_exceptions_and_slowness_are_logged(
    server: ControlServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("egse.scheduling.LONG_TASK", 0.05)

    def fetch() -> str:
        return "Setup 00053"

    def fail() -> None:
        raise ValueError("no Setup today")

    server.schedule_task(fetch)
    server.schedule_task(fail)
    server.schedule_task(lambda: True, when=fail)  # type: ignore[arg-type, func-returns-value]
    server.schedule_task(partial(threading.Event().wait, 0.1))
    wait_until(lambda: "scheduled task Event.wait kept commands waiting for" in caplog.text)
    assert "fetch: Setup 00053" in caplog.text
    assert caplog.text.count("ValueError: no Setup today") == 2
    assert "<locals>.fail failed" in caplog.text
    with TaskProxy() as proxy:
        assert proxy.schedule(1) == 1  # it goes on
