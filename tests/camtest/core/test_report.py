"""The as-run report and notes on the data, of an observation made by the real managers in this process."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from camtest.cli.obs import obs
from camtest.cli.verify import verify
from camtest.core.notes import Note, add_note
from camtest.core.sequence import CommandSequence
from egse.archive import Observation
from egse.clock import VirtualClock
from egse.confman.manager import ConfigurationManager
from egse.confman.repository import SetupRepository
from egse.context import CommandContext
from egse.journal import Journal
from egse.storage.manager import StorageManager
from egse.storage.sm_cs import StorageController

if TYPE_CHECKING:
    from conftest import FakeCore

EVENTS = [
    {"event": "observation-start", "t": 1.0},
    {"event": "cell-end", "t": 2.0, "cell": 1, "title": "3. <Light>", "status": "passed", "duration": 1.5},
    {"event": "start", "t": 2.0, "pid": 1, "call": 1, "parent": 0, "block": "lab.light", "args": {"factor": 0.2}},
    {"event": "failed", "t": 3.0, "pid": 1, "call": 1, "block": "lab.light", "error": "ValueError: <no>"},
    {"event": "red-line", "t": 3.0, "number": 1, "kind": "changed", "what": "factor", "planned": 0.1, "actual": 0.2,
     "reason": "too dark", "by": "P. Curie", "second": "M. Curie"},
    {"event": "note", "t": 3.1, "by": "P. Curie", "text": "it rains"},
    {"event": "question", "t": 3.2, "pid": 1, "key": "1-1", "text": "Is the door closed?", "choices": ["yes", "no"],
     "default": None, "timeout": 60.0},
    {"event": "answer", "t": 3.3, "pid": 1, "key": "1-1", "text": "Is the door closed?", "answer": "yes",
     "by": "op@console:1", "how": "desk"},
    {"event": "decided", "t": 3.4, "decision": "continue", "block": "lab.light", "reason": "lamp is on",
     "by": "op@console:2"},
]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Path:
    site = tmp_path / "data/CSL1"
    clock = VirtualClock()
    repository = SetupRepository(tmp_path / "conf", "CSL1", clock)
    (repository.folder / "SETUP_CSL1_00084_230407_091711.yaml").write_text(
        "Setup:\n  camera:\n    ID: chimay\n"
    )
    log = tmp_path / "log"
    log.mkdir()
    line = {"ts": "2099-01-01T00:00:00.000000Z", "level": "WARNING", "levelno": 30, "process": "ogse_cs", "pid": 1,
            "caller": "x", "line": 1, "message": "lamp <is> old", "mode": "simulator"}  # fmt: skip
    (log / "general.jsonl").write_text(json.dumps(line) + "\n")
    storage = StorageManager(site, "CSL1", clock, log_folder=log)
    cm = ConfigurationManager(site, repository, StorageController(storage), clock)
    cm.load_setup(84)
    details = {
        "mode": "simulator",
        "parameters": {"factor": 0.1},
        "session": "notebook",
        "notebook": "/p/light.ipynb",
    }
    cm.start_observation("r1", 'light(factor="0.1")', "a test", True, 0.0, details, origin="pc@host:1")
    storage.append_events("r1", 0, EVENTS)
    versions = {"cgse": "2026.48.0", "python": "3.11", "git": {"hash": "abc", "dirty": True}, "packages": {"x": "1"},
                "kernel": {"name": "camtest", "version": "3.11"}}  # fmt: skip
    storage.add_file("r1", "versions.json", json.dumps(versions).encode())
    journal = Journal(site / "journal/ogse_cs", "ogse_cs", "i", "simulator")
    context = CommandContext("pc@host:1", obsid="CSL1_00084_00001", block="light")
    journal.begin("1", "att_set_level_factor", {"factor": 0.2}, context, clock.now())
    journal.end("1", "done")
    journal.begin("2", "get_psu", {}, context, clock.now())
    journal.end("2", "done", "", "psu: ON")
    journal.close()
    cm.end_observation("r1", "failed", "ValueError: <no>")
    storage.add_supplement(
        "1", "note-1.md", Note("lamp drifts", "A. Nalyst", "suspect", "2026").to_text().encode()
    )
    cm.close()
    storage.close()
    return site


class Text(HTMLParser):
    """What a reader sees, and what would be fetched."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.fetched = "", []  # type: ignore[var-annotated]
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data + " "


