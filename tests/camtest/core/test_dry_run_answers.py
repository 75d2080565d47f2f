"""Answers of a dry run: seeds of the models, declared values, recorded observations; each equal to what was then run.

The procedure has a settle loop, a retry after an injected error, and a branch on a query. As run it goes through a real
control server with the simulator in it, on a clock that is faster than the wall's.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from camtest import GlobalState, building_block, execute, generate_command_sequence
from camtest.core.answers import DryRunOptions, split_options
from camtest.core.sequence import CommandSequence
from egse.clock import Clock
from egse.confman import ConfigurationManagerProxy
from egse.device import DeviceTimeoutError
from egse.ogse import OGSEProxy
from egse.ogse.driver import OGSESimulator
from egse.ogse.ogse_cs import APP
from egse.server import ControlServer
from egse.settings import Settings
from egse.setup import Setup
from egse.storage.commands import collect_commands
from egse.tempcontrol.lsci336 import LakeShore336Proxy
from egse.tempcontrol.lsci336.interface import HeaterRange

if TYPE_CHECKING:
    from conftest import FakeCore


@pytest.fixture(autouse=True)
def _setup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "CSL1")
    GlobalState.setup = Setup({"site_id": "CSL1"})


LIMIT = 7.6
"""Between the durations of the first move of the attenuator with seeds 1 (6.4 s) and 2 (8.9 s)."""
NO_REPLY = "no reply to `power on`"


@building_block
def settle_and_light(limit: float) -> float:
    """Lamp on (again after a time-out), attenuator open; closed a bit when it still moves after `limit` [s]."""
    clock = GlobalState.clock
    with OGSEProxy() as ogse:
        return _settle(ogse, clock, limit)


def _settle(ogse: OGSEProxy, clock: Clock, limit: float) -> float:
    for attempt in (1, 2, 3):
        try:
            ogse.power_on()
            break
        except TimeoutError:
            if attempt == 3:
                raise
            clock.sleep(0.1)
    ogse.att_set_level_index(index=40)
    began = clock.monotonic()
    clock.sleep(limit)
    if ogse.att_get_level()["att_moving"]:
        ogse.att_level_down()
    while ogse.att_get_level()["att_moving"]:
        clock.sleep(0.25)
    return clock.monotonic() - began


def planned(seed: int, **options: Any) -> CommandSequence:
    failing = {"ogse_cs.power_on": [DeviceTimeoutError(NO_REPLY), ...]}
    return generate_command_sequence(
        settle_and_light, limit=LIMIT, seed=seed, responses=options.pop("responses", failing), **options
    )


class FlakySimulator(OGSESimulator):
    """Does not answer the first `power on`."""

    answered = False

    def power_on(self) -> None:
        if not self.answered:
            self.answered = True
            raise DeviceTimeoutError(NO_REPLY)
        super().power_on()


class Site:
    """The data folder of a site with one control server in this process."""

    def __init__(self, folder: Path, core: FakeCore) -> None:
        self.data, self.core = folder / "data/CSL1", core
        self.data.mkdir(parents=True)

    def run(self, seed: int) -> CommandSequence:
        """Executes the block in an observation and returns its as-run sequence, read from files."""
        app = replace(APP, controller=lambda context: FlakySimulator(context.clock, seed))
        server = ControlServer(app, simulator=True)
        thread = threading.Thread(target=server.serve, name="ogse")
        thread.start()
        try:
            execute(settle_and_light, limit=LIMIT)
        finally:
            server.stop()
            thread.join(10)
        return CommandSequence.of_observation(self._write(), self.data)

    def _write(self) -> int:
        number = len(self.core.records)
        prefix = f"{number:05d}_CSL1"
        folder = self.data / "obs" / prefix
        folder.mkdir(parents=True)
        obsid = self.core.last["obsid"]
        info = {"run_id": str(number), "test_id": number, "site_id": "CSL1", "setup_id": 7, "start": ""}
        (folder / "observation.json").write_text(json.dumps(info))
        events = "".join(json.dumps(event) + "\n" for event in self.core.events)
        (folder / f"{prefix}_events.jsonl").write_text(events)
        (folder / f"{prefix}_commands.jsonl").write_bytes(collect_commands(self.data, obsid, "2020-01-01"))
        self.core.events.clear()
        return number


@pytest.fixture
def site(
    tmp_path: Path, core: FakeCore, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> Iterator[Site]:
    made = Site(tmp_path, core)
    a, b, c = free_ports(3)
    (tmp_path / "local.yaml").write_text(
        "SITE:\n  ID: CSL1\n  SPEED: 4\n  MODE: simulator\nOGSE Control Server:\n"
        f"  COMMANDING_PORT: {a}\n  SERVICE_PORT: {b}\n  MONITORING_PORT: {c}\n"
    )
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(tmp_path / "local.yaml"))
    monkeypatch.setenv("PLATO_DATA_STORAGE_LOCATION", str(tmp_path / "data"))
    Settings.load(force=True)
    yield made
    monkeypatch.undo()
    Settings.load(force=True)


def test_two_seeds_give_two_sequences_each_equal_to_its_as_run(site: Site) -> None:
    """With a settle loop, a retry after an error, and a branch on what was asked."""
    plans, runs = {}, {}
    for seed in (1, 2):
        plans[seed], runs[seed] = planned(seed), site.run(seed)
        assert plans[seed].state_changing() == runs[seed].state_changing()
        diff = plans[seed].diff(runs[seed])
        assert not diff, str(diff)
        assert not plans[seed].diff(runs[seed], queries=True), "and the folded polls are the same"
    names = {seed: [name for _, name, _ in plan.state_changing()] for seed, plan in plans.items()}
    assert names == {
        1: ["power_on", "power_on", "att_set_level_index"],
        2: ["power_on", "power_on", "att_set_level_index", "att_level_down"],
    }
    assert runs[1].mode == "operations", "FakeCore kept no details of the observation"
    assert runs[1].commands[0].error == f"DeviceTimeoutError: {NO_REPLY}"
    (difference,) = plans[1].diff(plans[2], queries=False)
    assert (difference.kind, difference.entry.name) == ("added", "att_level_down")

    against = planned(1, responses={}, against=2, location=str(site.data))
    assert against.state_changing() == runs[2].state_changing(), (
        "the simulator with seed 1, answers of seed 2"
    )
    polls = [entry for entry in against.commands if entry.query]
    assert {entry.source for entry in polls} == {"observation CSL1_00007_00002"}
    assert against.details["against"] == "CSL1_00007_00002"
    assert against.commands[0].error == f"DeviceTimeoutError: {NO_REPLY}"


def test_the_same_seed_gives_the_same_export() -> None:
    assert planned(3).to_json() == planned(3).to_json()
    assert planned(1).details["seed"] == 1


def test_declared_answers_come_first_and_are_named() -> None:
    level = {"att_moving": False, "att_factor": 1.0, "att_index": 46}
    sequence = planned(2, responses={"att_get_level": [level | {"att_moving": True}, level]})
    assert [entry.source for entry in sequence.commands] == [
        "model of ogse_cs",
        "model of ogse_cs",
        "declared",
        "model of ogse_cs",
        "declared",
    ]
    assert sequence.sources == {"model of ogse_cs": 3, "declared": 2}


def test_a_declared_function_gets_the_arguments() -> None:
    seen: list[int] = []
    planned(1, responses={"ogse_cs.att_set_level_index": lambda index: seen.append(index)})
    assert seen == [40]


def test_queries_that_nobody_answers_are_listed() -> None:
    @building_block
    def asks() -> Any:
        with ConfigurationManagerProxy() as manager:
            return manager.get_service_proxy().get_process_status()

    sequence = generate_command_sequence(asks)
    assert [entry.name for entry in sequence.unanswered] == ["get_process_status"]
    assert "nobody answered" in str(sequence)
    assert "nobody answered" in sequence.to_markdown()


def test_the_setup_may_be_another_one(tmp_path: Path) -> None:
    path = tmp_path / "SETUP_CSL1_00042_260101_000000.yaml"
    path.write_text("Setup:\n  site_id: CSL1\n  limit: 3\n")

    @building_block
    def looks() -> Any:
        assert GlobalState.setup is not None
        return GlobalState.setup["limit"]

    assert generate_command_sequence(looks, setup=path).blocks[0].result == 3
    assert generate_command_sequence(looks, setup=Setup({"limit": 4})).blocks[0].result == 4


def test_arguments_of_a_block_come_before_options() -> None:
    arguments, options, setup = split_options({"seed"}, {"seed": 9, "against": 3})
    assert (arguments, options.seed, options.against, setup) == ({"seed": 9}, 0, 3, None)
    with pytest.raises(TypeError, match="mapping"):
        split_options((), {"responses": [1]})


def test_options_travel_to_a_kernel() -> None:
    options = DryRunOptions(
        3, 7, "/data", {"a_cs.get": [{"raises": "DeviceTimeoutError", "message": "x"}, "..."]}
    )
    there = DryRunOptions.from_json(options.to_json())
    assert (there.seed, there.against) == (3, 7)
    error, following = there.responses["a_cs.get"]
    assert isinstance(error, DeviceTimeoutError)
    assert following is ...
    with pytest.raises(ValueError, match="no options"):
        DryRunOptions.from_json('{"seed": "x"}')


@building_block
def open_up(index: int) -> None:
    """Sets the attenuator, and waits until it is there."""
    with OGSEProxy() as ogse:
        ogse.att_set_level_index(index=index)
        while ogse.att_get_level()["att_moving"]:
            GlobalState.clock.sleep(0.25)


@building_block
def one_further() -> int:
    """Goes one level up from wherever it is, but not beyond 41."""
    with OGSEProxy() as ogse:
        if ogse.att_get_level()["att_index"] < 41:
            ogse.att_level_up()
        GlobalState.clock.sleep(20.0)
        return int(ogse.att_get_level()["att_index"])


def test_a_dry_run_begins_where_others_have_left_the_devices(tmp_path: Path) -> None:
    first = generate_command_sequence(open_up, index=40)
    assert generate_command_sequence(one_further).blocks[0].result == 1, "after power-on it is opaque"

    second = generate_command_sequence(one_further, after=[first])
    assert second.blocks[0].result == 41
    assert second.commands[0].start == 0.0, "time counts from the new beginning"
    assert [entry.name for entry in second.commands] == ["att_get_level", "att_level_up", "att_get_level"]
    assert second.details["after"] == ['open_up(index="40")']

    exports = [first.export(tmp_path / "first.json"), second.export(tmp_path / "second.yaml")]
    third = generate_command_sequence(one_further, after=exports)
    assert [entry.name for entry in third.commands] == ["att_get_level"] * 2, "both were repeated, in order"
    assert third.blocks[0].result == 41
    assert DryRunOptions.from_json(DryRunOptions(after=exports).to_json()).after == [
        str(path) for path in exports
    ]


def test_a_beginning_that_cannot_be_had_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="its times are those of a simulator"):
        generate_command_sequence(one_further, after=[CommandSequence("as run", mode="simulator")])
    odd = CommandSequence("odd", mode="dry-run")
    odd.add(
        None,
        "command",
        "att_set_level_index",
        start=0.0,
        arguments={"index": -3},
        device="ogse_cs",
        source="model of ogse_cs",
    )
    with pytest.raises(ValueError, match=r"of odd cannot be repeated: .*index"):
        generate_command_sequence(one_further, after=[odd])
    (tmp_path / "no.json").write_text("[]")
    with pytest.raises(ValueError, match="no exported command sequence"):
        generate_command_sequence(one_further, after=[tmp_path / "no.json"])


def test_members_of_enumerations_stand_there_as_in_the_journals() -> None:
    @building_block
    def heat(heater_range: HeaterRange) -> None:
        with LakeShore336Proxy() as controller:
            controller.set_range(1, heater_range)

    sequence = generate_command_sequence(heat, heater_range=HeaterRange.LOW)
    assert [(entry.name, entry.arguments) for entry in sequence] == [
        ("heat", {"heater_range": 1}),
        ("set_range", {"output": 1, "range": 1}),
    ]
    assert sequence.commands[0].call == "lsci336_cs.set_range(output=1, range='LOW')", "people read the name"
