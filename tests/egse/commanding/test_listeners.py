"""Events between control servers (chapter 7 of the manual), with real processes."""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from egse.command import CommandError, commands_of
from egse.confman import ConfigurationManagerProxy
from egse.event import EVENT_ID, Event, EventInterface
from egse.listener import Listener, ListenerRegistry
from egse.registration import Registration, services_of
from egse.security.roles import Role, is_under_control, role_of
from egse.settings import Settings

SOURCE = Path(__file__).with_name("events_bench.py")
SPEC = importlib.util.spec_from_file_location("events_bench", SOURCE)
assert SPEC is not None
assert SPEC.loader is not None
bench: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(bench)

NAMES = ["Listener CS"]


class Bench:
    """Settings, and the two servers as processes."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self.ports = {"producer": ports[:3], "listener": ports[3:6]}
        self.dead_port = ports[6]
        blocks = [
            f"{role.capitalize()} Control Server:\n  COMMANDING_PORT: {a}\n  SERVICE_PORT: {b}\n  MONITORING_PORT: {c}\n"
            "  LISTENER_DELAY: 0.1\n  LISTENER_RENEWAL: 0.2\n"
            for role, (a, b, c) in self.ports.items()
        ]
        (folder / "local.yaml").write_text(
            f"SITE:\n  ID: LAB\nLogging Control Server:\n  RECEIVER_PORT: {ports[7]}\n" + "".join(blocks)
        )

    def start(self, role: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(SOURCE), role, "start"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "AFTER_SERVE": str(self.folder / role)},
        )
        self.processes[role] = process
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"READY {role}_cs")
        return process

    def end(self, role: str, number: int = signal.SIGKILL) -> tuple[int, float]:
        """Ends a server; returns its exit code and how long that took [s]."""
        process = self.processes.pop(role)
        started = time.monotonic()
        process.send_signal(number)
        code = process.wait(30)
        assert process.stdout is not None
        process.stdout.close()
        return code, time.monotonic() - started

    def names(self) -> list[str]:
        with services_of(bench.ProducerProxy) as services:
            return services.get_listener_names()

    def connections_to_producer(self) -> list[Any]:
        process = psutil.Process(self.processes["listener"].pid)
        return [
            c
            for c in process.net_connections("tcp")
            if c.raddr and c.raddr.port in self.ports["producer"] and c.status == psutil.CONN_ESTABLISHED
        ]


@pytest.fixture
def servers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> Iterator[Bench]:
    made = Bench(tmp_path, free_ports(8))
    monkeypatch.setenv("SITE_ID", "LAB")
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(tmp_path / "local.yaml"))
    monkeypatch.setenv("PLATO_DATA_STORAGE_LOCATION", str(tmp_path / "data"))
    monkeypatch.setenv("PLATO_LOG_FILE_LOCATION", str(tmp_path / "log"))
    Settings.load(force=True)
    yield made
    for role in list(made.processes):
        made.end(role)
    monkeypatch.undo()
    Settings.load(force=True)


@pytest.fixture
def producer(servers: Bench) -> Iterator[Any]:
    servers.start("producer")
    with closing(bench.ProducerProxy()) as proxy:
        yield proxy


@pytest.fixture
def listener(servers: Bench) -> Iterator[Any]:
    servers.start("listener")
    with closing(bench.ListenerProxy()) as proxy:
        yield proxy


@pytest.fixture
def registry() -> Iterator[ListenerRegistry]:
    made = ListenerRegistry("test", timeout=0.4, pause=0.05)
    yield made
    made.close()


def wait_until(condition: Callable[[], bool], limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.02)


def setup_ids(proxy: Any) -> list[int]:
    return [event["setup_id"] for event in proxy.get_events()]


def endpoint(port: int) -> str:
    return f"tcp://127.0.0.1:{port}"


def live(servers: Bench) -> Listener:
    return Listener(name="Live", event_id=EVENT_ID.ALL, endpoint=endpoint(servers.ports["listener"][0]))


def dead(servers: Bench) -> Listener:
    return Listener(name="Dead", event_id=EVENT_ID.ALL, endpoint=endpoint(servers.dead_port))


def test_an_event_reaches_a_registered_listener(servers: Bench, producer: Any, listener: Any) -> None:
    wait_until(lambda: servers.names() == NAMES)
    for setup_id in range(20, 30):
        assert producer.load_setup(setup_id) == setup_id
    wait_until(lambda: len(listener.get_events()) == 10)
    assert setup_ids(listener) == list(range(20, 30))
    assert listener.get_events()[0] == {
        "type": "new_setup",
        "source": "producer_cs",
        "event_type": "new_setup",
        "setup_id": 20,
    }


def test_protocol_hooks_are_called_under_the_manuals_names(
    servers: Bench, producer: Any, listener: Any
) -> None:
    wait_until(lambda: servers.names() == NAMES)
    producer.load_setup(20)
    wait_until(lambda: setup_ids(listener) == [20])
    with listener.get_service_proxy() as services:
        executed = services.get_server_status()["executed"]
    assert executed[0] in ("handle_event", "get_events")
    assert {"handle_event", "get_events"} == set(executed)
    assert servers.end("listener", signal.SIGTERM)[0] == 0
    assert (servers.folder / "listener").read_text() == "reached"
    assert servers.names() == []  # un-registered


def test_a_listener_waits_for_its_producer(servers: Bench, listener: Any) -> None:
    servers.start("producer")
    wait_until(lambda: servers.names() == NAMES)


def test_a_listener_that_was_killed_registers_again_and_gets_events(
    servers: Bench, producer: Any, listener: Any
) -> None:
    wait_until(lambda: servers.names() == NAMES)
    servers.end("listener")
    producer.load_setup(30)
    servers.start("listener")
    producer.load_setup(31)
    wait_until(lambda: setup_ids(listener) == [30, 31])  # what waited came too, in order
    assert servers.names() == NAMES


def test_a_producer_that_was_killed_is_told_again(servers: Bench, producer: Any, listener: Any) -> None:
    wait_until(lambda: servers.names() == NAMES)
    servers.end("producer")
    servers.start("producer")
    wait_until(lambda: servers.names() == NAMES)
    producer.load_setup(40)
    wait_until(lambda: setup_ids(listener) == [40])


def test_a_dead_listener_delays_nobody_and_is_dropped(
    servers: Bench, listener: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(ListenerRegistry("test", timeout=2.0, pause=0.05)) as registry:
        registry.add(dead(servers))
        registry.add(live(servers))
        for setup_id in range(5):
            registry.notify(EVENT_ID.SETUP, {"event_type": "new_setup", "setup_id": setup_id})
        wait_until(lambda: setup_ids(listener) == [0, 1, 2, 3, 4])
        assert registry.names() == ["Dead", "Live"], "the dead one takes 6 s to be given up"
        wait_until(lambda: registry.names() == ["Live"])
    assert "listener Dead is dropped after 3 failures in a row" in caplog.text


def test_a_busy_listener_is_waited_for_and_gets_each_event_once(servers: Bench, listener: Any) -> None:
    with closing(ListenerRegistry("test", timeout=3.0)) as registry, closing(bench.ListenerProxy()) as other:
        registry.add(live(servers))
        caller = threading.Thread(target=other.wait, args=(1.0,))
        caller.start()
        for setup_id in range(5):
            registry.notify(EVENT_ID.SETUP, {"event_type": "new_setup", "setup_id": setup_id})
        caller.join()
        wait_until(lambda: len(setup_ids(listener)) >= 5)
        assert setup_ids(listener) == [0, 1, 2, 3, 4]


def test_what_a_listener_cannot_digest_stops_nothing(
    servers: Bench, listener: Any, registry: ListenerRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    registry.add(live(servers))
    for setup_id in (12, 13, 14):
        registry.notify(EVENT_ID.SETUP, {"event_type": "new_setup", "setup_id": setup_id})
    wait_until(lambda: setup_ids(listener) == [12, 14])
    assert "ValueError: no Setup 13 in this house" in caplog.text
    with pytest.raises(CommandError, match="`event` expected Event"):
        listener.send("handle_event", {"event": {"event_id": "tea time"}})


def test_only_the_events_asked_for(servers: Bench, listener: Any, registry: ListenerRegistry) -> None:
    everything = live(servers)
    registry.add(everything)
    registry.add(Listener(name="Setups", event_id=EVENT_ID.SETUP, endpoint=everything.endpoint))
    registry.notify(EVENT_ID.ALL, {"event_type": "tea", "setup_id": 1})
    registry.notify(EVENT_ID.SETUP, {"event_type": "new_setup", "setup_id": 2})
    wait_until(lambda: sorted(setup_ids(listener)) == [1, 2, 2])
    assert registry.names() == ["Live", "Setups"]
    assert registry.remove("Setups")
    assert not registry.remove("Setups")
    assert registry.names() == ["Live"]


def test_services_add_and_remove_listeners(servers: Bench, producer: Any) -> None:
    with producer.get_service_proxy() as services:
        wanted = {"name": "By hand", "endpoint": endpoint(servers.dead_port), "event_id": "setup"}
        assert services.add_listener(wanted) == ["By hand"]
        # A Proxy class from a trusted package: its endpoint comes from the Settings.
        wanted = {"name": "Storage CS", "proxy": "egse.storage.StorageProxy", "event_id": "setup"}
        assert services.add_listener(wanted) == ["By hand", "Storage CS"]
        assert services.remove_listener({"name": "By hand"})
        assert services.get_listener_names() == ["Storage CS"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"name": "X", "event_id": "setup", "proxy": "subprocess.Popen"}, "may only name classes of trusted"),
        (
            {"name": "X", "event_id": "setup", "proxy": "egse.settings.Settings"},
            "no Proxy with EventInterface",
        ),
        ({"name": "X", "event_id": "setup", "proxy": "egse.nowhere.XProxy"}, "cannot import"),
        ({"name": "X", "event_id": "setup", "endpoint": "ipc:///tmp/x"}, "is no endpoint"),
        ({"name": "X", "event_id": "setup"}, "neither a proxy nor an endpoint"),
        ({"name": "X", "event_id": "tea"}, "describes no listener"),
        ({"name": "  ", "event_id": "setup"}, "needs a name"),
        ({"event_id": "setup", "name": "X", "code": "1"}, "describes no listener"),
    ],
)
def test_listeners_that_are_refused(
    servers: Bench, producer: Any, wrong: dict[str, Any], reason: str
) -> None:
    with producer.get_service_proxy() as services:
        with pytest.raises(CommandError, match=reason):
            services.add_listener(wrong)
        assert services.get_listener_names() == []


def test_a_proxy_that_cannot_receive_events_is_refused_at_once() -> None:
    with pytest.raises(CommandError, match="must inherit EventInterface"):
        Listener.of({"name": "X", "proxy": ConfigurationManagerProxy, "event_id": EVENT_ID.SETUP})


def test_registration_is_tried_five_times_and_then_complained_about(
    servers: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    registered = threading.Event()
    registration = Registration(
        bench.ProducerProxy, dead(servers), delay=0.01, renewal=0.3, timeout=0.1, on_registered=registered.set
    )
    registration.start()
    wait_until(lambda: "not registered as a listener after 5 tries" in caplog.text)
    assert (
        sum(r.levelno >= logging.WARNING for r in caplog.records) == 2
    )  # said at the first try and at the fifth
    servers.start("producer")
    assert registered.wait(30)
    assert servers.names() == ["Dead"]
    assert registration.withdraw()
    assert servers.names() == []
    registration.join(5)
    assert not registration.is_alive()


def test_no_connection_to_the_producer_stays_open_and_the_listener_terminates(
    servers: Bench, producer: Any, listener: Any
) -> None:
    """Section 28.2 of the manual: a socket that nobody closed kept a server from ending."""
    wait_until(lambda: servers.names() == NAMES)
    wait_until(lambda: not servers.connections_to_producer())
    code, duration = servers.end("listener", signal.SIGTERM)
    assert (code, servers.names()) == (0, [])
    assert duration < 5.0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_listener_ends_although_its_producer_is_gone_or_hangs(
    servers: Bench, producer: Any, listener: Any, how: signal.Signals
) -> None:
    wait_until(lambda: servers.names() == NAMES)
    servers.processes["producer"].send_signal(how)
    code, duration = servers.end("listener", signal.SIGTERM)
    assert code == 0
    assert duration < 5.0


def test_a_listener_ends_although_its_producer_never_came(servers: Bench, listener: Any) -> None:
    assert listener.get_events() == []
    code, duration = servers.end("listener", signal.SIGTERM)
    assert code == 0
    assert duration < 5.0


def test_a_producer_ends_although_its_listener_hangs(servers: Bench, producer: Any, listener: Any) -> None:
    wait_until(lambda: servers.names() == NAMES)
    servers.processes["listener"].send_signal(signal.SIGSTOP)
    producer.load_setup(50)
    code, duration = servers.end("producer", signal.SIGTERM)
    assert code == 0
    assert duration < 5.0


def test_events_pass_although_the_producer_holds_no_control_of_the_site() -> None:
    definition = commands_of(EventInterface)["handle_event"]
    assert role_of(definition) is Role.COMMAND
    assert not is_under_control(definition, device=True)


def test_an_event_names_its_type() -> None:
    event = Event(event_id=EVENT_ID.SETUP, context={"event_type": "new_setup", "setup_id": 53})
    assert (event.type, event.context["setup_id"]) == ("new_setup", 53)
    assert Event(event_id=EVENT_ID.ALL).type == "all"


def test_an_event_is_made_as_in_the_manual() -> None:
    event = Event(EVENT_ID.SETUP, {"event_type": "new_setup", "setup_id": "00028"})
    assert event == Event(event_id=EVENT_ID.SETUP, context={"event_type": "new_setup", "setup_id": "00028"})
    assert event.type == "new_setup"
