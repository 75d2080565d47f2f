"""Round trip of a device command against raw pyzmq REQ/REP with msgspec and against other frameworks, in the same run.

All processes are pinned to one CPU and the rounds are interleaved; what counts are ratios. Then eight clients on one
server: all on one CPU, the server on a CPU of its own (how much the server can take), and nobody pinned, as in use: that is
judged, although the clients, which check and number every command, take the server's processor time then. And the services
of a server while a command runs. The server is started the ordinary way: journal, housekeeping, monitoring and logging are
on, and the records of the journal are counted afterwards.

PyTango, Pyro5 and rpyc join in after `pip install -e '.[peers]'`. sipyco is not on PyPI: install it from its repository
(`pip install git+https://github.com/m-labs/sipyco`).
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

import zmq

from benchmarks import busy, crowd, raw
from benchmarks.measure import (
    Call,
    Rounds,
    child,
    interleaved,
    median_of_rounds,
    percentile,
    pinned,
    ratio_of_rounds,
    read_line,
    verdict,
)
from benchmarks.peers import running_peers
from benchmarks.site import BenchmarkSite, benchmark_site
from benchmarks.trivial_device import TrivialProxy
from egse.journal import read_journal

ROUNDS = 40
CALLS = 250
AIM = 1.8
P99_AIM = 5.0
RAW = "raw REQ/REP + msgspec"
OURS = "device command"
BEHIND = ("PyTango", "sipyco", "Pyro5")
"""Frameworks that a device command must be ahead of; rpyc, which checks and records nothing, is an aim."""


def main() -> None:
    with benchmark_site() as site:
        first, *others = sorted(os.sched_getaffinity(0))
        sent = _on_one_cpu(site, first)
        if others:
            sent += _on_two_cpus(site, first, others[0])
            sent += _as_they_come(site)
        _check_journal(site.data, sent)


def _on_one_cpu(site: BenchmarkSite, cpu: int) -> int:
    """Client and servers share one CPU; returns how many device commands were sent."""
    with pinned(cpu), site.server("benchmarks.trivial_device"), child("benchmarks.raw") as raw_server:
        port = int(read_line(raw_server))
        sent = _round_trip(port)
        sent += crowd.measure(port, "all on one CPU")
        return sent + busy.measure()


def _on_two_cpus(site: BenchmarkSite, server_cpu: int, client_cpu: int) -> int:
    """Both servers on one CPU, all clients on another; returns how many device commands were sent."""
    with ExitStack() as stack:
        with pinned(server_cpu):
            stack.enter_context(site.server("benchmarks.trivial_device"))
            port = int(read_line(stack.enter_context(child("benchmarks.raw"))))
        with pinned(client_cpu):
            return crowd.measure(port, "servers on one CPU, clients on another")


def _as_they_come(site: BenchmarkSite) -> int:
    """Servers and clients wherever the system puts them, as in use; returns how many device commands were sent."""
    with site.server("benchmarks.trivial_device"), child("benchmarks.raw") as raw_server:
        return crowd.measure(int(read_line(raw_server)), "no process pinned", judged=True)


def _round_trip(port: int) -> int:
    with zmq.Context() as context, TrivialProxy() as proxy, running_peers() as peers:

        def our_call() -> None:
            assert proxy.add(1.0, 2.0) == 3.0

        calls: dict[str, Call] = {RAW: raw.connect(context, port), OURS: our_call, **peers}
        results = interleaved(calls, ROUNDS, CALLS)
        context.destroy(linger=0)
    _report(results)
    return ROUNDS * CALLS


def _report(results: dict[str, Rounds]) -> None:
    ratios = {name: ratio_of_rounds(rounds, results[RAW]) for name, rounds in results.items()}
    tails = {
        name: percentile([value for batch in rounds for value in batch], 99) / median_of_rounds(rounds)
        for name, rounds in results.items()
    }
    print(f"{'round trip, one CPU':24s} {'p50':>9s} {'to raw':>8s} {'p99/p50':>8s}")
    for name, rounds in results.items():
        print(f"  {name:22s} {median_of_rounds(rounds) * 1e6:6.1f} us {ratios[name]:8.2f} {tails[name]:8.1f}")
    ours = ratios[OURS]
    verdict(f"{ours:.2f} x raw, aim <= {AIM}", ours <= AIM)
    verdict(f"p99 {tails[OURS]:.1f} x p50, aim <= {P99_AIM:g}", tails[OURS] <= P99_AIM)
    for name in [name for name in results if name not in (RAW, OURS)]:
        beaten = f"ahead of {name} ({ratios[name] / ours:.2f} x ours)"
        verdict(beaten if name in BEHIND else f"{beaten}, an aim", ours < ratios[name])


def _check_journal(data: Path, expected: int) -> None:
    begun = sum(
        record.event == "begin"
        for path in data.glob("*/journal/trivial_cs/*.journal")
        for record in read_journal(path)
    )
    print(f"journal: {begun} commands recorded, {expected} were sent")
    assert begun == expected


if __name__ == "__main__":
    main()
