"""Everything in an observation by its number; folders that explain themselves."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest

from egse.archive import Observation


def test_housekeeping_with_units(site: Path) -> None:
    hk = Observation(1, site).hk
    assert list(hk) == ["PUNA"]
    assert hk.units == {"timestamp": "UTC", "GCSL1_X": "mm"}
    table = hk["PUNA"]
    assert table.attrs["units"] == {"GCSL1_X": "mm"}
    assert table is hk["PUNA"]
    assert (table.index[0].isoformat(), list(table.columns)) == (
        "2026-01-01T00:00:01+00:00",
        ["GCSL1_X", "OK"],
    )
    assert hk.parameter("GCSL1_X").tolist() == [1, 10]
    assert hk.columns("PUNA") == ["timestamp", "GCSL1_X", "OK"]
    with pytest.raises(LookupError, match=r"Did you mean `GCSL1_X`"):
        hk.parameter("GCSL1_Y")


def test_a_row_that_is_being_written_is_left_out(site: Path) -> None:
    (path,) = Observation(3, site).hk.files("PUNA")
    with path.open("a") as file:
        file.write("2026-01-01T00:00")
    assert Observation(3, site).hk["PUNA"]["GCSL1_X"].tolist() == [3, 30]


def test_events_commands_notes_notebook(site: Path) -> None:
    observation = Observation(1, site)
    assert [event["event"] for event in observation.events.where(event="command")] == ["command"]
    assert observation.events.table()["name"].dropna().tolist() == ["move"]
    assert observation.commands == []
    assert observation.notebook.name == "00001_CSL1_chimay_executed.ipynb"
    note = observation.folder / f"{observation.prefix}_notes.md"
    note.write_text("the lamp flickered\n")
    assert [entry["text"] for entry in Observation(1, site).notes] == ["the lamp flickered\n"]
    commands = observation.folder / f"{observation.prefix}_commands.jsonl"
    commands.write_text(
        '{"time": "2026-01-01T00:00:02.000+0000", "server": "ogse_cs", "status": "done"}\n{"torn'
    )
    table = Observation(1, site).commands.table()
    assert [(str(time), server) for time, server in table["server"].items()] == [
        ("2026-01-01 00:00:02+00:00", "ogse_cs")
    ]
    commands.write_text("no JSON\n{}\n")
    with pytest.raises(ValueError, match="line 1, is damaged"):
        _ = Observation(1, site).commands


def test_what_is_not_there_is_said(site: Path) -> None:
    (site / "obs/00009_IAS").mkdir()
    observation = Observation(9, site)
    with pytest.raises(LookupError, match="no executed notebook"):
        _ = observation.notebook
    with pytest.raises(LookupError, match="does not say which"):
        _ = observation.setup
    with pytest.raises(LookupError, match=r"there are 1 to 9"):
        Observation(4, site)


def test_a_folder_explains_itself(site: Path) -> None:
    folder = site / "obs/00002_CSL1_chimay"
    readme = (folder / "README.txt").read_text()
    for text in (
        "CSL1_00084_00002",
        "failed",
        "why",
        "2026-01-01T00:00:04.000+0000",
        "acquire",
        "a test",
        "00084",
    ):
        assert text in readme
    own = {"README.txt", "manifest.json"}
    for path in folder.iterdir():
        assert path.name in readme or path.name in own
    with (folder / "00002_CSL1_chimay_telemetry.csv").open() as file:
        rows = {row["parameter"]: row for row in csv.DictReader(file)}
    assert rows["GCSL1_X"]["unit"] == "mm"
    assert rows["GCSL1_X"]["Description"] == "user position x"
    assert rows["GCSL1_X"]["MAX ops"] == "20"
    assert rows["OK"]["unit"] == ""
    assert set(rows) == {"timestamp", "GCSL1_X", "OK"}
    assert Observation(2, site).setup.telemetry.dictionary["unit cal1"].tolist() == ["mm"]


def test_an_open_folder_has_a_readme_too(site: Path) -> None:
    readme = (site / "obs/00003_CSL1_chimay/README.txt").read_text()
    assert "(open)" in readme
    assert "%Y-%m-%dT%H:%M:%S.%f%z" in readme


def test_checksums_can_be_checked_without_this_software(site: Path) -> None:
    observation = Observation(1, site)
    assert observation.manifest is not None
    for entry in observation.manifest.files:
        assert hashlib.sha256((observation.folder / entry.path).read_bytes()).hexdigest() == entry.sha256
