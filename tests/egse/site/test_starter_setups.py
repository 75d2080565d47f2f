"""The configuration repository that a site begins with: every starter loads, navigates, prints, differs, round-trips."""

from __future__ import annotations

import difflib
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from egse.aeu.lines import F_CAM, N_CAM
from egse.cli.conf import conf
from egse.clock import VirtualClock
from egse.env import VARIABLES
from egse.fee import CCDNumbering
from egse.fee.hk import load_hk_map
from egse.reg import RegisterMap
from egse.setup import DirectiveError, Setup, UntrustedClassError, diff_setups, parse_setup_filename
from egse.setup.check import check_tree
from egse.site.confrepo import GENERIC, init_conf_repository, starter_names
from egse.site.layout import SiteError
from egse.yamlfile import read_yaml

SITES = ["CSL1", "CSL2", "IAS", "INTA", "SRON"]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("conf") / "plato-cgse-conf"
    init_conf_repository(folder, {site: site for site in SITES}, "brigand", VirtualClock())
    return folder


@pytest.fixture(params=SITES)
def setup(request: pytest.FixtureRequest, repository: Path) -> Setup:
    (path,) = (repository / f"data/{request.param}/conf").iterdir()
    assert parse_setup_filename(path) == (request.param, "00001")
    return Setup.from_yaml_file(path)


def test_the_sites_of_the_test_houses_have_a_starter() -> None:
    assert starter_names() == [*SITES, GENERIC]


def test_every_starter_is_navigated(setup: Setup) -> None:
    assert setup.site_id == setup.get_site_id()
    assert setup.get_id() == "00001"
    assert setup.camera.ID == setup["camera"]["fee"].ID == "brigand"
    assert setup.gse.aeu.psu2.get_raw_value("device") == "class//egse.aeu.aeu.PSUProxy"
    assert setup.gse.aeu.psu2.device_args == [2]
    assert [setup.gse.aeu[f"psu{n}"].voltage.nominal for n in range(1, 7)] == [
        34.7, 16.05, 6.65, 6.65, -6.65, 4.55,
    ]  # fmt: skip
    assert tuple(setup.gse.aeu.n_cam.set_voltage) == N_CAM.set_voltage
    assert tuple(setup.gse.aeu.f_cam.ocp) == F_CAM.ocp
    assert len(setup.gse.ogse.attenuation_factors) == 38
    assert all(isinstance(factor, int | float) for factor in setup.gse.ogse.attenuation_factors)
    assert setup.sensor_calibration.callendar_van_dusen.EN60751.C == -4.183e-12
    assert setup.camera.fee.sensor_sel.enum.BOTH == 3
    assert setup.camera.fee.ccd_sides.enum.RIGHT_SIDE == 1
    assert setup.camera.ccd.geometry.columns_transmitted == 2295
    assert CCDNumbering.from_mapping(setup.camera.fee.ccd_numbering).default_readout_order == 228
    assert setup.telemetry.separator == ";"
    assert setup.get_history() == {
        "0": f"Initial Setup for site {setup.site_id}, camera brigand, made on 2026-01-01T00:00:00"
    }


def test_the_maps_of_the_camera_fit_each_other(setup: Setup) -> None:
    fee = setup.camera.fee
    registers = RegisterMap("N-FEE", fee.register_map)
    hk_map = load_hk_map(fee.hk_map)
    assert hk_map.size == 144
    calibrated = {*fee.calibration.temperatures, *fee.calibration.voltages}
    assert {f"NFEE_{name}" for name in calibrated} <= set(hk_map.fields)
    assert len(calibrated) == 61
    assert fee.calibration.callendar_van_dusen == setup.sensor_calibration.callendar_van_dusen
    assert int(fee.fpga_defaults.registers.reg_0_config, 16) == 4509 << 16
    assert registers is not None


def test_nothing_is_wrong_with_the_files_of_a_starter(setup: Setup) -> None:
    problems = list(check_tree(setup, classes=False))
    assert [problem for problem in problems if "tm-dictionary.csv" not in problem] == []


def test_a_class_that_is_not_installed_is_an_error_only_when_it_is_read(setup: Setup) -> None:
    setup.gse.future = {"device": "class//egse.no_such_module.Proxy"}
    assert "egse.no_such_module.Proxy" in str(setup)
    with pytest.raises(DirectiveError, match=r"gse\.future\.device: cannot import egse\.no_such_module"):
        _ = setup.gse.future.device
    setup.gse.future.device = "class//subprocess.Popen"
    with pytest.raises(UntrustedClassError, match=r"gse\.future\.device: subprocess\.Popen is refused"):
        _ = setup.gse.future.device
    assert any("gse.future.device" in problem for problem in check_tree(setup))


