"""A cell that fails in a run that is held: executed again, left behind, or given up, while the kernel lives."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import psutil
import pytest

from camtest.run import verbs as module
from camtest.run.engine import RunResult
from camtest.run.interrupts import Interrupts
from camtest.run.journal import find_run, follow
from camtest.run.runner import run_notebook
from egse.confman.desk import VerbRequest

from . import notebook_tools

if TYPE_CHECKING:
    from conftest import FakeCore

FIRST = "import pathlib\nseen = []\npathlib.Path('kernel.pid').write_text(str(__import__('os').getpid()))"
FRAGILE = "seen.append('tried')\nassert pathlib.Path('repaired').exists(), 'it is broken'"
LAST = "print(len(seen))"


def run(folder: Path, *cells: str, **options: Any) -> RunResult:
    path = notebook_tools.write_notebook(folder / "procedure.ipynb", *cells)
    return run_notebook(path, output_dir=folder / "out", **options)


def cells_of(result: RunResult) -> list[Any]:
    assert result.notebook is not None
    return [cell for cell in nbformat.read(result.notebook, as_version=4).cells if cell.cell_type == "code"]


def when_held(core: FakeCore, act: Callable[[], Any]) -> threading.Thread:
    def wait() -> None:
        deadline = time.monotonic() + 120
        while core.running is None or core.desk.look()["state"] != "held":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        act()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_retry_after_a_repair(core: FakeCore, tmp_path: Path) -> None:
    def repair() -> None:
        (tmp_path / "repaired").touch()
        core.give_verb("retry", reason="repaired", by="op@console:1")

    operator = when_held(core, repair)
    result = run(tmp_path, FIRST, FRAGILE, LAST, hold=100)
    operator.join()
    assert (result.status, result.exit_code) == ("done", 0)
    _, fragile, last = cells_of(result)
    assert (fragile.metadata.camtest.status, fragile.metadata.camtest.attempts) == ("passed", 2)
    assert fragile.outputs == []
    assert notebook_tools.printed(last) == "2\n", "the kernel has kept what it knew"
    (held,) = [event for event in core.events if event["event"] == "held"]
    assert (held["cell"], held["error"]) == (2, "AssertionError: it is broken")
    (decided,) = [event for event in core.events if event["event"] == "decided"]
    assert (decided["decision"], decided["by"], decided["reason"]) == ("retry", "op@console:1", "repaired")
    ended = [(e["cell"], e["status"]) for e in core.events if e["event"] == "cell-end"]
    assert ended == [(1, "passed"), (2, "failed"), (2, "passed"), (3, "passed")]
    states = [e["status"] for e in follow(find_run(result.run_id).path, wait=False) if e["kind"] == "state"]
    assert states == ["running", "held", "running"]


def test_going_on_after_it_or_not_in_time(core: FakeCore, tmp_path: Path) -> None:
    operator = when_held(core, lambda: core.give_verb("continue"))
    result = run(tmp_path, FIRST, FRAGILE, LAST, hold=100)
    operator.join()
    assert result.status == "done"
    assert [cell.metadata.camtest.status for cell in cells_of(result)] == ["passed", "failed", "passed"]
    result = run(tmp_path, FIRST, FRAGILE, LAST, hold=0.1)
    assert (result.status, result.reason) == ("failed", "AssertionError: it is broken")
    assert [cell.metadata.camtest.status for cell in cells_of(result)] == ["passed", "failed", "not-run"]


@pytest.mark.parametrize(
    ("what", "status"),
    [("abort", "aborted"), ("stop", "failed"), ("kill", "kernel-lost"), ("term", "failed")],
)
def test_what_ends_a_run_that_is_held(core: FakeCore, tmp_path: Path, what: str, status: str) -> None:
    def act() -> None:
        if what == "kill":
            os.kill(int((tmp_path / "kernel.pid").read_text()), signal.SIGKILL)
        elif what == "term":
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            core.give_verb(what)

    before = psutil.Process().children()
    operator = when_held(core, act)
    result = run(tmp_path, FIRST, FRAGILE, LAST, hold=100)
    operator.join()
    assert result.status == status
    assert core.last["status"] == status
    assert [child for child in psutil.Process().children() if child not in before] == []


def test_a_run_that_nobody_attends_is_not_held(
    core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTEST_HOLD", "100")
    show = "print(__import__('os').environ['CAMTEST_HOLD'])\n1 / 0"
    result = run(tmp_path, show, about={"source": "batch"})
    assert result.status == "failed"
    assert notebook_tools.printed(cells_of(result)[0]) == "0\n"


class Handle:
    """What `obey_verbs` knows of an observation."""

    state = "making-safe"

    def when_verb(self, request: VerbRequest) -> None: ...


def test_a_kernel_that_makes_safe_is_not_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OBEDIENCE", 0.02)
    stopped = threading.Event()

    class Watched(Interrupts):
        def stop(self, reason: str) -> None:
            stopped.set()

    handle = Handle()
    module.obey_verbs(handle, Watched())  # type: ignore[arg-type]
    handle.when_verb(VerbRequest(number=1, verb="abort", reason="", by="op", at=""))
    assert not stopped.wait(0.3)
    handle.state = "ending"
    assert stopped.wait(30)
