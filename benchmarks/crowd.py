"""Eight client processes on one server: commands per second of all together, against raw REQ clients on a raw REP server.

`python -m benchmarks.crowd ours|raw PORT` is one client: for each line with a number of seconds on its input it calls as
fast as it can for so long, and prints how often.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import zmq

from benchmarks import raw
from benchmarks.measure import Call, child, read_line, verdict
from benchmarks.trivial_device import TrivialProxy

CLIENTS = 8
ROUNDS = 21
SECONDS = 1.0
AIM = 0.7

Crowd = list[subprocess.Popen[str]]


def measure(raw_port: int, where: str, *, judged: bool = False) -> int:
    """Prints the figures, and the verdict when that is `judged`; returns how many device commands were sent."""
    with crowd("ours", 0) as ours, crowd("raw", raw_port) as theirs:
        first = let_go(ours), let_go(theirs)  # not counted: the programs of the site are still starting
        counts = [(let_go(ours), let_go(theirs)) for _ in range(ROUNDS)]
    ratio = statistics.median(a / b for a, b in counts)
    mine, raw_count = (statistics.median(column) / SECONDS for column in zip(*counts, strict=True))
    print(f"{CLIENTS} clients, {where}")
    print(f"  raw REQ/REP + msgspec  {raw_count:8.0f} /s")
    print(f"  device commands        {mine:8.0f} /s   {ratio:.2f} of raw")
    if judged:
        verdict(f"throughput >= {AIM} of raw", ratio >= AIM)
    return first[0] + sum(a for a, _ in counts) + CLIENTS  # each has called once before it was ready


@contextmanager
def crowd(kind: str, port: int) -> Iterator[Crowd]:
    """Starts the clients of one kind; they are connected when this yields."""
    with ExitStack() as stack:
        members = [stack.enter_context(child("benchmarks.crowd", kind, str(port))) for _ in range(CLIENTS)]
        for member in members:
            read_line(member)
        yield members


def let_go(members: Crowd) -> int:
    """Lets all clients call for a while; returns how many calls they made together."""
    for member in members:
        assert member.stdin is not None
        member.stdin.write(f"{SECONDS}\n")
        member.stdin.flush()
    return sum(int(read_line(member)) for member in members)


def run_client(kind: str, port: int) -> None:
    """Is one client; the first call is made before it says that it is ready."""
    with ExitStack() as stack:
        call = _our_call(stack) if kind == "ours" else raw.connect(stack.enter_context(zmq.Context()), port)
        call()
        print("ready", flush=True)
        for line in sys.stdin:
            end = time.perf_counter() + float(line)
            count = 0
            while time.perf_counter() < end:
                call()
                count += 1
            print(count, flush=True)


def _our_call(stack: ExitStack) -> Call:
    proxy = stack.enter_context(TrivialProxy())

    def call() -> None:
        assert proxy.add(1.0, 2.0) == 3.0

    return call


if __name__ == "__main__":
    run_client(sys.argv[1], int(sys.argv[2]))
