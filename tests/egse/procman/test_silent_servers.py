"""A server that is silent for a moment is busy; one that is silent for longer does not respond."""

from __future__ import annotations

from typing import Any

from egse.clock import VirtualClock
from egse.process import ProgramStatus, State
from egse.procman import ServerState, ServerStatus
from egse.procman.manager import SILENCE, ProcessManagerController
from egse.procman.watch import Look
from egse.site.programs import core_entries


class NoKeeper:
    """Knows of no process."""

    name = "supervisor"

    def is_simulator(self, name: str) -> bool | None:
        return None


def test_a_moment_of_silence_is_no_failure() -> None:
    clock = VirtualClock()
    keeper: Any = NoKeeper()
    controller = ProcessManagerController(keeper, clock=clock)
    entry = next(entry for entry in core_entries() if entry.name == "sm_cs")

    def judge(pid: int, answers: bool) -> ServerStatus:
        process = ProgramStatus(state=State.RUNNING, pid=pid, since=clock.now() - 1000.0)
        return controller._judge(
            entry, process, Look(answers, pid=pid, endpoint="tcp://x:1") if answers else None
        )

    try:
        assert judge(7, answers=True).state is ServerState.RUNNING
        clock.advance(SILENCE / 2)
        silent = judge(7, answers=False)
        assert (silent.state, silent.endpoint) == (ServerState.RUNNING, "tcp://x:1")
        clock.advance(SILENCE)
        assert judge(7, answers=False).state is ServerState.NOT_RESPONDING
        assert judge(7, answers=True).state is ServerState.RUNNING
        assert judge(8, answers=False).state is ServerState.NOT_RESPONDING, "another process has not answered"
    finally:
        controller.close()
