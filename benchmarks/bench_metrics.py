"""What the metrics port costs a device server with 200 housekeeping parameters: start, memory, round trip of a command.

Starts with and without a port alternate. Then rounds of a second, in which nobody asks for the metrics, alternate with
rounds in which another process asks once, five times as often as Prometheus does by default. Everything is on one CPU, the
worst case. The first request imports `prometheus_client` and reads the TM dictionary; it is told separately.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
import urllib.request
from pathlib import Path

import psutil

from benchmarks.measure import Rounds, child, percentile, pinned, ratio_of_rounds, verdict
from benchmarks.site import BenchmarkSite, benchmark_site
from benchmarks.trivial_device import TrivialProxy
from egse.settings import Settings

SERVER = "benchmarks.wide_device"
STARTS = 5
ROUNDS = 10
ROUND = 1.0
"""Length of a round [s]."""
START_AIM, MEMORY_AIM, P50_AIM = 0.060, 3.0, 1.05
"""Of the port: start [s], memory before anybody asks [MB], ratio of the medians with and without somebody who asks."""


def main() -> None:
    with benchmark_site() as site, pinned(sorted(os.sched_getaffinity(0))[0]):
        port = int(Settings.load("OGSE Control Server").METRICS_PORT)  # its server does not run here
        starts, memory = _starts(site, port)
        ratio = _round_trips(site, port)
    verdict(f"start: {starts * 1e3:+.0f} ms (aim {START_AIM * 1e3:.0f} ms)", starts < START_AIM)
    verdict(f"memory: {memory:+.2f} MB (aim {MEMORY_AIM} MB)", memory < MEMORY_AIM)
    verdict(f"median of a command, asked once a second: x {ratio:.3f} (aim {P50_AIM})", ratio < P50_AIM)


def _use_port(site: BenchmarkSite, port: int) -> None:
    """Gives the server a metrics port, or none with 0."""
    path = Path(site.sandbox.env["PLATO_LOCAL_SETTINGS"])
    head, block, tail = path.read_text().partition("Trivial Control Server:\n")
    lines = [line for line in tail.splitlines() if "METRICS_PORT" not in line]
    path.write_text(head + block + "\n".join([*lines, f"  METRICS_PORT: {port}"]) + "\n")
    Settings.load(force=True)


def _starts(site: BenchmarkSite, port: int) -> tuple[float, float]:
    """Returns how much longer a start takes with a port [s], and how much more memory there is then [MB]."""
    times: dict[bool, list[float]] = {True: [], False: []}
    memory: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(STARTS):
        for with_port in (False, True):
            _use_port(site, port if with_port else 0)
            began = time.perf_counter()
            with site.server(SERVER) as server, TrivialProxy() as device:
                times[with_port].append(time.perf_counter() - began)
                device.add(1.0, 2.0)
                memory[with_port].append(psutil.Process(server.pid).memory_full_info().uss / 1e6)
    for with_port, name in ((False, "without a port"), (True, "with a port")):
        print(
            f"  {name:<16} ready after {statistics.median(times[with_port]) * 1e3:.0f} ms, "
            f"{statistics.median(memory[with_port]):.1f} MB"
        )
    # The quickest start is the one that the rest of the machine has disturbed least.
    return min(times[True]) - min(times[False]), statistics.median(memory[True]) - statistics.median(
        memory[False]
    )


def _round_trips(site: BenchmarkSite, port: int) -> float:
    with (
        site.server(SERVER) as server,
        TrivialProxy() as device,
        child("benchmarks.scraper", str(port)) as scraper,
    ):
        before = psutil.Process(server.pid).memory_full_info().uss / 1e6
        first, later = _ask(port), [_ask(port) for _ in range(5)]
        after = psutil.Process(server.pid).memory_full_info().uss / 1e6
        print(
            f"  first request {first * 1e3:.0f} ms and {after - before:+.2f} MB, later ones {min(later) * 1e3:.1f} ms"
        )
        quiet, asked = [], []
        for _ in range(ROUNDS):
            quiet.append(_time(device, None))
            asked.append(_time(device, scraper))
    for name, rounds in (("nobody asks", quiet), ("asked", asked)):
        _print(name, rounds)
    return ratio_of_rounds(asked, quiet)


def _print(name: str, rounds: Rounds) -> None:
    durations = [duration for batch in rounds for duration in batch]
    figures = {percent: percentile(durations, percent) * 1e6 for percent in (50, 99, 99.9)}
    text = ", ".join(f"p{percent:g} {value:.0f} us" for percent, value in figures.items())
    print(f"  {name:<12} {len(durations)} commands: {text}, longest {max(durations) * 1e3:.1f} ms")


def _time(device: TrivialProxy, scraper: subprocess.Popen[str] | None) -> list[float]:
    durations = []
    end = time.perf_counter() + ROUND
    if scraper is not None:
        assert scraper.stdin is not None
        scraper.stdin.write("ask\n")
        scraper.stdin.flush()
    while (began := time.perf_counter()) < end:
        device.add(1.0, 2.0)
        durations.append(time.perf_counter() - began)
    return durations


def _ask(port: int) -> float:
    began = time.perf_counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        answer.read()
    return time.perf_counter() - began
