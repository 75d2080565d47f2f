"""Batches: plans that are wrong, order, retries, resuming, pooled kernels, the report."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from camtest.cli import main
from camtest.run.batch import BatchError, read_batch, resume_batch, start_batch
from camtest.run.batchreport import html_report, junit_report, write_reports
from camtest.run.journal import list_runs, runs_location
from camtest.run.plan import PlanError, read_plan
from camtest.run.pool import KernelPool

from . import notebook_tools

if TYPE_CHECKING:
    from conftest import FakeCore

    from camtest.run.batch import BatchState

PARAMETERS = "# parameters\nfrom typing import Literal\nn: int = 1  # how many\nside: Literal['E', 'F'] = 'E'"
FLAKY = (
    f"{PARAMETERS}\nt: float = 0.0",
    "import os, pathlib\nassert os.environ['CAMTEST_PROMPTS'] == 'default'  # nobody is there to be asked\n"
    "p = pathlib.Path('tried')\nif not p.exists():\n    p.touch()\n    1 / 0",
)
LEAKY = (
    "# parameters\nobsid: str = 'none'",
    "assert 'leaked' not in globals()\nleaked = 1\nimport os\nassert 'LEAKED' not in os.environ\n"
    "os.environ['LEAKED'] = '1'\nfrom camtest import GlobalState\nassert GlobalState.dry_run\nprint(obsid, os.getpid())",
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    notebook_tools.write_notebook(tmp_path / "good.ipynb", PARAMETERS, "n, side")
    notebook_tools.write_notebook(tmp_path / "bad.ipynb", PARAMETERS, "1 / 0")
    notebook_tools.write_notebook(tmp_path / "flaky.ipynb", *FLAKY)
    notebook_tools.write_notebook(tmp_path / "look.ipynb", *LEAKY, kernel="camtest")
    return tmp_path


def plan(folder: Path, text: str) -> Path:
    path = folder / "plan.yaml"
    path.write_text(text)
    return path


def run(folder: Path, text: str, jobs: int = 1) -> BatchState:
    path = plan(folder, text)
    with KernelPool(jobs) as pool:
        return start_batch(*read_plan(path), path, folder / "out").run(pool)


def statuses(state: BatchState) -> list[str]:
    return [state.status_of(item) for item in state.items]


def test_everything_that_is_wrong_with_a_plan_is_told_at_once(folder: Path, core: FakeCore) -> None:
    path = plan(
        folder,
        "steps:\n"
        "- {notebook: good.ipynb, parameters: {n: two, nn: 3}, grid: {side: [E, G]}}\n"
        "- {notebook: missing.ipynb}\n"
        "- {notebook: good.ipynb, retries: 2}\n"
        "- {notebook: look.ipynb, mode: analysis, parameters: {obsid: $later.obsid}}\n",
    )
    with pytest.raises(PlanError) as info:
        read_plan(path)
    told = "\n".join(info.value.errors)
    for text in (
        "step 1 (good): int: `n` expected a whole number, got 'two'",
        "`nn` is not a parameter of this notebook. Did you mean `n`?",
        "`side` expected one of 'E', 'F', got 'G'",
        "step 2 (missing): missing.ipynb",
        "step 3 (good): retries are for steps that are safe to repeat",
        "step 4 (look): `obsid`: $later.obsid names no earlier step",
    ):
        assert text in told, told
    assert CliRunner().invoke(main, ["batch", str(path)]).exit_code == 2
    assert core.records == []
    for text in ("steps: []", "steps:\n- {notebok: good.ipynb}", "steps: 3", "- 1"):
        with pytest.raises(PlanError):
            read_plan(plan(folder, text))


def test_grid_and_values_of_yaml(folder: Path) -> None:
    _, items = read_plan(
        plan(
            folder,
            "steps:\n- {notebook: flaky.ipynb, parameters: {t: 1e3}, grid: {n: [1, 2], side: [E, F]}, repeat: 2}",
        )
    )
    assert [(i.number, i.parameters["n"], i.parameters["side"]) for i in items[:4]] == [
        (1, 1, "E"),
        (2, 1, "E"),
        (3, 1, "F"),
        (4, 1, "F"),
    ]
    assert len(items) == 8
    assert items[0].parameters["t"] == 1000.0


def test_order_failure_that_is_passed_over_and_retry(folder: Path, core: FakeCore) -> None:
    state = run(
        folder,
        "title: Checks\nsteps:\n"
        "- {notebook: bad.ipynb, on_failure: continue}\n"
        "- {notebook: flaky.ipynb, safe_to_repeat: true, retries: 2}\n"
        "- {notebook: good.ipynb, grid: {n: [5, 6]}, description: why}\n",
    )
    assert (state.status, statuses(state)) == ("failed", ["failed", "done", "done", "done"])
    assert [len(state.attempts[i.number]) for i in state.items] == [1, 2, 1, 1]
    assert [record["status"] for record in core.records] == ["failed", "failed", "done", "done", "done"]
    assert core.records[2]["details"]["continues"] == core.records[1]["obsid"]
    assert core.records[3]["function"] == 'good(n="5", side="E")'
    assert [record["description"] for record in core.records] == ["Checks", "Checks", "Checks", "why", "why"]
    assert [(r.header["source"], r.header["item"]) for r in list_runs()] == [
        ("batch", 1),
        ("batch", 2),
        ("batch", 2),
        ("batch", 3),
        ("batch", 4),
    ]
    page, junit = write_reports(state)
    for text in ("Checks", "ZeroDivisionError", "2 attempts", core.records[0]["obsid"], "n = 5"):
        assert text in page.read_text()
    suite = ElementTree.parse(junit).getroot()[0]
    assert {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4",
        "failures": "1",
        "errors": "0",
        "skipped": "0",
    }


def test_batch_that_stopped_is_resumed_there(folder: Path, core: FakeCore) -> None:
    state = run(
        folder, "steps:\n- {notebook: good.ipynb}\n- {notebook: flaky.ipynb}\n- {notebook: good.ipynb}\n"
    )
    assert (state.status, statuses(state)) == ("stopped", ["done", "failed", "not-run"])
    assert "not-run" in html_report(state)
    assert b"<skipped" in junit_report(state)
    with KernelPool(1) as pool:
        resumed = resume_batch().run(pool)
    assert (resumed.status, statuses(resumed)) == ("done", ["done"] * 3)
    assert [record["status"] for record in core.records] == ["done", "failed", "done", "done"]
    assert core.records[2]["details"]["continues"] == core.records[1]["obsid"]
    with pytest.raises(BatchError, match="complete"):
        resume_batch()
    assert read_batch().status == "done"


def test_pooled_runs_are_fresh_and_command_nothing(folder: Path, core: FakeCore) -> None:
    text = (
        "steps:\n"
        "- {name: first, notebook: good.ipynb}\n"
        "- {notebook: look.ipynb, mode: analysis, parameters: {obsid: $first.obsid}, repeat: 3}\n"
        "- {notebook: look.ipynb, mode: dry-run, repeat: 2}\n"
    )
    state = run(folder, text)
    assert (state.status, statuses(state)) == ("done", ["done"] * 6), html_report(state)
    assert len(core.records) == 1
    cells = [json.loads(Path(state.attempts[n][-1].notebook).read_text())["cells"][-1] for n in (2, 3, 4)]
    texts = {notebook_tools.printed(cell) for cell in cells}
    assert len(texts) == 1, "one kernel did all of it"
    assert texts.pop().startswith(core.last["obsid"])
    assert state.attempts[5][-1].commands == 0


def test_estimate_refuses_a_plan_whose_dry_run_fails(folder: Path, core: FakeCore) -> None:
    path = plan(
        folder,
        "steps:\n- {notebook: good.ipynb, kernel: camtest}\n- {notebook: bad.ipynb, kernel: camtest}\n",
    )
    result = CliRunner().invoke(
        main, ["batch", str(path), "--estimate", "--output-dir", str(folder / "out"), "-j", "1"]
    )
    assert result.exit_code == 1
    assert "the dry run fails, nothing was started" in result.output
    assert "ZeroDivisionError" in result.output
    assert core.records == []


KILLED = """\
import os, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from camtest.run.batch import start_batch
from camtest.run.plan import read_plan
from camtest.run.pool import KernelPool
from camtest.core import services
import importlib.util
spec = importlib.util.spec_from_file_location("fake", {conftest!r})
fake = importlib.util.module_from_spec(spec); spec.loader.exec_module(fake)
core = fake.FakeCore(Path({folder!r}))
services.configuration_manager = services.storage_manager = lambda timeout=10.0: core
path = Path({folder!r}) / "plan.yaml"
with KernelPool(1) as pool:
    start_batch(*read_plan(path), path, Path({folder!r}) / "out").run(pool)
