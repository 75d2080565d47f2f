"""The table of reactions in the Setup: which recovery building block answers which alarm.

monitor:
  reactions:
    fee_too_hot:
      alarm: [NFEE_TOU_TRP5, "NFEE_TOU_TRP*"]       # names of alarms, or patterns
      at: alarm                                     # this bad at least: warning, alarm (the usual), critical
      block: camtest.commanding.dpu.n_fee_to_on_mode
      arguments: {}
      priority: 10                                  # the smallest number goes first; 100 when left out
      warning: 5.0                                  # so long an operator can cancel it [s]; 5 when left out
      timeout: 300.0                                # so long the building block may take [s]
      safes: after                                  # of the interrupted observation: after the block, before it, never
      description: The FEE overheats; in ON mode it takes a third of the power.

Everything is checked when the Setup is loaded: a table with a mistake in it would be found out in the middle of the night.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from camtest.core.blocks import BlockDefinition, BuildingBlockError
from camtest.core.conditions import DEFINITION_ATTRIBUTE, SafeCall
from camtest.core.safes import SafeError, safe_state
from camtest.core.values import call_text
from egse.advice import did_you_mean
from egse.monitor.alarms import PRIORITIES
from egse.parameter import CommandError
from egse.setup import NavigableDict, Setup
from egse.setup.trust import is_trusted

PLACE = "monitor.reactions"
"""The branch of the Setup."""
WARNING, TIMEOUT, PRIORITY = 5.0, 300.0, 100
"""What holds when an entry does not say it."""
LONGEST_WARNING, LONGEST_TIMEOUT = 3600.0, 7200.0
"""[s]"""
SAFES = ("after", "before", "never")
"""When the safes of the observation that is interrupted run."""
_KEYS = ("alarm", "at", "block", "arguments", "priority", "warning", "timeout", "safes", "description")


class ReactionError(ValueError):
    """Entries of the table that cannot be carried out.

    Attributes:
        problems: one text for each, with file, line and key path.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class Reaction:
    """One row of the table; see the text of this module.

    Attributes:
        name: its key in the Setup.
        alarms: names or patterns of alarms.
        at: the alarm must be as bad as this at least.
        call: the building block with all its arguments.
        priority: the smallest number goes first.
        warning: how long an operator can cancel it [s].
        timeout: how long the building block may take [s].
        safes: when the safes of the interrupted observation run, one of `SAFES`.
        description: for people.
    """

    name: str
    alarms: tuple[str, ...]
    call: SafeCall
    at: str = PRIORITIES[1]
    priority: int = PRIORITY
    warning: float = WARNING
    timeout: float = TIMEOUT
    safes: str = SAFES[0]
    description: str = ""

    @property
    def function(self) -> str:
        """The call as text, `n_fee_to_on_mode()`."""
        return call_text(self.call.name.rpartition(".")[2], dict(self.call.arguments))

    def answers(self, alarm: str, priority: str) -> bool:
        """Says whether it reacts to an alarm of this name and priority."""
        bad_enough = PRIORITIES.index(priority) >= PRIORITIES.index(self.at)
        return bad_enough and any(fnmatchcase(alarm, pattern) for pattern in self.alarms)


@dataclass(frozen=True)
class ReactionTable:
    """The reactions of a Setup, the most urgent first.

    Attributes:
        reactions: those that are in order.
        problems: what is wrong with the others, one text each.
    """

    reactions: tuple[Reaction, ...] = ()
    problems: tuple[str, ...] = field(default=())

    def __iter__(self) -> Iterator[Reaction]:
        return iter(self.reactions)

    def __len__(self) -> int:
        return len(self.reactions)

    def find(self, name: str) -> Reaction:
        """Returns a reaction by its name.

        Raises:
            LookupError: when there is none.
        """
        for reaction in self.reactions:
            if reaction.name == name:
                return reaction
        names = [one.name for one in self.reactions]
        raise LookupError(
            f"there is no reaction {name!r}{did_you_mean(name, names)} (there are: {', '.join(names) or 'none'})"
        )


def read_table(setup: Setup | None) -> ReactionTable:
    """Returns the table of a Setup; entries with a mistake are left out, and named in `problems`."""
    branch = _branch(setup)
    if branch is None:
        return ReactionTable()
    if not isinstance(branch, Mapping):
        return ReactionTable((), (f"{PLACE} must be a branch with a key for each reaction, not {branch!r}",))
    found, problems = [], []
    for name in branch:
        try:
            found.append(_read(str(name), branch[name], setup))
        except ReactionError as exc:
            problems += exc.problems
    return ReactionTable(tuple(sorted(found, key=lambda one: (one.priority, one.name))), tuple(problems))


def check_table(setup: Setup | None) -> ReactionTable:
    """Returns the table of a Setup.

    Raises:
        ReactionError: when there is any mistake in it.
    """
    table = read_table(setup)
    if table.problems:
        raise ReactionError(list(table.problems))
    return table


def _branch(setup: Setup | None) -> Any:
    monitor = None if setup is None or "monitor" not in setup else setup["monitor"]
    return monitor.get("reactions") if isinstance(monitor, Mapping) else None


