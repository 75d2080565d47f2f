"""For test engineers: a pytest plug-in, stepping through a building block, and reloading edited ones.

The plug-in is there as soon as camtest is installed. In a test of a building block:

    def test_lamp(dry_run, assert_sequence):
        ogse.ogse_swon()
        assert_sequence(["ogse_cs.att_set_level_index(index=0)", "ogse_cs.power_on()", "ogse_cs.operate_on()"])
        assert dry_run.clock.monotonic() < 60  # virtual: took no time

At a prompt:

    step_through(ogse.ogse_swon)                        # a dry run that stops before every command
    run_steps([(ogse.ogse_swon, {}), (dpu.n_fee_to_dump_mode, {})], start=2)
    reload_blocks("my_scripts.lamp")                    # which building blocks have changed?
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from camtest.core.blocks import BlockDefinition
    from camtest.core.dryrun import DryRun
    from camtest.core.sequence import CommandSequence
    from egse.clock import VirtualClock
    from egse.setup import Setup
    from egse.site.sandbox import Sandbox

LOGGER = logging.getLogger(__name__)

SANDBOX_SPEED = 20.0


# -- fixtures ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def camtest_setup() -> Setup:
    """The Setup of `dry_run`: that of a sandbox with all devices; override it in your `conftest.py` for another one."""
    from egse.clock import VirtualClock
    from egse.setup import Setup
    from egse.site.confrepo import initial_setup

    created = f"{VirtualClock.START:.0f}"
    return Setup.from_yaml_string(initial_setup("LAB", "achel", created))


@pytest.fixture
def virtual_clock() -> Iterator[VirtualClock]:
    """The clock of the session, virtual: waiting takes no time."""
    from camtest.state import GlobalState
    from egse.clock import VirtualClock

    with GlobalState.isolated():
        clock = VirtualClock()
        GlobalState.clock = clock
        yield clock


@pytest.fixture
def dry_run(camtest_setup: Setup) -> Iterator[DryRun]:
    """A dry run that takes all commands of the test; building blocks need no observation. Has `sequence` and `clock`."""
    from camtest.core.dryrun import DryRun
    from camtest.state import GlobalState, install_dry_run

    with GlobalState.isolated():
        run = DryRun(camtest_setup, supervised=True)
        install_dry_run(run)
        yield run


@pytest.fixture(scope="session")
def camtest_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A running sandbox for the whole session of tests, joined by this process: core services, simulators, servers."""
    from egse.settings import Settings
    from egse.site.ports import release_block
    from egse.site.sandbox import Sandbox

    folder = tmp_path_factory.mktemp("camtest") / "sandbox"
    with Sandbox(folder, speed=SANDBOX_SPEED, seed=1) as sandbox, sandbox.joined():
        Settings.load(force=True)
        yield sandbox
    Settings.load(force=True)
    release_block(folder)


