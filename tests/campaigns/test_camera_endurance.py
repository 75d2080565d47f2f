"""The camera chain for a long time: pulses in sequence and in time, nothing lost, memory flat.

The long form runs 20 minutes at three times the true speed; `CGSE_LONG_RUN_MINUTES` and `CGSE_LONG_RUN_SPEED` change that.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
import pytest

from egse.dpu import DPUMonitoring, DPUProxy
from egse.fee import READOUT_PERIOD, n_fee_mode
from egse.fee.geometry import ROWS
from egse.site.ports import release_block
from egse.site.sandbox import Sandbox
from egse.system import unix_time
from egse.zmq import MessageIdentifier

MINUTES = float(os.environ.get("CGSE_LONG_RUN_MINUTES", "20"))
SPEED = float(os.environ.get("CGSE_LONG_RUN_SPEED", "3"))
WATCHED = ("n_fee_sim", "dpu_cs", "sm_cs", "cm_cs", "log_cs")
BAD = ("error_packets", "suspect_packets", "orphan_packets", "missing_hk", "incomplete_readouts", "lost_records",
       "failed_cycles", "loop_errors", "dropped_messages", "missing_packets", "suspect_hk", "suspect_timecodes",
       "link_failures")  # fmt: skip


@dataclass
class Seen:
    """What the monitoring stream told."""

    timecodes: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    files: int = 0
    incomplete: list[str] = field(default_factory=list)
    memory: dict[str, list[float]] = field(default_factory=dict)


@pytest.fixture
def camera(tmp_path: Path, speed: float) -> Iterator[Sandbox]:
    folder = tmp_path / "box"
    with Sandbox(folder, speed=speed, seed=1) as sandbox, sandbox.joined():
        yield sandbox
    release_block(folder)


@pytest.mark.parametrize(
    ("minutes", "rows", "speed"),
    [(0.2, 50, 10.0), pytest.param(MINUTES, 4540, SPEED, marks=pytest.mark.campaign)],
)
def test_long_run(camera: Sandbox, minutes: float, rows: int, speed: float) -> None:
    with DPUProxy(timeout=60.0) as dpu, DPUMonitoring() as monitoring:
        _take_images(dpu, monitoring, rows)
        before = _counters(dpu)
        seen = _watch(camera, monitoring, 60 * minutes, rows)
        after = _counters(dpu)
        dpu.n_fee_set_on_mode()
    steps = np.diff(seen.timecodes) % 64
    # A straight line through the times of the pulses: its slope is the period, what is left is jitter.
    numbers = np.arange(len(seen.times))
    slope, offset = np.polyfit(numbers, seen.times, 1)
    jitter = np.abs(np.array(seen.times) - (slope * numbers + offset)).max()
    drift = slope * speed / READOUT_PERIOD - 1
    print(
        f"{minutes:g} minutes at {speed:g} x: {len(seen.timecodes)} timecodes in sequence, period {slope * speed:.6f} s "
        f"({1e6 * drift:+.0f} ppm), largest jitter {1e3 * jitter:.1f} ms, {seen.files} files, all complete"
    )
    for name, values in seen.memory.items():
        print(f"  {name:10} {values[len(values) // 3]:.1f} -> {values[-1]:.1f} MB")
    assert (steps == 1).all()
    assert seen.files > 0
    assert not seen.incomplete
    assert {name: after[name] - before[name] for name in BAD} == dict.fromkeys(BAD, 0)
    # Of a few pulses on a busy machine the period is known no better than their jitter allows.
    known_to = 4 * jitter * speed / (READOUT_PERIOD * len(numbers))
    assert abs(drift) < (1e-4 if minutes >= 5 else 1e-2 + known_to)
    if minutes >= 5:
        for name, values in seen.memory.items():
            settled = values[len(values) // 3 :]
            half = len(settled) // 2
            assert min(settled[half:]) - min(settled[:half]) < 10, f"{name} grows"


def _take_images(dpu: DPUProxy, monitoring: DPUMonitoring, rows: int) -> None:
    """To full-image mode, both sides; images come from the next cycle on."""
    while not dpu.get_status_summary()["known"]:
        assert monitoring.wait_for_timecode(60.0)
    dpu.n_fee_set_standby_mode()
    while dpu.n_fee_get_mode() != n_fee_mode.STANDBY_MODE:
        assert monitoring.wait_for_timecode(60.0)
    dpu.n_fee_set_full_image_mode(
        num_cycles=0,
        row_start=0,
        row_end=rows - 1,
        rows_final_dump=0,
        ccd_order=[1, 2, 3, 4],
        ccd_side="BOTH",
    )
    for _ in range(2):
        assert monitoring.wait_for_long_pulse(120.0)


def _counters(dpu: DPUProxy) -> dict[str, int]:
    counters: dict[str, int] = dpu.get_status_summary()["counters"]
    return {name: counters.get(name, 0) for name in BAD}


def _watch(sandbox: Sandbox, monitoring: DPUMonitoring, seconds: float, rows: int) -> Seen:
    """Follows the monitoring stream; raw files are looked at and removed, the disk would be full else."""
    image, overscan = min(rows, ROWS), max(0, rows - ROWS)
    packets = 2 * (-(-image // 7) - (-overscan // 7))  # two sides, seven rows a packet, each kind by itself
    families = {name: _family(sandbox.status()[name].pid) for name in WATCHED}
    seen = Seen(memory={name: [] for name in families})
    first = True
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        message = monitoring.receive(60.0)
        assert message is not None, "no message of the DPU Processor for a minute"
        identifier, payload = message
        if identifier is MessageIdentifier.SYNC_TIMECODE:
            seen.timecodes.append(payload[0])
            seen.times.append(unix_time(payload[1]))
            for name, family in families.items():
                seen.memory[name].append(sum(process.memory_info().rss for process in family) / 1e6)
        elif identifier is MessageIdentifier.HDF5_FILENAMES:
            for path in map(Path, payload):
                if not first:
                    seen.files += 1
                    if _packet_counts(path) != [packets] * 4:
                        seen.incomplete.append(path.name)
                first = False  # its cycle may have begun before the images
                path.unlink()
    return seen


def _family(pid: int | None) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _packet_counts(path: Path) -> list[int]:
    with h5py.File(path) as file:
        frames: list[Any] = [file[str(number)] for number in range(4)]
        return [len(frame["data"]) for frame in frames]
