"""One entry of `monitor.limits`: read, and checked, key by key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import pairwise
from typing import Any

from egse.monitor.alarms import PRIORITIES
from egse.monitor.definitions import (
    BOTH,
    DOWN,
    PHASES,
    STATES,
    UP,
    Checks,
    Definition,
    Lasting,
    LimitDefinitionError,
    Rate,
    When,
)
from egse.monitor.expression import Expression
from egse.tmdict import Limits

_RULE_KEYS = ("expression", "condition", "unit", "description", "when")
_CONTEXT_KEYS = ("state", "phase", "mode")


def refine(definition: Definition, entry: Mapping[str, Any], where: Callable[[str], str]) -> Definition:
    """Returns a definition with what an entry of the Setup says about it.

    Args:
        definition: what is known so far.
        entry: what the Setup says.
        where: returns the place of a key, for messages; of the entry itself for the empty text.

    Raises:
        LimitDefinitionError: when it makes no sense.
    """
    if not isinstance(entry, Mapping):
        raise LimitDefinitionError(f"{where('')}: a mapping with limits is needed, not {entry!r}")
    if "expression" in entry and "condition" in entry:
        raise LimitDefinitionError(f"{where('condition')}: a rule has either an expression or a condition")
    rule = {
        key: _expression(entry[key], where(key))
        for key in ("expression", "condition")
        if entry.get(key) is not None
    }
    expression = next(iter(rule.values()), definition.expression)
    own = {key: value for key, value in entry.items() if key not in _RULE_KEYS}
    checks = _Reader(own, where).read(definition.checks)
    made = replace(
        definition,
        checks=checks,
        expression=expression,
        is_condition="condition" in rule or (definition.is_condition and "expression" not in rule),
        unit=str(entry.get("unit") or definition.unit),
        description=str(entry.get("description") or definition.description),
        whens=_read_whens(entry["when"], checks, where) if "when" in entry else definition.whens,
        place=where(""),
    )
    _check_whole(made, where)
    return made


def _check_whole(definition: Definition, where: Callable[[str], str]) -> None:
    for checks in (definition.checks, *(when.checks for when in definition.whens)):
        _check_hysteresis(checks, where)
        if definition.is_condition and (checks.ranges or checks.allowed or checks.rate):
            raise LimitDefinitionError(
                f"{where('condition')}: a condition has no limits of its own; use `expression` for a value"
            )
    if definition.expression is not None and not definition.expression.names:
        raise LimitDefinitionError(f"{where('')}: {definition.expression.text!r} has no parameter in it")


def _check_hysteresis(checks: Checks, where: Callable[[str], str]) -> None:
    for priority, limits in checks.ranges:
        if limits.low is None or limits.high is None or not checks.hysteresis:
            continue
        if limits.low + checks.hysteresis > limits.high - checks.hysteresis:
            raise LimitDefinitionError(
                f"{where('hysteresis')}: {checks.hysteresis:g} is too much for the range of `{priority}` {_range(limits)}: "
                "nothing would be well again"
            )


def _read_whens(entries: Any, base: Checks, where: Callable[[str], str]) -> tuple[When, ...]:
    place = where("when")
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise LimitDefinitionError(f"{place}: a list is needed, [{{state: RUNNING, warning: [0, 10]}}, ...]")
    found = []
    for number, entry in enumerate(entries, 1):
        here = f"{place} (entry {number})"
        circumstances = {key: _texts(entry.get(key), f"{here}, {key}") for key in _CONTEXT_KEYS}
        if not any(circumstances.values()):
            raise LimitDefinitionError(f"{here}: say when: one of {', '.join(_CONTEXT_KEYS)}")
        _check_known(circumstances["state"], STATES, f"{here}, state")
        _check_known(circumstances["phase"], PHASES, f"{here}, phase")
        rest = {key: value for key, value in entry.items() if key not in _CONTEXT_KEYS}
        checks = _Reader(rest, lambda key, here=here: f"{here}, {key}" if key else here).read(base)  # type: ignore[misc]
        found.append(When(**circumstances, checks=checks))
    return tuple(found)


def _texts(value: Any, place: str) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    if not all(isinstance(item, str) for item in values):
        raise LimitDefinitionError(f"{place}: a text or a list of texts is needed, not {value!r}")
    return tuple(values)


def _check_known(values: tuple[str, ...], known: tuple[str, ...], place: str) -> None:
    for value in values:
        if value not in known:
            raise LimitDefinitionError(f"{place}: {value!r} is none of {', '.join(known)}")


def _expression(value: Any, place: str) -> Expression:
    try:
        return Expression(value)
    except ValueError as exc:
        raise LimitDefinitionError(f"{place}: {exc}") from None


class _Reader:
    """Reads the keys of one entry.

    Args:
        entry: the keys that say what is checked.
        where: the place of a key.
    """

    def __init__(self, entry: Mapping[str, Any], where: Callable[[str], str]) -> None:
        self._entry = entry
        self._where = where

    def read(self, base: Checks) -> Checks:
        """Returns the checks, `base` where the entry says nothing."""
        changes: dict[str, Any] = {}
        ranges = dict(base.ranges)
        for key in self._entry:
            if key == "nominal" or key in PRIORITIES:
                self._read_range(key, ranges)
                continue
            method = getattr(self, f"_read_{key}", None)
            if method is None or key.startswith("_"):
                known = sorted(name[6:] for name in dir(self) if name.startswith("_read_"))
                known.remove("range")
                raise LimitDefinitionError(
                    f"{self._where(key)}: there is no such key (there are: nominal, {', '.join((*PRIORITIES, *known))})"
                )
            changes |= method(self._entry[key])
        ordered = tuple(
            (priority, ranges[priority]) for priority in reversed(PRIORITIES) if priority in ranges
        )
        self._check_nesting(ordered)
        return replace(base, ranges=ordered, **changes)

    def _fail(self, key: str, text: str) -> LimitDefinitionError:
        return LimitDefinitionError(f"{self._where(key)}: {text}")

    def _number(self, key: str, value: Any, low: float | None = 0.0) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
            raise self._fail(key, f"a number is needed, not {value!r}")
        if low is not None and value < low:
            raise self._fail(key, f"{value!r} is less than {low:g}")
        return float(value)

    def _priority(self, key: str, value: Any) -> str:
        if value not in PRIORITIES:
            raise self._fail(key, f"{value!r} is none of {', '.join(PRIORITIES)}")
        return str(value)

    def _flag(self, key: str, value: Any) -> bool:
        if not isinstance(value, bool):
            raise self._fail(key, f"true or false is needed, not {value!r}")
        return value

    def _read_range(self, key: str, ranges: dict[str, Limits]) -> None:
        value, priority = self._entry[key], PRIORITIES[0] if key == "nominal" else key
        if key == "nominal" and PRIORITIES[0] in self._entry:
            raise self._fail(key, f"`nominal` and `{PRIORITIES[0]}` are the same range: give one of them")
        if value in (None, False, "off"):
            ranges.pop(priority, None)
            return
        if not isinstance(value, list) or len(value) != 2:
            raise self._fail(
                key, f"a range is needed, [low, high] with null for no limit, or off; not {value!r}"
            )
        low, high = (None if end is None else self._number(key, end, None) for end in value)
        if low is not None and high is not None and low > high:
            raise self._fail(key, f"the low limit {low:g} is above the high limit {high:g}")
        if low is None and high is None:
            raise self._fail(key, "a range needs at least one limit; `off` for none")
        ranges[priority] = Limits(low, high)

    def _check_nesting(self, ranges: tuple[tuple[str, Limits], ...]) -> None:
        """Refuses a range for something worse that is narrower than that for something less bad."""
        for (worse, outer), (milder, inner) in pairwise(ranges):
            low = outer.low is not None and inner.low is not None and outer.low > inner.low
            high = outer.high is not None and inner.high is not None and outer.high < inner.high
            if low or high:
                key = next((key for key in (worse, milder, "nominal") if key in self._entry), "")
                raise self._fail(
                    key,
                    f"the range of `{worse}` {_range(outer)} does not contain that of `{milder}` {_range(inner)}",
                )

    def _read_monitored(self, value: Any) -> dict[str, Any]:
        return {"monitored": self._flag("monitored", value)}

    def _read_latch(self, value: Any) -> dict[str, Any]:
        return {"latch": self._flag("latch", value)}

    def _read_allowed(self, value: Any) -> dict[str, Any]:
        if value is None:
            return {"allowed": None}
        if not isinstance(value, list) or not value:
            raise self._fail("allowed", f"a list of values is needed, not {value!r}")
        return {"allowed": tuple(value)}

    def _read_priority(self, value: Any) -> dict[str, Any]:
        return {"priority": self._priority("priority", value)}

    def _read_hysteresis(self, value: Any) -> dict[str, Any]:
        return {"hysteresis": self._number("hysteresis", value)}

    def _read_clear_after(self, value: Any) -> dict[str, Any]:
        return {"clear_after": self._number("clear_after", value)}

    def _read_persistence(self, value: Any) -> dict[str, Any]:
        pair = value if isinstance(value, list) else [value, value]
        if (
            len(pair) != 2
            or not all(isinstance(n, int) and not isinstance(n, bool) for n in pair)
            or not 1 <= pair[0] <= pair[1] <= 64
        ):
            raise self._fail("persistence", f"N or [N, M] with 1 <= N <= M <= 64 is needed, not {value!r}")
        return {"needed": pair[0], "of": pair[1]}

    def _read_valid_when(self, value: Any) -> dict[str, Any]:
        return {"valid_when": None if value is None else _expression(value, self._where("valid_when"))}

    def _read_cause(self, value: Any) -> dict[str, Any]:
        return {"cause": str(value)}

    def _read_action(self, value: Any) -> dict[str, Any]:
        return {"action": str(value)}

    def _read_stuck(self, value: Any) -> dict[str, Any]:
        return {"stuck": self._lasting("stuck", value)}

    def _read_stale(self, value: Any) -> dict[str, Any]:
        return {"stale": self._lasting("stale", value)}

    def _lasting(self, key: str, value: Any) -> Lasting | None:
        if value in (None, False, "off"):
            return None
        parts = value if isinstance(value, Mapping) else {"seconds": value}
        if "seconds" not in parts or set(parts) - {"seconds", "priority"}:
            raise self._fail(key, f"seconds, or {{seconds: 60, priority: alarm}}, are needed, not {value!r}")
        seconds = self._number(key, parts["seconds"])
        return Lasting(seconds, self._priority(key, parts.get("priority", PRIORITIES[0])))

    def _read_rate(self, value: Any) -> dict[str, Any]:
        if value in (None, False, "off"):
            return {"rate": None}
        known = {*PRIORITIES, "over", "direction"}
        if not isinstance(value, Mapping) or set(value) - known or not set(value) & set(PRIORITIES):
            raise self._fail("rate", f"{{alarm: 5, over: 60, direction: both}} is needed, not {value!r}")
        over = self._number("rate", value.get("over", 60.0), 0.1)
        direction = value.get("direction", BOTH)
        if direction not in (UP, DOWN, BOTH):
            raise self._fail("rate", f"the direction {direction!r} is none of {UP}, {DOWN}, {BOTH}")
        limits = tuple((p, self._number("rate", value[p])) for p in reversed(PRIORITIES) if p in value)
        if any(worse < milder for (_, worse), (_, milder) in pairwise(limits)):
            raise self._fail(
                "rate", "the limit of something worse is smaller than that of something less bad"
            )
        return {"rate": Rate(limits, over, direction)}


def _range(limits: Limits) -> str:
    low, high = ("none" if end is None else f"{end:g}" for end in (limits.low, limits.high))
    return f"[{low}, {high}]"