@pytest.fixture(name="assert_sequence")
def _assert_sequence(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`assert_sequence(expected)` for the dry run of the test, or `assert_sequence(expected, sequence)` for any."""

    def check(
        expected: Sequence[str], sequence: CommandSequence | None = None, *, queries: bool = False
    ) -> None:
        given = request.getfixturevalue("dry_run").sequence if sequence is None else sequence
        assert_sequence(given, expected, queries=queries)

    return check


# -- command sequences -------------------------------------------------------------------------------------------------


def commands_of(sequence: CommandSequence, *, queries: bool = False) -> list[str]:
    """Returns the device commands of a sequence in order: `server.command(argument=value)`.

    Args:
        sequence: of a dry run.
        queries: with the commands that change nothing; those that are repeated stand there once.
    """
    lines: list[str] = []
    for entry in sequence.commands:
        changes = not _is_query(entry.device, entry.name)
        if changes or (queries and (not lines or lines[-1] != entry.call)):
            lines.append(entry.call)
    return lines


def _is_query(server: str, name: str) -> bool:
    from camtest.core.dryrun import DryRunError
    from camtest.core.servers import find_app
    from egse.command import commands_of as commands_of_interface
    from egse.security.roles import Role, role_of

    try:
        definition = commands_of_interface(find_app(server).interface)[name]
    except (DryRunError, KeyError):
        return False
    return role_of(definition) is Role.OBSERVE


def assert_sequence(sequence: CommandSequence, expected: Sequence[str], *, queries: bool = False) -> None:
    """Asserts which device commands a sequence has, in which order and with which arguments.

    Args:
        sequence: of a dry run.
        expected: `server.command(argument=value)`; `server.command(...)` for any arguments.
        queries: look at commands that change nothing as well.

    Raises:
        AssertionError: with the difference.
    """
    found = commands_of(sequence, queries=queries)
    same = len(found) == len(expected) and all(
        one == wanted or (wanted.endswith("(...)") and one.startswith(wanted[: -len("...)")]))
        for one, wanted in zip(found, expected)
    )
    if not same:
        difference = "\n".join(unified_diff(list(expected), found, "expected", "commanded", lineterm=""))
        raise AssertionError(f"the command sequence differs:\n{difference}")


# -- stepping ----------------------------------------------------------------------------------------------------------


def ask_at_prompt(step: str) -> str:
    """Shows a step and returns what to do: "next", "run" (to the end), or "quit"."""
    answer = input(f"{step}   [Enter: next, r: run, q: quit] ").strip().lower()
    return {"r": "run", "q": "quit"}.get(answer[:1], "next")


def step_through(
    building_block: Callable[..., Any],
    *,
    before: Callable[[str], str] = ask_at_prompt,
    start: int = 1,
    **kwargs: Any,
) -> CommandSequence:
    """Executes a building block in a dry run and stops before every command.

    Args:
        building_block: the function itself.
        before: told each command before it is executed; returns "next", "run" or "quit".
        start: number of the first command at which to stop.
        kwargs: all arguments of the building block.

    Returns:
        The command sequence, as far as it was executed.
    """
    from camtest.core.dryrun import DryRun
    from camtest.core.exec import Abort
    from camtest.state import active_dry_run, install_dry_run, setup_for_dry_run
    from egse.command import CommandDefinition
    from egse.proxy import Proxy

    class Stepping(DryRun):
        count = 0
        stopping = True

        def call(self, proxy: Proxy, definition: CommandDefinition, arguments: dict[str, Any]) -> Any:
            self.count += 1
            if self.stopping and self.count >= start:
                values = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
                decision = before(
                    f"{self.count:>3}  {self.clock.monotonic():8.2f} s  {proxy.server_name}.{definition.name}({values})"
                )
                if decision == "quit":
                    raise Abort(f"stopped before command {self.count}")
                self.stopping = decision != "run"
            return super().call(proxy, definition, arguments)

    outer = active_dry_run()
    run = Stepping(setup_for_dry_run(), getattr(building_block, "__name__", ""), supervised=True)
    install_dry_run(run)
    try:
        building_block(**kwargs)
    except Abort as exc:
        if not str(exc).startswith("stopped before command"):
            raise
        LOGGER.info("%s", exc)
    finally:
        install_dry_run(outer)
        run.close()
    return run.sequence


def run_steps(
    steps: Sequence[tuple[Callable[..., Any], Mapping[str, Any]]], *, start: int = 1, stop: int | None = None
) -> list[Any]:
    """Executes building blocks one after the other, from step `start` on: for going on where a test has ended.

    Args:
        steps: building blocks, each with all its arguments.
        start: number of the first step that is executed, from 1.
        stop: number of the last one; the end when None.

    Returns:
        Their results; None for those that were left out.

    Raises:
        ValueError: when there is no such step.
        BuildingBlockError: when arguments do not fit; nothing has been executed then.
    """
    from camtest.core.exec import definition_of

    last = len(steps) if stop is None else stop
    if not 1 <= start <= last <= len(steps):
        raise ValueError(f"there are steps 1 to {len(steps)}, so it cannot be {start} to {last}")
    checked = [(block, definition_of(block).arguments(arguments)) for block, arguments in steps]
    results: list[Any] = [None] * len(steps)
    for number in range(start, last + 1):
        block, arguments = checked[number - 1]
        LOGGER.info("Step %d of %d: %s", number, len(steps), block.__name__)
        results[number - 1] = block(**arguments)
    return results


# -- reloading ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BlockChange:
    """What a reload did to a building block.

    Attributes:
        name: its name.
        change: changed, new or gone.
        before, after: its BBID; empty when it was not known.
    """

    name: str
    change: str
    before: str
    after: str

    def __str__(self) -> str:
        ids = f"BBID {self.before or '?'} -> {self.after or '?'}"
        return f"{self.name}: {self.change} ({ids})"


def reload_blocks(module: ModuleType | str) -> list[BlockChange]:
    """Reads a module again from its file and tells which of its building blocks have other code now.

    A change during an observation is recorded in its events.

    Args:
        module: the module or its full name.

    Raises:
        ImportError, SyntaxError: as `egse.reload.reload_module`.
    """
    from camtest.core.observation import running_context
    from camtest.state import GlobalState
    from egse.reload import reload_module

    name = module if isinstance(module, str) else module.__name__
    before = _blocks_in(sys.modules.get(name))
    known = {block.name: block.bbid for block in before.values()}
    after = _blocks_in(reload_module(name))
    changes = []
    for block_name in sorted(before.keys() | after.keys()):
        old, new = before.get(block_name), after.get(block_name)
        if old is None or new is None:
            change = "new" if old is None else "gone"
        elif _same_code(old.function.__code__, new.function.__code__):
            continue
        else:
            change = "changed"
        ids = (known.get(block_name, ""), "" if new is None else new.bbid)
        changes.append(BlockChange(block_name, change, *ids))
    for one in changes:
        LOGGER.warning("%s", one)
    context = None if GlobalState.dry_run else running_context()
    if context is not None and changes:
        context.mark("reloaded", module=name, changes=[str(one) for one in changes])
    return changes


def _blocks_in(module: ModuleType | None) -> dict[str, BlockDefinition]:
    from camtest.core.conditions import DEFINITION_ATTRIBUTE

    found = {}
    for name, value in vars(module).items() if module is not None else ():
        definition = getattr(value, DEFINITION_ATTRIBUTE, None)
        if definition is not None and definition.function.__module__ == module.__name__:  # type: ignore[union-attr]
            found[name] = definition
    return found


def _same_code(one: CodeType, other: CodeType) -> bool:
    """Says whether two functions do the same, wherever they stand; their documentation does not count."""
    if (one.co_code, one.co_names, one.co_varnames) != (other.co_code, other.co_names, other.co_varnames):
        return False
    first, second = _constants(one), _constants(other)
    return len(first) == len(second) and all(
        _same_code(a, b)
        if isinstance(a, CodeType) and isinstance(b, CodeType)
        else (type(a), a) == (type(b), b)
        for a, b in zip(first, second)
    )


def _constants(code: CodeType) -> list[Any]:
    """Returns the constants of a function without its documentation, which is the first when there is one."""
    constants = list(code.co_consts)
    return constants[1:] if constants and isinstance(constants[0], str) else constants


def check_defaults(folder: Path) -> list[str]:
    """Returns what is wrong with `defaults.yaml` in a folder: modules and building blocks that do not exist there.

    Args:
        folder: of the modules.
    """
    import ast

    import yaml

    from camtest.core.syntax import parse_statements

    path = folder / "defaults.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    problems = []
    for module, blocks in dict(content or {}).items():
        source = folder / f"{str(module).rpartition('.')[2]}.py"
        if not source.is_file():
            problems.append(f"{path}: there is no module {module} beside it")
            continue
        tree = parse_statements(source.read_text(encoding="utf-8"))
        functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        problems += [
            f"{path}: {module} has no function {name}" for name in dict(blocks or {}) if name not in functions
        ]
    return problems
