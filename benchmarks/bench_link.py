"""The whole camera chain on this machine: simulator, link, DPU, storage, HDF5, FITS; how fast before packets are lost?

    python -m benchmarks link                                  seeks the highest speed, then runs it for 60 s
    LINK_SPEED=12 LINK_SECONDS=600 python -m benchmarks link    one speed, 10 minutes

All processes are started the ordinary way; full frames, both sides: 4 x 1300 packets, 167 MB per cycle of 25 s. The
simulator sends the pixels of one frame again and again (`--repeat-pixels`). One process makes a FITS cube of each raw
file as it comes. A run holds when no packet was lost anywhere, each file has all its packets, the simulator kept its
rhythm, and the 99th percentile of the time from the last packet to the closed file is below one cycle.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from benchmarks.measure import child, percentile, verdict
from egse.dpu import DPUProxy
from egse.dpu.monitoring import DPUMonitoring
from egse.rmap import RMAPTimeoutError
from egse.site.sandbox import Sandbox
from egse.zmq import MessageIdentifier

SPEEDS = (4.0, 6.0, 8.0, 10.0, 12.0, 14.0, 16.0, 20.0)
TRIAL_SECONDS = 15.0
SECONDS = 60.0
AIM, LEAST = 12.0, 4.0
CYCLE = 25.0
PACKETS_PER_FILE = 4 * 1300
LOST = ("overflowed", "dropped")
BAD = (
    "error_packets",
    "orphan_packets",
    "missing_hk",
    "incomplete_readouts",
    "lost_records",
    "failed_cycles",
)


@dataclass
class Outcome:
    """What a run at one speed gave."""

    speed: float
    files: int = 0
    cubes: int = 0
    short: int = 0
    latencies: list[float] = field(default_factory=list)
    problems: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)

    @property
    def latency(self) -> float:
        return percentile(self.latencies, 99) if self.latencies else float("inf")

    @property
    def holds(self) -> bool:
        in_time = self.latency < CYCLE / self.speed
        return bool(self.files) and not self.short and not any(self.problems.values()) and in_time

    def __str__(self) -> str:
        rate = 4 * 41.69 * self.speed / CYCLE
        wrong = {name: count for name, count in self.problems.items() if count} or "none"
        busy = ", ".join(f"{name} {100 * part:.0f} %" for name, part in self.cpu.items())
        return (
            f"{self.speed:5.1f} x  {rate:5.0f} MB/s  {self.files} files, {self.cubes} cubes, {self.short} incomplete; "
            f"last packet to file p99 {self.latency:.2f} s of {CYCLE / self.speed:.2f} s; lost: {wrong}; CPU: {busy}"
        )


class Simulator:
    """A running `n_fee_sim` and its side channel."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.pid = process.pid
        ready = process.stdout.readline()
        if not ready.startswith("READY"):
            raise RuntimeError(f"n_fee_sim did not get ready: {ready!r}")
        _, host, port = process.stdout.readline().split()
        self._address = (host, int(port))

    def state(self) -> dict[str, Any]:
        with socket.create_connection(self._address, 10) as sock, sock.makefile("rwb") as stream:
            stream.write(b'{"do": "state"}\n')
            stream.flush()
            return dict(json.loads(stream.readline())["result"])

    def problems(self) -> dict[str, float]:
        state = self.state()
        return {"overruns": state["overruns"], **{k: state["link"][k] for k in (*LOST, "stood_still")}}


@contextmanager
def _started(*command: str) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-m", *command]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(15)


def run(speed: float, seconds: float) -> Outcome:
    """Runs the chain at one speed and returns what came out."""
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="bench-link-"))
        sandbox = stack.enter_context(Sandbox(folder, only_core=True, speed=speed))
        stack.enter_context(sandbox.joined())
        options = ("--speed", str(speed), "--repeat-pixels", "--admin-port", "0")
        simulator = Simulator(stack.enter_context(_started("egse.fee.n_fee_sim", "start", *options)))
        server = stack.enter_context(_started("egse.dpu.dpu_cs", "start"))
        assert server.stdout is not None
        if not server.stdout.readline().startswith("READY"):
            raise RuntimeError("dpu_cs did not get ready")
        worker = stack.enter_context(child("benchmarks.fits_worker"))
        monitoring = stack.enter_context(DPUMonitoring())
        dpu = stack.enter_context(DPUProxy(timeout=60.0))
        _to_full_image(dpu, monitoring)
        outcome = Outcome(speed)
        before = {**simulator.problems(), **_counters(dpu)}
        processes = _processes({"simulator": simulator.pid, "dpu_cs": server.pid, "FITS": worker.pid})
        _watch(monitoring, worker, outcome, seconds)
        outcome.cpu = _busy(processes, seconds)
        after = {**simulator.problems(), **_counters(dpu)}
        outcome.problems = {name: after[name] - before[name] for name in after}
    return outcome


