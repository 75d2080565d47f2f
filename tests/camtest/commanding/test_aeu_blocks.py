"""Switching the camera on and off: the building blocks of the AEU on its models, on virtual time."""

from __future__ import annotations

import inspect
import itertools
from typing import Any, get_type_hints

import pytest

from camtest import Abort, GlobalState
from camtest.commanding import aeu, dpu
from camtest.core.dryrun import DryRun
from camtest.core.exec import definition_of
from camtest.state import install_dry_run
from egse.aeu.aeu import LoopBack, OperatingMode
from egse.aeu.lines import F_CAM, N_CAM
from egse.aeu.rack import AEUModel
from egse.fee.model import NFEEModel
from egse.setup import Setup
from egse.site.layout import SiteLayout

SYNC: dict[str, Any] = {"image_cycle_time": 25, "svm_nom": 1, "svm_red": 0}
BLOCKS = [f for f in vars(aeu).values() if getattr(f, "BUILDING_BLOCK_FUNC", False)]


@pytest.fixture
def dry(site: SiteLayout) -> DryRun:
    """A dry run in which blocks can be called one after the other."""
    (path,) = site.conf.glob("SETUP_*.yaml")
    GlobalState.setup = Setup.from_yaml_file(path)
    dry_run = DryRun(GlobalState.setup, supervised=True)
    install_dry_run(dry_run)
    return dry_run


def models(dry: DryRun) -> tuple[AEUModel, NFEEModel]:
    return dry._shared["aeu"], dry._shared["n_fee_model"]


def test_blocks_are_documented_and_typed() -> None:
    names = {block.__name__ for block in BLOCKS}
    assert names >= {
        f"{camera}_cam_{what}" for camera in "nf" for what in ("swon", "swoff", "sync_enable", "sync_disable")
    }
    assert names >= {"set_operating_mode", "selftest", "set_hk_frequency"}
    for block in BLOCKS:
        definition = definition_of(block)
        assert inspect.getdoc(block)
        assert set(get_type_hints(block)) == {*(p.name for p in definition.parameters), "return"}


def test_camera_is_switched_on_cycled_and_switched_off(dry: DryRun) -> None:
    assert aeu.get_operating_mode() == OperatingMode.STANDBY
    aeu.n_cam_swon()
    rack, fee = models(dry)
    assert fee.powered
    assert aeu.get_operating_mode() == OperatingMode.FC_TVAC
    assert aeu.get_n_cam_voltages() == pytest.approx(N_CAM.voltage, abs=0.01)
    assert aeu.get_n_cam_currents() == pytest.approx(N_CAM.current, abs=0.001)
    assert aeu.get_psu_voltages() == pytest.approx(list(N_CAM.set_voltage), abs=0.001)
    assert all(row["ok"] for row in aeu.check_lines("N").values())
    assert fee.next_event() > 1e9  # no pulses yet

    aeu.n_cam_sync_enable(**SYNC)
    assert aeu.get_n_cam_sync_status() == (1, 1)
    assert aeu.get_n_cam_sync_quality() == (0, 0)
    assert aeu.get_svm_sync_status() == (1, 0, 1, 0)
    assert fee.sync.cycle_time == pytest.approx(25.0, rel=1e-4)
    dpu.n_fee_to_standby_mode()
    dpu.n_fee_to_dump_mode()
    before = GlobalState.clock.monotonic()
    dpu.wait_cycles(2)
    assert GlobalState.clock.monotonic() - before == pytest.approx(50.0, abs=25.5)
    dpu.n_fee_to_standby_mode()
    dpu.n_fee_to_on_mode()

    with pytest.raises(Abort, match="still synchronised"):
        aeu.n_cam_swoff()
    aeu.n_cam_sync_disable()
    aeu.n_cam_swoff()
    assert not fee.powered
    assert rack.crio.mode == OperatingMode.STANDBY
    assert aeu.get_psu_voltages() == [0.0] * 6
    order = [(entry.name, entry.device) for entry in dry.sequence.commands]
    last = [step for step in order if step[0] in ("set_output_status", "set_n_cam_secondary_power_status")][
        -7:
    ]
    assert last == [
        ("set_n_cam_secondary_power_status", "aeu_crio_cs"),
        *(("set_output_status", f"aeu_psu{n}_cs") for n in range(1, 7)),
    ]


