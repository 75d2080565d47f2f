"""Tampering with what was really recorded: any byte of any file, any file, any observation; `verify` says which.

A site with a camera runs a short functional test; its files are of all kinds: HDF5, CSV, notebooks, events, commands, log,
manifest, supplements, notes.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sysconfig
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from egse.archive import Observation, list_observations
from egse.archive.siteverification import verify_observation, verify_site
from egse.site.ports import release_block
from egse.site.sandbox import Sandbox

pytestmark = [pytest.mark.campaign, pytest.mark.system]

BYTES = int(os.environ.get("CAMPAIGN_BYTES", "20"))
"""So many bytes of each file are altered, one at a time; the first and the last one besides."""
PROCEDURE = Path(__file__).resolve().parents[2] / "procedures" / "short_functional_test.ipynb"
CAMTEST = str(Path(sysconfig.get_path("scripts")) / "camtest")


def camtest(box: Sandbox, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [CAMTEST, *arguments], cwd=folder, env=box.environ(), capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a site with three observations, the first with a note; its services have stopped."""
    folder = tmp_path_factory.mktemp("recorded")
    box = Sandbox(folder / "box", speed=20, seed=1)
    with box:
        for _ in range(3):
            done = camtest(box, folder, "run", str(PROCEDURE), "-p", "num_cycles", "1", "-p", "row_end", "99")
            assert done.returncode == 0, done.stdout + done.stderr
        noted = camtest(box, folder, "obs", "note", "1", "lamp drifted", "--quality", "suspect")
        assert noted.returncode == 0, noted.stdout + noted.stderr
        site = box.layout.data
        assert not wrong(site)
    yield site
    release_block(folder / "box")


@pytest.fixture
def site(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "copy" / recorded.name))


def wrong(site: Path) -> set[str]:
    """Returns the paths that `verify --all` names."""
    return {problem.path for problem in verify_site(site) if problem.kind not in ("open", "pruned")}


def files_of(site: Path, observation: Observation) -> list[Path]:
    """Returns all files of an observation: those in its folder, and its raw files in `daily/`."""
    manifest = observation.manifest
    assert manifest is not None
    inside = sorted(path for path in observation.folder.rglob("*") if path.is_file())
    return inside + [site / entry.path for entry in manifest.external]


def test_any_byte_and_any_file(site: Path) -> None:
    rng = random.Random(1)
    kinds: Counter[str] = Counter()
    altered = 0
    for number in (1, 2, 3):
        for path in files_of(site, Observation(number, site)):
            name = path.relative_to(site).as_posix()
            data = path.read_bytes()
            path.chmod(0o600)
            path.parent.chmod(0o700)
            places = {0, len(data) - 1, *(rng.randrange(len(data)) for _ in range(BYTES))} if data else set()
            for place in sorted(places):
                with path.open("r+b") as file:
                    file.seek(place)
                    file.write(bytes([data[place] ^ (1 << rng.randrange(8))]))
                found = {problem.path for problem in verify_observation(Observation(number, site))}
                assert name in found, f"byte {place} of {name}: {found}"
                path.write_bytes(data)
            path.unlink()
            assert name in {problem.path for problem in verify_observation(Observation(number, site))}, name
            path.write_bytes(data)
            kinds["".join(path.suffixes[-1:])] += 1
            altered += len(places)
    assert not wrong(site)
    assert {".hdf5", ".csv", ".ipynb", ".jsonl", ".json", ".yaml"} <= kinds.keys(), kinds
    print(f"{altered} bytes altered in {kinds.total()} files {dict(kinds)}, each file deleted: all named")


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("traces", [False, True], ids=["folder", "folder, record and table"])
def test_a_whole_observation(site: Path, number: int, traces: bool) -> None:
    observation = Observation(number, site)
    obsid, folder = observation.obsid, observation.folder
    run_id = observation.info.run_id if observation.info else ""
    shutil.rmtree(folder)
    if traces:
        for name, word in (("observations.jsonl", run_id), ("obsid-table.txt", f"{number:05d} ")):
            path = site / name
            path.chmod(0o600)
            lines = path.read_text().splitlines(keepends=True)
            kept = [line for line in lines if word not in line[: 6 if name.endswith("txt") else None]]
            assert len(kept) < len(lines)
            path.write_text("".join(kept))
    texts = [str(problem) for problem in verify_site(site)]
    assert any(obsid in text for text in texts), texts
    assert len(list_observations(site)) == 2
