"""Two operators at once: one commands, the other reads, watches, lines up procedures, decides. Real core services."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sysconfig
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest

from camtest.run.queue import Queue
from egse.archive import Observation
from egse.confman import ConfigurationManagerProxy
from egse.site.ports import release_block
from egse.site.sandbox import Sandbox

pytestmark = pytest.mark.system

CAMTEST = str(Path(sysconfig.get_path("scripts")) / "camtest")

BLOCKS = """\
import pathlib
from camtest import building_block

@building_block
def prepare(level: int) -> None:
    print("prepared", level)

@building_block
def expose(time: float) -> float:
    print("exposing")
    if not pathlib.Path("repaired").exists():
        raise OSError("the shutter sticks")
    return time
"""
WORK = """\
prepare(level=1)
took = expose(time=2.5)
print("took", took)
"""
SHORT = "print('second procedure')"


class Operator:
    """Somebody at a terminal: each command is a process in a session of its own."""

    def __init__(self, sandbox: Sandbox, folder: Path, name: str) -> None:
        self.folder = folder
        self.environment = {**sandbox.environ(), "USER": name, "LOGNAME": name, "COLUMNS": "250"}
        self.started: list[subprocess.Popen[str]] = []

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [CAMTEST, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.started.append(process)
        return process

    def does(self, *arguments: object, code: int = 0) -> str:
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=400)
        assert process.returncode == code, output
        return output

    def close(self) -> None:
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def eventually(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 240
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("two") / "box"
    with Sandbox(folder, only_core=True) as sandbox, sandbox.joined():
        with ConfigurationManagerProxy() as manager:
            manager.load_setup(1)
        yield sandbox
    release_block(folder)


@pytest.fixture
def operators(site: Sandbox, tmp_path: Path) -> Iterator[tuple[Operator, Operator]]:
    pair = Operator(site, tmp_path, "anna"), Operator(site, tmp_path, "ben")
    yield pair
    for one in pair:
        one.close()
    for process in psutil.process_iter(["cmdline"]):  # the worker of the queue, when a test has failed
        if str(tmp_path) in " ".join(process.info["cmdline"] or ()) and process.pid != os.getpid():
            process.kill()


def write(path: Path, *sources: str) -> Path:
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    spec = {"name": "camtest", "display_name": "camtest", "language": "python"}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)
    return path


class Reader(threading.Thread):
    """Reads what a program prints, as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        super().__init__(daemon=True)
        self.process = process
        self.text = ""
        self.start()

    def run(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.text += line


def last() -> dict[str, Any]:
    with ConfigurationManagerProxy() as manager:
        return dict(manager.list_observations(last=1)[0])


@pytest.mark.timeout(900)  # many processes one after the other, on a machine that may be busy
def test_one_commands_the_other_reads_watches_and_queues(
    operators: tuple[Operator, Operator], tmp_path: Path
) -> None:
    anna, ben = operators
    procedure = write(tmp_path / "procedure.ipynb", BLOCKS, WORK)
    second = write(tmp_path / "second.ipynb", SHORT)
    states = Reader(ben.start("desk", "--follow"))
    running = anna.start("run", procedure, "--hold", 3000)
    held = eventually(lambda: "held" in states.text, "the failure")
    assert held
    obsid = last()["obsid"]

    # Ben reads and watches: nothing of it disturbs Anna.
    viewer = Reader(ben.start("attach", obsid))
    shown = ben.does("desk")
    assert f"{obsid}: held (expose: OSError: the shutter sticks)" in shown
    assert "held" in ben.does("runs")
    eventually(lambda: "exposing" in viewer.text and "held" in viewer.text, "what the viewer shows")

    # He cannot start anything meanwhile, but line it up.
    refusal = ben.does("run", second, code=1)
    assert f"an observation is running: obsid {obsid}, started by anna@" in refusal
    assert "second.ipynb waits" in ben.does("queue", "add", second)
    queued = json.loads(ben.does("queue", "list", "--json"))
    assert [(entry["status"], entry["by"].partition("@")[0]) for entry in queued["items"]] in (
        [("waiting", "ben")],
        [("running", "ben")],  # taken by the worker, which waits for its turn
    )
    assert last()["obsid"] == obsid

    # Anna looks at the shutter, Ben tells the procedure to go on.
    (tmp_path / "repaired").touch()
    ben.does("decide", "retry", "-m", "shutter freed by hand")
    output, _ = running.communicate(timeout=400)
    assert running.returncode == 0, output
    observation = eventually(lambda: Observation(obsid) if Observation(obsid).manifest else None, "the seal")
    assert observation.status == "done"
    calls = [(e["event"], e["block"].rpartition(".")[2]) for e in observation.events if e.get("call")]
    assert calls == [
        *(("start", "prepare"), ("end", "prepare")),
        *(("start", "expose"), ("failed", "expose")),
        *(("start", "expose"), ("end", "expose")),
    ]
    (decided,) = [event for event in observation.events if event["event"] == "decided"]
    assert (decided["decision"], decided["reason"]) == ("retry", "shutter freed by hand")
    assert decided["by"].startswith("ben@")
    eventually(lambda: viewer.process.poll() is not None, "the end of the viewer")
    viewer.join(10)
    assert "took 2.5" in viewer.text
    assert viewer.text.rstrip().endswith("done")

    # It is the turn of Ben's procedure; whoever follows the desk has seen all of it.
    eventually(lambda: last()["obsid"] != obsid and last()["state"] == "closed", "Ben's procedure")
    assert (last()["function"], last()["status"]) == ("second()", "done")
    eventually(lambda: not Queue().state().worker, "the end of the worker")
    eventually(lambda: states.text.count('"over"') == 2, "the end of both on the desk")
    states.process.send_signal(signal.SIGINT)
    states.join(10)
    seen = [json.loads(line) for line in states.text.splitlines()]
    mine = [event["state"] for event in seen if event["obsid"] == obsid and event["event"] == "state"]
    assert mine[0] == "running"
    assert mine[-1] == "over"
    assert [state for state in mine if state == "held"] == ["held"]
    (verb,) = [event for event in seen if event["event"] == "verb"]
    assert (verb["obsid"], verb["verb"], verb["reason"]) == (obsid, "retry", "shutter freed by hand")
    assert (seen[-1]["status"], seen[-1]["state"]) == ("done", "over")