def test_a_starter_that_is_changed_and_saved_keeps_all_the_rest(setup: Setup, tmp_path: Path) -> None:
    before = setup.copy()
    setup.camera.fov.focal_length = 247.6
    setup.gse.ogse.fwc_factor = 0.98
    setup.add_history("metrology")
    path = setup.to_yaml_file(tmp_path / "changed.yaml")
    assert Setup.from_yaml_file(path) == setup
    filename = setup.get_filename()
    assert filename is not None
    old, new = filename.read_text(), path.read_text().partition("# Created on ")[2].partition("\n\n")[2]
    changes = [line for line in difflib.ndiff(old.splitlines(), new.splitlines()) if line[0] in "+-"]
    assert changes == [
        "-       fwc_factor: 1.0                 # TBM",
        "+       fwc_factor: 9.800000E-01                 # TBM",
        "-       focal_length: 247.52            # mm",
        "+       focal_length: 2.476000E+02            # mm",
        "+     1: metrology",
    ]
    assert [change.path for change in diff_setups(before, setup)] == [
        "gse.ogse.fwc_factor",
        "camera.fov.focal_length",
        "history['1']",
    ]


def test_starters_print_as_text_and_in_a_notebook(setup: Setup) -> None:
    assert str(setup).startswith(f"NavigableDict\n├── site_id: {setup.site_id}\n├── position: ")
    assert "<details" in setup._repr_mimebundle_()["text/html"]


def test_all_maps_of_all_models_are_valid(repository: Path) -> None:
    files = sorted(
        path for path in (repository / "data/common").rglob("*.yaml") if path.parent.name != "f-fee"
    )
    assert len(files) >= 12
    for path in files:
        assert read_yaml(path)["name"] == path.stem


# -- cgse conf ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return CliRunner()


def log(folder: Path) -> list[str]:
    done = subprocess.run(
        ["git", "-C", str(folder), "log", "--format=%s"], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_a_repository_is_made_and_sites_are_added(bare: CliRunner, tmp_path: Path) -> None:
    folder = tmp_path / "git" / "conf"
    made = bare.invoke(conf, ["init", "--site", "CSL1", "--dir", str(folder), "--camera", "chimay"])
    assert made.exit_code == 0, made.output
    assert f"export PLATO_CONF_DATA_LOCATION={folder}/data/CSL1/conf" in made.output
    again = bare.invoke(conf, ["init", "--site", "CSL1", "--dir", str(folder)])
    assert again.exit_code == 1
    assert "holds Setups of CSL1 already" in again.output
    mine = tmp_path / "mine.yaml"
    mine.write_text("# of mine\nSetup:\n  site_id: KUL\n")
    added = bare.invoke(conf, ["init", "--site", "KUL", "--from", str(mine), "--dir", str(folder)])
    assert added.exit_code == 0, added.output
    (path,) = (folder / "data/KUL/conf").iterdir()
    assert path.read_text() == mine.read_text()
    assert log(folder) == ["Setup 00001 of KUL: initial Setup", "Setup 00001 of CSL1: initial Setup"]
    checked = bare.invoke(conf, ["check", "--no-classes", str(path)])
    assert checked.output == "1 Setup(s), no problems\n"


def test_what_cannot_be_made_leaves_nothing(bare: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    for arguments, problem in (
        (["--site", "X", "--dir", str(tmp_path / "full")], "is no git repository"),
        (["--site", "X", "--from", "NASA", "--dir", str(tmp_path / "new")], "neither a file nor a starter"),
        (["--site", "X", "--camera", "a/b", "--dir", str(tmp_path / "new")], "is no name for a camera"),
        (["--dir", str(tmp_path / "new")], ""),
    ):
        done = bare.invoke(conf, ["init", *arguments])
        if problem:
            assert done.exit_code == 1
            assert problem in done.output
            assert not (tmp_path / "new").exists()


def test_checking_names_file_line_and_key_path(bare: CliRunner, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    (tmp_path / "loop.yaml").write_text("again: yaml//loop.yaml\n")
    path.write_text(
        "Setup:\n  a:\n    b: yaml//no.yaml\n    c: yaml//loop.yaml\n    d: class//os.path\n  e: int_enum//X\n"
        "  f: Frame//x\n  g: http://example.org\n"
    )
    lines = bare.invoke(conf, ["check", str(path)]).output.splitlines()
    assert len(lines) == 6
    for line, place in zip(lines, ["3, a.b", "", "5, a.d", "6, e", "7, f"]):
        if place:
            assert line.startswith(f"{path}, line {place}: ")
    assert lines[1].startswith(
        f"{tmp_path}/loop.yaml, line 1, a.c.again: yaml// files include each other in a circle"
    )
    assert lines[-1] == "1 Setup(s), 5 problems"
    path.write_text("Setup:\n  a: [1\n")
    assert "bad.yaml, line 3" in bare.invoke(conf, ["check", str(path)]).output


def test_a_file_that_is_no_setup_makes_no_site(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("a: 1\n")
    with pytest.raises(SiteError, match="root key"):
        init_conf_repository(tmp_path / "new", {"X": bad}, "achel")
    assert list(tmp_path.iterdir()) == [bad]
