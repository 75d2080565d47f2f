"""The TCP shell: several clients, faults, odd clients, the side channel."""

from __future__ import annotations

import importlib.util
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from egse.clock import RealClock
from egse.simulator import Busy, DeviceModel, SimulatorServer

SOURCE = Path(__file__).with_name("bench.py")
SPEC = importlib.util.spec_from_file_location("simulator_bench", SOURCE)
assert SPEC is not None
assert SPEC.loader is not None
bench: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(bench)
LineClient = bench.LineClient


class Counter(DeviceModel):
    """Answers `n?` with the number of commands so far."""

    faults: ClassVar[Mapping[str, str]] = {"jam": "counts no more"}

    def __init__(self) -> None:
        self.count = 0
        self.jammed = False
        self.signals = 0
        self.stepped_to = 0.0
        self.connected = 0

    def connect(self, now: float) -> bytes:
        self.connected += 1
        return b""

    def disconnect(self, now: float) -> None:
        self.connected -= 1

    def step(self, now: float) -> None:
        self.stepped_to = now

    def handle(self, command: bytes, now: float) -> bytes:
        if command == b"crash":
            raise ZeroDivisionError("a bug in the model")
        if command.startswith(b"big "):
            return b"#" * int(command[4:]) + b"\n"
        self.count += 0 if self.jammed else 1
        return b"%d\n" % self.count if command == b"n?" else b""

    def user_signal(self, now: float) -> None:
        self.signals += 1

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        if fault != "jam":
            super().inject(fault, arguments, now)
        self.jammed = True

    def describe(self) -> dict[str, Any]:
        return {"count": self.count}


