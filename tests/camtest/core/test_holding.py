"""A building block that fails in a supervised run waits where it is for the operator's decision."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from camtest import Abort, building_block, on_abort, requires
from camtest.core import observation as module
from camtest.core.context import OperatorAbort, OperatorStop, PreconditionAbort
from camtest.core.exec import ObservationError
from camtest.core.holding import HoldError, hold_seconds
from camtest.core.spool import EventSpool, read_events

if TYPE_CHECKING:
    from conftest import FakeCore

DONE: list[str] = []
TROUBLE: list[Exception] = []


@building_block
def make_dark() -> None:
    DONE.append("dark")


@building_block
@on_abort(safe=make_dark)
def expose(time: float) -> float:
    DONE.append("exposing")
    if TROUBLE:
        raise TROUBLE.pop()
    return time


@building_block
def read_out() -> None:
    DONE.append("read")


@building_block
@requires(lambda: not TROUBLE or bool(TROUBLE.clear()), "the shutter is closed")
def careful() -> None:
    DONE.append("careful")


class Kernel:
    """This process as the kernel of a run, and the events that it writes."""

    def __init__(self, core: FakeCore, spool: EventSpool) -> None:
        self.core = core
        self.spool = spool
        self.operators: list[threading.Thread] = []

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        self.spool.collect()
        return [event for event in read_events(self.spool.path) if event["event"] in kinds]

    def operator(self, *verbs: str, after: int = 0) -> None:
        """Lets somebody elsewhere give one verb each time that something is held, after others have given so many."""

        def act() -> None:
            deadline = time.monotonic() + 60
            while len(self.core.desk.look()["verbs"]) < after:
                assert time.monotonic() < deadline
                time.sleep(0.01)
            for number, verb in enumerate(verbs, 1):
                deadline = time.monotonic() + 60
                while len(self.events("held")) < number or self.core.desk.look()["state"] != "held":
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
                self.core.give_verb(verb, reason="looked at it", by="op@console:1")

        self.operators.append(threading.Thread(target=act))
        self.operators[-1].start()


@pytest.fixture
def kernel(core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    DONE.clear()
    TROUBLE.clear()
    record = core.start_observation(run_id="run", function="procedure()")
    spool = EventSpool(tmp_path / "run.spool", owner=True)
    for name, value in {
        "CAMTEST_RUN_ID": "run",
        "CAMTEST_OBSERVATION": json.dumps(record),
        "CAMTEST_SPOOL": str(spool.path),
        "CAMTEST_HOLD": "60",
    }.items():
        monkeypatch.setenv(name, value)
    running = Kernel(core, spool)
    yield running
    for operator in running.operators:
        operator.join(60)
    context = module._current
    if context is not None:
        context.close()
        context._spool.close()
    module._current = None
    core.end_observation("run", "done")
    spool.close()


def test_retry_goes_on_where_it_failed(kernel: Kernel) -> None:
    TROUBLE.append(OSError("the shutter sticks"))
    kernel.operator("retry")
    assert expose(time=2.0) == 2.0
    read_out()
    assert DONE == ["exposing", "exposing", "read"]
    (held,) = kernel.events("held")
    assert (held["block"].rpartition(".")[2], held["error"]) == ("expose", "OSError: the shutter sticks")
    assert held["timeout"] == 60
    (decided,) = kernel.events("decided")
    assert (decided["decision"], decided["by"], decided["reason"]) == (
        "retry",
        "op@console:1",
        "looked at it",
    )
    assert kernel.core.desk.look()["state"] == "running"


def test_it_may_fail_again_and_again(kernel: Kernel) -> None:
    TROUBLE.extend(OSError(f"the shutter sticks {n}") for n in range(3))
    kernel.operator("retry", "retry", "continue")
    assert expose(time=2.0) is None
    read_out()
    assert DONE == ["exposing"] * 3 + ["read"]
    assert [event["decision"] for event in kernel.events("decided")] == ["retry", "retry", "continue"]
    assert all(verb["reached"] for verb in kernel.core.desk.look()["verbs"])


def test_stop_waits_for_the_decision_and_for_what_is_repeated(kernel: Kernel) -> None:
    TROUBLE.append(OSError("the shutter sticks"))
    kernel.operator("stop")
    kernel.operator("retry", after=1)
    assert expose(time=2.0) == 2.0
    with pytest.raises(OperatorStop):
        read_out()
    assert DONE == ["exposing", "exposing"]
    with pytest.raises(ObservationError, match="ending already: `stop`"):
        kernel.core.give_verb("pause")


def test_abort_makes_safe_in_the_living_kernel(kernel: Kernel) -> None:
    TROUBLE.append(OSError("the shutter sticks"))
    kernel.operator("abort")
    with pytest.raises(OperatorAbort, match="abort of observation CSL1_00007_00001 by op@console:1"):
        expose(time=2.0)
    assert DONE == ["exposing", "dark"]
    assert [event["event"] for event in kernel.events("safes-start", "safes-done")] == [
        "safes-start",
        "safes-done",
    ]
    assert kernel.core.desk.look()["verbs"][-1]["reached"]


def test_without_a_decision_in_time_the_failure_stands(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAMTEST_HOLD", "0.05")
    TROUBLE.append(OSError("the shutter sticks"))
    with pytest.raises(OSError, match="the shutter sticks"):
        expose(time=2.0)
    assert [event["event"] for event in kernel.events("held", "undecided")] == ["held", "undecided"]
    assert kernel.core.desk.look()["state"] == "failed"


def test_a_precondition_can_be_put_right(kernel: Kernel) -> None:
    TROUBLE.append(OSError())
    kernel.operator("retry")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("camtest.core.holding.may_be_held", lambda error: isinstance(error, PreconditionAbort))
        careful()
    assert DONE == ["careful"]


@building_block
def gives_up() -> None:
    raise Abort("the operator does not want to go on")


def test_what_ends_on_purpose_is_not_held(kernel: Kernel) -> None:
    with pytest.raises(Abort):
        gives_up()
    assert kernel.events("held") == []


@pytest.mark.parametrize("text", ["0", ""])
def test_a_run_that_is_not_held_fails_at_once(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("CAMTEST_HOLD", text)
    TROUBLE.append(OSError("the shutter sticks"))
    with pytest.raises(OSError, match="the shutter sticks"):
        expose(time=2.0)
    assert kernel.events("held") == []


def test_at_a_prompt_nothing_is_held(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTEST_HOLD", "60")
    TROUBLE[:] = [OSError("the shutter sticks")]
    with pytest.raises(OSError, match="the shutter sticks"), module.observation():
        expose(time=1.0)
    assert "held" not in core.kinds()


def wrong_times() -> list[tuple[str, Callable[[], float]]]:
    return [(text, hold_seconds) for text in ("soon", "-1", "nan", "1e9")]


@pytest.mark.parametrize(("text", "asked"), wrong_times())
def test_a_time_that_is_none_is_refused(
    monkeypatch: pytest.MonkeyPatch, text: str, asked: Callable[[], float]
) -> None:
    monkeypatch.setenv("CAMTEST_HOLD", text)
    with pytest.raises(HoldError, match="must be a time in seconds"):
        asked()
