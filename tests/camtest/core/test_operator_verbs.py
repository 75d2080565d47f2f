"""pause, stop, abort and halt reach a running building block; safes run once; an idle observation ends at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from camtest import (
    GlobalState,
    building_block,
    checkpoint,
    current_obsid,
    execute,
    observation,
    on_abort,
    start_observation,
)
from camtest.core import observation as module
from camtest.core.exec import HaltAbort, ObservationError, OperatorAbort, OperatorStop
from camtest.core.safes import SafeCall
from camtest.core.waiting import SessionClock
from egse.context import get_command_context

if TYPE_CHECKING:
    from conftest import FakeCore

DONE: list[str] = []


@building_block
def lamp_off(level: int) -> None:
    DONE.append(f"lamp off {level}")


@building_block
def heater_off() -> None:
    DONE.append("heater off")


@building_block
def to_safe() -> None:
    DONE.append("safe state")


@building_block
def broken_safe() -> None:
    raise OSError("no answer")


def command() -> None:
    """What every proxy does before it sends something."""
    get_command_context()
    DONE.append("command")


@building_block
@on_abort(safe=lamp_off, level=0)
def lamp_on(work: Callable[[], None]) -> None:
    work()


@on_abort(safe=heater_off)
@building_block
def warm_up(work: Callable[[], None]) -> None:
    lamp_on(work=work)


@building_block
def plain_block() -> str:
    DONE.append("plain")
    return "done"


@building_block
def several() -> None:
    for _ in range(3):
        plain_block()


@pytest.fixture(autouse=True)
def _session(monkeypatch: pytest.MonkeyPatch) -> None:
    DONE.clear()
    GlobalState.clock = SessionClock()


@pytest.fixture
def safe_setup(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Setup names `to_safe` as safe state."""
    from camtest.core import recording

    call = SafeCall(f"{__name__}.to_safe", {}, to_safe)
    monkeypatch.setattr(recording, "safe_state", lambda setup: call)


