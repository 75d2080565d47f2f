"""The DPU Processor as a process, joined with the N-FEE simulator as a process, sped up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import h5py
import msgspec
import pytest

from egse.dpu.errors import FEEModeError
from egse.dpu.handle import ProcessorHandle
from egse.dpu.monitoring import DPUMonitoring
from egse.dpu.processor import ProcessorConfig
from egse.fee import n_fee_mode
from egse.fits.headers import lost_cycles
from egse.fits.plan import plan_cubes
from egse.h5 import DATA_ATTRIBUTES, get_attributes, get_file, packets, read_images
from egse.zmq import MessageIdentifier

SPEED = 20.0
FEW_ROWS = {
    "row_start": 4490,
    "row_end": 4519,
    "rows_final_dump": 0,
    "ccd_order": [1, 2, 3, 4],
    "ccd_side": "BOTH",
}


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    """Endpoint of a running N-FEE simulator."""
    command = [sys.executable, "-m", "egse.fee.n_fee_sim", "start", "--port", "0", "--speed", str(SPEED)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        line = process.stdout.readline().split()
        assert line[:2] == ["READY", "n_fee_sim"]
        yield line[2]
        process.terminate()
        process.wait(30)


class DPU:
    """A processor with its handle; collects its events."""

    def __init__(self, simulator: str, root: Path, ports: list[int]) -> None:
        self.root = root
        self.events: Queue[tuple[str, dict[str, Any]]] = Queue()
        self.obsid = "LAB_00001_00042"
        data, self.monitoring = (f"tcp://127.0.0.1:{port}" for port in ports)
        self.handle = ProcessorHandle(
            lambda queues: ProcessorConfig(
                queues=queues, spw_endpoint=simulator, data_endpoint=data, monitoring_endpoint=self.monitoring,
                data_root=str(root), site="LAB", speed=SPEED, log_endpoint="tcp://127.0.0.1:1",
            ),
            self.on_event,
        )  # fmt: skip
        self.handle.start()
        assert self.handle.wait_ready(20)

    def on_event(self, name: str, values: dict[str, Any]) -> None:
        if name == "cycle":
            self.handle.notify("set_obsid", {"cycle": values["cycle"], "obsid": self.obsid})
        self.events.put((f"{name} again" if name == "started" and self.handle.restarts else name, values))

    def status(self, name: str) -> Any:
        return self.handle.query("status")[name]

    def wait(self, condition: Callable[[], bool], timeout: float = 30.0) -> None:
        deadline = time.monotonic() + timeout
        with DPUMonitoring(self.monitoring) as moni:
            while not condition():
                assert time.monotonic() < deadline, self.handle.query("status")
                moni.receive(0.05)

    def next_event(self, wanted: str, timeout: float = 30.0) -> dict[str, Any]:
        while True:
            try:
                name, values = self.events.get(timeout=timeout)
            except Empty:
                pytest.fail(f"no event {wanted!r} came")
            if name == wanted:
                return values

    def next_file(self) -> Path:
        return Path(self.next_event("file")["path"])

    def command(self, name: str, **arguments: Any) -> Any:
        return self.handle.command(name, arguments, 10.0)

    def to_dump(self) -> None:
        self.wait(lambda: self.status("known"))
        if self.status("mode") == n_fee_mode.ON_MODE:
            self.command("n_fee_set_standby_mode")
            self.wait(lambda: self.status("mode") == n_fee_mode.STANDBY_MODE)
        if not self.status("dump_mode"):
            self.command("n_fee_set_dump_mode")
            self.wait(lambda: self.status("dump_mode"))

    def image_files(self, count: int) -> list[Path]:
        files: list[Path] = []
        while len(files) < count:
            path = self.next_file()
            with h5py.File(path) as file:
                if len(file["0/data"]) if "0" in file else 0:
                    files.append(path)
        return files


@pytest.fixture
def dpu(simulator: str, tmp_path: Path, free_ports: Callable[[int], list[int]]) -> Iterator[DPU]:
    dpu = DPU(simulator, tmp_path, free_ports(2))
    yield dpu
    dpu.handle.stop()


def test_a_readout_from_link_to_file(dpu: DPU) -> None:
    dpu.to_dump()
    with DPUMonitoring(dpu.monitoring) as moni:
        assert moni.wait_for_timecode(5.0)
        sent = dpu.command("n_fee_set_full_image_mode", num_cycles=2, **FEW_ROWS)
        assert 0 <= sent["timecode"] <= 63
        packet = moni.wait_for_long_pulse(10.0)
        assert packet is not None
        assert packet.type.frame_number == 0
        assert moni.wait_for_hdf5_filenames(10.0)
    first, second = dpu.image_files(2)
    dpu.wait(lambda: dpu.status("dump_mode"))
    assert int(second.stem[-5:]) == int(first.stem[-5:]) + 1
    with get_file(first) as file:
        assert sorted(file) == ["0", "1", "2", "3", "dpu", "fee", "obsid", "register", "versions"]
        assert file["obsid"][()] == b"LAB_00001_00042"
        assert file["dpu"].attrs["num_cycles"] == 2
        for frame in range(4):
            assert set(file[str(frame)]) >= {"timecode", "hk", "hk_data", "data"}
            assert sorted(file[f"{frame}/data"].attrs) == sorted(DATA_ATTRIBUTES)
            images = read_images(file, frame)
            assert [(image.ccd, image.side) for image in images] == [(frame + 1, "E"), (frame + 1, "F")]
            assert all(image.pixels.shape == (30, 2295) for image in images)
            assert all(not image.missing_rows.size for image in images)
            assert all(image.image.mean() > 0 for image in images)
    with get_file(second) as file:
        names = [command.attrs["name"] for command in file["3/commands"].values()]
        assert "n_fee_set_dump_mode" in names
    counters = dpu.status("counters")
    assert counters["incomplete_readouts"] == counters["lost_records"] == counters["loop_errors"] == 0
    assert not list(dpu.root.glob("spool/dpu/*.spool")) or dpu.status("unfinished_files") <= 1
    assert not list(dpu.root.glob("daily/*/*.spool"))


def is_described(path: Path) -> bool:
    """Says whether the file knows the registers of each of its frames."""
    with get_file(path) as file:
        return all(get_attributes(file, frame) for frame in range(4))


def test_a_replayed_recording_gives_the_same_file(
    dpu: DPU, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    dpu.to_dump()
    dpu.command("n_fee_set_full_image_mode", num_cycles=1, **FEW_ROWS)
    (recorded,) = dpu.image_files(1)
    command = [
        sys.executable,
        "-m",
        "egse.spw.replay",
        "start",
        "--endpoint",
        "tcp://127.0.0.1:0",
        "--speed",
        str(SPEED),
    ]
    replayer = subprocess.Popen(
        [*command, "--file", str(recorded), "--loop"], stdout=subprocess.PIPE, text=True
    )
    assert replayer.stdout is not None
    with replayer.stdout:
        again = DPU(replayer.stdout.readline().split()[2], tmp_path / "again", free_ports(2))
        try:
            # Whole cycles from the start on, and the registers known: on a busy machine the first ones are neither.
            replayed = again.image_files(2)[-1]
            while not is_described(replayed):
                replayed = again.image_files(1)[-1]
        finally:
            again.handle.stop()
            replayer.terminate()
            replayer.wait(30)
    with get_file(recorded) as one, get_file(replayed) as other:
        for frame in range(4):
            assert [bytes(p) for p in packets(other, frame)] == [bytes(p) for p in packets(one, frame)]
            assert get_attributes(other, frame) == get_attributes(one, frame)


def test_questions_are_answered_at_any_moment(dpu: DPU) -> None:
    dpu.to_dump()
    dpu.command("n_fee_set_full_image_mode", num_cycles=0, **FEW_ROWS)
    times = []
    for _ in range(100):
        start = time.perf_counter()
        dpu.status("mode")
        times.append(time.perf_counter() - start)
    assert sorted(times)[90] < 0.02
    dpu.command("n_fee_set_dump_mode")


def test_errors_come_back_as_themselves(dpu: DPU) -> None:
    dpu.to_dump()
    dpu.command("n_fee_set_on_mode")
    with pytest.raises(FEEModeError, match="from ON_MODE to FULL_IMAGE_MODE"):
        dpu.command("n_fee_set_dump_mode")
    with pytest.raises(ValueError, match="no question"):
        dpu.handle.query("nonsense")
    with pytest.raises(ValueError, match="no command"):
        dpu.command("nonsense")


def test_killed_in_the_middle_of_a_cycle(dpu: DPU) -> None:
    dpu.to_dump()
    dpu.command("n_fee_set_full_image_mode", num_cycles=0, **FEW_ROWS)
    dpu.image_files(1)
    dpu.wait(lambda: dpu.status("frame_number") == 2)
    pid = dpu.handle.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    dpu.next_event("started again")
    assert dpu.handle.wait_ready(20)
    assert dpu.handle.restarts == 1
    recovered = dpu.next_file()
    with get_file(recovered) as file:
        assert {"0", "1"} <= set(file)
        assert len(file["0/data"]) == 2 * 5
    partial = dpu.image_files(2)[-1]  # the first one may have begun in the middle of a cycle
    with get_file(partial) as file:
        assert [len(file[f"{frame}/data"]) for frame in range(4)] == [10] * 4
    numbers = sorted(int(path.stem[-5:]) for path in dpu.root.glob("daily/*/*.hdf5"))
    assert numbers == list(range(1, numbers[-1] + 1))
    dpu.command("n_fee_set_dump_mode")
    (plan,) = plan_cubes(
        path for path in sorted(dpu.root.glob("daily/*/*.hdf5")) if path.name <= partial.name
    )
    readouts = (plan.exposures[-1].counter - plan.first.counter) % 0x10000 + 1
    assert 4 * (plan.cycles + lost_cycles(plan)) == readouts  # what is missing is marked in the cube
    assert len(plan.exposures) + plan.lost_frames == 4 * plan.cycles


def test_ends_cleanly_in_the_middle_of_a_cycle(
    simulator: str, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    dpu = DPU(simulator, tmp_path, free_ports(2))
    dpu.wait(lambda: dpu.status("known"))
    pid = dpu.handle.pid
    start = time.monotonic()
    dpu.handle.stop()
    assert time.monotonic() - start < 5.0
    assert not Path(f"/proc/{pid}").exists()
    assert not list(tmp_path.glob("spool/dpu/*.spool"))
    assert not list(tmp_path.glob("daily/*/*.part"))
    assert list(tmp_path.glob("daily/*/*.hdf5"))


def test_ends_when_its_server_is_gone(
    simulator: str, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> None:
    data, monitoring = free_ports(2)
    config = ProcessorConfig(
        queues={name: f"ipc://{tmp_path / name}" for name in ("command", "priority", "response")},
        spw_endpoint=simulator, data_endpoint=f"tcp://127.0.0.1:{data}", monitoring_endpoint=f"tcp://127.0.0.1:{monitoring}",
        data_root=str(tmp_path), site="LAB", parent=1, log_endpoint="tcp://127.0.0.1:1",
    )  # fmt: skip
    command = [sys.executable, "-m", "egse.dpu.processor", msgspec.json.encode(config).decode()]
    assert subprocess.run(command, timeout=20, check=False).returncode == 0


def test_message_identifiers_are_distinct() -> None:
    assert len({identifier.frame for identifier in MessageIdentifier}) == len(MessageIdentifier)