def test_the_manifest_has_it_all(site: Path) -> None:
    manifest = Observation(1, site).manifest
    assert manifest is not None
    assert manifest.mode == "simulator"
    assert manifest.who["origin"] == "pc@host:1"
    assert manifest.why["notebook"] == "/p/light.ipynb"
    assert manifest.parameters == {"factor": 0.1}
    assert manifest.software["client"]["git"] == {"hash": "abc", "dirty": True}
    assert "packages" not in manifest.software["client"]
    assert manifest.software["client"]["kernel"]["name"] == "camtest"
    assert [line["second"] for line in manifest.red_lines] == ["M. Curie"]
    assert [remark["text"] for remark in manifest.remarks] == ["it rains"]
    assert [prompt["event"] for prompt in manifest.prompts] == ["question", "answer"]
    assert (manifest.prompts[1]["answer"], manifest.prompts[1]["by"]) == ("yes", "op@console:1")
    assert {"commands", "events", "log", "packages", "setup"} <= set(manifest.records)


def test_the_report_tells_what_a_reviewer_asks(site: Path, tmp_path: Path) -> None:
    plan = CommandSequence("light()")
    block = plan.add(None, "block", "light", start=0.0, arguments={"factor": 0.1})
    plan.add(block, "command", "att_set_level_factor", start=0.0, device="ogse_cs", arguments={"factor": 0.1})
    plan.export(tmp_path / "plan.json")
    path = tmp_path / "report.html"
    options = ["--data-dir", str(site), "--plan", str(tmp_path / "plan.json"), "-o", str(path)]
    result = CliRunner().invoke(obs, ["report", "1", *options])
    assert result.exit_code == 0, result.output
    page = Text(path.read_text())
    assert page.fetched == []
    for text in (
        *("CSL1_00084_00001", "simulator", "failed", "pc@host:1", "chimay", "00084", "/p/light.ipynb"),
        *("every file is as recorded", "RED LINE 1: changed factor", "too dark", "agreed by M. Curie"),
        *(
            "it rains",
            "Is the door closed?",
            "answer: yes",
            "op@console:1",
            "decision: continue",
            "op@console:2",
        ),
        *("lamp drifts", "note suspect", "A. Nalyst", "3. <Light>"),
        *(
            "ValueError: <no>",
            "ogse_cs.att_set_level_factor(factor=0.2)",
            "factor: 0.1 -> 0.2",
            "lamp <is> old",
        ),
        *("abc (changed)", "camtest 3.11", "note-1.md", "psu: ON"),
    ):
        assert text in page.text, text


def test_a_report_of_an_altered_observation_says_so(site: Path, tmp_path: Path) -> None:
    path = site / "obs/00001_CSL1_chimay/README.txt"
    path.chmod(0o600)
    path.write_text("nothing happened")
    report = tmp_path / "report.html"
    assert CliRunner().invoke(obs, ["report", "1", "--data-dir", str(site), "-o", str(report)]).exit_code == 0
    assert "NOT as recorded" in report.read_text()
    assert "README.txt: was altered" in report.read_text()
    result = CliRunner().invoke(verify, ["--all", "--data-dir", str(site)])
    assert result.exit_code == 1
    assert "README.txt: was altered" in result.output


def test_as_run_sequence_on_the_command_line(site: Path, tmp_path: Path) -> None:
    run = CliRunner()
    location = ["--data-dir", str(site)]
    result = run.invoke(obs, ["sequence", "1", *location])
    assert "[simulator]" in result.output
    assert "att_set_level_factor(factor=0.2)" in result.output
    plan = tmp_path / "plan.json"
    assert run.invoke(obs, ["sequence", "1", *location, "--export", str(plan)]).exit_code == 0
    assert run.invoke(obs, ["sequence", "1", *location, "--diff", str(plan)]).exit_code == 0
    other = plan.read_text().replace('"factor": 0.2', '"factor": 0.3')
    plan.write_text(other)
    result = run.invoke(obs, ["sequence", "1", *location, "--diff", str(plan)])
    assert result.exit_code == 1
    assert "factor: 0.3 -> 0.2" in result.output


def test_notes_go_through_the_storage_manager(core: FakeCore) -> None:
    add_note(1151, "lamp drifts", quality="bad", by="A. Nalyst")
    ((name, data),) = core.supplements.items()
    assert name.startswith("note-")
    note = Note.from_text(data.decode())
    assert (note.text, note.by, note.quality) == ("lamp drifts", "A. Nalyst", "bad")
    assert Note.from_text("free text\n\nof somebody") == Note("free text\n\nof somebody", "")
    with pytest.raises(ValueError, match="'awful' is no quality"):
        add_note(1151, "x", quality="awful")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="needs a text"):
        add_note(1151, " ")