"""


def test_killed_batch_resumes_at_its_item(folder: Path, core: FakeCore) -> None:
    slow = "import os, pathlib, time\nif not pathlib.Path('again').exists():\n    print('here', flush=True)\n    pathlib.Path('running').touch()\n    time.sleep(60)"
    notebook_tools.write_notebook(folder / "slow.ipynb", slow)
    plan(folder, "steps:\n- {notebook: good.ipynb}\n- {notebook: slow.ipynb}\n- {notebook: good.ipynb}\n")
    conftest = Path(__file__).parents[1] / "conftest.py"
    code = KILLED.format(tests=str(conftest.parent), conftest=str(conftest), folder=str(folder))
    process = subprocess.Popen([sys.executable, "-c", code], env=os.environ)
    deadline = time.monotonic() + 240
    while not any(b'"text":"here' in run.path.read_bytes() for run in list_runs()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (folder / "again").touch()
    assert statuses(read_batch()) == ["done", "interrupted", "not-run"]
    with KernelPool(1) as pool:
        resumed = resume_batch().run(pool)
    assert (resumed.status, statuses(resumed)) == ("done", ["done"] * 3)
    assert [len(resumed.attempts[n]) for n in (1, 2, 3)] == [1, 2, 1]
    assert core.records[0]["details"]["continues"] == resumed.attempts[2][0].obsid
    lost: Any = min((r for r in list_runs() if r.header["name"] == "slow"), key=lambda r: r.header["t"])
    assert lost.status == "interrupted"
    assert "here" in Path(lost.header["output"]).read_text()


def test_signal_interrupts_the_batch(folder: Path, core: FakeCore) -> None:
    notebook_tools.write_notebook(
        folder / "end.ipynb",
        "import os, signal\nos.kill(os.getppid(), signal.SIGTERM)\nimport time\ntime.sleep(30)",
    )
    state = run(folder, "on_failure: continue\nsteps:\n- {notebook: end.ipynb}\n- {notebook: good.ipynb}\n")
    assert (state.status, statuses(state)) == ("interrupted", ["interrupted", "not-run"])
    assert [record["status"] for record in core.records] == ["interrupted"]


def forget(path: Path, *kinds: str) -> None:
    """Takes the last lines of a record away, as if its writer had been killed before it wrote them."""
    lines = path.read_bytes().splitlines(keepends=True)
    while json.loads(lines[-1])["kind"] in kinds:
        lines.pop()
    path.write_bytes(b"".join(lines))


@pytest.mark.parametrize("kinds", [("state", "finished"), ("state", "finished", "started")])
def test_what_was_done_when_the_batch_was_killed_is_not_done_again(
    folder: Path, core: FakeCore, kinds: tuple[str, ...]
) -> None:
    state = run(folder, "steps:\n- {notebook: good.ipynb}\n- {notebook: good.ipynb, parameters: {n: 2}}\n")
    before = state.attempts[2][0]
    forget(runs_location() / f"{state.batch_id}.batch.jsonl", *kinds)
    assert statuses(read_batch()) == ["done", "interrupted"]
    if len(kinds) == 3:  # nor has the record of the run its end
        forget(runs_location() / f"{before.run_id}.run.jsonl", "end")
    with KernelPool(1) as pool:
        resumed = resume_batch().run(pool)
    assert (resumed.status, statuses(resumed)) == ("done", ["done", "done"])
    assert [record["status"] for record in core.records] == ["done", "done"]
    (attempt,) = resumed.attempts[2]
    assert (attempt.obsid, attempt.notebook) == (before.obsid, before.notebook)


def test_signal_while_an_observation_is_closed_ends_the_batch_after_it(
    folder: Path, core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = core.end_observation

    def ending(run_id: str, status: str, reason: str = "") -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        return end(run_id, status, reason)

    monkeypatch.setattr(core, "end_observation", ending)
    state = run(folder, "steps:\n- {notebook: good.ipynb}\n- {notebook: good.ipynb}\n")
    assert (state.status, statuses(state)) == ("interrupted", ["done", "not-run"])


def test_signal_before_the_first_cell_ends_the_run(
    folder: Path, core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = core.start_observation

    def starting(**given: Any) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGTERM)
        return start(**given)

    monkeypatch.setattr(core, "start_observation", starting)
    state = run(folder, "steps:\n- {notebook: flaky.ipynb}\n- {notebook: good.ipynb}\n")
    assert (state.status, statuses(state)) == ("interrupted", ["interrupted", "not-run"])
    assert not (folder / "tried").exists()