Serve = Callable[..., SimulatorServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    running: list[tuple[SimulatorServer, threading.Thread]] = []

    def start(**options: Any) -> SimulatorServer:
        server = SimulatorServer(Counter(), admin_port=0, **options)
        server.open()
        thread = threading.Thread(target=server.serve)
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.stop()
        thread.join(5.0)
        assert not thread.is_alive()
        server.close()


def admin(server: SimulatorServer, **request: Any) -> dict[str, Any]:
    with LineClient(server.admin_address) as client:
        return json.loads(client.ask(json.dumps(request)))  # type: ignore[no-any-return]


def test_state_survives_reconnects_and_abrupt_ends(serve: Serve) -> None:
    server = serve()
    for number in range(1, 11):
        client = LineClient(server.address)
        assert client.ask("n?") == str(number)
        if number % 2:  # RST instead of an orderly end
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()


def test_queued_client_is_served_when_the_first_leaves(serve: Serve) -> None:
    server = serve(max_clients=1, busy=Busy.QUEUE)
    with LineClient(server.address) as first, LineClient(server.address) as second:
        assert first.ask("n?") == "1"
        second.send(b"n?\n")
        assert second.silent()
        first.close()
        assert second.line() == "2"


def test_client_too_many_is_refused(serve: Serve) -> None:
    server = serve(max_clients=2, busy=Busy.REFUSE)
    with LineClient(server.address) as first, LineClient(server.address) as second:
        assert (first.ask("n?"), second.ask("n?")) == ("1", "2")
        with LineClient(server.address) as third:
            assert third.at_end()
        second.close()
        deadline = time.monotonic() + 5
        while server.model.connected > 1:  # type: ignore[attr-defined]
            assert time.monotonic() < deadline
        with LineClient(server.address) as fourth:
            assert fourth.ask("n?") == "3"


def test_half_closed_client_gets_its_answers(serve: Serve) -> None:
    server = serve()
    admin(server, do="inject", fault="delay", seconds=0.2)
    with LineClient(server.address) as client:
        client.send(b"n?\nn?\n")
        client.socket.shutdown(socket.SHUT_WR)
        assert [client.line(), client.line()] == ["1", "2"]
        assert client.at_end()


def test_client_that_does_not_read_disturbs_nobody(serve: Serve) -> None:
    server = serve(max_clients=2)
    with LineClient(server.address) as lazy, LineClient(server.address) as other:
        lazy.send(b"big 3000000\n")
        for number in range(1, 6):
            assert other.ask("n?") == str(number)
        assert len(lazy.line()) == 3_000_000
        lazy.send(b"big 3000000\n" * 3)  # more than any client may leave unread
        assert other.ask("n?") == "6"
        received = 0
        try:
            while data := lazy.socket.recv(1 << 20):
                received += len(data)
        except ConnectionResetError:
            pass
        assert received < 9_000_000
        assert other.ask("n?") == "7"


def test_bug_in_a_model_costs_one_connection_only(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    server = serve(max_clients=2)
    with LineClient(server.address) as one, LineClient(server.address) as other:
        one.send(b"crash\n")
        assert one.at_end()
        assert other.ask("n?") == "1"
    assert "a bug in the model" in caplog.text


def test_delayed_replies_keep_their_order_and_run_on_the_simulated_clock(serve: Serve) -> None:
    server = serve(clock=RealClock(20.0))
    admin(server, do="inject", fault="delay", seconds=4.0)
    with LineClient(server.address) as client:
        started = time.monotonic()
        client.send(b"n?\nn?\n")
        assert [client.line(), client.line()] == ["1", "2"]
        assert 0.19 <= time.monotonic() - started < 3.9


@pytest.mark.parametrize(("fault", "expected"), [("partial", b"1"), ("drop", b"")])
def test_faults_of_the_line(serve: Serve, fault: str, expected: bytes) -> None:
    server = serve()
    with LineClient(server.address) as client:
        client.send(b"warm up\n" * 9)
        assert client.ask("n?") == "10"
        assert admin(server, do="inject", fault=fault)["ok"]
        client.send(b"n?\n")
        assert client.socket.recv(10) == expected  # half of "11", or the end
        assert client.silent() if expected else client.at_end()
    with LineClient(server.address) as client:
        assert client.ask("n?") == "12"


def test_drop_now_cuts_all_clients_off(serve: Serve) -> None:
    server = serve(max_clients=3)
    clients = [LineClient(server.address) for _ in range(3)]
    assert [client.ask("n?") for client in clients] == ["1", "2", "3"]
    assert admin(server, do="drop")["result"] == 3
    assert all(client.at_end() for client in clients)
    for client in clients:
        client.close()


def test_side_channel_knows_the_device(serve: Serve) -> None:
    server = serve()
    listed = admin(server, do="faults")["result"]
    assert listed["device"] == {"jam": "counts no more"}
    assert {"drop", "delay", "silence", "garbage", "partial", "split"} == set(listed["line"])
    with LineClient(server.address) as client:
        assert client.ask("n?") == "1"
        assert admin(server, do="inject", fault="jam")["ok"]
        assert client.ask("n?") == "1"
        assert admin(server, do="state")["result"] == {"count": 1}
        assert admin(server, do="inject", fault="silence", count=5)["ok"]
        assert admin(server, do="faults")["result"]["armed"][0]["count"] == 5
        assert admin(server, do="clear")["ok"]
        assert client.ask("n?") == "1"


@pytest.mark.parametrize(
    "request_line",
    [b"", b"{", b"[]", b'{"do": "explode"}', b'{"do": "inject"}', b'{"do": "inject", "fault": "drop", "count": 0}',
     b'{"do": "inject", "fault": "delay", "seconds": "soon"}', b'{"do": "inject", "fault": "delay", "colour": 1}',
     b"\xff\xfe"],
)  # fmt: skip
def test_wrong_request_is_answered_with_a_reason_and_changes_nothing(
    serve: Serve, request_line: bytes
) -> None:
    server = serve()
    with LineClient(server.admin_address) as client:
        client.send(request_line + b"\n")
        if request_line:
            answer = json.loads(client.line())
            assert answer["ok"] is False
            assert answer["error"]
        assert json.loads(client.ask('{"do": "faults"}'))["result"]["armed"] == []


def test_user_signals_and_time_reach_the_model(serve: Serve) -> None:
    server = serve(clock=RealClock(10.0))
    model = server.model
    assert isinstance(model, Counter)
    for _ in range(3):
        server.user_signal()
    before = model.stepped_to
    deadline = time.monotonic() + 5
    while model.signals < 3 or model.stepped_to <= before:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    assert model.signals == 3
