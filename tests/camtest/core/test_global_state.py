from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from camtest.core import services
from camtest.state import GlobalState
from egse.clock import RealClock, VirtualClock
from egse.setup import Setup, load_setup, set_provider

if TYPE_CHECKING:
    from collections.abc import Iterator


class Provider:
    def __init__(self) -> None:
        self.away = True
        self.asked = 0

    def get_setup(self, setup_id: int | None) -> Setup:
        self.asked += 1
        if self.away:
            raise ConnectionError("cm_cs does not answer")
        return Setup({"number": setup_id or 7})

    load_setup = get_setup

    def submit_setup(self, setup: Setup, description: str) -> Setup:
        return setup

    def list_setups(self, **_: Any) -> list[tuple[Any, ...]]:
        return []


@pytest.fixture
def provider(monkeypatch: pytest.MonkeyPatch) -> Iterator[Provider]:
    monkeypatch.setattr(services, "is_configuration_manager_listening", lambda: True)
    provider = Provider()
    set_provider(provider)
    yield provider
    set_provider(None)


def test_setup_is_none_while_the_configuration_manager_is_away(provider: Provider) -> None:
    assert GlobalState.setup is None
    assert GlobalState().setup is None
    assert provider.asked == 1, "asked again at once"


def test_setup_is_fetched_once_and_follows_load_setup(provider: Provider) -> None:
    provider.away = False
    assert GlobalState.setup is not None
    assert GlobalState().setup is GlobalState.setup
    assert provider.asked == 1
    load_setup(12)
    assert GlobalState.setup["number"] == 12


def test_class_and_instances_share_everything(provider: Provider) -> None:
    first, second = GlobalState(), GlobalState()
    first.dry_run = True
    assert second.dry_run is True
    assert GlobalState.dry_run is True
    assert isinstance(second.clock, VirtualClock)
    assert second.command_sequence is GlobalState.command_sequence
    GlobalState.dry_run = False
    assert first.dry_run is False
    assert isinstance(first.clock, RealClock)
    with pytest.raises(AttributeError, match="GlobalState has no 'dryrun'"):
        first.dryrun = True
    with pytest.raises(AttributeError, match="GlobalState has no 'dryrun'"):
        _ = first.dryrun
