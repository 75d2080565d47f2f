"""A cell that failed while its kernel lives is held: the run waits for what an operator decides, and stays as it is.

A building block that fails is held where it failed (`camtest.core.holding`); what reaches the runner is the failure of a
cell outside of building blocks, or one that came too late to be decided about.
"""

from __future__ import annotations

import threading

from camtest.core.control import tell_desk
from camtest.core.handle import ObservationHandle
from camtest.core.holding import HELD, MAY_BE_DECIDED, UNDECIDED
from camtest.core.spool import read_events
from camtest.run.client import Outcome, RunClient
from camtest.run.interrupts import Interrupts
from egse.clock import system_clock
from egse.confman.desk import DECISIONS, VerbRequest

LOOK_INTERVAL = 0.5
"""How often a run that is held looks for signals and the end of its kernel [s]."""
_PUT_RIGHT = frozenset(kind.__name__ for kind in MAY_BE_DECIDED)

_GO_ON = (
    "(lambda module: module and module.go_on_after_failure({number}))"
    "(__import__('sys').modules.get('camtest.core.observation'))"
)
"""Executed in the kernel: what it knows of the failure is decided about."""


class Decisions:
    """Waits at a failed cell for the decision of an operator.

    Args:
        handle: the observation.
        interrupts: those of the run.
        seconds: how long a failure waits [s]; 0 for not at all.
    """

    def __init__(self, handle: ObservationHandle, interrupts: Interrupts, seconds: float) -> None:
        self._handle = handle
        self._interrupts = interrupts
        self._seconds = seconds
        self._given: VerbRequest | None = None
        self._news = threading.Event()

    def take(self, request: VerbRequest) -> None:
        """Takes a verb, in the thread that follows the desk."""
        if request.verb in DECISIONS:
            self._given = request
        self._news.set()

    def await_one(self, client: RunClient, index: int, outcome: Outcome) -> str:
        """Waits for the decision about a cell that failed.

        Args:
            client: executes the cells.
            index: of the cell.
            outcome: how it ended.

        Returns:
            `retry` (execute it again), `continue` (leave out what is left of it), `kernel-lost`, or "": the failure
            stands.
        """
        if not self._seconds or not self._may_be_held(outcome):
            return ""
        self._given, why = None, f"cell {client.nb_man.number(index)}: {outcome.reason}"
        self._handle.mark(HELD, cell=client.nb_man.number(index), error=outcome.reason, timeout=self._seconds)
        tell_desk(self._handle.run_id, HELD, why)
        decision = self._wait(client)
        given = self._given
        if decision in DECISIONS and given is not None:
            client.ask(_GO_ON.format(number=given.number))
            about = {"cell": client.nb_man.number(index), "reason": given.reason, "by": given.by}
            self._handle.mark("decided", decision=decision, **about)
            tell_desk(self._handle.run_id, "running", f"{decision} of {why} by {given.by}", given.number)
        elif not decision:
            self._handle.mark(UNDECIDED, cell=client.nb_man.number(index), error=outcome.reason)
        return decision

    def _wait(self, client: RunClient) -> str:
        deadline = system_clock().monotonic() + self._seconds
        while (left := deadline - system_clock().monotonic()) > 0 and self._interrupts.reason is None:
            given = self._given
            if given is not None:
                return given.verb
            if client.kernel_has_ended:
                return "kernel-lost"
            self._news.wait(min(left, LOOK_INTERVAL))
            self._news.clear()
        return ""

    def _may_be_held(self, outcome: Outcome) -> bool:
        if self._interrupts.reason is not None or outcome.error is None:
            return False
        name = str(getattr(outcome.error, "ename", ""))
        if outcome.status != "failed" and name not in _PUT_RIGHT:
            return False
        return not self._was_held()

    def _was_held(self) -> bool:
        """Returns True when nobody has decided about a building block of this cell in time."""
        self._handle.spool.collect()
        for event in reversed(read_events(self._handle.spool.path)):
            if event.get("event") == UNDECIDED:
                return True
            if event.get("event") == "cell-start":
                return False
        return False
