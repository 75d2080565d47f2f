"""The four verbs in any order with starts, ends, failures and the death of the process: the record stays true.

Never "running" at an idle prompt after an ending verb; every observation ends once; safes run once.
"""

from __future__ import annotations

import os
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from camtest import building_block, decide, end_observation, on_abort, start_observation
from camtest.core import observation as module
from camtest.core import recording, services
from camtest.core.context import BlockRefusedError
from camtest.core.control import DeskFollower
from camtest.core.exec import Abort, ObservationError, OperatorStop
from camtest.core.safes import SafeCall, pending_safes
from camtest.core.spool import collect_abandoned, read_events
from camtest.state import GlobalState
from egse.confman.desk import Desk
from egse.context import get_command_context
from tests.camtest.conftest import FakeCore

SAFES: list[str] = []
INSIDE: list[Callable[[], None]] = []
AT_ITS_END: list[Callable[[], None]] = []


@building_block
def make_dark() -> None:
    SAFES.append("dark")


@building_block
def to_safe() -> None:
    SAFES.append("state")


@building_block
@on_abort(safe=make_dark)
def expose(fails: bool) -> None:
    for action in INSIDE:
        action()
    get_command_context()
    for action in AT_ITS_END:
        action()
    if fails:
        raise OSError("the shutter sticks")


