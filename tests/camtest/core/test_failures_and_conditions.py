"""After a failure the operator decides; preconditions, post-conditions and interlocks."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from camtest import (
    Abort,
    GlobalState,
    building_block,
    decide,
    end_observation,
    ensures,
    execute,
    observation,
    on_abort,
    requires,
    start_observation,
)
from camtest.core import interlocks as module
from camtest.core import observation as observations
from camtest.core.exec import (
    BlockRefusedError,
    ConditionError,
    InterlockAbort,
    ObservationError,
    PreconditionAbort,
)
from camtest.core.interlocks import Interlock, Interlocks
from camtest.core.waiting import SessionClock
from egse.setup import Setup

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
    if TROUBLE:
        raise TROUBLE.pop()
    DONE.append(f"exposed {time:g}")
    return time


@building_block
def read_out() -> None:
    DONE.append("read")


@building_block
def careful() -> None:
    try:
        expose(time=1.0)
    except OSError:
        DONE.append("dealt with")


@pytest.fixture(autouse=True)
def _session() -> None:
    DONE.clear()
    TROUBLE.clear()
    GlobalState.clock = SessionClock()


def fail() -> None:
    TROUBLE.append(OSError("the shutter sticks"))
    with pytest.raises(OSError):
        expose(time=2.0)


def test_later_blocks_are_refused_until_the_operator_decides(core: FakeCore) -> None:
    start_observation()
    fail()
    for _ in range(2):
        with pytest.raises(BlockRefusedError) as info:
            read_out()
    assert "`read_out` is refused: `expose` has failed (OSError: the shutter sticks)" in str(info.value)
    assert 'decide("continue"' in str(info.value)
    assert core.desk.look()["state"] == "failed"
    assert decide("continue", reason="looked at it") is None
    read_out()
    end_observation()
    assert core.last["status"] == "done"
    assert DONE == ["read"]
    (decided,) = [e for e in core.events if e["event"] == "decided"]
    assert decided["decision"] == "continue"
    assert decided["reason"] == "looked at it"


def test_retry_calls_it_again_with_the_same_arguments(core: FakeCore) -> None:
    start_observation()
    fail()
    assert decide("retry") == 2.0
    read_out()
    assert DONE == ["exposed 2", "read"]
    end_observation()
    assert core.last["status"] == "done"


def test_retry_from_elsewhere_allows_that_block_only(core: FakeCore) -> None:
    start_observation()
    fail()
    core.give_verb("retry", by="op@console:1")
    deadline = time.monotonic() + 10
    while not decided_to_retry():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    with pytest.raises(BlockRefusedError, match="repeated first"):
        read_out()
    expose(time=2.0)
    read_out()
    end_observation()
    assert core.last["status"] == "done"


def decided_to_retry() -> bool:
    context = observations._current
    return context is not None and context.failure is not None and context.failure.retry


def test_decision_abort_makes_safe_and_ends(core: FakeCore) -> None:
    start_observation()
    fail()
    decide("abort", reason="enough")
    assert DONE == ["dark"]
    assert core.last["status"] == "aborted"
    assert "enough" in core.last["reason"]


def test_nobody_decides(core: FakeCore) -> None:
    start_observation()
    fail()
    end_observation()
    assert core.last["status"] == "failed"
    assert core.last["reason"] == "expose: OSError: the shutter sticks"
    assert DONE == ["dark"], "what the building block left is made safe"


def test_what_was_dealt_with_inside_a_block_is_no_failure(core: FakeCore) -> None:
    with observation():
        TROUBLE.append(OSError("the shutter sticks"))
        careful()
        read_out()
    assert DONE == ["dealt with", "read"]
    assert core.last["status"] == "done"


def test_wrong_arguments_are_no_failure(core: FakeCore) -> None:
    with observation():
        with pytest.raises(ValueError, match="needs `time`"):
            expose()
        read_out()
    assert core.last["status"] == "done"


def test_decisions_need_a_failure(core: FakeCore) -> None:
    with pytest.raises(ValueError, match='use "continue"'):
        decide("ignore")
    with observation(), pytest.raises(ObservationError, match="no building block has failed"):
        decide("continue")


# -- conditions --------------------------------------------------------------------------------------------------------

LAMP = {"on": False}


def lamp_is_on() -> bool:
    return LAMP["on"]


def is_long_enough(time: float) -> bool:
    """The exposure has some length."""
    return time > 0.1


def is_unknown() -> bool:
    raise ConnectionError("nobody answers")


@building_block
@requires(lamp_is_on, "the lamp burns")
@requires(is_long_enough)
@on_abort(safe=make_dark)
def flat(time: float) -> None:
    DONE.append("flat")


@ensures(lambda result, time: result == time, "the result is the time")
@building_block
def measure(time: float) -> float:
    DONE.append("measured")
    return 1.0


def test_what_a_block_requires_is_checked_first(core: FakeCore) -> None:
    LAMP["on"] = False
    with pytest.raises(
        PreconditionAbort,
        match=r"`flat` requires that the lamp burns; that is not so \(`lamp_is_on` gives False\)",
    ):
        execute(flat, time=1.0)
    assert DONE == [], "nothing was done, so there is nothing to be made safe"
    assert core.last["status"] == "aborted"
    LAMP["on"] = True
    with pytest.raises(Abort, match=r"`flat` requires that `is_long_enough` is true"):
        execute(flat, time=0.0)
    execute(flat, time=1.0)
    assert DONE == ["flat"]


def test_what_a_block_ensures_is_checked_afterwards(core: FakeCore) -> None:
    assert execute(measure, time=1.0) == 1.0
    with pytest.raises(
        ConditionError, match="`measure` has run, but it is not so that the result is the time"
    ):
        execute(measure, time=2.0)
    assert core.last["status"] == "failed"


def test_a_condition_that_cannot_be_asked(core: FakeCore) -> None:
    @building_block
    @requires(is_unknown, "the door is closed")
    def enter() -> None: ...

    with pytest.raises(
        PreconditionAbort, match="the door is closed, which cannot be found out: nobody answers"
    ):
        execute(enter)


def test_wrong_conditions_are_refused_when_they_are_declared() -> None:
    with pytest.raises(
        TypeError, match="`is_long_enough` asks for time, which building block `read` does not have"
    ):

        @building_block
        @requires(is_long_enough)
        def read() -> None: ...

    with pytest.raises(TypeError, match="conditions are plain functions"):
        requires(make_dark)(lamp_is_on)


# -- interlocks --------------------------------------------------------------------------------------------------------


class Thermometer:
    value: Any = 20.0

    def get_temperature(self, channel: str) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return {"A": self.value}[channel]


@pytest.fixture
def thermometer(monkeypatch: pytest.MonkeyPatch) -> Thermometer:
    device = Thermometer()
    monkeypatch.setattr(module, "device", lambda path: {"gse.thermometer": device}[path])
    GlobalState.setup = Setup.from_dict(
        {
            "camtest": {
                "interlocks": {
                    "cold_plate": {
                        "device": "gse.thermometer",
                        "query": "get_temperature",
                        "arguments": {"channel": "A"},
                        "maximum": 60.0,
                        "unit": "degC",
                        "blocks": ["*.expose", "*.wait_long"],
                    }
                }
            }
        }
    )
    return device


def test_interlocks_are_checked_at_the_start(core: FakeCore, thermometer: Thermometer) -> None:
    assert execute(expose, time=1.0) == 1.0
    thermometer.value = 65.2
    with pytest.raises(
        InterlockAbort,
        match=r"interlock `cold_plate` is violated: "
        r"gse.thermometer.get_temperature\(channel='A'\) gives 65.2 degC, above 60",
    ):
        execute(expose, time=1.0)
    assert core.last["status"] == "aborted"
    execute(read_out)
    thermometer.value = ConnectionError("nobody answers")
    with pytest.raises(InterlockAbort, match="cannot be asked: nobody answers"):
        execute(expose, time=1.0)
    thermometer.value = float("nan")
    with pytest.raises(InterlockAbort, match="which is no number"):
        execute(expose, time=1.0)


def test_interlocks_are_checked_while_waiting(
    core: FakeCore, thermometer: Thermometer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from camtest.commanding.utilities import wait_until

    monkeypatch.setattr(module, "PERIOD", 0.0)

    @building_block
    @on_abort(safe=make_dark)
    def wait_long() -> None:
        def never() -> bool:
            thermometer.value += 10.0
            return False

        wait_until(never, timeout=60.0, interval=0.001)

    with pytest.raises(InterlockAbort, match=r"gives 70\.0 degC, above 60"):
        execute(wait_long)
    assert DONE == ["dark"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"device": "gse.x"}, "needs `device` and `query`"),
        ({"device": "gse.x", "query": "q"}, "has no limit"),
        ({"device": "gse.x", "query": "q", "maximum": 1, "max": 2}, "unknown keys max"),
    ],
)
def test_an_interlock_that_is_not_understood_protects_nothing(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(InterlockAbort, match=message):
        Interlock.of("door", entry)


def test_no_interlocks() -> None:
    assert not Interlocks.of(None)
    assert not Interlocks.of(Setup.from_dict({"gse": {}}))
