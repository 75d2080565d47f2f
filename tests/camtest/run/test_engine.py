"""Each way a run can end: true statuses of cells and observation, nothing left running."""

from __future__ import annotations

import errno
import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import psutil
import pytest

from camtest.run.engine import RunError, RunResult
from camtest.run.journal import list_runs
from camtest.run.notebooks import write_notebook
from camtest.run.parameters import ParameterError
from camtest.run.runner import run_notebook
from egse.storage import StorageFullError

from . import notebook_tools

if TYPE_CHECKING:
    from conftest import FakeCore

PARAMETERS = "# parameters\nn: int = 1  # how many\nlabel: str = None"
SLOW = """\
import pathlib, time
pathlib.Path("running").touch()
try:
    print("before", flush=True)
    time.sleep(60)
finally:
    pathlib.Path("finally").touch()
"""


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Any:
    before = psutil.Process().children(recursive=True)  # of the session's sandbox
    yield
    assert [child for child in psutil.Process().children(recursive=True) if child not in before] == []


def run(folder: Path, *cells: str, **options: Any) -> RunResult:
    path = notebook_tools.write_notebook(folder / "my-procedure.ipynb", *cells)
    options.setdefault("output_dir", folder / "out")
    return run_notebook(path, options.pop("parameters", None), **options)


def executed(result: RunResult) -> nbformat.NotebookNode:
    assert result.notebook is not None
    return nbformat.read(result.notebook, as_version=4)


def statuses(result: RunResult) -> tuple[list[str], list[str]]:
    cells = [cell for cell in executed(result).cells if cell.cell_type == "code"]
    return [c.metadata.camtest.status for c in cells], [c.metadata.papermill.status for c in cells]


def when_running(folder: Path, act: Any) -> threading.Thread:
    """Calls `act` once the slow cell runs."""

    def wait() -> None:
        for _ in range(12000):
            if (folder / "running").exists():
                time.sleep(0.2)  # into the sleep of the cell
                act()
                return
            time.sleep(0.01)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_done(core: FakeCore, tmp_path: Path) -> None:
    seen: list[tuple[Any, ...]] = []
    started: list[str] = []
    result = run(
        tmp_path,
        "## Preparation",
        PARAMETERS,
        "from camtest import building_block, current_obsid, execute\n"
        "@building_block\ndef note(value: int) -> int:\n    return value\n"
        "note(value=n)\nexecute(note, value=n + 1)\nprint(current_obsid(), label)",
        parameters={"label": "x", "n": 3},
        report=lambda *about: seen.append(about),
        on_start=started.append,
        description="a run",
    )
    assert (result.status, result.exit_code, result.problems) == ("done", 0, [])
    assert started == [result.obsid] == [core.last["obsid"]]
    assert core.last["status"] == "done"
    assert core.last["supervised"] is True
    assert core.last["function"] == 'my_procedure(n="3", label="x")'
    assert core.last["description"] == "a run"
    assert statuses(result) == (["passed"] * 3, ["completed"] * 3)
    assert notebook_tools.printed(executed(result).cells[-1]) == f"{result.obsid} x\n"
    assert executed(result).metadata.camtest.status == "done"
    assert [about[3] for about in seen] == ["running", "passed"] * 3
    assert seen[0][2] == "Preparation"
    # Blocks of the kernel and cells of the runner in one list of events, in order.
    kinds = core.kinds()
    assert kinds[0] == "observation-start"
    assert kinds[-1] == "observation-end"
    assert kinds.count("start") == kinds.count("end") == 2
    assert kinds.count("cell-start") == kinds.count("cell-end") == 3
    assert kinds.index("start") > kinds.index("cell-start")
    assert list(Path(os.environ["CAMTEST_SPOOL_LOCATION"]).iterdir()) == []


def test_record_of_a_run(core: FakeCore, tmp_path: Path) -> None:
    run(tmp_path, PARAMETERS, "n", parameters={"label": "x"})
    assert set(core.files) == {
        *("my-procedure_input.ipynb", "my-procedure.ipynb"),
        *("parameters.json", "versions.json"),
    }
    assert core.files["my-procedure_input.ipynb"] == (tmp_path / "my-procedure.ipynb").read_bytes()
    stored = nbformat.reads(core.files["my-procedure.ipynb"].decode(), as_version=4)
    assert stored.metadata.camtest.status == "done"
    assert stored.metadata.camtest.obsid == core.last["obsid"]
    assert json.loads(core.files["parameters.json"]) == {
        "parameters": {"n": 1, "label": "x"},
        "given": {"label": "x"},
    }
    versions = json.loads(core.files["versions.json"])
    assert versions["packages"]["papermill"]


