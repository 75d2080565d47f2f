"""The watchdog tells the archive index of what was closed: so the removal of the newest observation shows in any case."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

from camtest.core.remembering import ArchiveMemory
from egse.archive.siteverification import verify_site

_SOURCE = Path(__file__).parents[2] / "egse" / "archive" / "conftest.py"
_spec = importlib.util.spec_from_file_location("archive_fixtures", _SOURCE)
assert _spec is not None
assert _spec.loader is not None
archive_fixtures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(archive_fixtures)


def test_what_was_closed_is_missed_when_all_its_traces_are_removed(tmp_path: Path) -> None:
    site: Path = archive_fixtures.make_site(tmp_path)
    memory = ArchiveMemory(site)
    assert memory.look()
    assert not memory.look(), "nothing is new"
    for prefix in ("00002_CSL1_chimay", "00003_CSL1_chimay"):
        shutil.rmtree(site / "obs" / prefix)
    for name, kept in (("observations.jsonl", b'"r1"'), ("obsid-table.txt", b"00001 ")):
        path = site / name
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(line for line in lines if kept in line))
    assert any("the index remembers CSL1_00084_00002" in str(problem) for problem in verify_site(site))


def test_a_site_without_observations(tmp_path: Path) -> None:
    assert not ArchiveMemory(tmp_path / "nothing").look()
