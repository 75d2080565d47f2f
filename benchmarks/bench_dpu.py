"""DPU: commands per slot, blocking, submitted and in a batch, and how long questions take during a readout."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from egse.dpu import DPUProxy
from egse.fee import n_fee_mode
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
    while not dpu.get_status_summary()["known"]:
        time.sleep(0.2)
    dpu.n_fee_set_standby_mode()
    while dpu.n_fee_get_mode() != n_fee_mode.STANDBY_MODE:
        time.sleep(0.2)
    dpu.n_fee_set_full_image_mode(num_cycles=0, **FULL)  # type: ignore[arg-type]
    while dpu.n_fee_get_mode() != n_fee_mode.FULL_IMAGE_MODE:
        time.sleep(0.2)
    print(f"full frames, both sides, at {SPEED:g} x the true speed")
    _count_slots(dpu)
    _ask(dpu)
    dpu.n_fee_set_on_mode()


def _count_slots(dpu: DPUProxy) -> None:
    with dpu.batch() as batch:
        for number in range(WRITES):
            dpu.n_fee_set_register_values({"charge_injection_gap": number})
    assert batch.ticket is not None
    tickets = [dpu.submit.n_fee_set_register_values({"charge_injection_gap": n}) for n in range(WRITES)]
    submitted = {ticket.wait("acknowledged").timecode for ticket in tickets}
    blocking = {
        dpu.n_fee_set_register_values({"charge_injection_gap": n})["timecode"] for n in range(BLOCKING)
    }
    print(f"{WRITES} register writes in a batch    1 slot")
    print(f"{WRITES} submitted                     {len(submitted)} slot(s)")
    print(f"{BLOCKING} blocking calls                 {len(blocking)} slots")


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


if __name__ == "__main__":
    main()
