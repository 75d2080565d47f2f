"""Faults of the commanding chain: short forms in the suite, long ones by `make campaign`; each prints its figures."""

from __future__ import annotations

import random
import socket
import threading
import time
from typing import Any

import psutil
import pytest
import zmq

from egse.journal import read_journal
from egse.proxy import OutcomeUnknownError
from egse.settings import Settings
from egse.wire import Request, decode_reply, encode


def port(role: str) -> int:
    return int(Settings.load("Bench Control Server")[role])


class Client(threading.Thread):
    """Calls continuously with one proxy that is never made anew; keeps what it was told."""

    def __init__(self, proxy: Any, end: threading.Event) -> None:
        super().__init__(daemon=True)
        self.proxy = proxy
        self.end = end
        self.done: list[int] = []
        self.unknown: list[str] = []
        self.refused = 0
        self.longest = 0.0

    def run(self) -> None:
        while not self.end.is_set():
            started = time.monotonic()
            try:
                self.done.append(self.proxy.count())
            except OutcomeUnknownError as exc:
                self.unknown.append(exc.command_id)
            except ConnectionError:
                self.refused += 1
            self.longest = max(self.longest, time.monotonic() - started)
        self.proxy.disconnect_cs()


@pytest.mark.scales(3, 50)
def test_server_killed_under_eight_clients(server: Any, proxy: Any, bench_site: Any, scale: int) -> None:
    end = threading.Event()
    clients = [Client(type(proxy)(timeout=5.0), end) for _ in range(8)]
    for client in clients:
        client.start()
    generator = random.Random(scale)
    pause = threading.Event()
    for _ in range(scale):
        pause.wait(0.2 + 0.3 * generator.random())
        server.end()
        server.start()
    before = [len(client.done) for client in clients]
    deadline = time.monotonic() + 10
    while not all(len(c.done) > n for c, n in zip(clients, before, strict=True)):
        assert time.monotonic() < deadline, "a client did not recover"
        pause.wait(0.02)
    end.set()
    for client in clients:
        client.join(10)
        assert not client.is_alive(), "a client hangs"

    begun: dict[str, int] = {}
    for path in (bench_site / "data" / "LAB" / "journal" / "bench_cs").glob("*.journal"):
        for record in read_journal(path):
            if record.event == "begin" and record.command == "count":
                begun[record.id] = begun.get(record.id, 0) + 1
    acknowledged = sum(len(client.done) for client in clients)
    unknown = sum(len(client.unknown) for client in clients)
    assert max(begun.values()) == 1, "a command was executed twice"
    assert acknowledged <= len(begun) <= acknowledged + unknown
    assert max(client.longest for client in clients) < 6.0
    print(
        f"{scale} kills: {acknowledged} acknowledged, {unknown} unknown, "
        f"{sum(c.refused for c in clients)} refused, 0 twice, longest call {max(c.longest for c in clients):.2f} s"
    )


@pytest.mark.scales(3_000, 100_000)
def test_random_and_mutated_messages(server: Any, proxy: Any, scale: int) -> None:
    generator = random.Random(7)
    process = psutil.Process(server.process.pid)
    proxy.count()
    memory, files = process.memory_info().rss, process.num_fds()
    valid = encode(Request("m-1", "add", {"a": 1.0, "b": 2.0}))
    sent = 0
    with zmq.Context() as context:
        for role in ("COMMANDING_PORT", "SERVICE_PORT"):
            with context.socket(zmq.DEALER) as raw:
                raw.setsockopt(zmq.LINGER, 5000)
                raw.connect(f"tcp://127.0.0.1:{port(role)}")
                for number in range(scale // 2):
                    raw.send_multipart(_frames(generator, valid, number))
                    sent += 1
                    if raw.poll(0):
                        raw.recv_multipart()
    for role in ("COMMANDING_PORT", "SERVICE_PORT", "MONITORING_PORT"):
        for _ in range(max(scale // 1000, 3)):
            with socket.create_connection(("127.0.0.1", port(role))) as plain:
                plain.sendall(generator.randbytes(generator.randint(1, 500)))
    assert proxy.add(1, 2) == 3
    with proxy.get_service_proxy() as services:
        deadline = time.monotonic() + 60
        while services.get_server_status()["counters"]["malformed"] < 0.3 * sent:
            assert time.monotonic() < deadline
        counters = services.get_server_status()["counters"]
    assert process.num_fds() <= files + 20
    assert process.memory_info().rss - memory < 40e6
    print(f"{sent} messages: {counters}, memory {(process.memory_info().rss - memory) / 1e6:+.1f} MB")


def _frames(generator: random.Random, valid: bytes, number: int) -> list[bytes]:
    kind = number % 3
    if kind == 0:
        return [generator.randbytes(generator.randint(0, 60)) for _ in range(generator.randint(1, 3))]
    mutated = bytearray(valid)
    for _ in range(generator.randint(1, 4)):
        mutated[generator.randrange(len(mutated))] = generator.randrange(256)
    return [bytes(mutated)] if kind == 1 else [bytes(mutated[: generator.randrange(len(mutated))])]


@pytest.mark.scales(50, 1000)
def test_replies_lost_on_purpose(server: Any, proxy: Any, scale: int) -> None:
    endpoint = f"tcp://127.0.0.1:{port('COMMANDING_PORT')}"
    with zmq.Context() as context:
        for number in range(scale):
            message = encode(Request(f"lost-{number}", "count", {}))
            with context.socket(zmq.DEALER) as raw:
                raw.setsockopt(zmq.LINGER, 500)
                raw.connect(endpoint)
                raw.send(message)
            # The answer finds nobody. The client asks again with the same id on a new connection.
            with context.socket(zmq.DEALER) as raw:
                raw.setsockopt(zmq.LINGER, 0)
                raw.setsockopt(zmq.RCVTIMEO, 10_000)
                raw.connect(endpoint)
                raw.send(message)
                assert decode_reply(raw.recv()).value == number + 1
    assert proxy.count() == scale + 1
    print(f"{scale} replies lost: 0 duplicates")
