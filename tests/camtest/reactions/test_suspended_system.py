"""A procedure that stands still while a condition holds: real core services, a real session."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from egse.archive import Observation
from egse.confman import ConfigurationManagerProxy

from .conftest import Bench, eventually

pytestmark = pytest.mark.system

CLIENT = """
from pathlib import Path
import reaction_bench
from camtest import observation
from camtest.core.suspenders import suspended_while
door = Path(reaction_bench.__file__).with_name("door")
with observation("suspended"), suspended_while(lambda: door.exists() and "the door is open", name="door"):
    reaction_bench.note("begins")
    reaction_bench.steps(count=40)
    reaction_bench.note("has ended")
"""


@pytest.fixture
def bench(site_with_reactions: Bench) -> Iterator[Bench]:
    site_with_reactions.trace.unlink(missing_ok=True)
    yield site_with_reactions
    site_with_reactions.close()


def test_it_stands_still_and_goes_on(bench: Bench) -> None:
    door = bench.folder / "door"
    client = bench.client(CLIENT)
    door.touch()
    with ConfigurationManagerProxy() as manager:
        eventually(lambda: manager.get_desk()["state"] == "paused", "the stay")
        assert manager.get_desk()["detail"] == "suspended by door: the door is open"
        obsid = manager.get_obsid()
    stands = bench.traced()
    assert "has ended" not in stands
    door.unlink()
    assert client.wait(120) == 0
    assert bench.traced()[-1] == "has ended"
    events = [event for event in Observation(str(obsid)).events if event["event"] in ("suspended", "resumed")]
    assert [event["event"] for event in events] == ["suspended", "resumed"]
    assert events[0]["reason"] == "the door is open"
    assert bench.last()[0]["status"] == "done"


def test_an_operator_can_end_what_stands_still(bench: Bench) -> None:
    door = bench.folder / "door"
    door.touch()
    client = bench.client(CLIENT)
    with ConfigurationManagerProxy() as manager:
        eventually(lambda: manager.get_desk()["state"] == "paused", "the stay")
        manager.give_verb("abort", "enough")
    client.wait(120)
    door.unlink()
    assert client.returncode != -signal.SIGKILL
    assert bench.last()[0]["status"] == "aborted"
    assert "has ended" not in bench.traced()