def test_wrong_parameters_start_nothing(core: FakeCore, tmp_path: Path) -> None:
    with pytest.raises(ParameterError) as info:
        run(tmp_path, PARAMETERS, "n", parameters={"n": "two", "m": 1})
    assert len(info.value.errors) == 3
    assert core.records == []
    assert not (tmp_path / "out").exists()


def test_without_configuration_manager_nothing_starts(core: FakeCore, tmp_path: Path) -> None:
    core.away = True
    with pytest.raises(RunError, match=r"my-procedure.ipynb was not started.*configuration manager"):
        run(tmp_path, "1")
    assert not (tmp_path / "out").exists()


def test_while_another_observation_runs_nothing_starts(core: FakeCore, tmp_path: Path) -> None:
    core.start_observation(run_id="theirs")
    with pytest.raises(RunError, match=r"not started: an observation is running: CSL1_00007_00001"):
        run(tmp_path, "1")


def test_cell_raises(core: FakeCore, tmp_path: Path) -> None:
    result = run(tmp_path, "1", "raise ValueError('no light')", "3")
    assert (result.status, result.exit_code) == ("failed", 1)
    assert core.last["reason"] == "ValueError: no light"
    assert statuses(result) == (["passed", "failed", "not-run"], ["completed", "failed", "pending"])
    assert core.kinds()[-1] == "observation-end"


def test_abort(core: FakeCore, tmp_path: Path) -> None:
    result = run(tmp_path, "from camtest import Abort\nraise Abort('TRP1 is busy')", "2")
    assert (result.status, result.exit_code) == ("aborted", 3)
    assert core.last["reason"] == "TRP1 is busy"
    assert statuses(result)[0] == ["failed", "not-run"]


def test_kernel_killed(core: FakeCore, tmp_path: Path) -> None:
    began = time.monotonic()
    result = run(tmp_path, "1", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "3")
    assert (result.status, result.exit_code) == ("kernel-lost", 138)
    assert time.monotonic() - began < 15
    assert statuses(result) == (
        ["passed", "kernel-lost", "not-run"],
        ["completed", "failed", "pending"],
    )
    assert core.last["status"] == "kernel-lost"
    assert "my-procedure.ipynb" in core.files


def test_time_limit_of_a_cell(core: FakeCore, tmp_path: Path) -> None:
    result = run(tmp_path, SLOW, "2", cell_timeout=1)
    assert result.status == "failed"
    assert "longer than 1 s" in result.reason
    assert (tmp_path / "finally").exists()
    assert statuses(result)[0] == ["failed", "not-run"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt(core: FakeCore, tmp_path: Path, number: signal.Signals) -> None:
    thread = when_running(tmp_path, lambda: os.kill(os.getpid(), number))
    result = run(tmp_path, "1", SLOW, "3")
    thread.join()
    assert (result.status, result.exit_code) == ("interrupted", 130)
    assert number.name in result.reason
    assert (tmp_path / "finally").exists(), "the kernel did not run its `finally`"
    assert statuses(result)[0] == ["passed", "interrupted", "not-run"]
    assert notebook_tools.printed(executed(result).cells[1]) == "before\n", (
        "output before the interrupt is lost"
    )
    assert core.last["status"] == "interrupted"


def test_interrupt_that_the_cell_swallows_ends_the_run(core: FakeCore, tmp_path: Path) -> None:
    swallow = SLOW.replace("finally:", "except KeyboardInterrupt:")
    thread = when_running(tmp_path, lambda: os.kill(os.getpid(), signal.SIGTERM))
    result = run(tmp_path, swallow, "2")
    thread.join()
    assert result.status == "interrupted"
    assert statuses(result)[0] == ["passed", "not-run"]


def test_second_signal_ends_a_cell_that_ignores_the_first(core: FakeCore, tmp_path: Path) -> None:
    stubborn = """\
import pathlib, time
def wait():
    pathlib.Path("running").touch()
    while True:
        try:
            time.sleep(60)
        except KeyboardInterrupt:
            pass
wait()
"""

    def twice() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)

    thread = when_running(tmp_path, twice)
    result = run(tmp_path, stubborn, "2")
    thread.join()
    assert result.status == "interrupted"
    assert statuses(result)[0] == ["interrupted", "not-run"]


