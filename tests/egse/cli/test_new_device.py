"""`cgse new-device`: what it makes works as it is, and the package in `examples/device` is what it makes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from egse.cli import main
from egse.cli.new_device import NewDevice, check_name, free_server_port, write_package
from egse.settings import Settings
from egse.site.layout import SiteError

REPOSITORY = Path(__file__).resolve().parents[3]
EXAMPLE = NewDevice("bench_psu", device_port=9221, server_port=30200, site="LAB")
LONGEST = "a_name_of_24_charactersx"
Cgse = Callable[..., click.testing.Result]


@pytest.fixture
def cgse(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cgse:
    """Runs `cgse new-device` in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> click.testing.Result:
        result = CliRunner().invoke(main, ["new-device", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package with the longest name."""
    folder = tmp_path_factory.mktemp("new-device") / "package"
    write_package(NewDevice(LONGEST, 5025, 40000, "SRON"), folder)
    return folder


def check(folder: Path, module: str, *arguments: str) -> str:
    """Runs a tool of this environment in a package; returns what it said."""
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PLATO_"))},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def files(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {"__pycache__", ".mypy_cache", ".ruff_cache"} & set(path.parts)
    }


def test_its_tests_pass_as_generated(package: Path) -> None:
    assert "11 passed" in check(package, "pytest")


@pytest.mark.campaign
def test_it_is_clean_for_mypy_as_generated(package: Path) -> None:
    """Takes a quarter of a minute; `make lint` looks at the same in `examples/device`."""
    assert "no issues found in 7 source files" in check(package, "mypy", "--strict")


@pytest.mark.parametrize("name", ["x", "thermo", "two_words", "z9_8", LONGEST])
def test_it_is_clean_for_ruff_whatever_the_name(tmp_path: Path, name: str) -> None:
    write_package(NewDevice(name, 1, 65000, "CSL1"), tmp_path / "package")
    check(tmp_path / "package", "ruff", "check", "--no-cache", ".")
    check(tmp_path / "package", "ruff", "format", "--no-cache", "--check", ".")


def test_files_have_the_names_of_the_manual(cgse: Cgse, tmp_path: Path) -> None:
    result = cgse("dew_meter", "--port", "4000", "--server-port", "50000", "--site", "csl-2")
    assert result.exit_code == 0, result.output
    assert "cd dew_meter && python -m pytest" in result.output
    made = files(tmp_path / "dew_meter")
    assert list(made) == [
        "README.md",
        "pyproject.toml",
        *(
            f"src/dew_meter/{name}.py"
            for name in ("__init__", "dew_meter", "dew_meter_cs", "dew_meter_devif")
        ),
        "src/dew_meter/dew_meter_protocol.py",
        "src/dew_meter/dew_meter_sim.py",
        "src/dew_meter/py.typed",
        "src/dew_meter/settings.yaml",
        "src/dew_meter/tm-dictionary.csv",
        "tests/test_dew_meter.py",
    ]
    made = {path.removeprefix("src/dew_meter/"): text for path, text in made.items()}
    assert "class DewMeterEthernetInterface(NetworkInterface):" in made["dew_meter_devif.py"]
    assert "DewMeterUSBInterface" in made["dew_meter_devif.py"]
    assert "DEVICE_PORT: 4000\n" in made["settings.yaml"]
    assert re.findall(r"(\w+)_PORT: 5000(\d)", made["settings.yaml"]) == [
        ("COMMANDING", "0"),
        ("MONITORING", "1"),
        ("SERVICE", "2"),
        ("METRICS", "3"),
    ]
    header, *rows = [line.split(";") for line in made["tm-dictionary.csv"].splitlines()]
    assert header[:3] == ["TM source", "Storage mnemonic", "CAM EGSE mnemonic"]
    assert rows[0][1:3] == ["DEW-METER", "GCSL_2_DEW_METER_LEVEL"]
    assert {len(row) for row in (header, *rows)} == {20}
    leftovers = "newdev|newsite|55555|4444"
    assert not [path for path, text in made.items() if re.search(leftovers, path + text, re.IGNORECASE)]
    assert (tmp_path / "dew_meter" / "README.md").stat().st_mode & 0o444


def test_the_ports_of_the_server_are_free_in_the_settings(cgse: Cgse, tmp_path: Path) -> None:
    assert free_server_port({"A": {"X_PORT": 30203}, "B": {"C": {"Y_PORT": 30210}}, "TEXT": "30220"}) == 30220
    cgse("thermo", "--dir", "deep/er")
    assert (
        f"COMMANDING_PORT: {free_server_port(Settings.load())}"
        in (tmp_path / "deep/er/src/thermo/settings.yaml").read_text()
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Bench-PSU", "cannot be the name of a package.*try 'bench_psu'"),
        ("2fast", "try 'fast'"),
        ("a__b", "try 'a_b'"),
        ("", "cannot be the name of a package"),
        ("../up", "cannot be the name of a package"),
        ("x" * 25, "too long: at most 24"),
        ("class", "a word of the Python language"),
        ("json", "a module of Python"),
        ("egse", "installed already"),
        ("ogse", "a block 'OGSE Control Server' already"),
    ],
)
def test_names_that_cannot_be_used(cgse: Cgse, tmp_path: Path, name: str, message: str) -> None:
    result = cgse("--", name)
    assert result.exit_code == 1
    assert re.search(message, result.output)
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten(cgse: Cgse, tmp_path: Path) -> None:
    (tmp_path / "thermo").mkdir()
    (tmp_path / "thermo" / "notes.txt").write_text("mine")
    result = cgse("thermo")
    assert (result.exit_code, "thermo exists already" in result.output) == (1, True)
    (tmp_path / "file").write_text("mine")
    assert "exists already" in cgse("thermo", "--dir", "file").output
    assert "cannot be written: Not a directory" in cgse("thermo", "--dir", "file/below").output
    assert "cannot be the name of a site" in cgse("thermo", "--dir", "new", "--site", "a;b").output
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "notes.txt", "thermo"]
    (tmp_path / "empty").mkdir()
    assert cgse("thermo", "--dir", "empty").exit_code == 0


def test_the_longest_name_is_allowed() -> None:
    assert len(LONGEST) == 24
    check_name(LONGEST)
    with pytest.raises(SiteError):
        check_name(LONGEST + "s")


def test_the_example_is_what_is_generated() -> None:
    """Made with: cgse new-device bench_psu --dir examples/device --port 9221 --server-port 30200 --site LAB"""
    kept = files(REPOSITORY / "examples" / "device")
    assert kept == EXAMPLE.files(), "examples/device differs from the templates: make it again (see above)"


def test_the_example_is_a_device_like_any_other_once_installed(tmp_path: Path) -> None:
    """With the metadata that an installation would leave."""
    folder = REPOSITORY / "examples" / "device"
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    metadata = tmp_path / f"{project['name']}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    groups = {**project["entry-points"], "console_scripts": project["scripts"]}
    sections = (
        f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in entries.items())
        for group, entries in groups.items()
    )
    (metadata / "entry_points.txt").write_text("\n".join(sections))
    code = (
        "from importlib.metadata import entry_points\n"
        "from egse.setup import Setup\n"
        "from egse.site.programs import device_entry\n"
        "print(device_entry('bench_psu'))\n"
        "print(*(point.load().__name__ for point in entry_points(group='console_scripts') if 'bench' in point.name))\n"
        "setup = Setup.from_yaml_string('Setup: {gse: {bench_psu: {device: class//bench_psu.BenchPsuProxy}}}')\n"
        "print(type(setup.gse.bench_psu.device).__name__)\n"
        "from egse.tmdict import find_dictionary\n"
        "print(find_dictionary()['GLAB_BENCH_PSU_READING'].unit)\n"
        "from camtest.panels.devices import panel_of_server\n"
        "with panel_of_server('bench_psu_cs', 'simulator') as panel:\n"
        "    print('set_level' in panel.commands)\n"
    )
    path = os.pathsep.join([str(tmp_path), str(folder / "src")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    entry, scripts, proxy, unit, in_panel = done.stdout.splitlines()
    assert "settings='BENCH_PSU Control Server'" in entry
    assert (scripts, proxy) == ("main main", "BenchPsuProxy")
    assert (unit, in_panel) == ("Volts", "True")
