"""The DPU of a dry run: no process, no socket, no file; hours pass at once."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egse.clock import VirtualClock
from egse.command import CommandError
from egse.declaration import ServerContext
from egse.dpu import DPUController, DPUProtocol
from egse.dpu.dpu_cs import make_controller
from egse.dpu.errors import FEEModeError
from egse.fee import n_fee_mode
from egse.reg import RegisterMap

FULL: dict[str, Any] = {
    "row_start": 0, "row_end": 4539, "rows_final_dump": 0, "ccd_order": [1, 2, 3, 4], "ccd_side": "BOTH",
}  # fmt: skip


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def dpu(clock: VirtualClock) -> DPUController:
    return make_controller(ServerContext("dpu_cs", {}, clock, simulator=True, dry_run=True))


def wait_for(clock: VirtualClock, condition: Any, limit: float = 120.0) -> float:
    start = clock.monotonic()
    while not condition():
        assert clock.monotonic() - start < limit
        clock.sleep(0.5)
    return clock.monotonic() - start


def test_a_whole_acquisition(dpu: DPUController, clock: VirtualClock) -> None:
    started = time.monotonic()
    threads = threading.active_count()
    assert dpu.n_fee_get_mode() == n_fee_mode.ON_MODE
    dpu.n_fee_set_standby_mode()
    assert wait_for(clock, lambda: dpu.n_fee_get_mode() == n_fee_mode.STANDBY_MODE) <= 26
    dpu.n_fee_set_dump_mode()
    wait_for(clock, dpu.n_fee_is_dump_mode)
    sent = dpu.n_fee_set_full_image_mode(num_cycles=3, **FULL)
    assert 0 <= sent["timecode"] <= 63
    wait_for(clock, lambda: not dpu.n_fee_is_dump_mode())
    assert dpu.get_num_cycles() == 3
    count = dpu.get_cycle_count()
    assert 74 < wait_for(clock, dpu.n_fee_is_dump_mode) < 76
    assert dpu.get_cycle_count() == count + 3
    assert threading.active_count() == threads
    assert time.monotonic() - started < 30.0


def test_commands_take_their_slot(dpu: DPUController, clock: VirtualClock) -> None:
    dpu.n_fee_set_standby_mode()
    wait_for(clock, lambda: dpu.n_fee_get_mode() == n_fee_mode.STANDBY_MODE)
    dpu.n_fee_set_full_image_mode(num_cycles=0, **FULL)
    wait_for(clock, lambda: dpu.n_fee_get_mode() == n_fee_mode.FULL_IMAGE_MODE)
    start = clock.monotonic()
    dpu.n_fee_set_register_values({"conv_dly": 3})
    assert clock.monotonic() - start < 6.5
    assert dpu.n_fee_get_register_value("conv_dly") == 3
    assert RegisterMap.from_array(dpu.n_fee_get_register_map())["conv_dly"] == 3


def test_questions(dpu: DPUController, clock: VirtualClock) -> None:
    clock.advance(26.0)
    assert dpu.get_timecode()["timecode"] == 4
    assert dpu.get_timecode()["timestamp"].endswith("+0000")
    assert dpu.n_fee_get_frame_number() == 0
    assert dpu.n_fee_get_sync_mode() == 0
    assert dpu.n_fee_get_register_map().dtype == np.uint8
    assert dpu.n_fee_get_register_map().shape == (2048,)
    assert dpu.get_error_flags() == 0
    assert dpu.get_hdf5_files("LAB_00001_00001") == []
    assert dpu.get_unfinished_files() == 0
    assert dpu.is_simulator()
    assert dpu.is_connected()
    with pytest.raises(KeyError):
        dpu.n_fee_get_register_value("nonsense")


def test_refusals(dpu: DPUController) -> None:
    with pytest.raises(FEEModeError):
        dpu.n_fee_set_dump_mode()
    with pytest.raises(ValueError, match="row_end"):
        dpu.n_fee_set_full_image_mode(num_cycles=1, **{**FULL, "row_end": -1})
    with pytest.raises(ValueError, match="four numbers"):
        dpu.n_fee_set_full_image_mode(num_cycles=1, **{**FULL, "ccd_order": [1, 2, 3]})
    with pytest.raises(KeyError):
        dpu.n_fee_set_register_values({"nonsense": 1})


def test_the_model_is_shared(clock: VirtualClock) -> None:
    shared: dict[str, Any] = {}
    context = ServerContext("dpu_cs", {}, clock, simulator=True, dry_run=True, shared=shared)
    make_controller(context).n_fee_set_standby_mode()
    assert shared["n_fee_model"].registers["ccd_mode_config"] == n_fee_mode.STANDBY_MODE


def test_housekeeping_row(dpu: DPUController, clock: VirtualClock) -> None:
    clock.advance(60.0)
    row = DPUProtocol(None, dpu).get_housekeeping()  # type: ignore[arg-type]
    assert row["GDPU_CYCLE_COUNT"] == 3
    assert row["GDPU_TIMECODES"] == 11 - 1
    assert all(isinstance(value, (int, float, str, bool)) for value in row.values())


def test_days_pass_in_seconds(dpu: DPUController, clock: VirtualClock, tmp_path: Path) -> None:
    started = time.monotonic()
    clock.advance(3600.0)
    assert dpu.get_cycle_count() == 145
    assert time.monotonic() - started < 30.0


def test_interface_checks_its_arguments(dpu: DPUController) -> None:
    from egse.command import commands_of

    definition = commands_of(type(dpu))["n_fee_set_full_image_mode"]
    with pytest.raises(CommandError, match="ccd_side"):
        definition.bind((), {"num_cycles": 1, **FULL, "ccd_side": "ALT"})
    with pytest.raises(CommandError, match="num_cycles"):
        definition.bind((), {"num_cycles": -1, **FULL})
