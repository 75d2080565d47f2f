"""Services and housekeeping of a server while its device is busy with one long command."""

from __future__ import annotations

import threading
import time
from typing import Any

from benchmarks.measure import percentile, verdict
from benchmarks.trivial_device import TrivialProxy

SECONDS = 10.0
PAUSE = 0.01
AIM = 0.05
HK_FREQUENCY = 2.0


def measure() -> int:
    """Prints the figures; returns how many device commands were sent."""
    with TrivialProxy(timeout=SECONDS + 10) as proxy, proxy.get_service_proxy() as services:
        frequency = services.set_hk_frequency(HK_FREQUENCY)
        command = threading.Thread(target=proxy.wait, args=(SECONDS,))
        before: dict[str, Any] = services.get_server_status()["housekeeping"]
        durations = []
        tick = threading.Event()
        command.start()
        while command.is_alive():
            started = time.perf_counter()
            services.get_process_status()
            durations.append(time.perf_counter() - started)
            tick.wait(PAUSE)
        after: dict[str, Any] = services.get_server_status()["housekeeping"]
        command.join()
    p99 = percentile(durations, 99)
    rows = after["rows"] - before["rows"]
    missed = after["missed"] - before["missed"]
    expected = int(SECONDS * frequency)
    print(
        f"services while a device command sleeps {SECONDS:g} s: {len(durations)} calls of get_process_status"
    )
    print(
        f"  p50 {percentile(durations, 50) * 1e3:.2f} ms   p99 {p99 * 1e3:.2f} ms   longest {max(durations) * 1e3:.2f} ms"
    )
    print(f"  housekeeping at {frequency:g} Hz: {rows} rows, {missed} missed, {expected} were due")
    verdict(f"p99 < {AIM * 1e3:g} ms", p99 < AIM)
    verdict("housekeeping keeps its rhythm", rows + missed >= expected - 1 and missed <= 0.02 * expected)
    return 1
