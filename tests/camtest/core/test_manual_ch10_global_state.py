"""The examples of chapter 10 of the manual: what the GlobalState is and holds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from camtest import building_block, end_observation, execute, generate_command_sequence, start_observation
from camtest.core import services, writing
from egse.setup import Setup, get_setup, load_setup, set_provider, submit_setup

if TYPE_CHECKING:
    from ..conftest import FakeCore


class Provider:
    """A configuration manager with three Setups; the one with the id 2 is active."""

    def __init__(self) -> None:
        self.active = 2
        self.answer = threading.Event()
        self.answer.set()
        self.asked = 0

    def get_setup(self, setup_id: int | None) -> Setup:
        self.asked += 1
        assert self.answer.wait(30)
        number = self.active if setup_id is None else setup_id
        setup = Setup({"number": number})
        setup.set_private_attribute("_setup_id", number)
        return setup

    def load_setup(self, setup_id: int | None) -> Setup:
        self.active = self.active if setup_id is None else setup_id
        return self.get_setup(None)

    def submit_setup(self, setup: Setup, description: str) -> Setup:
        return self.load_setup(68)

    def list_setups(self, **_: Any) -> list[tuple[Any, ...]]:
        return []


@pytest.fixture(autouse=True)
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setattr(services, "is_configuration_manager_listening", lambda: True)
    provider = Provider()
    set_provider(provider)
    yield provider
    set_provider(None)


@building_block
def move(axis: int | None = None) -> None:
    pass


@building_block
def homing(axes: list[int] | None = None) -> None:
    for axis in axes or []:
        move(axis=axis)
        if axis < 0:
            raise ArithmeticError("no such axis")


def test_10_1_all_instances_share_their_state() -> None:
    from camtest.state import GlobalState

    GlobalState().dry_run = True
    assert GlobalState().dry_run is True
    assert GlobalState.dry_run is True
    GlobalState.dry_run = False
    assert GlobalState().dry_run is False


def test_10_2_1_the_setup_comes_from_the_configuration_manager() -> None:
    from camtest import GlobalState

    setup = GlobalState.setup
    assert setup is not None
    assert setup.get_id() == "00002"


def test_10_2_1_without_configuration_manager_it_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from camtest import GlobalState

    monkeypatch.setattr(services, "is_configuration_manager_listening", lambda: False)
    assert GlobalState.setup is None


def test_10_2_1_load_setup_fills_it_and_get_setup_does_not(provider: Provider) -> None:
    from camtest import GlobalState

    setup = load_setup(53)
    assert GlobalState.setup is setup
    setup_67 = get_setup(67)
    assert (setup_67.get_id(), provider.active) == ("00067", 53)
    assert GlobalState.setup is setup
    assert submit_setup(setup, description="a change") is GlobalState.setup


def test_10_2_2_in_a_dry_run_load_setup_is_that_of_the_dry_run() -> None:
    from camtest import GlobalState

    load_setup(53)
    GlobalState.dry_run = True
    load_setup(54)
    assert GlobalState.setup is not None
    assert GlobalState.setup["number"] == 54
    GlobalState.dry_run = False
    assert GlobalState.setup["number"] == 53


def test_10_2_3_the_command_sequence_of_an_observation(core: FakeCore) -> None:
    from camtest import GlobalState

    execute(homing, axes=[1, 2])
    sequence = GlobalState.command_sequence
    assert [entry.call for entry in sequence] == ["homing(axes=[1, 2])", "move(axis=1)", "move(axis=2)"]
    assert [entry.id for entry in sequence] == ["homing", "homing/move", "homing/move#2"]
    assert sequence.mode == "operations"
    assert sequence.details["obsid"] == core.last["obsid"]
    assert all(entry.end is not None for entry in sequence)
    start_observation("another")
    assert list(GlobalState().command_sequence) == []
    end_observation()


def test_10_2_3_a_long_observation_keeps_a_readable_sequence(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    from camtest import GlobalState

    monkeypatch.setattr(writing, "LONGEST_SEQUENCE", 2)
    execute(homing, axes=[1, 2, 3])
    assert len(GlobalState.command_sequence) == 2
    assert GlobalState.command_sequence.details["incomplete"] == "only the first 2 building blocks are here"


def test_10_2_3_a_block_that_raises_is_marked(core: FakeCore) -> None:
    from camtest import GlobalState

    with pytest.raises(ArithmeticError):
        execute(homing, axes=[1, -1, 2])
    first, *moves = GlobalState.command_sequence
    assert first.error == "ArithmeticError: no such axis"
    assert [entry.error for entry in moves] == ["", ""]


def test_10_2_3_generate_command_sequence_returns_it() -> None:
    sequence = generate_command_sequence(homing, axes=[7])
    assert [entry.call for entry in sequence] == ["homing(axes=[7])", "move(axis=7)"]
    assert sequence.mode == "dry-run"


def test_threads_see_one_state_and_wait_only_for_the_setup(provider: Provider) -> None:
    from camtest import GlobalState

    provider.answer.clear()
    seen: list[Any] = []
    threads = [threading.Thread(target=lambda: seen.append(GlobalState.setup)) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert GlobalState.dry_run is False  # nobody waits for the configuration manager but who needs the Setup
    assert GlobalState.clock is not None
    provider.answer.set()
    for thread in threads:
        thread.join(10)
    assert provider.asked == 1
    assert len({id(setup) for setup in seen}) == 1


def test_a_test_can_have_a_state_of_its_own() -> None:
    from camtest import GlobalState

    def fail() -> None:
        with GlobalState.isolated():
            GlobalState.setup = None
            raise ZeroDivisionError

    setup = load_setup(53)
    GlobalState.dry_run = True
    with GlobalState.isolated():
        assert GlobalState.dry_run is False
        GlobalState.setup = Setup({"number": 1})
        with pytest.raises(ZeroDivisionError):
            fail()
        assert GlobalState().setup["number"] == 1
    assert GlobalState.dry_run is True
    GlobalState.dry_run = False
    assert GlobalState.setup is setup
