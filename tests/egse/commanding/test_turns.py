"""Threads that carry messages wait for their turn; all others are as they were."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from egse import turns

from .conftest import Server, bench_device

pytestmark = pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="a policy of Linux")


def policies(pid: int | str) -> dict[str, int]:
    """Returns the policy of each thread of a process by its number."""
    return {task.name: os.sched_getscheduler(int(task.name)) for task in Path(f"/proc/{pid}/task").iterdir()}


def test_a_server_waits_for_its_turn(server: Server) -> None:
    """The main thread, which executes the commands, and the threads of the sockets."""
    assert server.process is not None
    pid = server.process.pid
    found = policies(pid)
    assert found[str(pid)] == os.SCHED_BATCH
    carriers = {
        policy
        for name, policy in found.items()
        if Path(f"/proc/{pid}/task/{name}/comm").read_text().startswith("ZMQ")
    }
    assert carriers == {os.SCHED_BATCH}


def test_a_client_is_as_before_only_its_messages_wait(server: Server) -> None:
    def call() -> None:
        with bench_device.BenchProxy() as proxy:
            assert proxy.ping()
            mine.append(os.sched_getscheduler(0))

    mine: list[int] = []
    caller = threading.Thread(target=call)
    caller.start()
    caller.join()
    assert mine == [os.SCHED_OTHER]
    assert policies("self")[str(os.getpid())] == os.SCHED_OTHER


def test_where_it_is_forbidden_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", forbidden)
    with turns.patient_threads():
        turns.wait_for_turns()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_a_policy_that_somebody_has_chosen_stays() -> None:
    found = []

    def idle() -> None:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        with turns.patient_threads():
            found.append(os.sched_getscheduler(0))
        turns.wait_for_turns()
        found.append(os.sched_getscheduler(0))

    thread = threading.Thread(target=idle)
    thread.start()
    thread.join()
    assert found == [os.SCHED_IDLE, os.SCHED_IDLE]
