"""The tasks of every day: their layout, the camera and its N-FEE on the models, the Setup of a new camera."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from camtest import Abort, GlobalState
from camtest.commanding import aeu, dpu
from camtest.core.dryrun import DryRun
from camtest.operate.configuration import include
from camtest.state import install_dry_run
from camtest.tasks.catalogue import read_catalogue
from camtest.tasks.shared import setup_changes
from camtest.tasks.shared.camera import information, n_fee, sft
from camtest.tasks.shared.camera.camera import switch_off_camera, switch_on_camera
from egse.coordinates import FocalPlane
from egse.setup import Setup, set_provider
from egse.site.layout import SiteLayout


@pytest.fixture
def setup_file(site: SiteLayout) -> Path:
    (path,) = site.conf.glob("SETUP_*.yaml")
    return path


@pytest.fixture
def dry(setup_file: Path) -> Iterator[DryRun]:
    """A dry run in which blocks can be called one after the other."""
    with GlobalState.isolated():
        setup = Setup.from_yaml_file(setup_file)
        dry_run = DryRun(setup, supervised=True)
        install_dry_run(dry_run)
        yield dry_run


class Provider:
    """The Setups of a site, in memory."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.submitted: list[str] = []

    def get_setup(self, setup_id: int | None) -> Setup:
        return self.setup

    load_setup = get_setup

    def submit_setup(self, setup: Setup, description: str) -> Setup:
        self.setup = setup
        self.submitted.append(description)
        return setup

    def list_setups(self, **_: Any) -> list[tuple[Any, ...]]:
        return [(1, "LAB", "first", self.setup.camera.ID), (2, "LAB", "second", None)]