@pytest.mark.parametrize("cycle_time", [25, 31.25, 37.5, 43.75, 50])
def test_all_image_cycle_times(dry: DryRun, cycle_time: float) -> None:
    aeu.n_cam_swon()
    aeu.n_cam_sync_enable(image_cycle_time=cycle_time, svm_nom=1, svm_red=1)
    _, fee = models(dry)
    pulses = []
    for _ in range(9):
        pulses.append(fee.sync.next)
        fee.sync.advance()
    assert [pulse.long for pulse in pulses] == [True, False, False, False, True, False, False, False, True]
    steps = [b.time - a.time for a, b in itertools.pairwise(pulses)]
    assert steps == pytest.approx([6.25, 6.25, 6.25, cycle_time - 18.75] * 2, rel=1e-4)


def test_f_cam(dry: DryRun) -> None:
    aeu.f_cam_swon()
    assert aeu.get_f_cam_voltages() == pytest.approx(F_CAM.voltage, abs=0.01)
    aeu.f_cam_sync_enable()
    assert aeu.get_f_cam_sync_status() == (1, 0, 1, 0)
    assert aeu.get_f_cam_sync_quality() == (0, 0, 0, 0)
    aeu.f_cam_sync_disable()
    aeu.f_cam_swoff()
    assert aeu.get_operating_mode() == OperatingMode.STANDBY


def test_refusals_leave_everything_as_it_is(dry: DryRun) -> None:
    with pytest.raises(Abort, match="FC_TVAC"):
        aeu.n_cam_sync_enable(**SYNC)
    aeu.n_cam_swon()
    with pytest.raises(Abort, match="must be in STANDBY"):
        aeu.n_cam_swon()
    with pytest.raises(Abort, match="one of"):
        aeu.n_cam_sync_enable(image_cycle_time=30, svm_nom=1, svm_red=0)
    with pytest.raises(Abort, match=r"f_cam_swon first"):
        aeu.f_cam_sync_enable()
    assert aeu.get_n_cam_sync_status() == (0, 0)


def test_a_line_that_trips_ends_in_stand_by(dry: DryRun) -> None:
    assert GlobalState.setup is not None
    GlobalState.setup["gse"]["aeu"]["n_cam"]["set_voltage"] = [34.9, 16.35, 5.0, 6.75, 6.75, 4.63]
    with pytest.raises(Abort, match="V_AN1 tripped"):
        aeu.n_cam_swon()
    assert aeu.get_operating_mode() == OperatingMode.STANDBY
    assert aeu.get_psu_voltages() == [0.0] * 6


def test_selftest(dry: DryRun) -> None:
    assert aeu.selftest(loopback=LoopBack.NO_LOOPBACK) == 33  # both cameras are plugged in
    rack: AEUModel = dry._shared["aeu"]
    for camera in "NF":
        rack.crio.inject("camera", {"camera": camera, "attached": False}, GlobalState.clock.monotonic())
    assert aeu.selftest(loopback=LoopBack.NO_LOOPBACK) == 4
    assert aeu.selftest(loopback=LoopBack.N_CAM) == 3
    assert aeu.get_operating_mode() == OperatingMode.STANDBY


def test_a_procedure_without_aeu_finds_a_camera_that_is_on(dry: DryRun) -> None:
    assert aeu.get_operating_mode() == OperatingMode.STANDBY
    dpu.n_fee_to_standby_mode()
    assert dpu.n_fee_is_standby_mode()
