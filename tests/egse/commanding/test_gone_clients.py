"""Commands that wait behind another one are dropped when their client goes, and only then."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import zmq

from egse.timing import wait_until
from egse.wire import Request, decode_reply, encode

CLIENT = """
import sys, zmq
from egse.wire import Request, encode
sock = zmq.Context().socket(zmq.DEALER)
sock.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for number in range(3):
    sock.send(encode(Request(f"gone-{number}", "count", {})))
print("sent", flush=True)
sys.stdin.read()
"""


def counters(proxy: Any) -> dict[str, int]:
    with proxy.get_service_proxy() as services:
        return services.get_server_status()["counters"]


def test_waiting_commands_of_a_killed_client_are_not_executed(
    server: Any, proxy: Any, bench_site: Path
) -> None:
    endpoint = proxy.get_endpoint()
    assert proxy.count() == 1
    # It is ready before the server is kept busy, however long its start takes.
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, endpoint], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert client.stdout is not None
    assert client.stdin is not None
    assert client.stdout.readline() == "ready\n"
    blocker = threading.Thread(target=proxy.wait, args=(2.0,))
    blocker.start()
    assert not wait_until(lambda: counters(proxy)["commands"] == 2, timeout=5, interval=0.01)
    stays = zmq.Context.instance().socket(zmq.DEALER)
    try:
        stays.connect(endpoint)
        stays.send(encode(Request("stays-1", "count", {})))
        with client:
            client.stdin.write("go\n")
            client.stdin.flush()
            assert client.stdout.readline() == "sent\n"
            # What was given to the network is at the server; a short exchange on another connection shows it is awake.
            assert wait_until(lambda: False, timeout=0.2)
            client.kill()
        blocker.join(10)
        assert stays.poll(5000)
        assert decode_reply(stays.recv()).value == 2
    finally:
        stays.close(0)
    assert proxy.count() == 3, "a command of the killed client was executed"
    assert counters(proxy)["dropped"] == 3
    assert proxy.outcome("gone-0") == {"status": "not executed"}


def test_waiting_commands_of_a_slow_client_are_executed_in_order(server: Any, proxy: Any) -> None:
    sock = zmq.Context.instance().socket(zmq.DEALER)
    try:
        sock.connect(proxy.get_endpoint())
        sock.send(encode(Request("s-0", "wait", {"seconds": 0.3})))
        for number in range(1, 50):
            sock.send(encode(Request(f"s-{number}", "count", {})))
        answers = []
        while len(answers) < 50:
            assert sock.poll(5000)
            answers.append(decode_reply(sock.recv()))
    finally:
        sock.close(0)
    assert [reply.id for reply in answers] == [f"s-{number}" for number in range(50)]
    assert [reply.value for reply in answers[1:]] == list(range(1, 50))
    assert counters(proxy)["dropped"] == 0