@pytest.fixture
def provider(setup_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    """An operator who agrees, and a configuration manager in this process."""
    monkeypatch.setattr(setup_changes, "confirm", lambda text, default: True)
    with GlobalState.isolated():
        provider = Provider(Setup.from_yaml_file(setup_file))
        set_provider(provider)
        yield provider
        set_provider(None)


def test_the_groups_of_the_reference() -> None:
    """User interfaces, section 4."""
    catalogue = read_catalogue(["camtest.operate"])
    assert [tab.title for tab in catalogue.tabs] == ["operate", "Configuration"]
    groups = {
        group.title: {task.title for task in group.tasks} for tab in catalogue.tabs for group in tab.groups
    }
    wanted = {
        "3 - N-FEE": {
            "Reset N-FEE",
            "Sync N-FEE Register Map",
            "To ON mode",
            "To STANDBY mode",
            "To DUMP mode",
            "Set FPGA defaults",
            "Print register map",
            "CCD Temperatures and N-FEE Voltages",
        },
        "4 - Camera": {"Switch ON", "Switch OFF", "SFT Analysis", "Copy camera information"},
        "2 - Include information in setup": {
            "Camera identifiers",
            "N-FEE sensor calibration",
            "N-FEE register & HK map",
            "FEE FPGA defaults",
            "(SFT) CCD offsets and readout noise",
            "CCD positions",
            "Field distortion & focal length",
            "Telemetry",
        },
    }
    for title, tasks in wanted.items():
        assert tasks <= groups[title], title
    assert [task.name for task in catalogue.recurring] == ["show_setup_and_obsid"]


def test_camera_on_and_off_again(dry: DryRun) -> None:
    switch_on_camera(hk_frequency=4.0)
    assert dpu.n_fee_is_dump_mode()
    assert aeu.get_operating_mode() == aeu.OperatingMode.FC_TVAC
    names = [entry.name for entry in dry.sequence.commands]
    assert any("n_fee_set_full_image_mode" in name for name in names)
    switch_off_camera()
    assert aeu.get_operating_mode() == aeu.OperatingMode.STANDBY


def test_a_camera_that_is_on_is_not_switched_on(dry: DryRun) -> None:
    aeu.n_cam_swon()
    with pytest.raises(Abort, match="must be in STANDBY"):
        switch_on_camera()


def test_dump_mode_in_internal_synchronisation_and_reset(dry: DryRun) -> None:
    aeu.n_cam_swon()
    aeu.n_cam_sync_enable(image_cycle_time=25.0, svm_nom=1, svm_red=0)
    dpu.n_fee_to_standby_mode()
    n_fee.n_fee_to_dump_mode_int_sync(cycle_time=6.25)
    registers = n_fee.registers()
    assert (registers["sync_sel"], registers["int_sync_period"]) == (1, 5850)
    assert (registers["v_end"], registers["n_final_dump"]) == (9, 4510)
    assert dpu.n_fee_is_dump_mode()
    assert "int_sync_period" in n_fee.print_register_map()
    n_fee.n_fee_reset()
    assert dpu.n_fee_is_on_mode()
    assert "all as after power-on" in n_fee.sync_register_map()


def test_temperatures_and_voltages(monkeypatch: pytest.MonkeyPatch) -> None:
    class Housekeeping:
        def __enter__(self) -> Housekeeping:
            return self

        def __exit__(self, *_: object) -> None: ...

        def get_last_row(self) -> dict[str, Any]:
            return {
                "timestamp": "now",
                "NFEE_CCD1_TS": 3,
                "NFEE_CCD1_TS_CAL": -80.25,
                "NFEE_VDIG_RAW_CAL": None,
            }

    monkeypatch.setattr(n_fee, "NFEEHKProxy", Housekeeping)
    table = n_fee.temperatures_and_voltages()
    assert table.title == "N-FEE at now"
    cells = dict(zip(table.columns[0].cells, table.columns[1].cells, strict=True))
    assert cells["NFEE_CCD1_TS [degC]"] == "-80.25000"
    assert cells["NFEE_VDIG_RAW [V]"] == "not known"


def test_identifiers_and_files_of_a_camera(provider: Provider) -> None:
    camera = provider.setup.camera.ID
    assert include.camera_ids() == [camera]
    include.sensor_calibration(camera, "nfee_sensor_calibration_fm_v1.yaml", "calibrated")
    include.register_and_hk_map(camera, "n_fee_register_fm_v1.yaml", "n_fee_hk_fm_v1.yaml")
    include.camera_identifiers("duvel", "N1-CAM-110000-FM-02", "T2", "F2", "P2")
    fee = provider.setup.camera.fee
    assert fee.get_raw_value("calibration") == "yaml//../../common/n-fee/nfee_sensor_calibration_fm_v1.yaml"
    assert (provider.setup.camera.ID, fee.ID, provider.setup.camera.TOU.ID) == ("duvel", "F2", "T2")
    assert provider.submitted == ["calibrated", "N-FEE register and HK map", "Camera identifiers"]
    with pytest.raises(Abort, match="is one of duvel"):
        include.fpga_defaults(camera, "nfee_fpga_defaults_brigand.yaml")
    with pytest.raises(Abort, match="says so already"):
        include.fpga_defaults("duvel", "nfee_fpga_defaults_brigand.yaml")
    with pytest.raises(Abort, match=r"There is no analogue_chain_limits_tvac_v03\.yaml"):
        include.ccd_limits("duvel", 3, "tvac")
    with pytest.raises(Abort, match=r"There is no other\.csv"):
        include.telemetry("duvel", "other.csv")


def test_files_to_choose_from(provider: Provider) -> None:
    assert "nfee_sensor_calibration_sim_v1.yaml" in include.calibrations()
    assert "n_fee_register_pfm_v1.yaml" in include.register_maps()
    assert "n_fee_hk_pfm_v1.yaml" in include.hk_maps()
    assert include.fpga_files() == ["nfee_fpga_defaults_brigand.yaml"]
    assert include.dictionaries() == ["tm-dictionary.csv"]


def test_limits_that_are_there(provider: Provider) -> None:
    path = include.common_folder() / "ccd" / "analogue_chain_limits_tvac_v01.yaml"
    path.write_text("off_spre: [1300, 1450]\n")
    setup = include.ccd_limits(provider.setup.camera.ID, 1, "tvac")
    assert list(setup.camera.ccd.limits["tvac"]["off_spre"]) == [1300, 1450]


def test_places_of_the_ccds_and_distortion(provider: Provider) -> None:
    camera = provider.setup.camera.ID
    include.ccd_positions(camera, [-1.2] * 4, [82.5] * 4, [180.0, 270.0, 0.0, 90.0])
    setup = include.field_distortion(camera, 247.6, [0.316, 0.066, 0.372])
    assert list(setup.camera.ccd.origin_offset_x) == [-1.2] * 4
    plane = FocalPlane.from_setup(setup)
    assert plane.focal_length == 247.6
    image = plane.distorted(50.0, 20.0)
    back = include.inverse_distortion([0.316, 0.066, 0.372])
    factor = 1 + sum(k * (np.hypot(*image) / 247.6) ** p for k, p in zip(back, (2, 4, 6), strict=True))
    assert (image[0] * factor, image[1] * factor) == pytest.approx((50.0, 20.0), abs=1e-3)
    with pytest.raises(Abort, match="each of the four CCDs"):
        include.ccd_positions(camera, [0.0], [0.0], [0.0])
    with pytest.raises(Abort, match="three coefficients"):
        include.field_distortion(camera, 247.6, [0.3])


def test_an_operator_who_does_not_want_it(provider: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_changes, "confirm", lambda text, default: default)
    with pytest.raises(Abort, match="does not want"):
        include.camera_identifiers("duvel", "N1", "T2", "F2", "P2")
    assert not provider.submitted


def test_camera_of_another_site(provider: Provider, setup_file: Path) -> None:
    folder = information.conf_folder("CSL1")
    folder.mkdir(parents=True)
    text = setup_file.read_text().replace("serial_number: N0-CAM-100000-SIM-01", "serial_number: N7-CAM")
    (folder / "SETUP_CSL1_00042_261126_120000.yaml").write_text(text)
    with pytest.raises(Abort, match=r"no Setup 00041 of CSL1 in .*: 00042"):
        information.copy_camera_information("CSL1", 41)
    setup = information.copy_camera_information("CSL1", 42)
    assert setup.camera.serial_number == "N7-CAM"
    assert setup.camera.fee.get_raw_value("register_map").startswith("yaml//../../common/n-fee/")
    assert "Setup 00042 of CSL1" in provider.submitted[0]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (["ok", "no limits"], "you can PROCEED"),
        (["ok", "OUT"], "STOP for analysis, out of limits: B"),
        (["no data", "no limits"], "STOP for analysis, no parameter"),
    ],
)
def test_what_the_housekeeping_of_an_sft_says(status: list[str], words: str) -> None:
    assert words in sft.verdict(pd.DataFrame({"name": ["A", "B"], "status": status}))


