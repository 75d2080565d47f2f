"""A site with three observations, made by the real core services in this process: done, failed, and one that is running."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import pytest

from egse.clock import VirtualClock
from egse.confman.manager import ConfigurationManager
from egse.confman.repository import SetupRepository
from egse.storage.manager import StorageManager
from egse.storage.naming import utc_text
from egse.storage.sm_cs import StorageController

DICTIONARY = (
    "TM source;Storage mnemonic;CAM EGSE mnemonic;Name of corresponding timestamp;Description;unit cal1;MAX ops\n"
    "Hexapod;PUNA;GCSL1_X;timestamp;user position x;mm;20\n"
)


def raw_file(site: Path, number: int, obsid: str) -> Path:
    path = site / f"daily/20260101/20260101_CSL1_N-FEE_SPW_{number:05d}.hdf5"
    with h5py.File(path, "w") as file:
        file["obsid"] = obsid
    return path


def make_site(root: Path) -> Path:
    """Three observations: done, failed, and one that is running."""
    site = root / "data/CSL1"
    clock = VirtualClock()
    repository = SetupRepository(root / "conf", "CSL1", clock)
    (repository.folder / "table.csv").write_text("a,b\n1,2\n")
    (repository.folder / "tm-dictionary.csv").write_text(DICTIONARY)
    (repository.folder / "SETUP_CSL1_00084_230407_091711.yaml").write_text(
        "Setup:\n  camera:\n    ID: chimay\n  table: csv//table.csv\n"
        "  telemetry: {dictionary: pandas//tm-dictionary.csv, separator: ';'}\n"
    )
    storage = StorageManager(site, "CSL1", clock)
    cm = ConfigurationManager(site, repository, StorageController(storage), clock)
    cm.load_setup(84)
    storage.register({"origin": "PUNA", "persistence_class": "CSV"})

    def row(x: int) -> None:
        clock.advance(1.0)
        storage.save(
            {"origin": "PUNA", "data": {"timestamp": utc_text(clock.now()), "GCSL1_X": x, "OK": True}}
        )

    for number, status in ((1, "done"), (2, "failed"), (3, "")):
        run = f"r{number}"
        cm.start_observation(run, 'acquire(n="3")', "a test", True, 0.0, {})
        row(number)
        row(number * 10)
        storage.append_events(run, 0, [{"event": "start"}, {"event": "command", "name": "move"}])
        storage.add_file(run, "executed.ipynb", b"{}")
        raw = raw_file(site, number, f"CSL1_00084_{number:05d}")
        storage.register_raw_file(str(raw), None)
        if status:
            cm.end_observation(run, status, "why")
    storage.add_supplement("1", "report.txt", b"all fine")
    storage.add_supplement("1", "report-2.txt", b"still fine")
    cm.close()
    storage.close()
    return site


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_site(tmp_path_factory.mktemp("archive"))


@pytest.fixture
def site(original: Path, tmp_path: Path) -> Path:
    """A copy of the archive, as on another machine where no service runs."""
    return Path(shutil.copytree(original, tmp_path / "copy"))
