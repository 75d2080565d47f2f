"""The queue: operators fill and change it while its worker runs one procedure after the other."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from camtest.cli import main
from camtest.run.attempts import Attempt
from camtest.run.journal import list_runs
from camtest.run.parameters import ParameterError
from camtest.run.queue import Queue, QueueError
from camtest.run.worker import work

from . import notebook_tools

if TYPE_CHECKING:
    from conftest import FakeCore


@pytest.fixture
def notebook(tmp_path: Path) -> Path:
    path: Path = notebook_tools.write_notebook(tmp_path / "it.ipynb", "# parameters\nn: int = 1", "1 // n")
    return path


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_operations(notebook: Path) -> None:
    queue = Queue()
    assert [queue.add(notebook, {"n": n}) for n in (1, 2, 3)] == [1, 2, 3]
    assert queue.add(notebook, {"n": 4}, first=True) == 4
    assert queue.state().waiting == [4, 1, 2, 3]
    queue.move(3, 1)
    queue.move(4, 99)
    queue.remove(1)
    assert queue.state().waiting == [3, 2, 4]
    with pytest.raises(QueueError, match="1 does not wait in the queue: it is removed"):
        queue.move(1, 1)
    with pytest.raises(ParameterError, match="expected a whole number"):
        queue.add(notebook, {"n": "x"})
    assert Queue().state().waiting == [3, 2, 4]
    with queue.path.open("ab") as file:
        file.write(b'{"operation": "rem')  # the disk was full
    assert queue.add(notebook, {}) == 5
    assert queue.state().waiting == [3, 2, 4, 5]
    assert (queue.path.stat().st_mode & 0o777) == 0o640


def test_many_operators_at_once(notebook: Path) -> None:
    threads = [
        threading.Thread(target=lambda: [Queue().add(notebook, {}) for _ in range(5)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Queue().state().waiting == list(range(1, 21))


def test_item_of_a_worker_that_was_killed_pauses_the_queue(notebook: Path, core: FakeCore) -> None:
    queue = Queue()
    queue.add(notebook, {})
    queue.add(notebook, {})
    taken = queue.take()
    assert taken is not None
    assert taken.number == 1
    assert queue.settle() == [1]
    state = queue.state()
    assert (state.status, state.items[1].status, state.waiting) == ("paused", "interrupted", [2])
    assert "worker was killed" in state.reason
    assert queue.take() is None
    queue.finish(1, Attempt(status="done"))


def test_worker_runs_what_there_is_and_pauses_at_a_failure(
    notebook: Path, core: FakeCore, tmp_path: Path
) -> None:
    queue = Queue()
    for n in (1, 0, 2):
        queue.add(notebook, {"n": n})
    core.start_observation(run_id="theirs")  # somebody works at a prompt: the queue waits
    thread = threading.Thread(target=work, args=(queue, tmp_path / "out"))
    thread.start()
    try:
        eventually(lambda: queue.state().running is not None)
        with queue.working() as mine:
            assert not mine, "there is one worker only"
        core.end_observation("theirs", "done")
        eventually(lambda: queue.state().status == "paused")
        assert [record["status"] for record in core.records[1:]] == ["done", "failed"]
        assert queue.state().waiting == [3]
        assert "ZeroDivisionError" in queue.state().reason
        number = queue.add(notebook, {"n": 3}, first=True)
        queue.set_status("running")
        eventually(lambda: not queue.state().worker)
    finally:
        queue.set_status("stopped")
        thread.join(30)
    state = queue.state()
    assert [state.items[n].status for n in (1, 2, 3, number)] == ["done", "failed", "done", "done"]
    assert [run.header["item"] for run in list_runs()] == [1, 2, number, 3]
    assert {run.header["source"] for run in list_runs()} == {"queue"}


def test_command_line(notebook: Path, core: FakeCore) -> None:
    def camtest(*arguments: str) -> str:
        result = CliRunner().invoke(main, ["queue", *arguments])
        assert result.exit_code == 0, result.output
        return result.output

    assert "1: it.ipynb waits" in camtest("add", str(notebook), "-p", "n", "7", "--no-start")
    camtest("add", str(notebook), "--no-start")
    camtest("move", "2", "1")
    camtest("pause", "--reason", "lunch")
    assert "The queue is paused (lunch)" in camtest("add", str(notebook))
    shown = json.loads(camtest("list", "--json"))
    assert (shown["status"], shown["reason"], shown["worker"]) == ("paused", "lunch", False)
    assert [row["number"] for row in shown["items"]] == [2, 1, 3]
    camtest("remove", "2")
    camtest("stop")
    assert "1  waiting  it(n=7)" in camtest("list")
    assert CliRunner().invoke(main, ["queue", "remove", "9"]).exit_code == 1
    wrong = CliRunner().invoke(main, ["queue", "add", str(notebook), "-p", "m", "7"])
    assert wrong.exit_code == 2
    assert os.environ["CAMTEST_SPOOL_LOCATION"] in str(Queue().path.parent.parent / "spool")