class Verbs(RuleBasedStateMachine):
    """One session at a prompt and one operator elsewhere."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.patch = pytest.MonkeyPatch()
        self.core = FakeCore(Path(self.folder.name))
        self.patch.setattr(services, "configuration_manager", lambda timeout=10.0: self.core)
        self.patch.setattr(services, "storage_manager", lambda timeout=10.0: self.core)
        self.patch.setenv("CAMTEST_SPOOL_LOCATION", self.folder.name)
        self.patch.setattr(recording, "safe_state", lambda setup: SafeCall("to_safe", {}, to_safe))
        # Verbs are delivered by the test itself, so that the order of things is that of the rules.
        self.patch.setattr(DeskFollower, "start", lambda follower: None)
        GlobalState.reset()
        SAFES.clear()
        INSIDE.clear()
        AT_ITS_END.clear()
        self.ends: list[tuple[str, str]] = []
        self.expected_safes: list[str] = []
        self.ending = ""
        self.failed = False

    # -- what the session does -------------------------------------------------------------------------------------

    @property
    def is_open(self) -> bool:
        return self.core.running is not None

    @precondition(lambda self: not self.is_open)
    @rule()
    def start(self) -> None:
        start_observation()
        self.ending, self.failed = "", False

    @precondition(lambda self: self.is_open)
    @rule(
        fails=st.booleans(),
        verb=st.sampled_from(["", "stop", "abort", "halt", "abort, halt", "pause, resume"]),
        late=st.booleans(),
    )
    def call_a_block(self, fails: bool, verb: str, late: bool) -> None:
        """A block runs to its end, good or bad; verbs come before its last command, or after it."""
        refused = self.failed
        actions = [lambda one=one: self.give(one) for one in verb.split(", ") if one and not refused]  # type: ignore[misc]
        INSIDE[:], AT_ITS_END[:] = ([], actions) if late else (actions, [])
        try:
            expose(fails=fails)
        except BlockRefusedError:
            assert refused
            return
        except (OSError, Abort, OperatorStop, ObservationError) as exc:
            error: BaseException | None = exc
        else:
            error = None
        finally:
            INSIDE.clear()
            AT_ITS_END.clear()
        assert not refused, "a block ran although an earlier one had failed"
        self.after_block(error, fails, verb, late)

    def after_block(self, error: BaseException | None, fails: bool, verb: str, late: bool) -> None:
        last = verb.split(", ")[-1]
        if last in ("abort", "halt"):
            assert isinstance(error, OSError if late and fails else Abort)
            broken = fails or not late  # a block that has had its last command may still end well
            self.over("aborted", [*(["dark"] if broken else []), "state"] if last == "abort" else [])
        elif last == "stop":
            # Not a checkpoint inside it: the building block has its end, good or bad.
            if fails:
                self.failed = True
            else:
                self.over("done", [])
        else:
            self.failed = fails
            assert isinstance(error, OSError) is fails

    @precondition(lambda self: self.is_open and self.failed)
    @rule(decision=st.sampled_from(["continue", "retry", "abort"]))
    def decide(self, decision: str) -> None:
        INSIDE.clear()
        try:
            decide(decision)
        except (OSError, OperatorStop):
            assert decision == "retry"
        else:
            self.failed = False
        if decision == "abort":
            self.over("aborted", ["dark", "state"])
        elif decision == "continue" and self.ending == "stop":
            self.over("done", [])

    @precondition(lambda self: self.is_open)
    @rule()
    def end(self) -> None:
        end_observation()
        self.over("failed" if self.failed else "done", ["dark"] if self.failed else [])

    # -- what the operator does ------------------------------------------------------------------------------------

    def give(self, verb: str) -> None:
        context = module._current
        try:
            desk = self.core.give_verb(verb)
        except ObservationError:
            return
        if verb in ("stop", "abort", "halt"):
            self.ending = verb
        assert context is not None
        assert context.handle is not None
        context.handle._on_desk(msgspec.convert(desk, Desk))

    @precondition(lambda self: self.is_open and not self.failed)
    @rule(verb=st.sampled_from(["pause", "resume", "stop", "abort", "halt"]))
    def verb_at_an_idle_prompt(self, verb: str) -> None:
        if verb == "pause":
            self.give("pause")
            self.give("resume")
            return
        self.give(verb)
        if verb != "resume":
            self.over("done" if verb == "stop" else "aborted", ["state"] if verb == "abort" else [])

    @precondition(lambda self: self.is_open and self.failed)
    @rule(verb=st.sampled_from(["abort", "halt"]))
    def verb_after_a_failure(self, verb: str) -> None:
        self.give(verb)
        self.over("aborted", ["dark", "state"] if verb == "abort" else [])

    # -- death -----------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.is_open)
    @rule(inside=st.booleans())
    def process_dies(self, inside: bool) -> None:
        """The session is killed, maybe inside a building block; a watchdog finds out what is due."""
        context = module._current
        assert context is not None
        assert context.handle is not None
        path = context.handle.spool.path
        if inside and not self.failed:
            arguments = {"fails": False}
            context.begin(expose.__building_block__, arguments, None)  # type: ignore[attr-defined]
        lease, forwarder = context.handle._lease, context.handle._forwarder
        lease.stop()
        forwarder._stopping.set()
        killed = context.handle.spool
        if killed._map is not None:
            killed._map.close()
        os.close(killed._descriptor)
        killed._map, killed._room, killed._descriptor = None, 0, -1
        module._current = None
        run_id = context.run_id
        self.core.desk.take_over(run_id, "watchdog", "its process has ended")
        collect_abandoned(path)
        due = pending_safes(read_events(path))
        assert [safe.name.rpartition(".")[2] for safe in due] == (
            ["make_dark"] if inside or self.failed else []
        )
        self.core.end_observation(run_id, "orphaned", "its process has ended")
        path.unlink()
        self.over("orphaned", [])

    # -- what must hold --------------------------------------------------------------------------------------------

    def over(self, status: str, safes: list[str]) -> None:
        self.expected_safes += safes
        self.ends.append((self.core.last["obsid"], status))
        self.failed = False
        self.ending = ""

    @invariant()
    def ends_are_true_and_happen_once(self) -> None:
        closed = [(r["obsid"], r["status"]) for r in self.core.records if r["status"] is not None]
        assert closed == self.ends

    @invariant()
    def safes_run_once(self) -> None:
        assert self.expected_safes == SAFES

    @invariant()
    def nothing_runs_at_an_idle_prompt_after_an_ending_verb(self) -> None:
        context = module._current
        assert (context is not None) == self.is_open
        if context is not None:
            assert not context._outermost
            assert context.control.ending is None or (context.control.ending.verb == "stop" and self.failed)

    def teardown(self) -> None:
        if not hasattr(self, "core"):
            return
        INSIDE.clear()
        module.finish_observation("interrupted", "the test ended")
        module._current = None
        GlobalState.reset()
        self.patch.undo()
        self.folder.cleanup()


TestVerbs = Verbs.TestCase
TestVerbs.settings = settings(
    max_examples=15,
    stateful_step_count=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    database=None,
)


def call_until(deadline: float) -> None:
    while time.monotonic() < deadline:
        expose(fails=False)


def test_a_verb_and_a_block_at_the_same_moment(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A real race: an abort comes while blocks start and end; whichever is first, it ends once and makes safe once."""
    monkeypatch.setattr(recording, "safe_state", lambda setup: SafeCall("to_safe", {}, to_safe))
    for _ in range(10):
        SAFES.clear()
        INSIDE.clear()
        start_observation()
        operator = threading.Thread(target=core.give_verb, args=("abort",))
        operator.start()
        deadline = time.monotonic() + 20
        with pytest.raises((Abort, ObservationError)):
            call_until(deadline)
        operator.join()
        while module._current is not None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert core.last["status"] == "aborted"
        assert SAFES.count("state") == 1
        assert SAFES.count("dark") <= 1
