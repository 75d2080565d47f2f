"""Switching the camera on, cycling it and switching it off: AEU simulator, N-FEE simulator and DPU as processes."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest

from camtest.panels.aeu import AEUPanel
from egse.aeu.lines import N_CAM
from egse.clock import system_clock
from egse.site.ports import release_block
from egse.site.sandbox import Sandbox

pytestmark = pytest.mark.system

SPEED = 20.0
SCRIPT = """
from camtest import observation
from camtest.commanding import aeu, dpu

with observation("camera on and off"):
    aeu.set_hk_frequency(hk_frequency=4.0)
    aeu.n_cam_swon()
    aeu.n_cam_sync_enable(image_cycle_time=25, svm_nom=1, svm_red=0)
    dpu.n_fee_to_standby_mode()
    dpu.n_fee_to_dump_mode()
    dpu.n_cam_acquire_and_dump(
        num_cycles=1, row_start=0, row_end=99, rows_final_dump=0, ccd_order=[1, 2, 3, 4], ccd_side="BOTH"
    )
    assert all(row["ok"] for row in aeu.check_lines("N").values())
    dpu.n_fee_to_standby_mode()
    dpu.n_fee_to_on_mode()
    aeu.n_cam_sync_disable()
    aeu.n_cam_swoff()
    assert aeu.get_operating_mode() == aeu.OperatingMode.STANDBY
"""


@pytest.fixture(scope="module")
def sandbox_with_aeu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("power") / "box"
    with Sandbox(folder, speed=SPEED, seed=1, aeu=True) as running:
        yield running
    release_block(folder)
    shutil.rmtree(folder)


SWITCH = """
from camtest import observation
from camtest.commanding import aeu

with observation("camera"):
    {what}
"""


def run(sandbox: Sandbox, script: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=sandbox.environ(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def column(path: Path, name: str) -> list[str]:
    with path.open(newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


def test_camera_is_switched_on_cycled_and_switched_off(sandbox_with_aeu: Sandbox) -> None:
    sandbox = sandbox_with_aeu
    assert all(row.up for row in sandbox.rows())
    run(sandbox, SCRIPT)
    (observation,) = (sandbox.layout.data / "obs").glob("00001_*")
    (crio,) = observation.glob("*_AEU-CRIO_*.csv")
    modes = column(crio, "GAEU_MODE")
    assert modes[0] == "0"
    assert "3" in modes
    volts = [float(value) for value in column(crio, "GAEU_V_DIG_NFEE")]
    assert max(volts) == pytest.approx(N_CAM.voltage[5], abs=0.01)
    for number in range(1, 7):
        (psu,) = observation.glob(f"*_AEU-PSU{number}_*.csv")
        assert "True" in column(psu, f"GAEU_PSU{number}_OUTPUT_STATUS")
    # One cycle of images has come while the camera was on.
    images = 0
    for path in sandbox.layout.data.rglob("*.hdf5"):
        with h5py.File(path) as file:
            images += sum(len(file[f"{frame}/data"]) for frame in "0123" if f"{frame}/data" in file) > 0
    assert images == 1


def test_the_lamps_of_the_panel_are_lit_while_the_camera_is_on(sandbox_with_aeu: Sandbox) -> None:
    with sandbox_with_aeu.joined(), AEUPanel() as panel:

        def lit() -> set[str]:
            return {lamp.name for lamps in panel.groups().values() for lamp in lamps if lamp.state == "ok"}

        def until(lamps: set[str]) -> None:
            deadline = system_clock().monotonic() + 60.0
            while lit() != lamps:
                assert system_clock().monotonic() < deadline, (lit(), panel.groups())
                system_clock().sleep(0.1)

        until({"Stand-by"})
        run(
            sandbox_with_aeu,
            SWITCH.format(
                what="aeu.n_cam_swon(); aeu.n_cam_sync_enable(image_cycle_time=25, svm_nom=1, svm_red=0)"
            ),
        )
        lines = {"V_CCD", "V_CLK", "V_AN1", "V_AN2", "V_AN3", "V_DIG"}
        clocks = {"Clk_N_50MHz", "Clk_N_ccdread", "TCS 50MHz nom", "TCS heater nom"}
        until({"Functional check & TVAC", "N-CAM", *lines, *clocks})
        run(sandbox_with_aeu, SWITCH.format(what="aeu.n_cam_sync_disable(); aeu.n_cam_swoff()"))
        until({"Stand-by"})
