"""Faults of the camera link, of the DPU Processor and of the disk: counted, flagged, survived."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import h5py
import pytest

from egse.dpu.core import DPUCore
from egse.dpu.handle import ProcessorHandle
from egse.dpu.processor import ProcessorConfig
from egse.dpu.recorder import CycleRecorder
from egse.dpu.sink import Timeouts
from egse.dpu.state import NFEEState
from egse.fee.model import NFEEModel
from egse.h5 import CycleFacts, Kind
from egse.reg import RegisterMap
from egse.spw import is_timecode

EPOCH = 1_700_000_000.0
SPEED = 40.0
ROWS: dict[str, Any] = {
    "row_start": 4400, "row_end": 4519, "rows_final_dump": 0, "ccd_order": [1, 2, 3, 4], "ccd_side": "BOTH",
}  # fmt: skip
HEADER = 10


class Line:
    """FEE model, DPU core and recorder in one thread; `spoil` stands for the cable."""

    def __init__(self, root: Path, spoil: Callable[[bytes], bytes | None]) -> None:
        self.now = 0.0
        self.files: list[Path] = []
        self.spoil: Callable[[bytes], bytes | None] = bytes
        self.model = NFEEModel(start=1.0)
        self.core = DPUCore(NFEEState(RegisterMap("N-FEE", "fm")), self, 0.0, Timeouts())
        self.recorder = CycleRecorder(root, "LAB", self._on_file, obsid_wait=0)
        self.replies: list[bytes] = []
        self.results: dict[int, Exception | None] = {}
        self.run(3.0)
        self.command("n_fee_set_standby_mode")
        self.command("n_fee_set_full_image_mode", num_cycles=0, **ROWS)
        self.spoil = spoil

    def _on_file(self, path: Path, facts: CycleFacts) -> None:
        self.files.append(path)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while (due := min(self.model.next_event(), self.core.next_event(self.now))) <= end:
            self.now = max(due, self.now + 1e-3)
            for packet in self.model.step(self.now):
                self.feed(packet)
            self.core.step(self.now, EPOCH + self.now)
            while self.replies:
                self.feed(self.replies.pop(0))
        self.now = end

    def feed(self, packet: Any) -> None:
        spoiled = self.spoil(packet)
        if spoiled is not None:
            self.core.handle(spoiled, self.now, EPOCH + self.now)
            self.core.step(self.now, EPOCH + self.now)

    def command(self, name: str, **arguments: Any) -> None:
        number = len(self.results) + 1
        self.core.submit(number, [(name, arguments)])
        cycles = self.core.state.cycle_count
        while self.core.state.cycle_count == cycles:
            self.run(1.0)
        assert self.results[number] is None

    def close(self) -> list[Path]:
        self.core.close()
        assert self.recorder.close(60.0)
        return self.files

    def send(self, packet: bytes) -> None:
        self.replies += self.model.handle(packet, self.now)

    def begin_cycle(self, timestamp: float, facts: dict[str, Any]) -> None:
        self.recorder.begin_cycle(timestamp, facts)

    def record(self, kind: Kind, payload: Any, timestamp: float) -> None:
        self.recorder.record(kind, payload, timestamp)

    def record_map(self, kind: Kind, values: dict[str, Any], timestamp: float) -> None:
        self.recorder.record_map(kind, values, timestamp)

    def end_cycle(self) -> None:
        self.recorder.end_cycle()

    def finished(self, request: int, value: Any, error: Exception | None) -> None:
        self.results[request] = error

    def is_wanted(self, *_: Any) -> bool:
        return False

    def publish(self, *_: Any) -> None: ...
    def housekeeping(self, *_: Any) -> None: ...
    def counting(self, *_: Any) -> None: ...
    def fee_found(self, *_: Any) -> None: ...
    def pulse(self, *_: Any) -> None: ...
    def sending(self, *_: Any) -> None: ...


@pytest.mark.scales(1_000, 1_000_000)
def test_fuzzed_packets(scale: int, tmp_path: Path) -> None:
    """Every third packet has one byte of its header flipped; every one is counted, every image packet flagged."""
    generator = random.Random(scale)
    fuzzed = {"image": 0, "other": 0}
    seen = 0

    def spoil(packet: bytes) -> bytes | None:
        nonlocal seen
        seen += 1
        if generator.random() > 0.3:
            return packet
        data = bytearray(packet)
        data[generator.randrange(min(len(data), HEADER))] ^= generator.randrange(1, 256)
        fuzzed["image" if len(packet) > 200 else "other"] += 1
        return bytes(data)

    line = Line(tmp_path, spoil)
    started = time.perf_counter()
    while sum(fuzzed.values()) < scale:
        line.run(25.0)
        for path in line.files[:-2]:
            if scale > 100_000 and path.exists():
                path.unlink()  # what was counted is enough
    line.spoil = bytes
    before = line.core.status()["counters"]
    line.run(60.0)
    counters = line.core.status()["counters"]
    files = [path for path in line.close() if path.exists()]
    flagged = 0
    for path in files:
        with h5py.File(path) as file:
            frames = [key for key in file if key.isdigit()]
            flagged += sum(len(file[f"{key}/data"].attrs.get("suspect_packets", ())) for key in frames)
    found = {
        key: before[key] for key in ("suspect_packets", "unknown_packets", "error_packets", "stale_replies")
    }
    print(f"{scale}: {fuzzed} of {seen} packets fuzzed in {time.perf_counter() - started:.0f} s; {found}")
    print(f"flagged in files: {flagged}; lost records {line.recorder.lost_records}")
    assert sum(found.values()) >= sum(fuzzed.values()) - 2 * line.core.state.pulse_count
    assert line.recorder.lost_records == line.recorder.failed_cycles == 0
    assert counters["suspect_packets"] == before["suspect_packets"]  # the good ones are not accused
    if scale <= 100_000:
        assert flagged == before["suspect_packets"]


def test_every_broken_header_is_flagged_by_its_index(tmp_path: Path) -> None:
    broken = {0: (6, 0x01), 3: (4, 0x02), 5: (9, 0x40), 7: (0, 0x80), 8: (3, 0x04)}
    index = -1

    def spoil(packet: bytes) -> bytes:
        nonlocal index
        if is_timecode(packet):
            index = -1
        if len(packet) < 200:
            return packet
        index += 1
        data = bytearray(packet)
        if index in broken:
            position, mask = broken[index]
            data[position] ^= mask
        return bytes(data)

    line = Line(tmp_path, spoil)
    line.run(24.0)
    path = line.close()[-1]
    with h5py.File(path) as file:
        for frame in ("1", "2", "3"):
            assert list(file[f"{frame}/data"].attrs["suspect_packets"]) == sorted(broken)


class DPU:
    """A DPU Processor with its handle."""

    def __init__(self, endpoint: str, root: Path, ports: list[int]) -> None:
        self.root = root
        self.events: Queue[tuple[str, dict[str, Any]]] = Queue()
        data, monitoring = (f"tcp://127.0.0.1:{port}" for port in ports)
        self.handle = ProcessorHandle(
            lambda queues: ProcessorConfig(
                queues=queues, spw_endpoint=endpoint, data_endpoint=data, monitoring_endpoint=monitoring,
                data_root=str(root), site="LAB", speed=SPEED, log_endpoint="tcp://127.0.0.1:1", obsid_wait=0,
            ),
            lambda name, values: self.events.put((name, values)),
        )  # fmt: skip
        self.handle.start()
        assert self.handle.wait_ready(30)

    def until(
        self, wanted: str, condition: Callable[[dict[str, Any]], bool] = bool, timeout: float = 30.0
    ) -> Any:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                name, values = self.events.get(timeout=1.0)
            except Empty:
                continue
            if name == wanted and condition(values):
                return values
        pytest.fail(f"no event {wanted}")

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.handle.query("status")
        return answer

    def take_images(self) -> None:
        self.until("pulse", lambda _: bool(self.status()["known"]))
        if self.status()["mode"] == 0:
            self.handle.command("n_fee_set_standby_mode", {}, 15.0)
            self.until("pulse", lambda values: values["long"])
        self.handle.command("n_fee_set_full_image_mode", {"num_cycles": 0, **ROWS}, 15.0)
        self.until("pulse", lambda values: values["long"])

    def good_file(self) -> Path:
        """Waits for a file that holds all packets of a whole cycle."""
        while True:
            path = Path(self.until("file")["path"])
            with h5py.File(path) as file:
                if all(f"{n}/data" in file and len(file[f"{n}/data"]) == 36 for n in range(4)):
                    return path


@pytest.fixture
def simulator(free_ports: Callable[[int], list[int]]) -> Iterator[Any]:
    """Starts and restarts an N-FEE simulator on one port."""
    (port,) = free_ports(1)
    processes: list[subprocess.Popen[str]] = []

    def start() -> str:
        command = [
            sys.executable,
            "-m",
            "egse.fee.n_fee_sim",
            "start",
            "--port",
            str(port),
            "--speed",
            str(SPEED),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline().startswith("READY")
        return f"tcp://127.0.0.1:{port}"

    def kill() -> None:
        process = processes.pop()
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

    start.kill = kill  # type: ignore[attr-defined]
    yield start
    while processes:
        kill()


@pytest.fixture
def dpu(simulator: Any, tmp_path: Path, free_ports: Callable[[int], list[int]]) -> Iterator[DPU]:
    made = DPU(simulator(), tmp_path / "site", free_ports(2))
    yield made
    made.handle.stop()


@pytest.mark.scales(1, 20)
def test_the_link_drops(scale: int, dpu: DPU, simulator: Any) -> None:
    for number in range(scale):
        dpu.take_images()
        dpu.good_file()
        simulator.kill()
        simulator()
        dpu.until("fee", lambda values: bool(values["restarted"]))
        print(f"drop {number + 1}: noticed, {dpu.status()['counters']}")
    dpu.take_images()
    dpu.good_file()
    assert dpu.status()["counters"]["fee_restarts"] == scale
    assert dpu.status()["counters"]["loop_errors"] == 0


@pytest.mark.scales(1, 20)
def test_the_processor_is_killed(scale: int, dpu: DPU) -> None:
    dpu.take_images()
    dpu.good_file()
    for number in range(scale):
        pid = dpu.handle.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        dpu.until("started")
        ready = time.monotonic() - killed
        dpu.good_file()
        print(
            f"kill {number + 1}: ready after {ready:.1f} s, a whole cycle on disk after {time.monotonic() - killed:.1f} s"
        )
    dpu.handle.stop()
    assert dpu.handle.restarts == scale
    numbers = sorted(int(path.stem[-5:]) for path in dpu.root.glob("daily/*/*.hdf5"))
    assert numbers == list(range(1, len(numbers) + 1))
    assert not list(dpu.root.glob("spool/dpu/*.spool"))


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("mount") is None, reason="needs root for a small disk")
def test_the_disk_is_full(simulator: Any, tmp_path: Path, free_ports: Callable[[int], list[int]]) -> None:
    root = tmp_path / "small"
    root.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(root)], check=False)
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        dpu = DPU(simulator(), root, free_ports(2))
        try:
            dpu.take_images()
            dpu.good_file()
            filler = root / "filler"
            with filler.open("wb") as file:
                while True:
                    try:
                        file.write(bytes(65536))
                        file.flush()
                    except OSError:
                        break
            dpu.until("pulse", lambda _: dpu.status()["counters"]["lost_records"] > 0)
            lost = dpu.status()["counters"]
            filler.unlink()
            dpu.good_file()
            counters = dpu.status()["counters"]
            print(f"disk full: {lost['lost_records']} records lost, counted; whole cycles again afterwards")
            assert counters["loop_errors"] == 0
            assert dpu.handle.restarts == 0
        finally:
            dpu.handle.stop()
    finally:
        subprocess.run(["umount", "-l", str(root)], check=True)