class _Entry:
    """Reads one entry, and collects what is wrong with it."""

    def __init__(self, name: str, entry: Any) -> None:
        self.name = name
        self.entry: Mapping[str, Any] = entry if isinstance(entry, Mapping) else {}
        self.problems: list[str] = []
        if not isinstance(entry, Mapping):
            self.problems.append(f"{PLACE}.{name}: needs `alarm` and `block`, found {entry!r}")
        for key in self.entry:
            if key not in _KEYS:
                self.refuse(key, f"is no key of a reaction{did_you_mean(key, _KEYS)}")

    def refuse(self, key: str, problem: str) -> None:
        entry = self.entry
        place = f"{PLACE}.{self.name}.{key}"
        if isinstance(entry, NavigableDict) and key in entry:
            place = entry._place(key)
        self.problems.append(f"{place}: {problem}")

    def text(self, key: str, default: str = "") -> str:
        value = self.entry.get(key, default)
        if not isinstance(value, str):
            self.refuse(key, f"must be a text, not {value!r}")
            return default
        return value

    def choice(self, key: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(key, default)
        if value not in choices:
            self.refuse(key, f"must be one of {', '.join(choices)}, not {value!r}")
            return default
        return value

    def number(self, key: str, default: float, low: float, high: float) -> float:
        value = self.entry.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            self.refuse(key, f"must be a number from {low:g} to {high:g}, not {value!r}")
            return default
        return float(value)

    def names(self, key: str) -> tuple[str, ...]:
        value = self.entry.get(key)
        names = [value] if isinstance(value, str) else value
        if (
            not isinstance(names, list | tuple)
            or not names
            or not all(isinstance(n, str) and n for n in names)
        ):
            self.refuse(key, f"must be the name of an alarm, a pattern, or a list of these, not {value!r}")
            return ()
        return tuple(names)


def _read(name: str, entry: Any, setup: Setup | None) -> Reaction:
    read = _Entry(name, entry)
    alarms = read.names("alarm")
    call = _call(read, setup)
    reaction = Reaction(
        name,
        alarms,
        call or SafeCall(""),
        read.choice("at", PRIORITIES, PRIORITIES[1]),
        int(read.number("priority", PRIORITY, 1, 1000)),
        read.number("warning", WARNING, 0.0, LONGEST_WARNING),
        read.number("timeout", TIMEOUT, 1.0, LONGEST_TIMEOUT),
        read.choice("safes", SAFES, SAFES[0]),
        read.text("description"),
    )
    if read.problems:
        raise ReactionError(read.problems)
    return reaction


def _call(read: _Entry, setup: Setup | None) -> SafeCall | None:
    name = read.text("block")
    given = read.entry.get("arguments", {})
    if not name:
        read.refuse("block", "names no building block, as in camtest.commanding.dpu.n_fee_to_on_mode")
        return None
    if not isinstance(given, Mapping):
        read.refuse("arguments", f"must be a branch with a key for each argument, not {given!r}")
        return None
    try:
        block = find_recovery(name, setup)
    except LookupError as exc:
        read.refuse("block", str(exc))
        return None
    definition: BlockDefinition = getattr(block, DEFINITION_ATTRIBUTE)
    try:
        arguments = definition.arguments(dict(given))
    except (BuildingBlockError, CommandError) as exc:
        read.refuse("arguments" if given else "block", str(exc))
        return None
    return SafeCall(definition.qualified_name, arguments, block)


def find_recovery(name: str, setup: Setup | None = None) -> Callable[..., Any]:
    """Returns a building block that reactions may run: one that is declared as `recovery`, or the safe state of the Setup.

    Raises:
        LookupError: when there is none of this name, it is not in a trusted package, or is not declared so.
    """
    module, _, function = name.rpartition(".")
    if not module or not is_trusted(module):
        raise LookupError(
            f"{name!r} is not in a trusted package (camtest, installed packages, TRUSTED_PACKAGES of the Settings)"
        )
    try:
        found = getattr(importlib.import_module(module), function, None)
    except (ImportError, ValueError) as exc:
        raise LookupError(f"{module} cannot be imported: {exc}") from exc
    definition = getattr(found, DEFINITION_ATTRIBUTE, None)
    if found is None or not isinstance(definition, BlockDefinition):
        names = [one for one, value in vars(importlib.import_module(module)).items() if _is_recovery(value)]
        raise LookupError(
            f"there is no building block {function!r} in {module}{did_you_mean(function, names)}"
        )
    if not _is_recovery(found) and definition.qualified_name != _safe_state_name(setup):
        raise LookupError(
            f"{definition.qualified_name} is not declared as a recovery: automatic reactions run only what is, see "
            "`camtest reactions blocks`; put @recovery above @building_block when it makes the equipment safer from any state"
        )
    return found  # type: ignore[no-any-return]


def _is_recovery(value: Any) -> bool:
    definition = getattr(value, DEFINITION_ATTRIBUTE, None)
    options = definition.options if isinstance(definition, BlockDefinition) else None
    return options is not None and bool(options.recovers)


def _safe_state_name(setup: Setup | None) -> str:
    try:
        call = safe_state(setup)
    except SafeError:
        return ""
    return "" if call is None else call.name


def recoveries(modules: tuple[str, ...] = ()) -> dict[str, str]:
    """Returns the building blocks that reactions may run, with their first line of documentation, by full name.

    Args:
        modules: where to look besides the modules of `camtest.commanding`.

    Raises:
        ImportError: when a module cannot be imported.
    """
    import pkgutil

    import camtest.commanding as commanding

    own = [f"{commanding.__name__}.{info.name}" for info in pkgutil.iter_modules(commanding.__path__)]
    found: dict[str, str] = {}
    for module in (*own, *modules):
        for value in vars(importlib.import_module(module)).values():
            if _is_recovery(value):
                definition: BlockDefinition = getattr(value, DEFINITION_ATTRIBUTE)
                found[definition.qualified_name] = definition.doc.partition("\n")[0]
    return dict(sorted(found.items()))
