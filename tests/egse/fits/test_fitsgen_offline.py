"""`fitsgen for-obsid` from files alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits
from click.testing import CliRunner

from egse.archive import Observation, verify
from egse.fits.fitsgen import for_obsid
from egse.storage.manifest import entry_of
from egse.storage.observation import ObservationFolder


@pytest.fixture
def raw_files(site_folder: Path, make_camera: Any) -> list[Path]:
    camera = make_camera(site_folder)
    camera.to_dump()
    camera.acquire(1)
    files: list[Path] = camera.close()
    return files


def run(*arguments: str) -> tuple[int, list[str]]:
    result = CliRunner().invoke(for_obsid, list(arguments))
    return result.exit_code, result.output.splitlines()


def test_sealed_observation(
    raw_files: list[Path], observation_folder: ObservationFolder, site_folder: Path
) -> None:
    external = [entry_of(path, site_folder) for path in raw_files]
    observation_folder.seal("done", "", "2023-11-14T23:00:00.000+0000", external)
    for location in (site_folder, site_folder.parent):
        code, (cube,) = run("42", "--location", str(location))
        assert code == 0
        assert Path(cube).parent == observation_folder.path
    assert fits.getheader(cube)["NCYCLES"] == 1
    assert verify(Observation(42)) == []


def test_observation_of_an_older_system(raw_files: list[Path], site_folder: Path) -> None:
    folder = site_folder / "obs" / "00042_LAB"
    folder.mkdir(parents=True)
    code, (cube,) = run("00042_LAB", "--location", str(site_folder))
    assert code == 0
    assert Path(cube) == folder / "00042_LAB_N-FEE_CCD_00001_20231114_cube.fits"


def test_open_observation_needs_its_storage_manager(
    raw_files: list[Path], observation_folder: ObservationFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, lines = run("42")
    assert code != 0
    assert lines[0].startswith("Error: ")
    assert not list(observation_folder.path.glob("*.fits"))


def test_unknown_observation(site_folder: Path) -> None:
    (site_folder / "obs").mkdir()
    code, lines = run("99")
    assert code == 1
    assert "there is no observation 99" in lines[0]


def test_no_data_folder(tmp_path: Path) -> None:
    code, lines = run("99", "--location", str(tmp_path))
    assert code == 1
    assert "no data folder of a site" in lines[0]
