"""Where building blocks register during an observation: its events, its failures, and how it ends on an operator's word."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from camtest.core.blocks import BlockDefinition
from camtest.core.conditions import SafeCall
from camtest.core.context import (
    ACTIVE,
    Abort,
    Call,
    Failure,
    HaltAbort,
    OperatorAbort,
    OperatorStop,
)
from camtest.core.control import DeskFollower, Place, RunControl, claim_safes, ending_error, tell_desk
from camtest.core.handle import Observation, ObservationHandle
from camtest.core.holding import await_decision
from camtest.core.interlocks import Interlocks
from camtest.core.safes import SafeError, run_safes, safe_state
from camtest.core.spool import EventSpool
from camtest.core.standing import stay_suspended
from camtest.core.suspenders import Suspenders
from camtest.core.writing import EventWriter
from camtest.state import setup_at_hand
from egse.confman import ObservationError
from egse.confman.desk import DECISIONS, MAKING_SAFE, VerbRequest

LOGGER = logging.getLogger(__name__)

STATUS_OF_VERB = {"stop": "done", "abort": "aborted", "halt": "aborted"}


def status_of(error: BaseException) -> str:
    """Returns the status with which an observation ends that `error` ended."""
    if isinstance(error, Abort):
        return "aborted"
    if isinstance(error, OperatorStop):
        return "done"
    return "failed" if isinstance(error, Exception) else "interrupted"


class ObservationContext(EventWriter):
    """Registers building blocks in the events of the running observation.

    Args:
        record: the configuration manager's record of the observation.
        spool: where the events are written.
        handle: the observation, when this process holds it; None when a runner does.
        finish: ends the observation of this process: status and reason.
    """

    def __init__(
        self,
        record: Observation,
        spool: EventSpool,
        handle: ObservationHandle | None,
        finish: Callable[[str, str], None] = lambda status, reason: None,
    ) -> None:
        super().__init__(record, spool)
        self.handle = handle
        self.nested: str | None = None
        self.managed = False
        self.over: str | None = None
        self._finish = finish
        self._gate = threading.Lock()
        self._outermost: set[int] = set()  # threads in which a building block is active
        self._closing = False
        self._ender = 0  # thread that ends it on an operator's word
        self._ended = threading.Event()
        self._safing = 0
        self._pending: list[tuple[int, SafeCall]] = []
        self._told = ("running", "")
        self.decided_up_to = 0
        self.interlocks = Interlocks.none()
        self.suspenders = Suspenders()
        self.control = RunControl(self._obsid, self._on_verb)
        self.control.on_paused = self._on_paused
        self.control.on_taken_over = lambda holder: self._on_over(f"it was taken over by {holder}")
        self.control.on_reached = lambda request: self.tell("ending", request.verb)
        self._follower: DeskFollower | None = None

    def start(self) -> None:
        """Begins to look at what operators want, and reads the interlocks and suspenders of the Setup."""
        setup = setup_at_hand()
        self.interlocks = Interlocks.of(setup)
        self.suspenders = Suspenders.of(setup)
        if self.handle is not None:
            self.handle.when_lost = self._on_over
            self.handle.follow(self.control.deliver)
        elif self.run_id:
            self._follower = DeskFollower(self.run_id, self.control.deliver, self._on_over)
            self._follower.start()
        self.look()

    def close(self) -> None:
        """Ends looking at what operators want."""
        if self._follower is not None:
            self._follower.stop()

    @property
    def joined(self) -> bool:
        """True when a runner holds the observation."""
        return self.handle is None

    @property
    def lost(self) -> str | None:
        """Why the observation is over, None while it runs."""
        return self.over or (None if self.handle is None else self.handle.lost)

    # -- building blocks -----------------------------------------------------------------------------------------

    def begin(self, block: BlockDefinition, arguments: dict[str, Any], parent: Call | None) -> Call:
        if parent is None:
            self._outermost.add(threading.get_ident())
            if self._closing:
                self._refuse_entry()
        return self._write_start(block, arguments, parent)

    def _refuse_entry(self) -> None:
        if self._safing == threading.get_ident():
            return
        self.leave()
        ending = self.control.ending
        if ending is not None:
            self._end_at_checkpoint()
            raise ending_error(ending, self._obsid)
        raise ObservationError(f"observation {self._obsid} is ending")

    def end(self, call: Call, result: Any) -> None:
        if self._pending:
            # What failed inside it was dealt with by it.
            self._pending = [one for one in self._pending if one[0] < call.number]
        self._write_end(call)

    def fail(self, call: Call, error: BaseException) -> None:
        text = f"{type(error).__name__}: {error}"
        options = call.block.options
        if options is not None and options.safe is not None:
            if call.entered:
                self._pending.append((call.number, options.safe))
            else:
                self.mark("refused", call=call.number, block=call.block.qualified_name)
        self._write_failed(call, text, aborted=isinstance(error, Abort))

    def leave(self) -> None:
        """Called when an outermost building block has ended, however."""
        self._outermost.discard(threading.get_ident())

    # -- looking around ------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Finds out whether there is anything to look at before a building block starts."""
        self.attention = (
            self.control.wants_attention
            or bool(self.control.taken_over)
            or self.failure is not None
            or self.lost is not None
            or bool(self.interlocks)
            or bool(self.suspenders)
        )

    def _on_over(self, reason: str) -> None:
        self.over = reason
        if self.handle is not None:
            self.handle.lost = self.handle.lost or reason
        self.attention = True
        self.control.wake()

    def pass_by(self, place: Place) -> None:
        """Returns when the active building block may go on; see `RunControl.pass_by`.

        Raises:
            ObservationError: when the observation is over.
        """
        if self._safing == threading.get_ident():
            return
        self.refuse_when_lost()
        self.control.pass_by(place)
        if self.suspenders and place is not Place.COMMAND:
            stay_suspended(self, place)

    def refuse_when_lost(self) -> None:
        """Raises ObservationError when the observation is over."""
        if self.lost is not None:
            raise ObservationError(f"observation {self._obsid} is over: {self.lost}")

    def attend(self, block: BlockDefinition, stack: tuple[Call, ...]) -> None:
        if self._safing == threading.get_ident():
            return
        if self.failure is None or self.failure.retry:  # else the operator has to decide first
            try:
                # A `stop` waits for what is repeated, as it has waited for the decision.
                self.pass_by(Place.CHECKPOINT if self.failure is None else Place.COMMAND)
            except (OperatorAbort, HaltAbort, OperatorStop):
                if not stack:
                    self._end_at_checkpoint()
                raise
        super().attend(block, stack)
        if self.suspenders:
            stay_suspended(self, Place.CHECKPOINT, block.qualified_name)
        if self.interlocks:
            self.interlocks.check([*(call.block.qualified_name for call in stack), block.qualified_name])
        self.look()

    def watch_interlocks(self) -> None:
        """Checks the interlocks while a building block waits, not more often than they allow."""
        if self.interlocks and self._safing != threading.get_ident():
            self.interlocks.check_again([call.block.qualified_name for call in ACTIVE.get()])

    # -- failures and decisions ----------------------------------------------------------------------------------

    def broke(self, call: Call, arguments: dict[str, Any], error: BaseException) -> None:
        if self._safing == threading.get_ident():
            return
        ending = self.control.ending
        if ending is not None and (self.control.obeyed or ending.verb != "stop"):
            self.control.obeyed, self.control.reached = True, ending.number  # also when it failed by itself
            self.end_by_operator(ending)
            return
        failure = self.failure = Failure(call.block, arguments, error)
        self.attention = True
        self.tell("failed", f"{call.block.name}: {failure.text}")

    def hold(self, error: BaseException) -> str:
        if not self.joined or self._safing == threading.get_ident():
            return ""  # at a prompt the operator is here, and decides before the next building block
        return await_decision(self, error)

    def obey_now(self) -> None:
        """Obeys `abort` or `halt` between two building blocks.

        Raises:
            OperatorAbort, HaltAbort: when one of them was given and not obeyed yet.
        """
        ending = self.control.ending
        if ending is not None and self.control.is_pressing and self.lost is None:
            self._obey(ending)

    def _obey(self, ending: VerbRequest) -> None:
        self.control.obeyed, self.control.reached = True, ending.number
        self.end_by_operator(ending)
        if ending.verb != "stop":
            raise ending_error(ending, self._obsid)

    def _end_at_checkpoint(self) -> None:
        """A verb was obeyed before an outermost building block began: it acts now, not some time later."""
        ending = self.control.ending
        if ending is not None and not (ending.verb == "stop" and (self.managed or self.joined)):
            self.end_by_operator(ending)

    def settle(self, call: Call) -> None:
        """A verb came too late to be seen inside the building block: it acts now.

        Raises:
            OperatorAbort, HaltAbort: so that nothing that stands behind it is executed.
        """
        ending = self.control.ending
        if ending is None or self._safing == threading.get_ident():
            return
        if ending.verb == "stop" and (self.managed or self.joined):
            return  # the next checkpoint, or the end, is near
        self._obey(ending)

    def decide(self, decision: str, reason: str, by: str) -> None:
        """Takes an operator's decision about the building block that failed: continue or retry."""
        failure = self.failure
        if failure is None:
            self.tell(*self._told)  # nothing is to be decided, but the verb has arrived
            return
        self.mark("decided", decision=decision, block=failure.block.qualified_name, reason=reason, by=by)
        # Told first: who waits for the decision goes on at once, and may fail again.
        self.tell("running", f"{decision} after {failure.block.name} by {by}")
        self.failure = replace(failure, retry=True) if decision == "retry" else None
        self._pending.clear()
        self.look()
        self.control.wake()
        ending = self.control.ending
        if decision == "continue" and ending is not None and not (self.managed or self.joined):
            self.end_by_operator(ending, only_if_idle=True)  # a stop that has waited for the decision

    def forget_failure(self) -> None:
        """The failure was decided about elsewhere; its safes are not run any more."""
        self.failure = None
        self._pending.clear()
        self.look()

    def true_end(self, status: str, reason: str) -> tuple[str, str]:
        """Returns status and reason of an end: not `done` when nobody has decided about a failure."""
        if status != "done" or self.failure is None:
            return status, reason
        failure = self.failure
        return status_of(failure.error), f"{failure.block.name}: {failure.text}"

    # -- verbs ---------------------------------------------------------------------------------------------------

    def _on_verb(self, request: VerbRequest) -> None:
        """Called in the thread that follows the desk."""
        if request.verb in DECISIONS:
            self.control.reached = max(self.control.reached, request.number)
            if request.number > self.decided_up_to:
                self.decide(request.verb, request.reason, request.by)
            return
        self.look()
        ending = self.control.ending
        if ending is None or self.joined:
            return
        if not (ending.verb == "stop" and self.managed):
            self.end_by_operator(ending, only_if_idle=True)

    def _on_paused(self, request: VerbRequest | None) -> None:
        self.look()
        self.tell("running" if request is None else "paused", "" if request is None else request.by)

    def end_by_operator(self, ending: VerbRequest, *, only_if_idle: bool = False) -> None:
        """Ends the observation as the verb says; the safes run on `abort`. A runner closes its observation itself.

        When another thread does it already, this one waits: who goes on with the session finds the observation ended.

        Args:
            ending: the verb.
            only_if_idle: not while a building block is active: that one does it when it has been left.
        """
        if not self._begin_to_end(only_if_idle):
            if not only_if_idle:
                self.await_operators_end()
            return
        self.tell("ending", ending.verb)
        try:
            if ending.verb == "abort":
                due = self.safes_on_abort()
                if due:
                    self.make_safe(due)
                else:
                    self.mark("safes-done", problems=[])
            self._pending.clear()
        finally:
            text = f"{ending.verb} by {ending.by}" + (f": {ending.reason}" if ending.reason else "")
            try:
                self._finish(STATUS_OF_VERB[ending.verb], text)
            finally:
                self._ended.set()

    def await_operators_end(self) -> None:
        """Waits while another thread ends the observation on an operator's word: safes are not disturbed."""
        if self._ender not in (0, threading.get_ident()):
            self._ended.wait()

    def _begin_to_end(self, only_if_idle: bool) -> bool:
        with self._gate:
            if self._closing:
                return False
            # First closed, then looked: a building block first enters, then looks whether it is closed.
            self._closing = True
            if only_if_idle and self._outermost:
                self._closing = False
                return False
            self._ender = threading.get_ident()
            return True

    def safes_on_abort(self) -> list[SafeCall]:
        """Returns what runs on `abort`: the safes of what has failed, then the safe state of the Setup."""
        due = self.pending()
        try:
            state = safe_state(setup_at_hand())
        except SafeError as exc:
            LOGGER.error("%s", exc)
            state = None
        if state is None:
            LOGGER.warning(
                "The Setup names no safe state (camtest.safe_state): only what failed is made safe"
            )
        return [*due, state] if state else due

    def pending(self) -> list[SafeCall]:
        """Returns the safes of building blocks that ended badly and were not decided about, innermost first."""
        return [safe for _, safe in self._pending]

    def make_safe(self, due: Iterable[SafeCall]) -> list[str]:
        """Runs safes as part of this observation, unless another process has taken that on.

        Returns:
            What went wrong, one line each.
        """
        due = list(due)
        self._pending.clear()
        if not due or self.lost is not None or not claim_safes(self.run_id):
            return []
        self.mark("safes-start", safes=[safe.name for safe in due])
        self.tell(MAKING_SAFE, ", ".join(safe.name for safe in due))
        before, self._safing = self._safing, threading.get_ident()
        token = ACTIVE.set(())
        try:
            problems = run_safes(due)
        finally:
            ACTIVE.reset(token)
            self._safing = before
        self.mark("safes-done", problems=problems)
        self.tell("ending", "; ".join(problems) or "made safe")
        return problems

    def tell(self, state: str, detail: str = "") -> None:
        """Tells the operator's desk how the run is."""
        self._told = state, detail
        if self.run_id and self.lost is None:
            tell_desk(self.run_id, state, detail, self.control.reached)