def eventually(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def arrived(verb: str) -> Callable[[], bool]:
    """Returns a condition: the verb has arrived in this process, and the next building block will look at it."""

    def check() -> bool:
        context = module._current
        if context is None:
            return False
        request = context.control.ending or context.control.pausing
        return request is not None and request.verb == verb and context.attention

    return check


def given(core: FakeCore, verb: str) -> None:
    core.give_verb(verb, reason="smoke", by="op@console:1")
    eventually(arrived(verb))


def kinds(core: FakeCore) -> list[str]:
    return [f"{e['event']} {e['block'].rpartition('.')[2]}" for e in core.events if "block" in e]


def test_abort_reaches_the_next_command_and_makes_safe(core: FakeCore, safe_setup: None) -> None:
    def work() -> None:
        command()
        given(core, "abort")
        command()

    start_observation("lamp")
    with pytest.raises(OperatorAbort, match=r"abort of observation CSL1_00007_00001 by op@console:1: smoke"):
        warm_up(work=work)
    assert DONE == ["command", "lamp off 0", "heater off", "safe state"]
    assert core.last["status"] == "aborted"
    assert core.last["reason"] == "abort by op@console:1: smoke"
    assert current_obsid() is None
    assert kinds(core) == [
        *("start warm_up", "start lamp_on", "failed lamp_on", "failed warm_up"),
        *(
            "start lamp_off",
            "end lamp_off",
            "start heater_off",
            "end heater_off",
            "start to_safe",
            "end to_safe",
        ),
    ]
    assert [e["event"] for e in core.events if e["event"].startswith("safes")] == [
        "safes-start",
        "safes-done",
    ]
    with pytest.raises(ObservationError, match="has ended: abort by op@console:1"):
        plain_block()


def test_halt_runs_no_safes(core: FakeCore, safe_setup: None) -> None:
    def work() -> None:
        given(core, "halt")
        command()

    with pytest.raises(HaltAbort), observation("lamp"):
        warm_up(work=work)
    assert DONE == []
    assert core.last["status"] == "aborted"
    assert core.last["reason"].startswith("halt by")


def test_cleaning_up_may_command_after_an_abort(core: FakeCore) -> None:
    def work() -> None:
        given(core, "abort")
        try:
            command()
        finally:
            command()

    with pytest.raises(OperatorAbort), observation():
        lamp_on(work=work)
    assert DONE == ["command", "lamp off 0"]


def test_an_abort_that_is_swallowed_comes_again(core: FakeCore) -> None:
    def work() -> None:
        given(core, "abort")
        for _ in range(2):
            try:
                plain_block()
            except OperatorAbort:
                DONE.append("swallowed")

    with pytest.raises(OperatorAbort), observation():
        lamp_on(work=work)
    assert DONE == ["swallowed", "swallowed"]
    assert core.last["status"] == "aborted"


def test_abort_interrupts_a_wait(core: FakeCore) -> None:
    def work() -> None:
        threading.Timer(0.05, core.give_verb, ("abort",)).start()
        GlobalState.clock.sleep(60.0)

    started = time.monotonic()
    with pytest.raises(OperatorAbort):
        execute(lamp_on, work=work)
    assert time.monotonic() - started < 30
    assert DONE == ["lamp off 0"]


def test_stop_ends_well_at_the_next_checkpoint(core: FakeCore, safe_setup: None) -> None:
    def work() -> None:
        given(core, "stop")
        command()
        plain_block()

    with pytest.raises(OperatorStop), observation("to be stopped"):
        warm_up(work=work)
    assert DONE == ["command"]
    assert core.last["status"] == "done"
    assert core.last["reason"] == "stop by op@console:1: smoke"


def test_stop_lets_the_last_building_block_return(core: FakeCore) -> None:
    @building_block
    def last() -> int:
        given(core, "stop")
        return 3

    assert execute(last) == 3
    assert core.last["status"] == "done"
    start_observation("by hand")
    assert last() == 3
    assert core.last["status"] == "done"
    assert core.last["reason"] == "stop by op@console:1: smoke"
    assert current_obsid() is None


def test_stop_at_a_checkpoint_inside_a_block(core: FakeCore) -> None:
    @building_block
    def loop() -> None:
        given(core, "stop")
        checkpoint()
        DONE.append("too far")

    with pytest.raises(OperatorStop):
        execute(loop)
    assert DONE == []


def test_pause_and_resume(core: FakeCore) -> None:
    states: list[str] = []

    def operator() -> None:
        eventually(lambda: core.desk.look()["state"] == "paused")
        states.append(core.desk.look()["state"])
        core.give_verb("resume", by="op@console:1")

    helper = threading.Thread(target=operator)
    clock = GlobalState.clock
    with observation():
        before = clock.monotonic()
        given(core, "pause")
        helper.start()
        several()
        helper.join()
        assert core.desk.look()["state"] == "running"
        assert clock.monotonic() - before < 10
    assert DONE == ["plain"] * 3
    assert states == ["paused"]
    assert [e["verb"] for e in core.events if e["event"] == "verb"] == ["pause", "resume"]
    assert core.last["status"] == "done"


def test_time_outs_do_not_run_down_in_a_pause(core: FakeCore) -> None:
    def work() -> None:
        clock = GlobalState.clock
        given(core, "pause")
        threading.Timer(0.3, core.give_verb, ("resume",)).start()
        before = clock.monotonic()
        clock.sleep(0.01)
        DONE.append("in time" if clock.monotonic() - before < 0.25 else "late")

    execute(lamp_on, work=work)
    assert DONE == ["in time"]


def test_abort_of_a_paused_run(core: FakeCore) -> None:
    def operator() -> None:
        eventually(lambda: core.desk.look()["state"] == "paused")
        core.give_verb("abort")

    start_observation()
    given(core, "pause")
    helper = threading.Thread(target=operator)
    helper.start()
    with pytest.raises(OperatorAbort):
        several()
    helper.join()
    assert DONE == []
    assert core.last["status"] == "aborted"


@pytest.mark.parametrize("verb", ["abort", "halt", "stop"])
def test_whoever_sees_the_end_of_a_paused_run_finds_it_ended(
    core: FakeCore, safe_setup: None, verb: str
) -> None:
    """The thread that follows the desk and the one that commands find out at the same moment: one of them makes safe."""
    expected = ["safe state"] if verb == "abort" else []

    def operator() -> None:
        eventually(lambda: core.desk.look()["state"] == "paused")
        core.give_verb(verb, reason="enough", by="op@console:1")

    def session() -> None:
        with observation():
            given(core, "pause")
            helper.start()
            several()

    for _ in range(5):
        DONE.clear()
        core.events.clear()
        helper = threading.Thread(target=operator)
        with pytest.raises((OperatorAbort, HaltAbort, OperatorStop)):
            session()
        assert expected == DONE
        assert core.last["status"] == ("done" if verb == "stop" else "aborted")
        if verb != "stop":
            assert core.last["reason"] == f"{verb} by op@console:1: enough"
        helper.join()
        assert core.kinds().count("safes-start") == (1 if verb == "abort" else 0)


def test_abort_while_a_block_fails_by_itself(core: FakeCore, safe_setup: None) -> None:
    def work() -> None:
        given(core, "abort")
        raise OSError("the shutter sticks")

    start_observation()
    with pytest.raises(OSError, match="the shutter sticks"):
        lamp_on(work=work)
    assert DONE == ["lamp off 0", "safe state"]
    assert core.last["status"] == "aborted"
    assert current_obsid() is None


@pytest.mark.parametrize(
    ("verb", "status", "done"),
    [("stop", "done", []), ("abort", "aborted", ["safe state"]), ("halt", "aborted", [])],
)
def test_at_an_idle_prompt_a_verb_ends_the_observation_at_once(
    core: FakeCore, safe_setup: None, verb: str, status: str, done: list[str]
) -> None:
    start_observation()
    plain_block()
    core.give_verb(verb)
    eventually(lambda: core.last["status"])
    eventually(lambda: module._current is None)
    assert core.last["status"] == status
    assert ["plain", *done] == DONE
    assert current_obsid() is None


def test_abort_that_arrives_at_the_very_end_of_a_block(core: FakeCore) -> None:
    start_observation()
    with pytest.raises(OperatorAbort):
        lamp_on(work=lambda: given(core, "abort"))
    assert DONE == []
    assert core.last["status"] == "aborted"


def test_a_safe_that_fails_does_not_keep_the_others_from_running(core: FakeCore, safe_setup: None) -> None:
    @building_block
    @on_abort(safe=broken_safe)
    def inner() -> None:
        given(core, "abort")
        command()

    @building_block
    @on_abort(safe=heater_off)
    def outer() -> None:
        inner()

    with pytest.raises(OperatorAbort):
        execute(outer)
    assert DONE == ["heater off", "safe state"]
    (done,) = [e for e in core.events if e["event"] == "safes-done"]
    assert "no answer" in done["problems"][0]


def test_safes_of_somebody_else_are_not_run_again(core: FakeCore, safe_setup: None) -> None:
    start_observation()
    core.claim_safes(core.last["run_id"], "watchdog")
    with pytest.raises(OperatorAbort):
        lamp_on(work=lambda: given(core, "abort"))
    assert DONE == []


def test_what_is_taken_over_commands_no_more(core: FakeCore) -> None:
    def work() -> None:
        core.desk.take_over(core.last["run_id"], "watchdog@host:7", "no sign of life")
        eventually(lambda: module._current is not None and module._current.attention)
        command()

    start_observation()
    with pytest.raises(ObservationError, match="taken over by watchdog@host:7"):
        lamp_on(work=work)
    assert DONE == []


def test_verbs_that_come_too_late_are_refused(core: FakeCore) -> None:
    with pytest.raises(ObservationError, match="no observation is running"):
        core.give_verb("abort")
    start_observation()
    context = module._current
    assert context is not None
    context.managed = True
    core.give_verb("stop", by="first")
    with pytest.raises(ObservationError, match="ending already: `stop` by first"):
        core.give_verb("pause")
    with pytest.raises(ObservationError, match="is no verb"):
        core.give_verb("kill")
    core.give_verb("stop", by="again")
    core.give_verb("abort")
    eventually(lambda: core.last["status"])
    assert core.last["status"] == "aborted"


def test_safes_are_building_blocks() -> None:
    with pytest.raises(TypeError, match="is no building block"):
        on_abort(safe=command)
    with pytest.raises(ValueError, match="`lamp_off` needs `level`"):
        on_abort(safe=lamp_off)
