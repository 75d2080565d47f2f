"""DPU control server, FITS generator and core services together, in the sandbox."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from astropy.io import fits

from egse.archive import Observation, verify
from egse.confman import ConfigurationManagerProxy
from egse.dpu import DPUMonitoring, DPUProxy
from egse.dpu.errors import FEEModeError
from egse.fee import n_fee_mode
from egse.fits import FITSGenProxy
from egse.h5 import get_file, get_obsid
from egse.zmq import MessageIdentifier

pytestmark = pytest.mark.system

FEW_ROWS: dict[str, Any] = {
    "row_start": 4480, "row_end": 4519, "rows_final_dump": 0, "ccd_order": [1, 2, 3, 4], "ccd_side": "BOTH",
}  # fmt: skip


PACKETS = 2 * (5 + 2)
"""Of a frame: 30 image rows and 10 overscan rows of both sides, 7 rows in a packet."""


class Camera:
    """The DPU of the sandbox, and what goes with it."""

    def __init__(self, dpu: DPUProxy, monitoring: DPUMonitoring) -> None:
        self.dpu = dpu
        self.monitoring = monitoring

    def wait(self, condition: Callable[[], bool], timeout: float = 90.0) -> None:
        """Waits for a condition, looking at each message of the DPU Processor."""
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, self.dpu.get_status_summary()
            self.monitoring.receive(0.05)

    def to_dump(self) -> None:
        dpu = self.dpu
        self.wait(lambda: bool(dpu.get_status_summary()["known"]))
        if dpu.n_fee_get_mode() == n_fee_mode.ON_MODE:
            dpu.n_fee_set_standby_mode()
            self.wait(lambda: dpu.n_fee_get_mode() == n_fee_mode.STANDBY_MODE)
        if not dpu.n_fee_is_dump_mode():
            dpu.n_fee_set_dump_mode()
            self.wait(dpu.n_fee_is_dump_mode)

    def acquire(self, num_cycles: int) -> None:
        self.dpu.n_fee_set_full_image_mode(num_cycles=num_cycles, **FEW_ROWS)
        self.wait(lambda: not self.dpu.n_fee_is_dump_mode())
        self.wait(self.dpu.n_fee_is_dump_mode)


@pytest.fixture
def camera(in_sandbox: Any) -> Iterator[Camera]:
    with DPUProxy() as dpu, DPUMonitoring() as monitoring:
        camera = Camera(dpu, monitoring)
        camera.to_dump()
        yield camera
        camera.to_dump()


@pytest.fixture
def observation(in_sandbox: Any) -> Iterator[dict[str, Any]]:
    run_id = f"dpu-{time.time_ns()}"
    with ConfigurationManagerProxy() as manager:
        yield manager.start_observation(
            run_id=run_id, function="", description="", supervised=False, lease=0.0, details={}
        )
        manager.end_observation(run_id=run_id, status="done")


def test_observation_with_images(camera: Camera, observation: dict[str, Any]) -> None:
    camera.acquire(2)
    obsid = observation["obsid"]
    with FITSGenProxy() as generator:
        (cube,) = generator.make_cubes(obsid)
        assert generator.make_cubes(obsid) == [cube]
    raw = camera.dpu.get_hdf5_files(obsid)
    assert len(raw) >= 2
    for path in raw:
        with get_file(path) as file:
            assert get_obsid(file) == obsid
    with fits.open(cube) as hdus:
        hdus.verify("exception")
        assert hdus["IMAGE_4_F"].shape == (2, 30, 2255)
        assert hdus[0].header["INSTRUME"]
        assert hdus["IMAGE_4_F"].header["FOCALLEN"] > 0
    assert Path(cube).parent == Path(observation["folder"])


def test_sealed_observation_verifies_and_has_its_files(camera: Camera, in_sandbox: Any) -> None:
    run_id = f"dpu-{time.time_ns()}"
    with ConfigurationManagerProxy() as manager:
        started = manager.start_observation(
            run_id=run_id, function="", description="", supervised=False, lease=0.0, details={}
        )
        camera.acquire(1)
        camera.wait(lambda: camera.dpu.get_unfinished_files() == 0)
        manager.end_observation(run_id=run_id, status="done")
    observation = Observation(started["obsid"])
    with FITSGenProxy() as generator:
        (cube,) = generator.make_cubes(started["obsid"])
    assert Path(cube).name in {path.name for path in observation.fits_files}
    camera.wait(lambda: camera.dpu.get_status_summary()["waiting_files"] == 0)
    observation = Observation(started["obsid"])
    assert len(observation.raw_files) >= 1
    assert verify(observation) == []
    table = pd.read_csv(observation.hk_files["N-FEE-HK"][0])
    rows = table.groupby("NFEE_FRAMECOUNTER").size()
    assert (rows.iloc[1:-1] == 2).all()


def test_questions_and_refusals(camera: Camera) -> None:
    dpu = camera.dpu
    assert dpu.is_connected()
    assert dpu.is_simulator()
    assert dpu.n_fee_get_register_map().shape == (2048,)
    assert dpu.n_fee_get_register_value("h_end") == 2294
    with pytest.raises(KeyError):
        dpu.n_fee_get_register_value("nonsense")
    dpu.n_fee_set_on_mode()
    with pytest.raises(FEEModeError, match="ON_MODE"):
        dpu.n_fee_set_full_image_mode(num_cycles=1, **FEW_ROWS)


def test_killed_processor_is_started_again_and_goes_on_counting(camera: Camera) -> None:
    dpu = camera.dpu
    dpu.n_fee_set_full_image_mode(num_cycles=4, **FEW_ROWS)
    camera.wait(lambda: dpu.get_num_cycles() == 3)
    before = dpu.get_status_summary()
    os.kill(before["processor_pid"], signal.SIGKILL)
    camera.wait(lambda: answers(dpu, before["processor_restarts"]))
    camera.wait(lambda: dpu.get_status_summary()["known"] and dpu.n_fee_is_dump_mode())
    assert dpu.get_num_cycles() == 0, "it has counted to the end, and commanded DUMP then"


def test_killed_configuration_manager_costs_no_obsid(
    camera: Camera, observation: dict[str, Any], in_sandbox: Any
) -> None:
    dpu, obsid = camera.dpu, observation["obsid"]
    dpu.n_fee_set_full_image_mode(num_cycles=3, **FEW_ROWS)
    camera.wait(lambda: not dpu.n_fee_is_dump_mode())
    in_sandbox.kill("cm_cs")
    camera.wait(dpu.n_fee_is_dump_mode)
    camera.wait(lambda: dpu.get_unfinished_files() == 0)
    in_sandbox.wait_for("cm_cs")
    numbers = [int(Path(path).stem[-5:]) for path in dpu.get_hdf5_files(obsid)]
    assert len(numbers) >= 3
    assert numbers == [*range(numbers[0], numbers[0] + len(numbers))]
    with ConfigurationManagerProxy() as manager:
        assert manager.get_obsid() == obsid


def test_killed_server_does_not_lose_the_count(camera: Camera, in_sandbox: Any) -> None:
    dpu = camera.dpu
    dpu.n_fee_set_full_image_mode(num_cycles=4, **FEW_ROWS)
    camera.wait(lambda: dpu.get_num_cycles() == 3)
    pid = in_sandbox.kill("dpu_cs")
    camera.wait(lambda: in_sandbox.wait_for("dpu_cs").pid != pid)
    camera.wait(lambda: answers(dpu, -1) and dpu.get_status_summary()["known"])
    assert not dpu.get_status_summary()["counters"]["fee_restarts"]
    camera.wait(dpu.n_fee_is_dump_mode)
    assert dpu.get_num_cycles() == 0


def test_tickets_of_a_killed_server_say_so(camera: Camera, in_sandbox: Any) -> None:
    dpu = camera.dpu
    old = dpu.submit.n_fee_set_register_values({"conv_dly": 7})
    pid = in_sandbox.kill("dpu_cs")
    camera.wait(lambda: in_sandbox.wait_for("dpu_cs").pid != pid)
    camera.wait(lambda: answers(dpu, -1) and dpu.get_status_summary()["known"])
    with pytest.raises(KeyError, match="was started again since"):
        _ = old.state
    with pytest.raises(KeyError, match="was started again since"):
        old.wait("acknowledged", 5.0)
    new = dpu.submit.n_fee_set_register_values({"conv_dly": 7})
    assert new.id.partition("-")[0] != old.id.partition("-")[0], "ids are not used again"
    assert new.wait("acknowledged", 30.0).state in ("acknowledged", "in effect")


def test_storage_away_for_two_cycles_loses_nothing(
    camera: Camera, observation: dict[str, Any], in_sandbox: Any
) -> None:
    dpu, obsid = camera.dpu, observation["obsid"]
    in_sandbox.kill("sm_cs", signal.SIGSTOP)
    try:
        camera.acquire(2)
        camera.wait(lambda: dpu.get_status_summary()["waiting_files"] >= 2)
    finally:
        in_sandbox.kill("sm_cs", signal.SIGCONT)
    camera.wait(
        lambda: full_frames(dpu.get_hdf5_files(obsid)) == 2 * 4
    )  # told one after the other, once it answers
    camera.wait(lambda: dpu.get_status_summary()["waiting_files"] == 0)
    known = {path.name for path in Observation(obsid).raw_files}
    assert known >= {Path(path).name for path in dpu.get_hdf5_files(obsid)[:-1]}
    assert dpu.get_status_summary()["counters"]["lost_records"] == 0


def full_frames(paths: list[str]) -> int:
    """Returns how many frames of raw files have all their image packets; the others must have none."""
    packets = []
    for path in paths:
        with get_file(path) as file:
            packets += [len(file[f"{frame}/data"]) for frame in range(4) if str(frame) in file]
    assert set(packets) <= {0, PACKETS}
    return packets.count(PACKETS)


def test_restarted_camera_is_noticed(camera: Camera, in_sandbox: Any) -> None:
    dpu = camera.dpu
    before = dpu.get_status_summary()["counters"]
    dpu.n_fee_set_full_image_mode(num_cycles=9, **FEW_ROWS)
    camera.wait(lambda: dpu.get_num_cycles() == 8)
    pending = dpu.submit.n_fee_set_register_values({"conv_dly": 7})
    pending.wait("acknowledged", 10.0)
    pid = in_sandbox.kill("n_fee_sim")
    camera.wait(lambda: in_sandbox.wait_for("n_fee_sim").pid != pid)
    with DPUMonitoring() as monitoring:
        restarted, reason, _ = monitoring.wait_for(MessageIdentifier.N_FEE_RESYNC, 30.0)
    status = dpu.get_status_summary()
    assert restarted
    assert "restarted" in reason
    assert reason in status["fee_notice"]
    assert status["counters"]["fee_restarts"] == before["fee_restarts"] + 1
    assert (status["mode"], status["num_cycles"]) == (n_fee_mode.ON_MODE, 0)
    assert pending.state in ("failed", "in effect")
    camera.to_dump()


def answers(dpu: DPUProxy, restarts: int) -> bool:
    try:
        return bool(dpu.get_status_summary()["processor_restarts"] > restarts)
    except (ConnectionError, TimeoutError):
        return False
