from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from camtest import Abort, building_block, end_observation, execute, observation, start_observation
from camtest.core import lease
from camtest.core import observation as module
from camtest.core.exec import ObservationError, current_obsid
from camtest.core.spool import EventSpool, read_events
from egse.proxy import get_command_context

if TYPE_CHECKING:
    from conftest import FakeCore


@building_block
def note(text: str) -> str:
    return text


def test_start_and_end(core: FakeCore) -> None:
    obsid = start_observation("two steps")
    assert obsid == current_obsid() == "CSL1_00007_00001"
    assert core.last["function"] == "unknown_function()"
    assert get_command_context().obsid == obsid
    note(text="a")
    end_observation()
    assert core.last["status"] == "done"
    assert current_obsid() is None
    assert get_command_context().obsid == ""
    end_observation()


def test_second_start_is_refused(core: FakeCore) -> None:
    start_observation("one")
    with pytest.raises(ObservationError, match="an observation is running: obsid CSL1_00007_00001"):
        start_observation("two")
    end_observation()
    assert len(core.records) == 1


def test_one_that_runs_elsewhere_is_reported_as_it_is(core: FakeCore) -> None:
    core.start_observation(run_id="theirs")
    with pytest.raises(ObservationError, match="CSL1_00007_00001"):
        start_observation("mine")
    assert current_obsid() is None


def test_start_that_got_lost_half_way_is_withdrawn(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    known = core.start_observation

    def recorded_but_not_opened(**given: Any) -> dict[str, Any]:
        known(**given)
        raise ConnectionError("the storage manager is away")

    monkeypatch.setattr(core, "start_observation", recorded_but_not_opened)
    with pytest.raises(ConnectionError, match="storage manager"):
        start_observation("x")
    assert core.last["status"] == "failed"
    assert current_obsid() is None


@pytest.mark.parametrize(
    ("error", "status"),
    [(Abort("no light"), "aborted"), (RuntimeError("x"), "failed"), (KeyboardInterrupt(), "interrupted")],
)
def test_with_statement_closes_with_the_true_status(
    core: FakeCore, error: BaseException, status: str
) -> None:
    with pytest.raises(type(error)), observation("try"):
        raise error
    assert core.last["status"] == status
    assert core.last["reason"].startswith(type(error).__name__)


def test_observation_stays_open_while_the_configuration_manager_is_away(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    start_observation("x")
    core.away = True
    with pytest.raises(ConnectionError):
        module.finish_observation("done", patience=0.1)
    core.away = False
    assert current_obsid() is not None
    end_observation()
    assert core.last["status"] == "done"


def test_an_observation_whose_lease_lapsed_is_over(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INTERACTIVE_LEASE", 0.2)
    start_observation("x")
    core.end_observation(core.last["run_id"], "orphaned")
    assert module._current is not None
    assert module._current.handle is not None
    module._current.handle._lease._thread.join(5)
    with pytest.raises(ObservationError, match="its lease ended"):
        note(text="a")
    module._current = None


def test_lease_is_renewed(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    core.start_observation(run_id="run1")
    keeper = lease.LeaseKeeper("run1", 0.04, lambda reason: None)
    keeper.start()
    for _ in range(500):
        if core.renewed > 1:
            break
        keeper._stopping.wait(0.01)
    keeper.stop()
    assert core.renewed > 1


@pytest.fixture
def joined(core: FakeCore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of a kernel that a runner started."""
    record = {"run_id": "run1", "obsid": "CSL1_00007_00042"}
    monkeypatch.setenv("CAMTEST_RUN_ID", "run1")
    monkeypatch.setenv("CAMTEST_OBSERVATION", json.dumps(record))
    monkeypatch.setenv("CAMTEST_SPOOL", str(tmp_path / "runner.events.jsonl"))
    return tmp_path / "runner.events.jsonl"


def test_kernel_joins_the_observation_of_its_runner(core: FakeCore, joined: Path) -> None:
    runner = EventSpool(joined, owner=True)
    note(text="before any start")
    assert start_observation("inside") == "CSL1_00007_00042"
    with pytest.raises(ObservationError, match="running"):
        start_observation("again")
    note(text="inside")
    end_observation()
    assert execute(note, text="executed") == "executed"
    with pytest.raises(Abort), observation("nested"):
        raise Abort("stop")
    assert core.records == []
    assert current_obsid() == "CSL1_00007_00042"
    events = read_events(joined)
    assert [event["event"] for event in events] == [
        *("start", "end"),
        *("nested-start", "start", "end", "nested-end"),
        *("nested-start", "start", "end", "nested-end"),
        *("nested-start", "nested-end"),
    ]
    assert events[6]["function"] == 'note(text="executed")'
    assert events[-1]["status"] == "aborted"
    runner.close()
    module._current = None
