"""Nothing is executed twice, and it can be asked what became of a command."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import pytest
import zmq

from egse.proxy import OutcomeUnknownError
from egse.settings import Settings
from egse.wire import Request, decode_reply, encode


def commanding_endpoint() -> str:
    return f"tcp://127.0.0.1:{Settings.load('Bench Control Server')['COMMANDING_PORT']}"


def test_a_request_that_comes_twice_is_executed_once(server: Any, proxy: Any) -> None:
    message = encode(Request("twice-1", "count", {}))
    with zmq.Context() as context, context.socket(zmq.DEALER) as raw:
        raw.setsockopt(zmq.LINGER, 0)
        raw.setsockopt(zmq.RCVTIMEO, 5000)
        raw.connect(commanding_endpoint())
        for _ in range(5):
            raw.send(message)
        answers = [decode_reply(raw.recv()).value for _ in range(5)]
    assert answers == [1, 1, 1, 1, 1]
    assert proxy.count() == 2


def test_the_outcome_of_a_command_can_be_asked_later(server: Any, proxy: Any) -> None:
    proxy.connect_cs()
    with pytest.raises(OutcomeUnknownError) as caught:
        proxy.with_timeout(0.3).wait(2.0)
    command_id = caught.value.command_id
    assert proxy.outcome(command_id) == {"status": "running"}
    assert proxy.add(1, 1) == 2  # waits its turn
    assert proxy.outcome(command_id) == {"status": "done", "value": "done"}
    assert proxy.outcome("never-sent-1") == {"status": "not executed"}
    with pytest.raises(ValueError, match="broken"):
        proxy.fail("broken")


def test_the_outcome_is_known_after_the_death_of_the_server(server: Any, proxy: Any) -> None:
    assert proxy.add(1, 2) == 3
    threading.Timer(0.3, server.process.kill).start()
    with pytest.raises(OutcomeUnknownError) as caught:
        proxy.with_timeout(20).wait(30.0)
    server.end()
    server.start()
    assert proxy.outcome(caught.value.command_id) == {"status": "unknown"}


def test_urgent_commands_overtake_the_queue(server: Any, proxy: Any) -> None:
    with zmq.Context() as context, context.socket(zmq.DEALER) as raw:
        raw.setsockopt(zmq.LINGER, 0)
        raw.setsockopt(zmq.RCVTIMEO, 5000)
        raw.connect(commanding_endpoint())
        raw.send(encode(Request("u-0", "wait", {"seconds": 0.5})))
        for number in range(1, 6):
            raw.send(encode(Request(f"u-{number}", "count", {})))
        raw.send(encode(Request("u-stop", "stop", {})))
        answers = [decode_reply(raw.recv()) for _ in range(7)]
    assert [reply.id for reply in answers][:2] == ["u-0", "u-stop"]
    assert answers[1].value == 0


def test_submitted_commands_run_in_order_without_blocking(server: Any, proxy: Any) -> None:
    first = proxy.submit.wait(0.4)
    later = [proxy.submit.count() for _ in range(3)]
    cancelled = proxy.submit.count()
    assert cancelled.cancel()
    assert not first.done()
    assert [future.result(30) for future in later] == [1, 2, 3]
    assert first.result(30) == "done"
    with pytest.raises(CancelledError):
        cancelled.result()
    assert proxy.count() == 4


def test_submitted_commands_in_asyncio(server: Any, proxy: Any) -> None:
    async def both() -> list[Any]:
        futures = [asyncio.wrap_future(proxy.submit.add(1, 2)), asyncio.wrap_future(proxy.submit.count())]
        return await asyncio.gather(*futures)

    assert asyncio.run(both()) == [3.0, 1]


CLIENT = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("bench_device", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
proxy = module.BenchProxy(timeout=10)
proxy.connect_cs()
print("ready", flush=True)
try:
    proxy.wait(1.0)
except KeyboardInterrupt:
    proxy.disconnect_cs()
    print("interrupted", flush=True)
"""


def test_ctrl_c_is_obeyed_after_the_command_in_flight(server: Any, proxy: Any) -> None:
    source = Path(__file__).with_name("bench_device.py")
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(source)], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert client.stdout is not None
    assert client.stdout.readline() == "ready\n"
    with proxy.get_service_proxy() as services:
        while services.get_server_status()["counters"]["commands"] == 0:
            pass
    client.send_signal(signal.SIGINT)
    assert proxy.count() == 1  # the server comes to it only after the wait
    assert client.stdout.readline() == "interrupted\n"
    assert client.wait(30) == 0
    client.stdout.close()
