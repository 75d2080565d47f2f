"""Round trip of a device command against raw pyzmq REQ/REP with msgspec, both pinned to one CPU, rounds interleaved."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import zmq

from benchmarks.site import benchmark_site
from benchmarks.trivial_device import TrivialProxy
from egse.journal import read_journal

ROUNDS = 40
CALLS = 250
AIM = 1.8

PEER = """
import sys, msgspec, zmq
class Request(msgspec.Struct, array_like=True):
    name: str
    args: dict
sock = zmq.Context().socket(zmq.REP)
print(sock.bind_to_random_port("tcp://127.0.0.1"), flush=True)
decode, encode = msgspec.msgpack.Decoder(Request).decode, msgspec.msgpack.Encoder().encode
while True:
    request = decode(sock.recv())
    sock.send(encode(request.args["a"] + request.args["b"]))
"""


def main() -> None:
    allowed = os.sched_getaffinity(0)
    with benchmark_site() as site:
        os.sched_setaffinity(0, {min(allowed)})  # children inherit it: client and both servers share one CPU
        try:
            with site.server("benchmarks.trivial_device"), _peer() as port:
                _measure(port)
            _check_journal(site.data)
        finally:
            os.sched_setaffinity(0, allowed)


@contextmanager
def _peer() -> Iterator[int]:
    """The raw server in a process of its own; yields its port."""
    with subprocess.Popen([sys.executable, "-c", PEER], stdout=subprocess.PIPE, text=True) as peer:
        try:
            assert peer.stdout is not None
            yield int(peer.stdout.readline())
        finally:
            peer.kill()


def _measure(port: int) -> None:
    context: zmq.Context[Any] = zmq.Context()
    raw = context.socket(zmq.REQ)
    raw.connect(f"tcp://127.0.0.1:{port}")
    encode, decode = msgspec.msgpack.Encoder().encode, msgspec.msgpack.Decoder().decode

    def peer_call() -> None:
        raw.send(encode(("add", {"a": 1.0, "b": 2.0})))
        assert decode(raw.recv()) == 3.0

    with TrivialProxy() as proxy:

        def our_call() -> None:
            assert proxy.add(1.0, 2.0) == 3.0

        ours, theirs = _interleaved(our_call, peer_call)
    raw.close(0)
    context.term()
    ratio = statistics.median(a / b for a, b in zip(_medians(ours), _medians(theirs), strict=True))
    flat = sorted(value for batch in ours for value in batch)
    print(f"raw REQ/REP + msgspec   p50 {statistics.median(_medians(theirs)) * 1e6:6.1f} us")
    print(
        f"device command          p50 {statistics.median(_medians(ours)) * 1e6:6.1f} us"
        f"   p99 {flat[int(len(flat) * 0.99)] * 1e6:6.1f} us"
    )
    print(f"ratio (median of rounds)    {ratio:6.2f}   aim <= {AIM}")


def _interleaved(first: Callable[[], None], second: Callable[[], None]) -> tuple[list[Any], list[Any]]:
    results: tuple[list[Any], list[Any]] = ([], [])
    for _ in range(ROUNDS):
        for call, result in zip((first, second), results, strict=True):
            batch = []
            for _ in range(CALLS):
                started = time.perf_counter()
                call()
                batch.append(time.perf_counter() - started)
            result.append(batch)
    return results


def _medians(batches: list[Any]) -> list[float]:
    return [statistics.median(batch) for batch in batches]


def _check_journal(data: Path) -> None:
    (path,) = data.glob("*/journal/trivial_cs/*.journal")
    begun = sum(record.event == "begin" for record in read_journal(path))
    expected = ROUNDS * CALLS
    print(f"journal                     {begun} commands recorded, {expected} were sent")
    assert begun == expected


if __name__ == "__main__":
    main()
