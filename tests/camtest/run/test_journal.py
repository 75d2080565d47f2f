"""The record of a run: it grows by what is new, tells whether its writer lives, and gives the notebook back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from click.testing import CliRunner

from camtest.cli import main
from camtest.run.journal import (
    RunJournal,
    find_run,
    follow,
    follow_states,
    list_runs,
    prune,
    read_record,
    runs_location,
)
from camtest.run.recovery import notebook_of, recover_lost_runs
from camtest.run.runner import run_notebook

from . import notebook_tools

if TYPE_CHECKING:
    from conftest import FakeCore

WRITER = """\
import os, signal, sys
from camtest.run.journal import RunJournal
import nbformat
nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in ("1", "2", "3")])
journal = RunJournal("20260101T000000-dead", {"name": "x", "notebook_content": nb, "output": sys.argv[1]})
journal.state("running")
about = {"count": 3, "title": "t", "duration": 0.0}
journal.write("cell", cell=0, number=1, status="running", **about)
journal.write("output", cell=0, output=nbformat.v4.new_output("stream", text="one\\n"))
journal.write("cell", cell=0, number=1, status="passed", **about)
journal.write("cell", cell=1, number=2, status="running", **about)
journal.write("output", cell=1, output=nbformat.v4.new_output("stream", text="two\\n"))
os.write(journal._descriptor, b'{"t": 1, "kind": "outp')
os.kill(os.getpid(), signal.SIGKILL)
"""


def record_of(core: FakeCore) -> Any:
    return find_run(core.last["run_id"])


def test_record_has_all_of_a_run(core: FakeCore, tmp_path: Path) -> None:
    cells = (
        "# parameters\nn: int = 1",
        "print('a')\nn",
        "from IPython.display import clear_output\nprint('gone')\nclear_output()\nprint('b')",
        "1 / 0",
        "3",
    )
    path = notebook_tools.write_notebook(tmp_path / "it.ipynb", *cells)
    result = run_notebook(path, {"n": 5}, output_dir=tmp_path / "out", description="why")
    run = record_of(core)
    assert (run.status, run.reason) == ("failed", "ZeroDivisionError: division by zero")
    assert run.header["obsid"] == result.obsid
    assert run.header["parameters"] == {"n": 5}
    assert (run.header["source"], run.header["output"]) == ("single", result.notebook)
    executed = nbformat.read(result.notebook, as_version=4)  # type: ignore[no-untyped-call]
    replayed = notebook_of(run)
    assert [c.get("outputs") for c in replayed.cells] == [c.get("outputs") for c in executed.cells]
    assert [c.metadata.camtest for c in replayed.cells] == [c.metadata.camtest for c in executed.cells]
    assert list_runs()[-1].status == "failed"


def test_displays_that_are_updated(core: FakeCore, tmp_path: Path) -> None:
    cell = "from IPython.display import display\nh = display('old', display_id=True)\nh.update('new')"
    result = run_notebook(notebook_tools.write_notebook(tmp_path / "it.ipynb", cell), output_dir=tmp_path)
    executed = nbformat.read(result.notebook, as_version=4)  # type: ignore[no-untyped-call]
    outputs = notebook_of(record_of(core)).cells[0].outputs
    assert outputs[0]["data"]["text/plain"] == "'new'" == executed.cells[0].outputs[0]["data"]["text/plain"]


def test_killed_writer_leaves_a_notebook_up_to_its_last_output(core: FakeCore, tmp_path: Path) -> None:
    output = tmp_path / "out.ipynb"
    process = subprocess.run([sys.executable, "-c", WRITER, str(output)], check=False)
    assert process.returncode == -signal.SIGKILL
    (run,) = list_runs()
    assert (run.status, run.alive, run.ended) == ("lost", False, False)
    assert [each.run_id for each in recover_lost_runs()] == [run.run_id]
    cells = nbformat.read(output, as_version=4).cells  # type: ignore[no-untyped-call]
    assert [cell.metadata.camtest.status for cell in cells] == [
        "passed",
        "interrupted",
        "not-run",
    ]
    assert [[o.text for o in cell.outputs] for cell in cells] == [["one\n"], ["two\n"], []]
    assert read_record(run.path).status == "interrupted"
    assert recover_lost_runs() == []


def test_live_writer_is_not_recovered(tmp_path: Path) -> None:
    journal = RunJournal("20260101T000000-live", {"name": "x"})
    journal.state("running")
    assert find_run(None).status == "running"
    assert recover_lost_runs() == []
    journal.end("done")
    journal.end("twice")
    assert find_run("20260101").status == "done"


def test_followers_see_everything_from_the_start(tmp_path: Path) -> None:
    journal = RunJournal("20260101T000000-x", {"name": "x"})
    seen: list[list[str]] = [[], []]

    def view(index: int) -> None:
        seen[index] += [entry["kind"] for entry in follow(journal.path)]

    journal.state("running")
    threads = [threading.Thread(target=view, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    journal.write("output", cell=0, output={"output_type": "stream", "name": "stdout", "text": "x" * 200_000})
    journal.end("done")
    for thread in threads:
        thread.join(10)
    assert seen == [["run", "state", "output", "end"]] * 2
    assert [entry["kind"] for entry in follow(journal.path, wait=False)] == seen[0]


def test_subscribers_are_told_every_change_of_state(tmp_path: Path) -> None:
    stop, heard = threading.Event(), []
    ready = threading.Event()

    def listen() -> None:
        events = follow_states(stop=stop)
        ready.set()
        for event in events:
            heard.append((event["run_id"], event["status"]))
            if event.get("ended"):
                return

    RunJournal("20260101T000000-a", {"name": "a"}).state("running")
    thread = threading.Thread(target=listen)
    thread.start()
    assert ready.wait(30)
    journal = RunJournal("20260101T000000-b", {"name": "b"})
    journal.state("running")
    journal.end("aborted", "TRP1 is busy")
    thread.join(5)
    stop.set()
    assert heard == [("20260101T000000-b", "running"), ("20260101T000000-b", "aborted")]


def test_disk_that_is_full_ends_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = RunJournal("20260101T000000-x", {"name": "x"})
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        journal.write("cell", cell=0)
        journal.state("running")
    journal.end("done")
    assert find_run(None).status == "done"


def test_old_records_are_removed_when_there_are_too_many(tmp_path: Path) -> None:
    for number in range(4):
        journal = RunJournal(f"2026010{number}T000000-x", {"name": "x" * 1000})
        if number != 1:
            journal.end("done")
    prune(limit=2500)
    assert [run.run_id[:8] for run in list_runs()] == ["20260101", "20260103"]
    journal.close()


def test_attach_log_and_runs(core: FakeCore, tmp_path: Path) -> None:
    path = notebook_tools.write_notebook(tmp_path / "it.ipynb", "print('hello')", "1 / 0")
    run_notebook(path, output_dir=tmp_path)
    shown = CliRunner().invoke(main, ["attach", core.last["obsid"]])
    assert shown.exit_code == 0, shown.output
    for text in ("[1/2] print('hello')", "    hello", "ZeroDivisionError", "failed"):
        assert text in shown.output
    assert "hello" in CliRunner().invoke(main, ["log", "1"]).output
    rows = json.loads(CliRunner().invoke(main, ["runs", "--json"]).output)
    assert [(row["obsid"], row["status"], row["source"]) for row in rows] == [
        (core.last["obsid"], "failed", "single")
    ]
    assert "it" in CliRunner().invoke(main, ["runs"]).output
    assert CliRunner().invoke(main, ["attach", "nothing"]).exit_code == 1
    lines = CliRunner().invoke(main, ["attach", "--json"]).output.splitlines()
    assert json.loads(lines[-1])["kind"] == "end"


def test_permissions(tmp_path: Path) -> None:
    journal = RunJournal("20260101T000000-x", {"name": "x"})
    journal.state("running")
    assert journal.path.stat().st_mode & 0o777 == 0o640
    assert runs_location().stat().st_mode & 0o777 == 0o750
    journal.end("done")
