"""The recorder: names, recovery, one process at a time, a full disk."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import psutil
import pytest

from egse.dpu.recorder import SPOOL_FOLDER, CycleRecorder
from egse.h5 import CycleFacts, Kind, SpoolError

T0 = 1_700_000_000.0


class Files(list[tuple[Path, CycleFacts]]):
    def add(self, path: Path, facts: CycleFacts) -> None:
        self.append((path, facts))


def record(
    recorder: CycleRecorder, cycle: int, packets: int = 3, obsid: str | None = "LAB_00001_00002"
) -> None:
    recorder.begin_cycle(T0, {"cycle": cycle, "num_cycles": 1})
    if obsid is not None:
        recorder.set_obsid(cycle, obsid)
    recorder.record_map(Kind.FRAME, {"frame": 0, "attributes": {"v_start": 1}}, T0)
    recorder.record(Kind.TIMECODE, b"\x05", T0)
    for number in range(packets):
        recorder.record(Kind.DATA, bytes([number]) * 1000, T0)
    recorder.record(Kind.HK_DATA, bytes(144), T0)
    recorder.record(Kind.FRAME_END, b"", T0)


def test_files_are_numbered_over_restarts(tmp_path: Path) -> None:
    names = []
    for _ in range(2):
        files = Files()
        with CycleRecorder(tmp_path, "LAB", files.add) as recorder:
            for cycle in (1, 2):
                record(recorder, cycle)
        names += [path.name for path, _ in files]
        assert all(facts.obsid == "LAB_00001_00002" for _, facts in files)
    assert names == [f"20231114_LAB_N-FEE_SPW_{n:05d}.hdf5" for n in (1, 2, 3, 4)]
    assert not list((tmp_path / SPOOL_FOLDER).glob("*.spool"))
    with h5py.File(tmp_path / "daily" / "20231114" / names[3]) as file:
        assert len(file["0/data"]) == 3


def test_obsid_that_comes_late(tmp_path: Path) -> None:
    files = Files()
    with CycleRecorder(tmp_path, "LAB", files.add, obsid_wait=10.0) as recorder:
        record(recorder, 1, obsid=None)
        recorder.end_cycle()
        recorder.set_obsid(1, "LAB_00001_00003")
    assert files[0][1].obsid == "LAB_00001_00003"
    with h5py.File(files[0][0]) as file:
        assert file["obsid"][()] == b"LAB_00001_00003"


def test_obsid_that_never_comes(tmp_path: Path) -> None:
    files = Files()
    with CycleRecorder(tmp_path, "LAB", files.add, obsid_wait=0.1) as recorder:
        record(recorder, 1, obsid=None)
    with h5py.File(files[0][0]) as file:
        assert file["obsid"][()] == b""


def test_end_does_not_wait_for_an_obsid(tmp_path: Path) -> None:
    files = Files()
    recorder = CycleRecorder(tmp_path, "LAB", files.add, obsid_wait=60.0)
    record(recorder, 1, obsid=None)
    recorder.end_cycle()
    assert recorder.close(timeout=40.0)  # less than the obsid is waited for
    assert files[0][1].obsid == ""


def test_one_process_at_a_time(tmp_path: Path) -> None:
    with (
        CycleRecorder(tmp_path, "LAB", Files().add),
        pytest.raises(BlockingIOError, match="another dpu_processor"),
    ):
        CycleRecorder(tmp_path, "LAB", Files().add)


def test_files_are_for_owner_and_group_whatever_the_umask(tmp_path: Path) -> None:
    site, files = tmp_path / "site", Files()
    before = os.umask(0)
    try:
        with CycleRecorder(site, "LAB", files.add) as recorder:
            record(recorder, 1)
            (spool,) = (site / SPOOL_FOLDER).glob("*.spool")
            modes = {stat.S_IMODE(path.stat().st_mode) for path in (spool, *site.glob("spool/dpu/.*.lock"))}
    finally:
        os.umask(before)
    path = files[0][0]
    assert modes | {stat.S_IMODE(path.stat().st_mode)} == {0o640}
    folders = [site, site / "spool", site / "spool" / "dpu", path.parent, path.parent.parent]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} == {0o750}


def test_full_disk_is_counted_and_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = Files()
    with CycleRecorder(tmp_path, "LAB", files.add) as recorder:
        recorder.begin_cycle(T0, {"cycle": 1})
        recorder.record_map(Kind.FRAME, {"frame": 0, "attributes": {}}, T0)
        writer: Any = recorder._cycle.writer  # type: ignore[union-attr]
        append = writer.append

        def full(*_: Any) -> None:
            raise SpoolError("No space left on device")

        writer.append = full
        for _ in range(5):
            recorder.record(Kind.DATA, b"lost", T0)
        writer.append = append
        recorder.record(Kind.DATA, b"kept", T0)
        recorder.set_obsid(1, "")
        recorder.end_cycle()
        assert recorder.lost_records == 5
        record(recorder, 2)
    assert [path.name[-7:-5] for path, _ in files] == ["01", "02"]
    with h5py.File(files[0][0]) as file:
        assert bytes(file["0/data/0"][()]) == b"kept"


def test_a_cycle_that_cannot_be_projected_keeps_its_spool(tmp_path: Path) -> None:
    files = Files()
    (tmp_path / "daily").write_text("in the way")
    with CycleRecorder(tmp_path, "LAB", files.add) as recorder:
        record(recorder, 1)
    assert recorder.failed_cycles == 1
    assert not files
    (tmp_path / "daily").unlink()
    with CycleRecorder(tmp_path, "LAB", files.add):
        pass
    assert len(files) == 1


def test_the_process_that_makes_the_files_is_killed(tmp_path: Path) -> None:
    files = Files()
    with CycleRecorder(tmp_path, "LAB", files.add) as recorder:
        for cycle in (1, 2, 3):
            record(recorder, cycle)
            while (pid := recorder._worker.pid) is None:  # its successor is just being started
                time.sleep(0.001)
            os.kill(pid, signal.SIGKILL)
            recorder.record_map(Kind.FRAME, {"frame": 1, "attributes": {}}, T0)
            recorder.record(Kind.DATA, b"after the kill", T0)
            recorder.end_cycle()
    assert recorder.failed_cycles == 0
    assert len(files) == 3
    for path, _ in files:
        with h5py.File(path) as file:
            assert [len(file[frame]["data"]) for frame in "01"] == [3, 1]


def test_a_successor_waits_for_the_process_that_makes_the_files(tmp_path: Path) -> None:
    """It may be in the middle of the file that the successor would make out of the same spool."""
    program = (
        "import os, sys; from pathlib import Path; from egse.dpu.recorder import CycleRecorder\n"
        "r = CycleRecorder(Path(sys.argv[1]), 'LAB', print); os.kill(r._worker.pid, 19)\n"
        "print(r._worker.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False)
    worker = int(done.stdout)
    with pytest.raises(BlockingIOError):
        CycleRecorder(tmp_path, "LAB", Files().add)
    os.kill(worker, signal.SIGCONT)
    psutil.wait_procs([psutil.Process(worker)] if psutil.pid_exists(worker) else [], 10)
    with CycleRecorder(tmp_path, "LAB", Files().add):
        pass
