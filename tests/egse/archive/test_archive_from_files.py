"""Observations read and verified from files alone, after they were made by the real core services."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from egse.archive import Observation, find_folder, find_raw_files, list_observations, verify
from egse.archive.verification import _check_supplements
from egse.clock import VirtualClock
from egse.hk import get_hk_names, get_housekeeping

DONE, FAILED, RUNNING = "CSL1_00084_00001", "CSL1_00084_00002", "CSL1_00084_00003"


@pytest.mark.parametrize("obsid", [1, "1", "00001", "00001_CSL1", "00001_CSL1_chimay", DONE])
def test_found_by_obsid_in_any_form(site: Path, obsid: int | str) -> None:
    observation = Observation(obsid, site)
    assert observation.folder.name == "00001_CSL1_chimay"
    assert (observation.obsid, observation.status, observation.state) == (DONE, "done", "closed")


def test_found_by_folder_and_in_the_site_of_the_environment(
    site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Observation(site / "obs/00002_CSL1_chimay").obsid == FAILED
    assert Observation(str(site / "obs/00002_CSL1_chimay")).site_folder == site
    monkeypatch.setenv("PLATO_DATA_STORAGE_LOCATION", str(site.parent))
    monkeypatch.setenv("SITE_ID", "copy")
    assert Observation("CSL1_00084_00002", site).reason == "why"
    assert find_folder(2) == site / "obs/00002_CSL1_chimay"


@pytest.mark.parametrize("obsid", [77, "CSL1_00099_00001", "00001_IAS", "00001_CSL1_duvel"])
def test_not_found(site: Path, obsid: int | str) -> None:
    with pytest.raises(LookupError, match="no observation"):
        Observation(obsid, site)


def test_two_sites_with_one_number_must_be_told_apart(site: Path) -> None:
    (site / "obs/00001_IAS_EM").mkdir()
    with pytest.raises(LookupError, match="not unique"):
        Observation(1, site)
    assert Observation("00001_IAS", site).state == "unknown"


def test_everything_about_an_observation(site: Path) -> None:
    observation = Observation(1, site)
    assert observation.function == 'acquire(n="3")'
    assert observation.start == "2026-01-01T00:00:00.000+0000"
    assert observation.end == "2026-01-01T00:00:02.000+0000"
    assert observation.setup.camera.ID == "chimay"
    assert observation.setup.get_id() == "00084"
    # As it was, and read from the frozen file.
    assert observation.setup.get_raw_value("table") == "csv//table.csv"
    assert observation.setup.table.tolist() == [[1.0, 2.0]]
    assert [event["event"] for event in observation.events] == ["start", "command"]
    assert observation.events("command")[0]["name"] == "move"
    assert [path.name for path in observation.raw_files] == ["20260101_CSL1_N-FEE_SPW_00001.hdf5"]
    assert observation.file("executed.ipynb").read_bytes() == b"{}"
    with pytest.raises(LookupError, match=r"README\.txt"):
        observation.file("nothing")


def test_housekeeping_as_a_table_and_by_parameter(site: Path) -> None:
    table = Observation(2, site).hk["PUNA"]
    assert table["GCSL1_X"].tolist() == [2, 20]
    assert str(table.index.tz) == "UTC"
    with pytest.raises(LookupError, match="there is: PUNA"):
        Observation(2, site).hk["AEU"]
    times, values = get_housekeeping("GCSL1_X", obsid=2, data_dir=site)
    assert values.tolist() == [2, 20]
    assert times.tolist() == [VirtualClock.START + 3, VirtualClock.START + 4]
    assert get_housekeeping("GCSL1_X", od="20260101", data_dir=site)[1].tolist() == [1, 10, 2, 20, 3, 30]
    assert get_hk_names(2, site) == {"PUNA": ["timestamp", "GCSL1_X", "OK"]}
    with pytest.raises(LookupError, match="NOTHING"):
        get_housekeeping("NOTHING", obsid=2, data_dir=site)
    with pytest.raises(LookupError, match="the last 60 s"):
        get_housekeeping("GCSL1_X", time_window=60, data_dir=site)
    with pytest.raises(ValueError, match="only one"):
        get_housekeeping("GCSL1_X", obsid=1, od="20260101", data_dir=site)


def test_a_running_observation_has_its_raw_files_too(site: Path) -> None:
    observation = Observation(3, site)
    assert (observation.status, observation.state) == ("", "open")
    assert [path.name for path in find_raw_files(3, site)] == ["20260101_CSL1_N-FEE_SPW_00003.hdf5"]
    assert [problem.kind for problem in verify(observation)] == ["unsealed"]


def test_a_list_of_all(site: Path) -> None:
    (site / "obs/00299_IAS").mkdir()
    (site / "obs/00757_CSL_00009").mkdir()
    (site / "obs/notes").mkdir()
    assert [(o.obsid, o.status) for o in list_observations(site)] == [
        (DONE, "done"),
        (FAILED, "failed"),
        (RUNNING, ""),
        ("00299_IAS", ""),
        ("CSL_00009_00757", ""),
    ]


def test_untouched_observations_verify(site: Path) -> None:
    for number in (1, 2):
        assert verify(Observation(number, site)) == []


def flip(path: Path) -> None:
    path.chmod(0o600)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def edit(path: Path, old: str, new: str) -> None:
    path.chmod(0o600)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to("elsewhere")


P = "00001_CSL1_chimay"
OBS = f"obs/{P}/"
RAW = "daily/20260101/20260101_CSL1_N-FEE_SPW_00001.hdf5"


@pytest.mark.parametrize(
    ("file", "change", "kind"),
    [
        (OBS + P + "_setup.yaml", flip, "altered"),
        (OBS + P + "_PUNA_20260101_000000.csv", lambda p: p.write_text(p.read_text() + "x\n"), "altered"),
        (OBS + P + "_executed.ipynb", Path.unlink, "missing"),
        (OBS + "README.txt", link, "altered"),
        (OBS + P + "_new.txt", Path.touch, "extra"),
        (OBS + P + "_report.txt", flip, "altered"),
        (OBS + P + "_report-2.txt", Path.unlink, "missing"),
        (OBS + "observation.json", lambda p: edit(p, "{", "["), "altered"),
        (OBS + "observation.json", lambda p: edit(p, '"setup_id": 84', '"setup_id": 85'), "altered"),
        (OBS + "observation.json", Path.unlink, "missing"),
        (OBS + "manifest.json", flip, "altered"),
        (OBS + "manifest.json", Path.unlink, "missing"),
        (OBS + "manifest.json", lambda p: edit(p, '"done"', '"failed"'), "altered"),
        (RAW, flip, "altered"),
        (RAW, Path.unlink, "missing"),
        ("observations.jsonl", lambda p: edit(p, '"status":"failed"', '"status":"done"'), "record"),
    ],
)
def test_whatever_is_touched_is_named(
    site: Path, file: str, change: Callable[[Path], object], kind: str
) -> None:
    change(site / file)
    problems = verify(Observation(DONE, site))
    assert (kind, file) in [(problem.kind, problem.path) for problem in problems], problems
    assert all(str(problem).startswith(problem.path) for problem in problems)


def test_a_file_and_the_manifest_altered_together_still_show(site: Path) -> None:
    victim = site / OBS / f"{P}_executed.ipynb"
    manifest = site / OBS / "manifest.json"
    content = json.loads(manifest.read_text())
    entry = next(entry for entry in content["files"] if entry["path"] == victim.name)
    os.chmod(victim, 0o600)
    os.chmod(manifest, 0o600)
    victim.write_bytes(b"{1}")
    entry["size"], entry["sha256"] = 3, hashlib.sha256(b"{1}").hexdigest()
    manifest.write_text(json.dumps(content))
    named = {problem.path for problem in verify(Observation(1, site))}
    assert named == {OBS + "manifest.json", OBS + "supplements.jsonl"}


def test_a_supplement_taken_out_of_the_list_shows(site: Path) -> None:
    listing = site / OBS / "supplements.jsonl"
    lines = listing.read_text().splitlines(keepends=True)
    listing.write_text(lines[1])
    found = {(problem.kind, problem.path) for problem in verify(Observation(1, site))}
    assert found == {("altered", OBS + "supplements.jsonl"), ("extra", OBS + P + "_report.txt")}


def test_a_damaged_description_without_the_record_of_the_site(site: Path) -> None:
    (site / "observations.jsonl").unlink()
    description = site / OBS / "observation.json"
    description.chmod(0o600)
    description.write_bytes(description.read_bytes()[:-9])
    assert [problem.path for problem in verify(Observation(1, site))] == [OBS + "observation.json"]
    assert list_observations(site)[0].status == "done"


def test_an_observation_of_an_older_system_is_said_to_be_one(site: Path) -> None:
    (site / "obs/00757_CSL_00009").mkdir()
    (problem,) = verify(Observation(757, site))
    assert "older system" in str(problem)


def test_a_supplement_added_while_verify_looks_does_not_disturb_it(site: Path) -> None:
    observation = Observation(site / OBS)
    early = observation.supplements[:1]  # as read before the second one was added
    assert len(observation.supplements) == 2
    assert list(_check_supplements(observation, early)) == []
