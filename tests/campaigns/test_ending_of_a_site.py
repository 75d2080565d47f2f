"""SIGTERM to every process of a site at the same time, with observers connected: all end in time, nothing is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
import zmq

from egse.process import State
from egse.site.ports import PortBlock, busy_ports, release_block
from egse.site.sandbox import Sandbox

LIMIT = 5.0
"""A process may take so long to end [s]."""


@pytest.mark.parametrize(
    "only_core", [True, pytest.param(False, marks=pytest.mark.campaign)], ids=["core", "everything"]
)
def test_all_processes_end_on_sigterm(tmp_path: Path, only_core: bool) -> None:
    """The supervisor sees each of them end with exit code 0: nothing is started again."""
    with Sandbox(tmp_path / "box", only_core=only_core) as sandbox, ExitStack() as stack:
        statuses = sandbox.status()
        names = {status.pid: name for name, status in statuses.items()}
        processes = [psutil.Process(pid) for pid in names]
        for process in list(processes):
            for child in process.children(recursive=True):
                names[child.pid] = f"{names[process.pid]} (child)"
                processes.append(child)
        context = stack.enter_context(zmq.Context())
        for status in statuses.values():
            observer = stack.enter_context(context.socket(zmq.DEALER))
            observer.linger = 0
            for endpoint in status.endpoints:
                observer.connect(endpoint)
        durations: dict[str, float] = {}
        started = time.monotonic()
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # a program that one of them had called has done its work
                process.terminate()
        _, alive = psutil.wait_procs(
            processes,
            timeout=2 * LIMIT,
            callback=lambda process: durations.update({names[process.pid]: time.monotonic() - started}),
        )
        assert not alive, [names[process.pid] for process in alive]
        wait_until(lambda: all(status.state is State.ENDED for status in sandbox.status().values()))
        assert sandbox.profile.first_port is not None
        ports = busy_ports(PortBlock(sandbox.profile.first_port, sandbox.profile.ports).ports)
    release_block(tmp_path / "box")
    for name, seconds in sorted(durations.items(), key=lambda item: -item[1]):
        print(f"{name:24s} {seconds:5.2f} s")
    assert max(durations.values()) < LIMIT
    assert ports == []


def wait_until(condition: Callable[[], bool], limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.05)
