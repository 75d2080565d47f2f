"""Camera path: packets to a closed HDF5 file, by way of the spool, against h5py writing the same bytes in the same layout."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import h5py
import numpy as np

from egse.dpu.recorder import CycleRecorder
from egse.h5 import Kind

ROUNDS = 5
AIM = 0.7
FRAMES = 4
PACKETS_PER_FRAME = 1300
PACKET_SIZE = 32140


def main() -> None:
    cpu = min(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cpu})  # one core for both
    generator = np.random.default_rng(1)
    frame = [generator.integers(0, 256, PACKET_SIZE, dtype=np.uint8) for _ in range(PACKETS_PER_FRAME)]
    size = FRAMES * PACKETS_PER_FRAME * PACKET_SIZE / 1e6
    with tempfile.TemporaryDirectory() as folder:
        pairs = [(_ours(Path(folder), frame, n), _plain(Path(folder), frame)) for n in range(ROUNDS)]
    ours, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"one cycle, 4 full frames, both sides: {size:.0f} MB")
    print(f"plain h5py                     {size / plain:7.0f} MB/s")
    print(
        f"spool, HDF5, fsync, rename     {size / ours:7.0f} MB/s   {ratio:.2f} of plain h5py   aim >= {AIM}"
    )


def _ours(folder: Path, frame: list[np.ndarray], cycle: int) -> float:
    payloads = [memoryview(packet) for packet in frame]
    written: list[Path] = []
    recorder = CycleRecorder(folder / "site", "BENCH", lambda path, facts: written.append(path), obsid_wait=0)
    started = time.perf_counter()
    recorder.begin_cycle(time.time(), {"cycle": cycle, "register": bytes(2048), "num_cycles": 1})
    for number in range(FRAMES):
        now = time.time()
        recorder.record_map(Kind.FRAME, {"frame": number, "attributes": {"v_start": 0, "v_end": 4539}}, now)
        recorder.record(Kind.TIMECODE, bytes([number]), now)
        for payload in payloads:
            recorder.record(Kind.DATA, payload, now)
        recorder.record(Kind.FRAME_END, b"", now)
    recorder.end_cycle()
    recorder.close(timeout=60)
    elapsed = time.perf_counter() - started
    (path,) = written
    path.unlink()
    return elapsed


def _plain(folder: Path, frame: list[np.ndarray]) -> float:
    path = folder / "plain.hdf5"
    started = time.perf_counter()
    with h5py.File(path, "w") as file:
        for number in range(FRAMES):
            group = file.create_group(f"{number}/data")
            group.attrs["v_start"], group.attrs["v_end"] = 0, 4539
            file[f"{number}/timecode"] = number
            for index, packet in enumerate(frame):
                group.create_dataset(str(index), data=packet)
    with path.open("rb") as written:
        os.fsync(written.fileno())
    elapsed = time.perf_counter() - started
    path.unlink()
    return elapsed


if __name__ == "__main__":
    main()
