"""The kernel `camtest-sandbox`: whatever becomes of it, nothing of its sandbox is left."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from camtest.jupyter.privatesite import PrivateSandbox, remove_remains, sandboxes_folder
from egse.process import LaunchError

from .kernels import START, Kernel

pytestmark = pytest.mark.system

MARK = "CAMTEST_TEST_MARK"


def processes(mark: str) -> list[psutil.Process]:
    """Returns all living processes that come of a kernel, itself included."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def eventually(condition: Callable[[], Any], what: str) -> Any:
    deadline, pause = time.monotonic() + START, threading.Event()
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen"
        pause.wait(0.1)
    return value


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment of somebody who has set up nothing."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    clean = {
        key: value for key, value in os.environ.items() if not key.startswith(("PLATO", "SITE", "CAMTEST"))
    }
    return {**clean, "IPYTHONDIR": str(tmp_path / "ipython"), MARK: uuid.uuid4().hex}


def test_interrupted_and_killed_while_it_starts(environment: dict[str, str]) -> None:
    """The first cell waits and can be interrupted; `kill -9` in the middle of the start leaves no process behind."""
    kernel = Kernel("camtest-sandbox", environment)
    try:
        shown: list[dict[str, Any]] = []

        def interrupt_when_it_waits(message: dict[str, Any]) -> None:
            if message["msg_type"] in ("display_data", "error", "execute_result"):
                shown.append(message["content"])
            if message["msg_type"] == "display_data":
                kernel.manager.interrupt_kernel()

        kernel.client.execute_interactive(
            "print('executed')", timeout=START, output_hook=interrupt_when_it_waits
        )
        assert shown[0]["data"]["text/plain"].startswith("Starting the private sandbox")
        assert "execute the cell again" in shown[1]["evalue"], "the cell is not executed without its sandbox"
        assert (sandboxes_folder() / os.listdir(sandboxes_folder())[0]).stat().st_mode & 0o077 == 0
        eventually(lambda: len(processes(environment[MARK])) > 2, "the start of programs")
        assert remove_remains() == [], "the folder of a living kernel is left alone"
        os.kill(kernel.pid, signal.SIGKILL)
        eventually(lambda: not processes(environment[MARK]), "the end of all programs")
    finally:
        kernel.client.stop_channels()
        kernel.manager.shutdown_kernel(now=True)
        kernel.client.context.term()
    assert len(remove_remains()) == 1
    assert list(sandboxes_folder().iterdir()) == []


def test_a_run_of_another_site_refuses_it(environment: dict[str, str]) -> None:
    """A procedure whose notebook names the sandbox kernel must not drive the devices of a real site."""
    with Kernel("camtest-sandbox", {**environment, "CAMTEST_RUN_ID": "run-7"}) as kernel:
        assert "belongs to another" in kernel.text("print('executed')")
        assert "executed" not in kernel.text("print('exe' + 'cuted')").split("-k camtest")[-1]
        assert len(processes(environment[MARK])) == 1


def test_a_start_that_fails_is_told(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").write_text("of somebody else")
    sandbox = PrivateSandbox(tmp_path / "full")
    before = dict(os.environ)
    try:
        sandbox.start()
        assert sandbox.wait(START)
        with pytest.raises(LaunchError, match="holds other things"):
            sandbox.require_running()
        sandbox.close()
    finally:
        os.environ.clear()
        os.environ.update(before)
    assert (tmp_path / "full" / "something").exists(), "a folder that was given is kept"
