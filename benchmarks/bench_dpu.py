"""DPU: commands per slot, blocking, submitted and in a batch, and how long questions take during a readout."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import verdict
from egse.clock import RealClock
from egse.dpu import DPUMonitoring, DPUProxy
from egse.fee import n_fee_mode
from egse.h5 import get_file
from egse.site.ports import release_block
from egse.site.sandbox import Sandbox

SPEED = 2.0
WRITES = 20
BLOCKING = 5
QUESTIONS = 500
AIM = 0.020
FULL = {"row_start": 0, "row_end": 4539, "rows_final_dump": 0, "ccd_order": [1, 2, 3, 4], "ccd_side": "BOTH"}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        box = Path(folder) / "box"
        with Sandbox(box, speed=SPEED, seed=1) as sandbox, sandbox.joined(), DPUProxy() as dpu:
            _run(dpu)
        release_block(box)


def _run(dpu: DPUProxy) -> None:
    _until(lambda: dpu.get_status_summary()["known"])
    dpu.n_fee_set_standby_mode()
    _until(lambda: dpu.n_fee_get_mode() == n_fee_mode.STANDBY_MODE)
    dpu.n_fee_set_full_image_mode(num_cycles=0, **FULL)  # type: ignore[arg-type]
    _until(lambda: dpu.n_fee_get_mode() == n_fee_mode.FULL_IMAGE_MODE)
    print(f"full frames, both sides, at {SPEED:g} x the true speed")
    _count_slots(dpu)
    _ask(dpu)
    dpu.n_fee_set_on_mode()


def _until(condition: Callable[[], bool]) -> None:
    clock = RealClock()
    while not condition():
        clock.sleep(0.2)


def _count_slots(dpu: DPUProxy) -> None:
    with DPUMonitoring() as monitoring:
        with dpu.batch():
            for number in range(WRITES):
                dpu.n_fee_set_register_values({"charge_injection_gap": number})
        slots = _frames_with_writes(monitoring)
    tickets = [dpu.submit.n_fee_set_register_values({"charge_injection_gap": n}) for n in range(WRITES)]
    submitted = {ticket.wait("acknowledged").timecode for ticket in tickets}
    blocking = {
        dpu.n_fee_set_register_values({"charge_injection_gap": n})["timecode"] for n in range(BLOCKING)
    }
    print(f"{WRITES} register writes in a batch    {len(slots)} slot(s), {sum(slots)} writes")
    print(f"{WRITES} submitted                     {len(submitted)} slot(s)")
    print(f"{BLOCKING} blocking calls                 {len(blocking)} slots")
    verdict(f"a batch of {WRITES} in one slot", slots == [WRITES])
    verdict(f"{WRITES} submitted in one slot, two when one ended meanwhile", len(submitted) <= 2)


def _frames_with_writes(monitoring: DPUMonitoring) -> list[int]:
    """Returns how many register writes the raw files have in each frame that has any, as soon as all of them are there."""
    found: list[int] = []
    while sum(found) < WRITES:
        for path in monitoring.wait_for_hdf5_filenames(120.0):
            with get_file(path) as file:
                commands = [file[frame].get("commands", {}).values() for frame in file if frame.isdigit()]
                names = [[command.attrs["name"] for command in frame] for frame in commands]
            found += [n for frame in names if (n := frame.count("n_fee_set_register_values"))]
    return found


def _ask(dpu: DPUProxy) -> None:
    waiting = dpu.submit.n_fee_clear_error_flags()
    times = []
    for _ in range(QUESTIONS):
        started = time.perf_counter()
        dpu.n_fee_get_frame_number()
        times.append(time.perf_counter() - started)
        if waiting.id and len(times) % 100 == 0:
            waiting = dpu.submit.n_fee_clear_error_flags()
    times.sort()
    p50, p99, worst = statistics.median(times), times[int(0.99 * len(times))], times[-1]
    share = sum(item < AIM for item in times) / len(times)
    print(
        f"questions during readouts       p50 {1e3 * p50:.1f} ms   p99 {1e3 * p99:.1f} ms   worst {1e3 * worst:.1f} ms   "
        f"{100 * share:.2f} % below {1e3 * AIM:.0f} ms"
    )
    verdict(f"p99 below {1e3 * AIM:.0f} ms", p99 < AIM)


if __name__ == "__main__":
    main()
