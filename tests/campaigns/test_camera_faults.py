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
from egse.h5 import (
    FORMAT_VERSION,
    FORMAT_VERSIONS,
    CycleFacts,
    Kind,
    get_file,
    packet_count,
    suspect_items,
    suspect_packets,
)
from egse.reg import RegisterMap
from egse.spw import is_timecode

EPOCH = 1_700_000_000.0
SPEED = 40.0
ROWS: dict[str, Any] = {
    "row_start": 4400, "row_end": 4519, "rows_final_dump": 0, "ccd_order": [1, 2, 3, 4], "ccd_side": "BOTH",
}  # fmt: skip
HEADER = 10


SMALL: dict[str, int] = {"packet_size": 10 + 2 * 25, "h_end": 24}
"""One row of 25 columns a packet: a readout of 2 x 900 rows has 1,800 packets."""
PROBLEMS = ("unknown_packets", "error_packets", "orphan_packets", "missing_hk")


class Fuzz:
    """Flips one byte of the header of every second packet, whatever it is, and knows for each what became of it.

    The line tells it what the core records (`on_record`); what is not recorded must be counted at once, what is recorded must be
    flagged in the file.

    Attributes:
        images: by cycle and frame, for each recorded image packet whether it was spoiled, and its frame counter.
        items: by cycle and frame, which other items were spoiled.
        noticed: spoiled packets that were counted at once.
        unnoticed: spoiled packets that were neither counted nor recorded.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.on = False
        self.seen = self.fuzzed = self.noticed = 0
        self.unnoticed: list[str] = []
        self.images: dict[int, dict[int, list[tuple[bool, bytes]]]] = {}
        self.items: dict[int, dict[int, set[str]]] = {}
        self._spoiled = self._bad_timecode = self._recorded = False
        self._cycle, self._frame = 0, -1

    def feed(self, line: Line, packet: Any) -> None:
        self.seen += 1
        self._spoiled = self.on and self._random.random() < 0.5
        self._recorded = False
        if is_timecode(packet):
            self._bad_timecode = self._spoiled
        if not self._spoiled:
            line.take(packet)
            return
        self.fuzzed += 1
        data = bytearray(packet)
        data[self._random.randrange(min(len(data), HEADER))] ^= self._random.randrange(1, 256)
        before = self._counted(line, data)
        line.take(bytes(data))
        if self._counted(line, data) > before and not self._recorded:
            self.noticed += 1
        elif not self._recorded and not is_timecode(data):
            self.unnoticed.append(f"{bytes(packet[:HEADER]).hex()} as {data[:HEADER].hex()}")

    @staticmethod
    def _counted(line: Line, data: bytearray) -> int:
        counters = line.core.counters
        count = sum(counters[name] for name in PROBLEMS)
        return count + (line.core.status()["counters"]["stale_replies"] if data[1] == 1 else 0)

    def on_record(self, kind: Kind, payload: Any) -> None:
        if kind is Kind.DATA:
            self.images[self._cycle][self._frame].append((self._spoiled, bytes(payload[6:8])))
            self._recorded = True
        elif kind is Kind.HK:
            self._recorded = True
            if self._spoiled:
                self.items[self._cycle][self._frame].add("hk")
        elif kind is Kind.TIMECODE and self._bad_timecode:
            self.items[self._cycle][self._frame].add("timecode")

    def on_cycle(self) -> None:
        self._cycle += 1
        self.images[self._cycle], self.items[self._cycle] = {}, {}

    def on_frame(self, number: int) -> None:
        self._frame = number
        self.images[self._cycle].setdefault(number, [])
        self.items[self._cycle].setdefault(number, set())


class Found:
    """Compares what is flagged in the files with what was spoiled.

    Attributes:
        flagged: spoiled items that are flagged.
        suspects: image packets that are flagged.
        missed: what was spoiled and is not flagged.
        accused: what is flagged and was not spoiled; packets of another readout, whose timecode was spoiled, are rightly flagged.
    """

    def __init__(self) -> None:
        self.flagged = self.suspects = self.packets = self._files = 0
        self.missed: list[str] = []
        self.accused: list[str] = []

    def __str__(self) -> str:
        return f"{self._files} files, {self.packets} image packets, {self.suspects} of them flagged; {self.flagged} spoiled items flagged"

    def take(self, files: list[Path], fuzz: Fuzz) -> None:
        for path in files[self._files :]:
            self._files += 1
            images, items = fuzz.images.pop(self._files), fuzz.items.pop(self._files)
            with get_file(path) as file:
                assert {int(key) for key in file if key.isdigit()} == set(images)
                for frame, packets in images.items():
                    where = f"{path.name}/{frame}"
                    assert packet_count(file, frame) == len(packets), where
                    self._compare_packets(where, suspect_packets(file, frame), packets)
                    self._compare_items(where, set(suspect_items(file, frame)), items[frame])
            path.unlink()  # a million packets need room

    def _compare_packets(self, where: str, suspects: list[int], packets: list[tuple[bool, bytes]]) -> None:
        self.packets += len(packets)
        self.suspects += len(suspects)
        spoiled = {number for number, (is_spoiled, _) in enumerate(packets) if is_spoiled}
        self.flagged += len(spoiled & set(suspects))
        self.missed += [f"{where}: packet {number} of {len(packets)}" for number in spoiled - set(suspects)]
        believed = {packets[number][1] for number in set(range(len(packets))) - set(suspects)}
        assert len(believed) <= 1, f"{where}: packets of several readouts pass for one"
        self.accused += [
            f"{where}: packet {number}"
            for number in set(suspects) - spoiled
            if packets[number][1] in believed
        ]

    def _compare_items(self, where: str, suspects: set[str], spoiled: set[str]) -> None:
        self.flagged += len(spoiled & suspects)
        self.missed += [f"{where}: {item}" for item in spoiled - suspects]
        if "hk" in suspects - spoiled:
            self.accused.append(f"{where}: hk")


class Line:
    """FEE model, DPU core and recorder in one thread; `spoil` stands for the cable."""

    def __init__(
        self,
        root: Path,
        spoil: Callable[[bytes], bytes | None] = bytes,
        registers: dict[str, int] | None = None,
        fuzz: Fuzz | None = None,
        version: tuple[int, int] = FORMAT_VERSION,
    ) -> None:
        self.now = 0.0
        self.fuzz = fuzz
        self.files: list[Path] = []
        self.spoil: Callable[[bytes], bytes | None] = bytes
        self.model = NFEEModel(start=1.0)
        self.core = DPUCore(NFEEState(RegisterMap("N-FEE", "fm")), self, 0.0, Timeouts())
        self.recorder = CycleRecorder(root, "LAB", self._on_file, obsid_wait=0, version=version)
        self.replies: list[bytes] = []
        self.results: dict[int, Exception | None] = {}
        self.run(3.0)
        self.command("n_fee_set_standby_mode")
        self.command(
            "n_fee_set_full_image_mode", num_cycles=0, **{**ROWS, "row_start": 3620 if registers else 4400}
        )
        if registers:
            self.command("n_fee_set_register_values", values=registers)
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
        if self.fuzz is not None:
            self.fuzz.feed(self, packet)
            return
        spoiled = self.spoil(packet)
        if spoiled is not None:
            self.take(spoiled)

    def take(self, packet: Any) -> None:
        self.core.handle(packet, self.now, EPOCH + self.now)
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
        assert self.recorder.close(600.0)
        return self.files

    def send(self, packet: bytes) -> None:
        self.replies += self.model.handle(packet, self.now)

    def begin_cycle(self, timestamp: float, facts: dict[str, Any]) -> None:
        if self.fuzz is not None:
            self.fuzz.on_cycle()
        self.recorder.begin_cycle(timestamp, facts)

    def record(self, kind: Kind, payload: Any, timestamp: float) -> None:
        if self.fuzz is not None:
            self.fuzz.on_record(kind, payload)
        self.recorder.record(kind, payload, timestamp)

    def record_map(self, kind: Kind, values: dict[str, Any], timestamp: float) -> None:
        if self.fuzz is not None and kind is Kind.FRAME:
            self.fuzz.on_frame(values["frame"])
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


@pytest.mark.parametrize("version", FORMAT_VERSIONS, ids=["2.6", "3.0"])
@pytest.mark.scales(4_000, 500_000)
def test_fuzzed_packets(scale: int, version: tuple[int, int], tmp_path: Path) -> None:
    """A byte of the header of every second packet is flipped: each is counted, and flagged in the file when it is kept.

    So that a million of them, in two layouts of the files, are feasible, the packets are small (60 bytes); their pixels have no part in any check.
    """
    fuzz = Fuzz(scale)
    line = Line(tmp_path, registers=SMALL, fuzz=fuzz, version=version)
    fuzz.on = True
    found = Found()
    started = time.perf_counter()
    while fuzz.fuzzed < scale:
        line.run(25.0)
        found.take(line.files, fuzz)
    fuzz.on = False
    line.run(30.0)  # the frame that was spoiled last has ended then
    before = line.core.status()["counters"]
    line.run(60.0)
    counters = line.core.status()["counters"]
    line.close()
    found.take(line.files, fuzz)
    print(f"{fuzz.fuzzed} of {fuzz.seen} packets fuzzed in {time.perf_counter() - started:.0f} s: {found}")
    print(f"noticed at once {fuzz.noticed}; {counters}")
    assert fuzz.unnoticed == []
    assert found.missed == []
    assert found.accused == []
    assert fuzz.noticed + found.flagged >= fuzz.fuzzed
    assert line.recorder.lost_records == line.recorder.failed_cycles == 0
    assert counters["suspect_packets"] == before["suspect_packets"] == found.suspects
    for name in ("suspect_hk", "suspect_timecodes", "unknown_packets"):
        assert counters[name] == before[name] > 0  # the good ones are not accused


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
        self, wanted: str, condition: Callable[[dict[str, Any]], bool] = bool, timeout: float = 120.0
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
    # What a processor could not finish within the time that it has to end, its successor does.
    assert CycleRecorder(dpu.root, "LAB", lambda *_: None, obsid_wait=0).close(120.0)
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
