"""Chapters 20 and 21 of the manual: its examples as they are printed, and every rule with a test that breaks it."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any

import pytest

from camtest import (
    Abort,
    GlobalState,
    building_block,
    end_observation,
    execute,
    generate_command_sequence,
    observation,
    start_observation,
)
from camtest.commanding import tcs
from camtest.commanding.tcs import is_task_running
from camtest.core.exec import BuildingBlockError, ObservationError, active_blocks, definition_of
from egse.clock import VirtualClock
from egse.command import CommandError, Range, Unit
from egse.setup import Setup
from egse.tcs import TCSInterface, TCSSimulator

if TYPE_CHECKING:
    from conftest import FakeCore


# The example of chapter 21.
@building_block
def set_trp1(temperature: float) -> None:
    """
    Set the temperature setpoint for TRP1.

    Args:
        temperature: Temperature setpoint for TRP1 [°C].

    Raises:
        If a task is already running in the TCS EGSE, an Abort is raised.
    """

    if is_task_running():
        raise Abort("Cannot change the TRP1 setpoint, a task is running on the TCS")

    tcs: TCSInterface = GlobalState.setup.gse.tcs.device  # type: ignore[union-attr]
    tcs.set_parameter(name="ch1_tset", value=temperature)
    tcs.commit()


@pytest.fixture(autouse=True)
def tcs_egse() -> TCSSimulator:
    """The TCS EGSE of the Setup: the real driver on the model, in remote mode."""
    tcs = TCSSimulator(VirtualClock())
    tcs.request_remote_operation()
    setup = Setup.from_dict({"gse": {"tcs": {}}})
    setup.gse.tcs["device"] = tcs
    GlobalState.setup = setup
    return tcs


@pytest.mark.parametrize("block", [set_trp1, tcs.set_trp1], ids=["as printed", "ours"])
def test_the_example_runs_as_it_is_printed(block: Any, core: FakeCore, tcs_egse: TCSSimulator) -> None:
    start_observation("Configure the TCS EGSE")
    block(temperature=-70.0)
    end_observation()
    assert tcs_egse.get_configuration()["ch1_tset"] == -70.0
    assert core.last["description"] == "Configure the TCS EGSE"
    assert core.last["status"] == "done"


@pytest.mark.parametrize("block", [set_trp1, tcs.set_trp1], ids=["as printed", "ours"])
def test_the_example_aborts_while_a_task_is_running(
    block: Any, core: FakeCore, tcs_egse: TCSSimulator
) -> None:
    before = tcs_egse.get_configuration()["ch1_tset"]
    tcs_egse.run_task()
    with pytest.raises(Abort, match="Cannot change the TRP1 setpoint, a task is running on the TCS"):
        execute(block, temperature=-70.0)
    assert tcs_egse.get_configuration()["ch1_tset"] == before
    assert core.last["status"] == "aborted"


def test_the_example_as_an_observation_of_its_own(core: FakeCore) -> None:
    execute(set_trp1, temperature=-70.0, description="TRP1 to operating temperature")
    assert core.last["function"] == 'set_trp1(temperature="-70.0")'
    assert core.last["description"] == "TRP1 to operating temperature"


def test_the_command_sequence_without_an_observation() -> None:
    sequence = generate_command_sequence(set_trp1, temperature=-70.0)
    (entry,) = sequence
    assert (entry.name, entry.arguments) == ("set_trp1", {"temperature": -70.0})


# -- rules when it is defined ------------------------------------------------------------------------------------------


def defined(folder: Path, source: str, name: str = "blocks_of_chapter_21") -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(
        "from typing import Annotated\nfrom camtest.core.exec import building_block\n"
        "from egse.command import Range, Unit\n" + textwrap.dedent(source)
    )
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_it_is_marked_as_a_building_block() -> None:
    assert set_trp1.BUILDING_BLOCK_FUNC is True  # type: ignore[attr-defined]
    with pytest.raises(BuildingBlockError, match="`is_task_running` is not a building block; decorate it"):
        execute(is_task_running)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("@building_block()\ndef heat(): ...", "used without brackets and without arguments"),
        ("@building_block(retries=3)\ndef heat(): ...", "used without brackets and without arguments"),
        (
            "@building_block\ndef heat(power=2.5): ...",
            "`power` has the default 2.5; the only default allowed is None",
        ),
        ("@building_block\ndef heat(*powers): ...", "`*powers` cannot be given by name"),
        ("@building_block\ndef heat(**powers): ...", "`**powers` cannot be given by name"),
        ("@building_block\ndef heat(power, /): ...", "`power` cannot be given by name"),
        ("@building_block\nasync def heat(): ...", "must be a plain function"),
        (
            '@building_block\ndef heat(power: Annotated[float, Range(5, 0), Unit("W")]): ...',
            "`power` [W] has the empty range [5, 0]",
        ),
        (
            '@building_block\ndef heat(power: Annotated[float, Unit("[W]")]): ...',
            "`power` has the unit '[W]': write it as Unit(",
        ),
    ],
)
def test_rules_when_it_is_defined(tmp_path: Path, source: str, message: str) -> None:
    with pytest.raises(TypeError) as info:
        defined(tmp_path, source)
    assert message in str(info.value)


def test_errors_of_a_definition_name_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(BuildingBlockError, match=r"blocks_of_chapter_21\.py:4"):
        defined(tmp_path, "@building_block\ndef heat(power=2.5): ...")


def test_defaults_from_a_file_of_its_own(tmp_path: Path, core: FakeCore) -> None:
    (tmp_path / "input").mkdir()
    (tmp_path / "input" / "heat.yaml").write_text("Args:\n  power: 2.5\n")
    module = defined(
        tmp_path, "@building_block\ndef heat(power: float, time: float):\n    return power, time\n"
    )
    assert execute(module.heat, time=1.0) == (2.5, 1.0)
    assert execute(module.heat, time=1.0, power=3.0) == (3.0, 1.0)
    with pytest.raises(BuildingBlockError, match="`heat` needs `time`"):
        execute(module.heat)


def test_defaults_from_one_file_keyed_by_module(tmp_path: Path, core: FakeCore) -> None:
    (tmp_path / "defaults.yaml").write_text(
        "lamps:\n  on:\n    level: 1\n'heaters':\n  'on':\n    power: 2.5\n".replace("  on:", "  'on':")
    )
    source = "@building_block\ndef on({0}: float):\n    return {0}\n"
    lamps, heaters = (
        defined(tmp_path, source.format(name), module)
        for name, module in (("level", "lamps"), ("power", "heaters"))
    )
    assert execute(lamps.on) == 1
    assert execute(heaters.on) == 2.5


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"input/heat.yaml": "Args:\n  powr: 1\n"},
            "gives a default for `powr`, which .* Did you mean `power`",
        ),
        ({"input/heat.yaml": "power: 1\n"}, "must hold the key `Args:`"),
        ({"input/heat.yaml": "Args: [1\n"}, "is not valid YAML"),
        (
            {"input/heat.yaml": "Args:\n  power: hot\n"},
            r"the YAML default of `heat`: `power` \[W\] expected a number",
        ),
        ({"input/heat.yaml": "Args:\n  power: 9\n"}, r"`power` \[W\] must be in \[0, 5\] W, got 9"),
        ({"defaults.yaml": "- 1\n"}, "must hold modules"),
        (
            {"defaults.yaml": "blocks_of_chapter_21:\n  heat: 3\n"},
            "must stand building blocks with their defaults",
        ),
        (
            {
                "input/heat.yaml": "Args:\n  power: 1\n",
                "defaults.yaml": "blocks_of_chapter_21:\n  heat:\n    power: 2\n",
            },
            "has defaults in both",
        ),
    ],
)
def test_files_with_defaults_are_checked_at_import(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    (tmp_path / "input").mkdir()
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(BuildingBlockError, match=message):
        defined(tmp_path, '@building_block\ndef heat(power: Annotated[float, Range(0, 5), Unit("W")]): ...\n')


# -- rules when it is called -------------------------------------------------------------------------------------------


@building_block
def warm_up(
    setpoint: Annotated[float, Range(-80, 40), Unit("degC")],
    channel: int | None = None,
    label: str = None,  # type: ignore[assignment]  # noqa: RUF013
) -> tuple[float, int | None]:
    return setpoint, channel


REGISTERED: list[tuple[str, ...]] = []


@building_block
def inner() -> None:
    REGISTERED.append(active_blocks())


@building_block
def outer(fails: bool) -> None:
    REGISTERED.append(active_blocks())
    inner()
    if fails:
        raise ValueError("no light")


@building_block
def ping(depth: int) -> None:
    pong(depth=depth)


@building_block
def pong(depth: int) -> None:
    ping(depth=depth)


@building_block
def over_and_over(depth: int) -> None:
    again(depth)


def again(depth: int) -> None:
    over_and_over(depth=depth + 1)


CORRECT = {"setpoint": -70.0, "channel": None, "label": "TRP1"}


def test_only_inside_an_observation(core: FakeCore) -> None:
    with pytest.raises(ObservationError, match="inside an observation only: call start_observation"):
        warm_up(**CORRECT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"setpoint": None, "temp": -70.0},
            "`warm_up` needs `setpoint` [degC]; you passed `temp`. Did you mean `setpoint`?",
        ),
        ({"channel": None}, "`warm_up` needs `channel`. Every argument is given by name at each call"),
        ({"setpoint": "cold"}, "warm_up: `setpoint` [degC] expected a number, got 'cold'"),
        ({"setpoint": 41.0}, "warm_up: `setpoint` [degC] must be in [-80, 40] degC, got 41.0"),
        ({"setpoint": float("nan")}, "must be in [-80, 40] degC, got nan"),
        ({"channel": 1.5}, "`channel` expected a whole number, got 1.5"),
        ({"channel": True}, "`channel` expected a whole number, got True"),
        ({"label": 3}, "`label` expected text, got 3"),
        ({"chanel": 3}, "has no parameter `chanel`. Did you mean `channel`?"),
    ],
)
def test_arguments_are_explicit_and_checked(core: FakeCore, changes: dict[str, Any], message: str) -> None:
    given = dict(CORRECT)
    for name, value in changes.items():
        if value is None:
            del given[name]
        else:
            given[name] = value
    with observation(), pytest.raises(CommandError) as info:
        warm_up(**given)
    assert message in str(info.value)


def test_positional_arguments_are_rejected(core: FakeCore) -> None:
    with observation(), pytest.raises(BuildingBlockError) as info:
        warm_up(-70.0, None, label="TRP1")
    assert "take keyword arguments only: warm_up(setpoint=..., channel=..., label=...)" in str(info.value)


def test_no_recursion(core: FakeCore) -> None:
    with pytest.raises(
        BuildingBlockError, match=r"`over_and_over` is active already .* cannot be called recursively"
    ):
        execute(over_and_over, depth=1)


def test_no_recursion_by_way_of_another_building_block(core: FakeCore) -> None:
    with pytest.raises(BuildingBlockError) as info:
        execute(ping, depth=1)
    assert "(`ping` -> `pong` -> `ping`)" in str(info.value)


@pytest.mark.parametrize("fails", [False, True])
def test_it_is_registered_while_it_runs_and_no_longer(core: FakeCore, fails: bool) -> None:
    REGISTERED.clear()
    with pytest.raises(ValueError, match="no light") if fails else nullcontext(), observation():
        outer(fails=fails)
    assert REGISTERED == [("outer",), ("outer", "inner")]
    assert active_blocks() == ()
    assert [event["event"] for event in core.events if "block" in event] == [
        *("start", "start", "end"),
        "failed" if fails else "end",
    ]


def test_a_dry_run_registers_it_in_the_command_sequence() -> None:
    generate_command_sequence(outer, fails=False)
    sequence = GlobalState.command_sequence
    assert [(entry.id, entry.kind) for entry in sequence] == [("outer", "block"), ("outer/inner", "block")]
    assert sequence.mode == "dry-run"


def test_execute_is_not_used_inside_a_building_block(core: FakeCore) -> None:
    @building_block
    def wrong() -> None:
        execute(inner)

    with pytest.raises(
        BuildingBlockError, match=r"cannot be used inside a building block \(`wrong` is active"
    ):
        execute(wrong)


def test_an_observation_is_not_started_in_another(core: FakeCore) -> None:
    with observation(), pytest.raises(ObservationError, match="an observation is running: obsid CSL1_00007"):
        start_observation("a second one")


def test_an_argument_that_may_be_none_must_be_given_all_the_same(core: FakeCore) -> None:
    with observation():
        assert warm_up(**CORRECT) == (-70.0, None)


def test_identity_and_count(core: FakeCore) -> None:
    with observation():
        warm_up(**CORRECT)
        warm_up(**CORRECT)
    starts = [event for event in core.events if event["event"] == "start"]
    assert {event["bbid"] for event in starts} == {definition_of(warm_up).bbid}
    assert [event["bbcount"] for event in starts] == [1, 3]
