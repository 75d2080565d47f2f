"""The rules for building blocks that hold when they are called (chapter 21 of the manual)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from camtest import Abort, building_block, end_observation, execute, observation, start_observation
from camtest.core.exec import BuildingBlockError, ObservationError, active_blocks
from egse.command import Range, Unit
from egse.proxy import get_command_context

if TYPE_CHECKING:
    from conftest import FakeCore

SEEN: list[Any] = []


@building_block
def set_trp1(
    temperature: Annotated[float, Range(-80, 40), Unit("degC")], channel: int | None = None
) -> float:
    """Sets the setpoint."""
    SEEN.append((temperature, channel, active_blocks(), get_command_context().block))
    return temperature


@building_block
def outer(temperature: float) -> float:
    return set_trp1(temperature=temperature, channel=None)


@building_block
def recursive(depth: int) -> None:
    through_a_function(depth)


def through_a_function(depth: int) -> None:
    recursive(depth=depth + 1)


@building_block
def fails(kind: str) -> None:
    raise {"abort": Abort("TRP1 is busy"), "error": ValueError("broken"), "stop": KeyboardInterrupt()}[kind]


@building_block
def described(description: str) -> str:
    return description


@pytest.fixture(autouse=True)
def _forget() -> None:
    SEEN.clear()


def test_needs_an_observation(core: FakeCore) -> None:
    with pytest.raises(ObservationError, match=r"start_observation.*execute"):
        set_trp1(temperature=1.0, channel=None)
    assert not SEEN


def test_positional_arguments_are_refused(core: FakeCore) -> None:
    with (
        observation(),
        pytest.raises(BuildingBlockError, match=r"keyword.*set_trp1\(temperature=\.\.\., channel="),
    ):
        set_trp1(-70.0, 1)
    with pytest.raises(TypeError):
        set_trp1(-70.0, 1)
    assert not SEEN


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"temp": -70.0, "channel": None},
            "`set_trp1` needs `temperature` [degC]; you passed `temp`. Did you mean `temperature`?",
        ),
        (
            {"temperature": -70.0},
            "`set_trp1` needs `channel`. Every argument is given by name at each call, even when it is None.",
        ),
        (
            {"temperature": -70.0, "channel": 1, "chanel": 2},
            "`set_trp1` has no parameter `chanel`. Did you mean `channel`?",
        ),
        ({}, "`set_trp1` needs `temperature` [degC] and `channel`."),
        ({"temperature": "cold", "channel": 1}, "`temperature` [degC] expected a number"),
        ({"temperature": 99.0, "channel": 1}, "`temperature` [degC] must be in [-80, 40] degC, got 99"),
    ],
)
def test_wrong_arguments_are_explained(core: FakeCore, arguments: dict[str, Any], message: str) -> None:
    with observation(), pytest.raises(ValueError) as info:
        set_trp1(**arguments)
    assert message in str(info.value)
    assert not SEEN


def test_arguments_are_checked_before_an_observation_is_opened(core: FakeCore) -> None:
    with pytest.raises(BuildingBlockError):
        execute(set_trp1, temp=3)
    assert core.records == []


def test_runs_with_complete_arguments_and_tells_the_commands_who_they_belong_to(core: FakeCore) -> None:
    with observation():
        assert outer(temperature=-70) == -70
    assert SEEN == [(-70, None, ("outer", "set_trp1"), "set_trp1")]
    assert active_blocks() == ()
    assert get_command_context().block == ""


def test_start_and_end_become_events(core: FakeCore) -> None:
    with observation("events"):
        outer(temperature=-70.0)
    blocks = [event for event in core.events if event["event"] in ("start", "end")]
    assert [(e["event"], e["block"].rpartition(".")[2]) for e in blocks] == [
        ("start", "outer"),
        ("start", "set_trp1"),
        ("end", "set_trp1"),
        ("end", "outer"),
    ]
    assert blocks[1]["args"] == {"temperature": -70.0, "channel": None}
    assert blocks[1]["parent"] == blocks[0]["call"]
    assert [event["bbcount"] for event in blocks] == [1, 2, 3, 4]
    assert all(len(event["bbid"]) == 16 for event in blocks if event["event"] == "start")
    assert core.kinds()[0] == "observation-start"
    assert core.kinds()[-1] == "observation-end"


def test_recursion_is_refused_also_through_functions(core: FakeCore) -> None:
    with observation(), pytest.raises(BuildingBlockError, match=r"`recursive` -> `recursive`.*recursively"):
        recursive(depth=0)
    assert [event["event"] for event in core.events if "block" in event] == ["start", "failed"]
    with observation():
        set_trp1(temperature=1.0, channel=None)


def test_two_threads_may_run_the_same_building_block(core: FakeCore) -> None:
    barrier, results = threading.Barrier(2, timeout=5), []

    @building_block
    def meet(number: int) -> None:
        barrier.wait()
        results.append(number)

    with observation():
        threads = [threading.Thread(target=meet, kwargs={"number": number}) for number in (1, 2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(results) == [1, 2]


@pytest.mark.parametrize(
    ("kind", "error", "status"),
    [
        ("abort", Abort, "aborted"),
        ("error", ValueError, "failed"),
        ("stop", KeyboardInterrupt, "interrupted"),
    ],
)
def test_execute_closes_with_the_true_status(
    core: FakeCore, kind: str, error: type[BaseException], status: str
) -> None:
    with pytest.raises(error):
        execute(fails, kind=kind)
    assert core.last["status"] == status
    failed = next(event for event in core.events if event["event"] == "failed")
    assert failed["error"].startswith(error.__name__)
    assert failed["aborted"] is (kind == "abort")


def test_execute_writes_the_call_into_the_obsid_table(core: FakeCore) -> None:
    assert execute(set_trp1, temperature=-70.0, channel=None, description="cold") == -70.0
    assert core.last["function"] == 'set_trp1(temperature="-70.0", channel="None")'
    assert core.last["description"] == "cold"
    assert core.last["status"] == "done"
    assert not core.last["supervised"]


def test_execute_hands_description_to_a_block_that_has_such_a_parameter(core: FakeCore) -> None:
    assert execute(described, description="text") == "text"
    assert core.last["description"] == "text"


def test_execute_takes_building_blocks_only(core: FakeCore) -> None:
    with pytest.raises(BuildingBlockError, match="`through_a_function` is not a building block"):
        execute(through_a_function, depth=1)
    with pytest.raises(BuildingBlockError, match="without parentheses"):
        execute(3.5)  # type: ignore[arg-type]
    assert core.records == []


def test_execute_is_refused_inside_a_building_block_and_an_observation(core: FakeCore) -> None:
    @building_block
    def executes() -> None:
        execute(set_trp1, temperature=1.0, channel=None)

    with observation(), pytest.raises(BuildingBlockError, match="inside a building block"):
        executes()
    start_observation("open")
    with pytest.raises(ObservationError, match="an observation is running: obsid CSL1_00007_00002"):
        execute(set_trp1, temperature=1.0, channel=None)
    end_observation()
    assert [record["status"] for record in core.records] == ["failed", "done"] or core.records[0][
        "status"
    ] == "done"
