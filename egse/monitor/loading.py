"""All definitions of a site: TM dictionary, defaults of this package, Setup; and what was refused of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from egse.advice import or_meant
from egse.monitor.definitions import PHASES, Checks, Definition, LimitDefinitionError
from egse.monitor.entries import refine
from egse.monitor.expression import Expression, ExpressionError
from egse.setup import NavigableDict, Setup
from egse.tmdict import Limits, Parameter, TMDictionary
from egse.yamlfile import line_of, parse_yaml

DEFAULTS = Path(__file__).resolve().parent.parent / "data" / "monitor" / "limits.yaml"
"""Refinements that hold for every site."""


@dataclass(frozen=True)
class Definitions:
    """What is watched.

    Attributes:
        by_name: the definitions that check something; parameters and rules.
        phases: what must hold in each phase, in this order.
        problems: what was refused, each with file, line and parameter.
        known: names of all parameters and rules, also of those without limits.
    """

    by_name: Mapping[str, Definition] = field(default_factory=dict)
    phases: Mapping[str, Expression] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    known: frozenset[str] = frozenset()


def read_definitions(setup: Setup | NavigableDict | None, dictionary: TMDictionary) -> Definitions:
    """Returns everything that is watched; whatever is wrong is left out, and told in `problems`.

    Args:
        setup: refines the limits with `monitor.limits`; None for none.
        dictionary: names, units and limits of the parameters.
    """
    reading = _Reading(dictionary)
    text = DEFAULTS.read_text(encoding="utf-8")
    defaults = parse_yaml(text, DEFAULTS)
    for name, entry in defaults.items():
        if name in dictionary:  # a site with a shorter dictionary has no use for it
            reading.take(name, entry, partial(_place_in_file, text, name))
    monitor = setup.get("monitor") if setup is not None else None
    if isinstance(monitor, NavigableDict):
        reading.take_setup(monitor)
    elif monitor is not None and setup is not None:
        reading.problems.append(f"{setup._place('monitor')}: a mapping is needed, not {monitor!r}")
    return reading.result()


def require_definitions(setup: Setup | NavigableDict | None, dictionary: TMDictionary) -> Definitions:
    """Returns everything that is watched.

    Raises:
        LimitDefinitionError: when anything is wrong, with file, line and parameter of each mistake.
    """
    found = read_definitions(setup, dictionary)
    if found.problems:
        raise LimitDefinitionError("\n".join(found.problems))
    return found


def _place_in_file(text: str, name: str, key: str) -> str:
    path = (name, key) if key else (name,)
    return f"{DEFAULTS}, line {line_of(text, path)}, {'.'.join(path)}"


class _Reading:
    """Collects definitions."""

    def __init__(self, dictionary: TMDictionary) -> None:
        self._dictionary = dictionary
        self._found = {name: of_parameter(name, dictionary[name]) for name in dictionary}
        self._phases: dict[str, Expression] = {}
        self.problems: list[str] = []

    def result(self) -> Definitions:
        """Returns what was found."""
        by_name = {
            name: definition
            for name, definition in self._found.items()
            if definition.is_condition
            or not definition.checks.is_empty
            or any(not when.checks.is_empty for when in definition.whens)
        }
        return Definitions(by_name, self._phases, tuple(self.problems), frozenset(self._found))

    def take(self, name: str, entry: Any, where: Callable[[str], str]) -> None:
        """Takes one entry of a file; keeps what was known before when it is refused."""
        try:
            is_rule = isinstance(entry, Mapping) and bool({"expression", "condition"} & set(entry))
            base = self._found.get(name, Definition(name))
            if name in self._dictionary and is_rule:
                raise LimitDefinitionError(f"{where('')}: {name} is a parameter; give the rule another name")
            if name not in self._found and not is_rule:
                raise LimitDefinitionError(
                    f"{where('')}: the TM dictionary has no parameter {name!r}"
                    f"{or_meant(name, self._dictionary)} (a rule has an `expression` or a `condition`)"
                )
            made = refine(base, entry, where)
            self._check_inputs(made, where)
        except LimitDefinitionError as exc:
            self.problems.append(str(exc))
        else:
            self._found[name] = made

    def take_setup(self, monitor: NavigableDict) -> None:
        """Takes the branch `monitor` of a Setup."""
        for key, take in (("limits", self._take_limits), ("phases", self._take_phases)):
            try:
                branch = monitor.get(key)
            except (OSError, ValueError) as exc:  # a file that it names is not there, or is none
                self.problems.append(str(exc))
                continue
            if isinstance(branch, NavigableDict):
                take(branch)
            elif branch is not None:
                self.problems.append(f"{monitor._place(key)}: a mapping is needed, not {branch!r}")

    def _take_limits(self, limits: NavigableDict) -> None:
        for name, entry in limits.items():
            if isinstance(entry, NavigableDict):
                where = partial(_place_in_setup, limits, name, entry)
            else:
                where = partial(_place_in_setup, limits, name, None)
            self.take(name, entry, where)

    def _take_phases(self, phases: NavigableDict) -> None:
        for name, text in phases.items():
            place = phases._place(name)
            try:
                if name not in PHASES:
                    raise LimitDefinitionError(f"{place}: {name!r} is none of {', '.join(PHASES)}")
                expression = Expression(text)
                self._check_names(expression, place)
            except (LimitDefinitionError, ExpressionError) as exc:
                self.problems.append(str(exc) if isinstance(exc, LimitDefinitionError) else f"{place}: {exc}")
            else:
                self._phases[name] = expression

    def _check_inputs(self, definition: Definition, where: Callable[[str], str]) -> None:
        if definition.expression is not None:
            key = "condition" if definition.is_condition else "expression"
            self._check_names(definition.expression, where(key))
        for checks in (definition.checks, *(when.checks for when in definition.whens)):
            if checks.valid_when is not None:
                self._check_names(checks.valid_when, where("valid_when"))

    def _check_names(self, expression: Expression, place: str) -> None:
        for name in sorted(expression.names):
            if name not in self._dictionary:
                raise LimitDefinitionError(
                    f"{place}: the TM dictionary has no parameter {name!r}{or_meant(name, self._dictionary)}"
                )


def _place_in_setup(limits: NavigableDict, name: str, entry: NavigableDict | None, key: str) -> str:
    return entry._place(key) if entry is not None and key else limits._place(name)


def of_parameter(name: str, parameter: Parameter) -> Definition:
    """Returns the limits that the TM dictionary gives: out of `ops` is a warning, out of `nonops` an alarm."""
    ranges: list[tuple[str, Limits]] = []
    if parameter.nonops:
        ranges.append(("alarm", parameter.nonops))
    if parameter.ops:
        ranges.append(("warning", parameter.ops))
    return Definition(
        name,
        Checks(ranges=tuple(ranges)),
        unit=parameter.unit,
        description=parameter.description,
        mnemonic=parameter.mnemonic,
    )
