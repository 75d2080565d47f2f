"""Verbs from another process, and the watchdog: real core services, real clients that are killed or do not listen."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from camtest.core.watchdog import process_has_ended
from egse.archive import Observation
from egse.confman import ConfigurationManagerProxy
from egse.settings import Settings
from egse.setup import Setup
from egse.site.ports import release_block
from egse.site.sandbox import Sandbox

pytestmark = pytest.mark.system

CAMTEST = str(Path(sysconfig.get_path("scripts")) / "camtest")

BLOCKS = """
import time
from pathlib import Path
from camtest import GlobalState, building_block, on_abort

TRACE = Path(__file__).with_name("trace.txt")

def note(text):
    with TRACE.open("a") as file:
        file.write(text + "\\n")

@building_block
def lamp_off(level: int) -> None:
    note(f"lamp off {level}")

@building_block
def to_safe() -> None:
    note("safe state")

@building_block
@on_abort(safe=lamp_off, level=0)
def listening() -> None:
    note("listening")
    for _ in range(600):
        GlobalState.clock.sleep(1.0)

@building_block
@on_abort(safe=lamp_off, level=1)
def deaf() -> None:
    note("deaf")
    time.sleep(600)

@building_block
def idle() -> None:
    note("idle")
"""

CLIENT = """
import sys, time
import bench_blocks
from camtest import start_observation
start_observation(sys.argv[1])
getattr(bench_blocks, sys.argv[1])()
time.sleep(600)
"""


class Bench:
    """A site with core services only, a folder with building blocks, and clients at a prompt."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder
        self.trace = folder / "trace.txt"
        self.environment = {**sandbox.environ(), "CAMTEST_SPOOL_LOCATION": str(folder / "spool")}
        self.clients: list[subprocess.Popen[str]] = []

    def traced(self) -> list[str]:
        return self.trace.read_text().splitlines() if self.trace.exists() else []

    def client(self, block: str) -> subprocess.Popen[str]:
        """Starts a client that executes a building block, and waits until it does."""
        self.trace.unlink(missing_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, block],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.clients.append(process)
        eventually(lambda: self.traced() or process.poll() is not None, "the client")
        assert self.traced() == [block], process.communicate()[1]
        return process

    def camtest(self, *arguments: str) -> str:
        done = subprocess.run(
            [CAMTEST, *arguments], env=self.environment, capture_output=True, text=True, timeout=90
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def last(self) -> dict[str, Any]:
        with ConfigurationManagerProxy() as manager:
            return dict(manager.list_observations(last=1)[0])

    def closed(self) -> dict[str, Any]:
        eventually(lambda: self.last()["state"] == "closed", "the end of the observation")
        return self.last()

    def close(self) -> None:
        for process in self.clients:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def eventually(condition: Callable[[], Any], what: str, timeout: float = 180.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("watchdog")
    (folder / "bench_blocks.py").write_text(BLOCKS)
    sandbox = Sandbox(folder / "box", only_core=True, seed=1)
    layout = sandbox.create()
    (path,) = layout.conf.glob("SETUP_*.yaml")
    setup = Setup.from_yaml_file(path)
    setup["camtest"] = {"safe_state": "bench_blocks.to_safe", "on_lost_session": "safe_state"}
    with Path(sandbox.env["PLATO_LOCAL_SETTINGS"]).open("a") as file:
        file.write("\nTRUSTED_PACKAGES: [bench_blocks]\n")
    settings = Path(sandbox.env["PLATO_LOCAL_SETTINGS"])
    settings.write_text(
        settings.read_text().replace("Watchdog Control Server:", "Watchdog Control Server:\n  OBEDIENCE: 1.5")
    )
    with sandbox, sandbox.joined():
        Settings.load(force=True)
        with ConfigurationManagerProxy() as manager:
            manager.submit_setup(yaml=setup.to_yaml_string(), description="a safe state for the tests")
        running = Bench(sandbox, folder)
        yield running
        running.close()
    Settings.load(force=True)
    release_block(folder / "box")


def kinds(observation: dict[str, Any]) -> list[str]:
    events = Observation(observation["obsid"]).events
    return [event["event"] for event in events]


def test_abort_from_another_process(bench: Bench) -> None:
    client = bench.client("listening")
    assert "running" in bench.camtest("desk")
    output = bench.camtest("abort", "-m", "smoke in the lab", "--wait", "60")
    assert "aborted (abort by" in output
    assert "smoke in the lab" in output
    assert bench.traced() == ["listening", "lamp off 0", "safe state"]
    _, errors = client.communicate(timeout=60)
    assert "OperatorAbort" in errors
    assert [kind for kind in kinds(bench.closed()) if kind.startswith("safes")] == [
        "safes-start",
        "safes-done",
    ]


def test_pause_resume_and_halt_from_another_process(bench: Bench) -> None:
    client = bench.client("listening")
    bench.camtest("pause")
    eventually(lambda: "paused" in bench.camtest("desk"), "the pause")
    bench.camtest("resume")
    eventually(lambda: "running" in bench.camtest("desk"), "the end of the pause")
    bench.camtest("halt", "--wait", "60")
    assert bench.traced() == ["listening"]
    assert "HaltAbort" in client.communicate(timeout=60)[1]
    assert bench.last()["status"] == "aborted"


def test_idle_session_is_ended_at_once(bench: Bench) -> None:
    bench.client("idle")
    assert "aborted" in bench.camtest("abort", "--wait", "60")
    assert bench.traced() == ["idle", "safe state"]


def test_a_client_that_is_killed_is_noticed_and_made_safe(bench: Bench) -> None:
    client = bench.client("listening")
    client.send_signal(signal.SIGKILL)
    client.communicate()
    record = bench.closed()
    assert record["status"] == "orphaned"
    assert "its process has ended" in record["reason"]
    assert bench.traced() == ["listening", "lamp off 0", "safe state"]
    found = kinds(record)
    assert found.index("safes-done") < found.index("taken-over")
    assert found.count("safes-start") == 1
    assert not list((bench.folder / "spool").glob(f"{record['run_id']}*"))


def test_a_client_that_does_not_obey_is_taken_over(bench: Bench) -> None:
    client = bench.client("deaf")
    output = bench.camtest("abort", "--wait", "80")
    assert "aborted" in output
    record = bench.closed()
    assert "was not obeyed within 1.5 s" in record["reason"]
    assert bench.traced() == ["deaf", "lamp off 1", "safe state"]
    assert client.poll() is None, "it is still asleep, and has lost its observation"


NOTEBOOK = {
    "cells": [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "execution_count": None,
            "metadata": {},
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(
            ("import bench_blocks", "bench_blocks.listening()", "bench_blocks.idle()")
        )
    ],
    "metadata": {"kernelspec": {"name": "camtest", "display_name": "camtest", "language": "python"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}


def running_notebook(bench: Bench) -> subprocess.Popen[str]:
    """Runs a notebook whose second cell waits in a building block, and returns when it does."""
    bench.trace.unlink(missing_ok=True)
    (bench.folder / "waiting.ipynb").write_text(json.dumps(NOTEBOOK))
    process = subprocess.Popen(
        [CAMTEST, "run", "waiting.ipynb"],
        cwd=bench.folder,
        env=bench.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    bench.clients.append(process)
    eventually(lambda: bench.traced() or process.poll() is not None, "the cell")
    assert bench.traced() == ["listening"], process.communicate()[0]
    return process


@pytest.mark.parametrize(
    ("verb", "code", "status", "safes"),
    [("abort", 3, "aborted", ["lamp off 0", "safe state"]), ("halt", 3, "aborted", [])],
)
def test_a_run_ends_as_operators_want(
    bench: Bench, verb: str, code: int, status: str, safes: list[str]
) -> None:
    runner = running_notebook(bench)
    bench.camtest(verb, "-m", "enough")
    output, _ = runner.communicate(timeout=90)
    assert runner.returncode == code, output
    assert bench.traced() == ["listening", *safes]
    record = bench.closed()
    assert (record["status"], record["reason"].startswith(f"{verb} by")) == (status, True)
    assert kinds(record).count("safes-done") == (1 if safes else 0)


def test_the_kernel_of_a_run_is_killed(bench: Bench) -> None:
    runner = running_notebook(bench)
    (kernel,) = [p for p in psutil.Process(runner.pid).children() if "ipykernel" in " ".join(p.cmdline())]
    kernel.kill()
    output, _ = runner.communicate(timeout=90)
    assert runner.returncode == 138, output
    assert bench.traced() == ["listening", "lamp off 0"]
    record = bench.closed()
    assert record["status"] == "kernel-lost"
    assert kinds(record).count("safes-done") == 1


def test_the_runner_is_killed(bench: Bench) -> None:
    runner = running_notebook(bench)
    runner.kill()
    runner.communicate()
    record = bench.closed()
    assert record["status"] == "interrupted"
    assert "its process has ended" in record["reason"]
    assert bench.traced() == ["listening", "lamp off 0"]


def test_whose_process_has_ended() -> None:
    host = os.uname().nodename
    now = "2999-01-01T00:00:00.000+00:00"
    alive = {"start": now, "details": {"pid": os.getpid(), "origin": f"me@{host}:{os.getpid()}"}}
    assert not process_has_ended(alive)
    assert process_has_ended({**alive, "start": "2000-01-01T00:00:00.000+00:00"}), (
        "that number belongs to another one"
    )
    elsewhere = {"start": now, "details": {"pid": 2**22 + 1, "origin": "me@elsewhere:1"}}
    assert not process_has_ended(elsewhere)
    assert process_has_ended({"start": now, "details": {"pid": 2**22 + 1, "origin": f"me@{host}:1"}})
