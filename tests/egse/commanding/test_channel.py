"""One connection of a proxy."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import zmq

from egse import channel as channels
from egse.channel import Channel
from egse.proxy import NotSentError, OutcomeUnknownError
from egse.wire import Request


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_many_connections_that_nobody_closes() -> None:
    """File descriptors are used again at once; what belongs to a dead connection must not be in the way."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as server:
        server.linger = 0
        endpoint = f"tcp://127.0.0.1:{server.bind_to_random_port('tcp://127.0.0.1')}"
        for _ in range(500):
            assert Channel(endpoint).wait_connected(2.0)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_connections_dropped_while_their_server_ends_hold_up_no_other() -> None:
    """libzmq waits for a monitor socket that is closed before its socket, and everything in the process with it."""
    with zmq.Context() as context:
        server = context.socket(zmq.ROUTER)
        endpoint = f"tcp://127.0.0.1:{server.bind_to_random_port('tcp://127.0.0.1')}"
        channels = [Channel(endpoint) for _ in range(200)]
        assert all(channel.wait_connected(2.0) for channel in channels)
        server.close(0)
        channels.clear()
        with context.socket(zmq.ROUTER) as other:
            port = other.bind_to_random_port("tcp://127.0.0.1")
            assert Channel(f"tcp://127.0.0.1:{port}").wait_connected(2.0)


def test_a_port_that_hangs_up_at_once_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tunnel whose server is down does so all night, beside a proxy that nobody uses: events that nobody reads must not add up."""
    monkeypatch.setattr(channels, "RECONNECT_DELAYS", (1, 1))
    with zmq.Context() as context, context.socket(zmq.ROUTER) as server, socket.socket() as tunnel:
        tunnel.bind(("127.0.0.1", 0))
        tunnel.listen()
        tunnel.settimeout(20.0)
        idle = Channel(f"tcp://127.0.0.1:{tunnel.getsockname()[1]}")
        assert not idle.wait_connected(0.01)
        for _ in range(1100):  # a monitor holds 1000 events
            tunnel.accept()[0].close()
        other = Channel(f"tcp://127.0.0.1:{server.bind_to_random_port('tcp://127.0.0.1')}")
        assert other.wait_connected(2.0)
        other.close()
        idle.close()


@contextmanager
def busy(proxy: Any, seconds: float) -> Iterator[threading.Thread]:
    """Another thread waits for the answer to a command of the same proxy."""
    proxy.connect_cs()
    blocker = threading.Thread(target=proxy.wait, args=(seconds,))
    blocker.start()
    lock = proxy._channel._lock
    while lock.acquire(blocking=False):
        lock.release()
        time.sleep(0.001)
    try:
        yield blocker
    finally:
        blocker.join()


def test_a_time_out_counts_while_another_thread_has_its_turn(server: Any, proxy: Any) -> None:
    hasty = None
    with busy(proxy, 2.0) as blocker:
        hasty = proxy.with_timeout(0.3)
        with pytest.raises(NotSentError, match=r"count at tcp.*nothing was sent.*after 0\.3 s") as caught:
            hasty.count()
        assert not isinstance(caught.value, OutcomeUnknownError)
        assert not proxy.ping(0.1)
        with pytest.raises(NotSentError, match="a look at the connection"):
            proxy._channel.wait_connected(0.1)
        assert blocker.is_alive()
    assert proxy.count() == 1  # nothing was sent
    assert hasty.count() == 2
    assert proxy.ping(2.0)


def test_the_time_of_a_call_is_that_of_its_turn_and_its_answer_together(server: Any, proxy: Any) -> None:
    started = time.monotonic()
    with busy(proxy, 1.0), pytest.raises(OutcomeUnknownError, match=r"no answer within 2 s"):
        proxy.with_timeout(2.0).wait(3.0)
    assert time.monotonic() - started < 2.9


def test_calls_of_several_threads_take_turns(server: Any, proxy: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: proxy.count(), range(200)))
    assert sorted(counts) == list(range(1, 201))


def test_ctrl_c_while_waiting_for_a_turn_leaves_the_turn_alone(server: Any, proxy: Any) -> None:
    with busy(proxy, 1.0) as blocker:
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            proxy.count()
        timer.join()
        assert blocker.is_alive()
    assert proxy.count() == 1
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(proxy.count).result(timeout=30) == 2


def test_ctrl_c_while_nobody_is_there_is_ctrl_c() -> None:
    """Nothing was sent: there is no outcome that could be unknown."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        channel = Channel(f"tcp://127.0.0.1:{silent.getsockname()[1]}")
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            channel.exchange(Request("x-1", "count", {}), 5.0)
        timer.join()


def test_a_command_may_have_all_the_time_of_the_world(server: Any, proxy: Any) -> None:
    assert proxy.with_timeout(float("inf")).wait(0.3) == "done"


def test_a_server_that_was_started_anew_meanwhile_is_there(server: Any, proxy: Any) -> None:
    """The connection that broke while nobody asked says nothing about the answer to the next command."""
    assert proxy.count() == 1
    server.end()
    server.start()
    assert proxy.wait(1.5) == "done"


@pytest.mark.parametrize(
    "after", [channels.PATIENCE / 4, channels.PATIENCE + 0.4], ids=["at once", "while watched"]
)
def test_a_server_that_goes_away_in_mid_command_is_told(server: Any, proxy: Any, after: float) -> None:
    """Also when it goes before the call begins to watch its connection."""
    proxy.connect_cs()
    timer = threading.Timer(after, server.process.kill)
    timer.start()
    started = time.monotonic()
    with pytest.raises(OutcomeUnknownError, match="went away before it answered"):
        proxy.with_timeout(60.0).wait(30.0)
    timer.join()
    assert time.monotonic() - started < 10.0


def test_first_use_by_several_threads_makes_one_channel_and_one_submitter(server: Any, proxy: Any) -> None:
    barrier = threading.Barrier(16)

    def first_use(_: int) -> tuple[Any, Any]:
        barrier.wait()
        return proxy._get_channel(), proxy.submit

    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(first_use, range(16)))
    assert len({id(channel) for channel, _ in made}) == 1
    assert len({id(submitter) for _, submitter in made}) == 1


def test_submitted_commands_have_the_time_out_of_their_submission(server: Any, proxy: Any) -> None:
    assert proxy.submit.count().result(timeout=30) == 1
    proxy.timeout = 0.3
    late = proxy.submit.wait(1.0)
    proxy.timeout = 5.0
    patient = proxy.submit.wait(1.0)
    with pytest.raises(OutcomeUnknownError, match=r"within 0\.3 s"):
        late.result(timeout=30)
    assert patient.result(timeout=30) == "done"


def test_the_uuid_of_a_process_status_is_one(server: Any, proxy: Any) -> None:
    with proxy.get_service_proxy() as services:
        assert services.get_process_status()["UUID"].version == 1
