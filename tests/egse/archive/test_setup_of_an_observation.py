"""The Setup of an observation, years later: with every file it pulled in, as it was at the start, from files alone."""

from __future__ import annotations

import shutil
from pathlib import Path

from egse.archive.observation import Observation
from egse.clock import VirtualClock
from egse.confman.manager import ConfigurationManager
from egse.confman.repository import SetupRepository
from egse.storage.manager import StorageManager
from egse.storage.sm_cs import StorageController

SETUP = """\
Setup:
  camera: {ID: chimay}
  hk_map: yaml//../../common/n-fee/map.yaml
  other: yaml//../../common/ccd/map.yaml
"""


def test_files_within_files_are_those_of_the_start(tmp_path: Path) -> None:
    root, clock = tmp_path / "conf", VirtualClock()
    repository = SetupRepository(root, "CSL1", clock)
    for folder, number in (("n-fee", 1), ("ccd", 2)):
        (root / "data/common" / folder).mkdir(parents=True)
        (root / "data/common" / folder / "map.yaml").write_text(f"number: {number}\ntable: csv//table.csv\n")
        (root / "data/common" / folder / "table.csv").write_text(f"{number},{number}\n")
    (repository.folder / "SETUP_CSL1_00084_230407_091711.yaml").write_text(SETUP)
    site = tmp_path / "data/CSL1"
    storage = StorageManager(site, "CSL1", clock)
    manager = ConfigurationManager(site, repository, StorageController(storage), clock)
    try:
        manager.load_setup(84)
        manager.start_observation("r1", "x()", "a test", True, 0.0, {})
        (root / "data/common/ccd/table.csv").write_text("9,9\n")  # during the observation
        manager.end_observation("r1", "done")
    finally:
        manager.close()
    shutil.rmtree(root)
    setup = Observation(1, site).setup
    assert (setup.hk_map.number, setup.other.number) == (1, 2)
    assert (setup.hk_map.table.tolist(), setup.other.table.tolist()) == ([[1.0, 1.0]], [[2.0, 2.0]])
    assert setup.get_id() == "00084"
    assert not setup.is_dirty()
