"""Whoever dies or is stopped in the middle of an acquisition: the record is true, and the camera goes on."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import nbformat
import pytest

from egse.archive import Observation, verify

pytestmark = pytest.mark.system

ACQUIRE = """\
from camtest.commanding import dpu
if dpu.n_fee_is_on_mode():
    dpu.n_fee_to_standby_mode()
if not dpu.n_fee_is_dump_mode():
    dpu.n_fee_to_dump_mode()
""", """\
dpu.n_cam_acquire_and_dump(
    num_cycles=1000, row_start=0, row_end=9, rows_final_dump=0, ccd_order=[1, 2, 3, 4], ccd_side="E"
)
""", "print('never')"  # fmt: skip


@pytest.fixture
def acquiring(
    lab: Any, shell: Any, write_notebook: Callable[..., Path], wait: Callable[..., Any]
) -> Iterator[Callable[[], Any]]:
    """Starts an observation and returns its runner when images are being taken; ends in DUMP mode."""
    notebook = write_notebook("acquire.ipynb", *ACQUIRE)

    def start() -> Any:
        runner = shell.start("camtest", "run", notebook, "--output", "executed.ipynb")
        wait(lambda: lab.is_acquiring() or runner.poll() is not None, 30, "the acquisition")
        assert runner.poll() is None, runner.communicate()[0]
        return runner

    yield start
    lab.to_rest()


def check_record(lab: Any, folder: Path, status: str) -> dict[str, Any]:
    """The last observation is closed and complete; returns the configuration manager's record."""
    observation = dict(lab.last_closed())
    assert observation["status"] == status
    record = lab.record(observation["obsid"])
    assert record.manifest["status"] == status
    assert verify(Observation(observation["obsid"], lab.folder)) == []
    assert "n_fee_set_full_image_mode" in {c["command"] for c in record.lines("commands.jsonl")}
    cells = nbformat.read(folder / "executed.ipynb", as_version=4).cells
    assert [cell.metadata.camtest["status"] for cell in cells] == ["passed", status, "not-run"]
    stored = nbformat.read(record.file("acquire.ipynb"), as_version=4)
    assert stored.metadata.camtest["status"] == status
    return observation


def check_camera_goes_on(lab: Any, wait: Callable[..., Any]) -> None:
    cycles, files = lab.camera.get_cycle_count(), set(lab.folder.glob("daily/*/*.hdf5"))
    wait(lambda: lab.camera.get_cycle_count() > cycles + 1, what="the next cycle")
    (path, *_) = sorted(wait(lambda: set(lab.folder.glob("daily/*/*.hdf5")) - files, what="a file"))
    with h5py.File(path) as file:
        assert len(file["0/data"]) > 0
    assert lab.camera.n_fee_get_mode() == 5


def test_the_kernel_is_killed(
    lab: Any, shell: Any, acquiring: Callable[[], Any], wait: Callable[..., Any]
) -> None:
    runner = acquiring()
    shell.kernel().kill()
    killed = time.monotonic()
    wait(lab.last_closed, 15, "the end of the observation")
    assert time.monotonic() - killed < 15
    code, output = shell.finish(runner)
    assert code == 138
    assert "kernel-lost" in output
    observation = check_record(lab, shell.folder, "kernel-lost")
    events = lab.record(observation["obsid"]).lines("events.jsonl")
    blocks = [event for event in events if event.get("block", "").endswith("n_cam_acquire_and_dump")]
    assert [event["event"] for event in blocks] == ["start"], "it began and never ended"
    check_camera_goes_on(lab, wait)


def test_the_runner_is_told_to_stop(lab: Any, shell: Any, acquiring: Callable[[], Any]) -> None:
    runner = acquiring()
    runner.send_signal(signal.SIGINT)
    code, output = shell.finish(runner, 120)
    assert code == 130
    assert "interrupted by SIGINT" in output
    observation = check_record(lab, shell.folder, "interrupted")
    assert observation["reason"] == "interrupted by SIGINT"
    assert lab.camera.n_fee_get_mode() == 5, "the camera is left as it is"


def test_runner_and_kernel_are_killed_together(
    lab: Any, shell: Any, acquiring: Callable[[], Any], wait: Callable[..., Any]
) -> None:
    runner = acquiring()
    obsid = lab.manager.get_obsid()
    kernel = shell.kernel()
    runner.kill()
    kernel.kill()
    shell.finish(runner)
    assert lab.manager.get_obsid() == obsid, "its lease runs"
    check_camera_goes_on(lab, wait)
    observation = wait(lab.last_closed, 16, "the end of the observation")
    assert (observation["obsid"], observation["status"]) == (obsid, "interrupted")
    assert "no sign of life from " in observation["reason"]
    assert verify(Observation(obsid, lab.folder)) == []
    record = lab.record(obsid)
    assert record.raw_files
    commands = [command["command"] for command in record.lines("commands.jsonl")]
    assert commands.count("n_fee_set_full_image_mode") == 1
