"""Core services and the DPU Processor are killed in the middle of a run: it ends as done, with a complete record."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pandas as pd
import pytest

from egse.archive import Observation, verify

pytestmark = pytest.mark.system

CYCLES = 5
ACQUIRE = f"""\
from camtest.commanding import dpu, ogse
if dpu.n_fee_is_on_mode():
    dpu.n_fee_to_standby_mode()
if not dpu.n_fee_is_dump_mode():
    dpu.n_fee_to_dump_mode()
dpu.n_cam_acquire_and_dump(
    num_cycles={CYCLES}, row_start=0, row_end=9, rows_final_dump=0, ccd_order=[1, 2, 3, 4], ccd_side="BOTH"
)
ogse.set_attenuation(factor=0.3)
"""


@pytest.fixture
def run_with_victims(
    lab: Any, shell: Any, write_notebook: Callable[..., Path], wait: Callable[..., Any]
) -> Callable[[Callable[[], None]], Any]:
    """Runs a notebook, calls a function while images are taken, and returns the record of the observation."""

    def run(kill: Callable[[], None]) -> Any:
        lab.to_rest()
        runner = shell.start("camtest", "run", write_notebook("acquire.ipynb", ACQUIRE))
        wait(lambda: lab.is_acquiring() or runner.poll() is not None, 120, "the acquisition")
        obsid = lab.manager.get_obsid()
        kill()
        code, output = shell.finish(runner, 240)
        assert code == 0, output
        observation = wait(lab.last_closed, 90, "the end of the observation")
        assert (observation["obsid"], observation["status"]) == (obsid, "done")
        return lab.record(obsid)

    return run


def image_files(record: Any) -> list[tuple[Path, list[int]]]:
    """Returns the raw files with images and how many packets each frame has."""
    found = []
    for path in record.raw_files:
        with h5py.File(path) as file:
            assert file["obsid"][()] == record.obsid.encode()
            counts = [len(file[f"{frame}/data"]) for frame in "0123" if frame in file]
            if any(counts):
                found.append((path, counts))
    return found


def check_record(record: Any) -> None:
    assert verify(Observation(record.obsid, record.site_folder)) == []
    events = record.lines("events.jsonl")
    assert [event["seq"] for event in events] == list(range(len(events)))
    kinds = [event["event"] for event in events if event.get("block") or "observation" in event["event"]]
    assert kinds[0] == "observation-start"
    assert kinds[-1] == "observation-end"
    for name in ("n_cam_acquire_and_dump", "set_attenuation"):
        block = [event["event"] for event in events if event.get("block", "").endswith(name)]
        assert block == ["start", "end"]
    commands = record.lines("commands.jsonl")
    journal = record.journal()
    assert {command["id"] for command in commands} == set(journal)
    assert [command["command"] for command in commands].count("n_fee_set_full_image_mode") == 1


def test_all_core_services(lab: Any, run_with_victims: Callable[..., Any], wait: Callable[..., Any]) -> None:
    names = ("sm_cs", "cm_cs", "log_cs")
    before = {name: lab.sandbox.status()[name].pid for name in names}

    def kill() -> None:
        for name in names:
            assert lab.sandbox.kill(name) == before[name]

    record = run_with_victims(kill)
    check_record(record)
    after = {name: lab.sandbox.wait_for(name).pid for name in names}
    assert not set(before.values()) & set(after.values())
    assert [counts for _, counts in image_files(record)] == CYCLES * [[4, 4, 4, 4]]
    (path,) = record.folder.glob("*_N-FEE-HK_*.csv")
    counters = pd.read_csv(path).NFEE_FRAMECOUNTER.drop_duplicates().to_numpy()
    assert set(counters[1:] - counters[:-1]) <= {1, 1 - 65536}, "no readout without housekeeping"
    log = (lab.sandbox.layout.log / "general.log").read_text()
    assert f"Observation ended with obsid={record.obsid}" in log


def test_the_dpu_processor(lab: Any, run_with_victims: Callable[..., Any], wait: Callable[..., Any]) -> None:
    def kill() -> None:
        status = lab.camera.get_status_summary()
        wait(lambda: lab.camera.get_cycle_count() > status["cycle_count"], what="the second cycle")
        os.kill(status["processor_pid"], signal.SIGKILL)

    record = run_with_victims(kill)
    check_record(record)
    files = image_files(record)
    whole = [counts for _, counts in files if counts == [4, 4, 4, 4]]
    assert len(whole) >= 2, (
        "cycles before and after the kill are whole; with this fast a clock a restart takes two"
    )
    assert lab.camera.get_status_summary()["processor_restarts"] >= 1
    assert lab.camera.n_fee_is_dump_mode()