def test_kernel_that_does_not_start(core: FakeCore, tmp_path: Path) -> None:
    result = run(tmp_path, "1", kernel_name="no-such-kernel")
    assert result.status == "failed"
    assert "no-such-kernel" in result.reason
    assert core.last["status"] == "failed"


def test_interrupted_in_the_kernel_itself(core: FakeCore, tmp_path: Path) -> None:
    result = run(tmp_path, "raise KeyboardInterrupt")
    assert result.status == "interrupted"


def test_files_that_cannot_be_stored_are_told(core: FakeCore, tmp_path: Path) -> None:
    def full(run_id: str, name: str, data: bytes) -> str:
        raise OSError("no space left on device")

    core.add_file = full  # type: ignore[method-assign]
    result = run(tmp_path, "1")
    assert result.status == "done"
    assert result.exit_code == 1
    assert len(result.problems) == 4
    assert "no space left" in result.problems[0]
    assert core.last["status"] == "done"


def test_signals_are_given_back(core: FakeCore, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    run(tmp_path, "1")
    assert signal.getsignal(signal.SIGTERM) is before


def test_lost_observation_ends_the_run(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("camtest.run.engine.supervised_lease", lambda: 1.0)
    thread = when_running(tmp_path, lambda: core.end_observation(core.last["run_id"], "orphaned"))
    result = run(tmp_path, SLOW, "2")
    thread.join()
    assert result.status == "interrupted"
    assert "the observation is over" in result.reason
    assert (tmp_path / "finally").exists()
    assert statuses(result)[0] == ["interrupted", "not-run"]


def test_lean_cells_cost_little(core: FakeCore, tmp_path: Path) -> None:
    result = run(tmp_path, *(["## Text", "1"] * 20))
    assert result.status == "done"
    assert statuses(result)[0] == ["passed"] * 20


@pytest.mark.parametrize("where", ["file", "end"])
def test_a_full_disk_is_waited_for(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Nothing that was measured is lost, because the disk is full when the run ends."""
    if where == "file":
        name, of = "add_file", "my-procedure_input.ipynb"
    else:
        name, of = "end_observation", ""
    original = getattr(core, name)
    refused: list[str] = []

    def full_first(**given: Any) -> Any:
        if of in given.get("name", "") and len(refused) < 2:
            refused.append(name)
            raise StorageFullError("the data disk is full")
        return original(**given)

    monkeypatch.setattr(core, name, full_first)
    result = run(tmp_path, "print(2)")
    assert (result.status, result.problems, len(refused)) == ("done", [], 2)
    assert {"my-procedure_input.ipynb", "my-procedure.ipynb", "parameters.json"} <= core.files.keys()
    assert core.last["status"] == "done"
    assert "the data disk is full" in next(iter(list_runs())).path.read_text()


def test_an_observation_that_cannot_be_closed_is_let_go(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease is not renewed any more, so that the configuration manager ends it and others can go on."""

    def broken(**given: Any) -> Any:
        raise OSError("the record cannot be written")

    with monkeypatch.context() as patch:
        patch.setattr(core, "end_observation", broken)
        result = run(tmp_path, "print(2)")
    assert result.exit_code == 1
    assert "could not be closed as done" in result.problems[0]
    assert "observation-lease" not in {thread.name for thread in threading.enumerate()}
    core.end_observation(core.last["run_id"], "interrupted")


def test_no_room_for_the_notebook_does_not_end_a_run(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any, durable: bool) -> None:
        if not durable:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_notebook(*arguments, durable=durable)

    monkeypatch.setattr("camtest.run.manager.write_notebook", full)
    result = run(tmp_path, "1", "print(2)")
    assert (result.status, result.problems) == ("done", [])
    assert statuses(result)[0] == ["passed", "passed"]
