"""`camtest verify` names every file that is not as it was, in a copy of the data of the main job."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from egse.archive import Observation, verify

pytestmark = pytest.mark.system


def flip(path: Path, place: float = 0.5) -> None:
    """Changes one bit of one byte."""
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 1
    path.chmod(0o600)
    path.write_bytes(data)


@pytest.fixture
def copy(main_run: Any, tmp_path: Path) -> Any:
    """The observation of the main job, its raw files and the record of the site, in another folder."""
    record, target = main_run.record, tmp_path / "LAB"
    shutil.copytree(record.folder, target / "obs" / record.folder.name)
    raw = [path.relative_to(record.site_folder) for path in record.raw_files]
    raw += [Path(entry["path"]) for entry in record.supplements if entry["external"]]
    for path in raw:
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(record.site_folder / path, target / path)
    shutil.copy(record.site_folder / "observations.jsonl", target)
    return type(record)(target, record.obsid)


def problems(copy: Any) -> dict[str, str]:
    """Returns what is wrong, by file."""
    return {problem.path: problem.text for problem in verify(Observation(copy.obsid, copy.site_folder))}


def kinds_of_files(copy: Any) -> list[Path]:
    """Returns one file of each kind."""
    stem = "short_functional_test"
    names = ["events.jsonl", "commands.jsonl", "parameters.json", "versions.json", "setup.yaml"]
    names += [f"{stem}.ipynb", f"{stem}_input.ipynb", "OGSE_*.csv", "N-FEE-HK_*.csv", "*_cube.fits"]
    files = [copy.file(name) for name in names]
    return [*files, copy.folder / "observation.json", copy.folder / "README.txt", copy.raw_files[-1]]


def test_one_byte_of_any_kind_of_file(copy: Any, main_run: Any, shell: Any) -> None:
    location = ("--location", copy.site_folder)
    assert shell.run("camtest", "verify", copy.obsid, *location)[0] == 0
    for path in kinds_of_files(copy):
        before = path.read_bytes()
        for place in (0.0, 0.5, 1.0):
            flip(path, place)
            name = str(path.relative_to(copy.site_folder))
            assert problems(copy) == {name: "was altered: its checksum is not the one in the manifest"}
            path.write_bytes(before)
    assert problems(copy) == {}

    for path in kinds_of_files(copy):
        flip(path)
    code, output = shell.run("camtest", "verify", copy.obsid, *location)
    assert code == 1
    assert [line.partition(":")[0] for line in sorted(output.splitlines())] == sorted(
        str(path.relative_to(copy.site_folder)) for path in kinds_of_files(copy)
    )
    assert shell.run("camtest", "verify", main_run.record.obsid)[0] == 0, "the original is untouched"


def test_the_seal_itself(copy: Any, shell: Any) -> None:
    manifest = copy.folder / "manifest.json"
    before = manifest.read_bytes()
    for place in (0.1, 0.5, 0.9):
        flip(manifest, place)
        assert f"obs/{copy.prefix}/manifest.json" in problems(copy)
        manifest.write_bytes(before)
    manifest.write_bytes(before.replace(b'"done"', b'"dome"'))
    code, output = shell.run("camtest", "verify", copy.obsid, "--location", copy.site_folder)
    assert code == 1
    assert "manifest.json" in output
    manifest.write_bytes(before)
    record = copy.site_folder / "observations.jsonl"
    flip(record)
    assert "observations.jsonl" in problems(copy)


def test_files_added_removed_and_cut_short(copy: Any) -> None:
    (copy.folder / "extra.txt").write_text("not part of it")
    copy.raw_files[0].unlink()
    cube = copy.file("*_cube.fits")
    cube.chmod(0o600)
    with cube.open("r+b") as file:
        file.truncate(2880)
    assert {path: text.split(":")[0] for path, text in problems(copy).items()} == {
        f"obs/{copy.prefix}/extra.txt": "is not part of the observation",
        str(copy.raw_files[0].relative_to(copy.site_folder)): "is missing",
        str(cube.relative_to(copy.site_folder)): "was altered",
    }