def test_analysis_of_a_short_functional_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from camtest.analysis import images
    from egse.h5 import SideImage

    site, folder = tmp_path / "CSL1", tmp_path / "CSL1" / "obs" / "00007_CSL1_chimay"
    folder.mkdir(parents=True)
    (site / "daily").mkdir()
    columns = ["GAEU_V_CCD_NFEE", "GAEU_I_CCD_NFEE"]
    for producer, names in (("AEU-CRIO", columns), ("N-FEE-HK", ["NFEE_CCD1_TS"])):
        rows = [
            ",".join(["timestamp", *names]),
            ",".join(["2026-01-01T12:00:00.000+0000", *("1" for _ in names)]),
        ]
        (folder / f"00007_CSL1_chimay_{producer}_20260101_120000.csv").write_text("\n".join(rows) + "\n")
    pixels = np.full((100, 2295), 1350, np.uint16)
    monkeypatch.setattr(images, "image_files", lambda obsid, location: [Path("last.hdf5")])
    monkeypatch.setattr(images, "read_cycle", lambda path: [SideImage(1, "E", 0, 0, 100, pixels)])
    monkeypatch.setattr("egse.archive.observation.Observation.setup", None)
    monkeypatch.setenv("MPLBACKEND", "agg")
    answer = sft.sft_analysis(7, site, tmp_path / "out", verbose=False)
    assert answer.startswith("HK: ")
    stem = "sft_analysis_chimay_00007"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"{stem}_HK_AEU-CRIO_I.png",
        f"{stem}_HK_AEU-CRIO_V.png",
        f"{stem}_HK_checks.txt",
        f"{stem}_img_checks_offsets_ron_mean.txt",
        f"{stem}_img_raw.png",
    ]
    assert "1350" in (tmp_path / "out" / f"{stem}_img_checks_offsets_ron_mean.txt").read_text()


def test_tasks_are_imported_and_called() -> None:
    """User interfaces, section 2.5."""
    module = importlib.import_module("camtest.tasks.shared.camera.camera")
    assert module.switch_on_camera is switch_on_camera
    assert module.switch_off_camera is switch_off_camera
