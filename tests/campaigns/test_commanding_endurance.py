"""A server that goes on for long: its memory, subscribers that do not read or die, clients that die in mid-command.

All with core services, so that housekeeping is stored and log records are taken. Each prints its figures.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import zmq

from egse.journal import JournalRecord
from egse.proxy import endpoint_from_settings
from egse.wire import Request, encode

Records = Callable[[], Iterator[JournalRecord]]
BLOCK = "Bench Control Server"
WINDOW = 64
"""Commands that are under way at the same time."""
WARM_UP = 10_000
"""Commands after which the memory of a server has found its size: two generations of remembered answers."""


@pytest.fixture
def bench_site(core_site: Path) -> Path:
    """The bench server lives in a site with core services here."""
    return core_site


@pytest.mark.scales(10_000, 1_000_000)
def test_memory_stays_flat(server: Any, proxy: Any, journal: Records, scale: int) -> None:
    process = psutil.Process(server.process.pid)
    started = time.monotonic()
    flood("warm", WARM_UP)
    sizes = [process.memory_info().rss]
    files = process.num_fds()
    for part in range(10):
        flood(f"part{part}", scale // 10)
        sizes.append(process.memory_info().rss)
    duration = time.monotonic() - started
    assert proxy.count() == WARM_UP + scale + 1
    assert process.num_fds() <= files + 5
    print(
        f"{scale} commands: {sizes[0] / 1e6:.1f} MB after warm-up, {sizes[-1] / 1e6:.1f} MB at the end "
        f"({(sizes[-1] - sizes[0]) / 1e6:+.2f}, second half {(sizes[-1] - sizes[5]) / 1e6:+.2f} MB), "
        f"{(WARM_UP + scale) / duration:.0f} commands/s"
    )
    assert sizes[-1] - sizes[0] < 4e6
    events = Counter(record.event for record in journal())
    assert events == {"begin": WARM_UP + scale + 1, "end": WARM_UP + scale + 1}


def flood(prefix: str, count: int) -> None:
    """Sends commands as fast as the server takes them, each with an id of its own, and waits for all answers."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as sock:
        sock.setsockopt(zmq.LINGER, 0)
        sock.setsockopt(zmq.RCVTIMEO, 10_000)
        sock.connect(endpoint_from_settings(BLOCK))
        for number in range(count):
            sock.send(encode(Request(f"{prefix}-{number}", "count", {})))
            if number >= WINDOW:
                sock.recv()
        for _ in range(min(count, WINDOW)):
            sock.recv()


SUBSCRIBER = """
import sys, zmq
context = zmq.Context()
for _ in range(int(sys.argv[2])):
    sub = context.socket(zmq.SUB)
    sub.setsockopt(zmq.RCVHWM, 1)
    sub.setsockopt(zmq.RCVBUF, 4096)
    sub.subscribe(b"")
    sub.connect(sys.argv[1])
    sub.poll(10_000)
print("subscribed", flush=True)
sys.stdin.read()
"""


@contextmanager
def subscribers(count: int) -> Iterator[psutil.Popen]:
    """A process with so many subscribers that never read; it is killed with the block."""
    endpoint = endpoint_from_settings(BLOCK, "MONITORING_PORT")
    process = psutil.Popen(
        [sys.executable, "-c", SUBSCRIBER, endpoint, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout.readline() == "subscribed\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.scales(2, 60)
def test_subscribers_that_do_not_read(server: Any, proxy: Any, scale: int) -> None:
    """50 at once: some never read, some are stopped, some are killed while they listen."""
    process = psutil.Process(server.process.pid)
    with proxy.get_service_proxy() as services:
        flood("warm", WARM_UP)
        files = process.num_fds()
        alone = watch(proxy, services, process, scale)
        with subscribers(17), subscribers(17) as stopped, subscribers(16) as killed:
            stopped.suspend()
            killed.kill()
            beset = watch(proxy, services, process, scale)
        wait_until(lambda: process.num_fds() <= files + 2)
    print(f"50 subscribers that do not read, {scale} s\n  before {alone}\n  with   {beset}")
    assert beset["rows"] + beset["missed"] >= 0.8 * alone["rows"]
    assert beset["missed"] <= alone["missed"] + 0.5 * alone["rows"]
    assert beset["commands"] > 0.1 * alone["commands"]
    assert beset["grown"] < 8.0


def watch(proxy: Any, services: Any, process: psutil.Process, seconds: float) -> dict[str, Any]:
    """Calls continuously for a while; returns what the server did meanwhile."""
    before = services.get_server_status()["housekeeping"]
    memory = process.memory_info().rss
    end = time.monotonic() + seconds
    durations = []
    while time.monotonic() < end:
        started = time.perf_counter()
        proxy.count()
        durations.append(time.perf_counter() - started)
    after = services.get_server_status()["housekeeping"]
    durations.sort()
    return {
        "commands": len(durations),
        "p50": f"{durations[len(durations) // 2] * 1e6:.0f} us",
        "p99": f"{durations[int(len(durations) * 0.99)] * 1e6:.0f} us",
        "rows": after["rows"] - before["rows"],
        "missed": after["missed"] - before["missed"],
        "grown": round((process.memory_info().rss - memory) / 1e6, 2),
    }


CLIENT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("bench_device", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
proxy = module.BenchProxy(timeout=10)
proxy.connect_cs()
for _ in range(5):
    proxy.submit.wait(0.1)  # further ones are waiting in the client
proxy.wait(0.3)
"""


@pytest.mark.scales(2, 200)
def test_clients_killed_in_mid_command(server: Any, proxy: Any, journal: Records, scale: int) -> None:
    process = psutil.Process(server.process.pid)
    assert proxy.count() == 1
    files = process.num_fds()
    begun = 1
    with proxy.get_service_proxy() as services:
        for number in range(scale):
            client = subprocess.Popen([sys.executable, "-c", CLIENT, str(server.source)])
            wait_until(lambda begun=begun: services.get_server_status()["counters"]["commands"] > begun)
            client.kill()
            client.wait()
            assert proxy.count() == number + 2  # waits its turn, behind the command of the dead
            begun = services.get_server_status()["counters"]["commands"]
        wait_until(lambda: process.num_fds() <= files + 2)
        counters = services.get_server_status()["counters"]
    records = list(journal())
    ended = Counter((record.id, record.status) for record in records if record.event == "end")
    assert set(ended.values()) == {1}
    assert {status for _, status in ended} == {"done"}
    assert Counter(record.id for record in records if record.event == "begin") == Counter(
        {command_id: count for (command_id, _), count in ended.items()}
    )
    print(f"{scale} clients killed in mid-command: {len(ended)} commands, each with one end; {counters}")


def wait_until(condition: Callable[[], bool], limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.01)