def _to_full_image(dpu: DPUProxy, monitoring: DPUMonitoring) -> None:
    """To full-image mode, both sides; a host that is busy with starting may need a second try."""
    readout = {
        "row_start": 0,
        "row_end": 4539,
        "rows_final_dump": 0,
        "ccd_order": [1, 2, 3, 4],
        "ccd_side": "BOTH",
    }
    for command in (
        dpu.n_fee_set_standby_mode,
        partial(dpu.n_fee_set_full_image_mode, num_cycles=0, **readout),
    ):
        monitoring.wait_for_long_pulse(timeout=60.0)
        for tries_left in (4, 3, 2, 1, 0):
            try:
                command()
                break
            except RMAPTimeoutError:
                if not tries_left:
                    raise
    for _ in range(2):
        monitoring.wait_for_long_pulse(timeout=60.0)


def _counters(dpu: DPUProxy) -> dict[str, float]:
    counters = dpu.get_status_summary()["counters"]
    return {name: counters.get(name, 0) for name in BAD}


def _watch(
    monitoring: DPUMonitoring, worker: subprocess.Popen[str], outcome: Outcome, seconds: float
) -> None:
    """Follows the monitoring stream and hands each file to the FITS worker.

    The time of a file runs from the end of the last readout of its cycle, which the error flags tell.
    """
    assert worker.stdin is not None
    assert worker.stdout is not None
    ends: deque[float] = deque()
    end_of_readout: float | None = None
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        message = monitoring.receive(timeout=30.0)
        if message is None:
            raise RuntimeError("the DPU Processor tells nothing any more")
        identifier, payload = message
        if identifier is MessageIdentifier.SYNC_ERROR_FLAGS:
            end_of_readout = time.monotonic()
        elif identifier is MessageIdentifier.NUM_CYCLES and end_of_readout is not None:
            ends.append(end_of_readout)
        elif identifier is MessageIdentifier.HDF5_FILENAMES:
            for path in payload:
                if ends:
                    outcome.latencies.append(time.monotonic() - ends.popleft())
                    worker.stdin.write(f"{path}\n")
                    worker.stdin.flush()
                    outcome.files += 1
    worker.stdin.close()
    counts = [int(line) for line in worker.stdout]
    outcome.cubes = len(counts)
    outcome.short = sum(count != PACKETS_PER_FILE for count in counts)


def _processes(parents: dict[str, int]) -> dict[str, list[tuple[psutil.Process, float]]]:
    """Returns processes and their children with the CPU time used until now [s]."""
    found = {}
    for name, pid in parents.items():
        parent = psutil.Process(pid)
        family = [parent, *parent.children(recursive=True)]
        found[name] = [(process, sum(process.cpu_times()[:2])) for process in family]
    return found


def _busy(processes: dict[str, list[tuple[psutil.Process, float]]], seconds: float) -> dict[str, float]:
    """Returns the part of a core that each family used."""
    busy = {}
    for name, family in processes.items():
        used = [sum(process.cpu_times()[:2]) - before for process, before in family if process.is_running()]
        busy[name] = sum(used) / seconds
    return busy


def seek() -> float:
    """Returns the highest of `SPEEDS` that holds for a short while; 0 when none does."""
    best = 0.0
    for speed in SPEEDS:
        outcome = run(speed, max(TRIAL_SECONDS, 3.5 * CYCLE / speed))
        print(f"  trial  {outcome}")
        if not outcome.holds:
            break
        best = speed
    return best


def main() -> None:
    speed = float(os.environ.get("LINK_SPEED", 0)) or seek()
    if not speed:
        verdict(f"a speed of at least {SPEEDS[0]:g} x", holds=False)
        return
    outcome = run(speed, float(os.environ.get("LINK_SECONDS", SECONDS)))
    print(f"  run    {outcome}")
    verdict("no packet lost, every file complete, p99 below one cycle", outcome.holds)
    verdict(f"at least {LEAST:g} x real time", outcome.holds and speed >= LEAST)
    verdict(f"aim of {AIM:g} x real time", outcome.holds and speed >= AIM)


if __name__ == "__main__":
    main()
