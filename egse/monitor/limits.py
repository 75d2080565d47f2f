"""Judging housekeeping by its limits: rows go in, conditions come out (`egse.monitor.alarms` makes alarms of them).

Pure and quick: no clock of its own, no I/O. Times are those of a clock that never steps back, in seconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from egse.monitor.alarms import PRIORITIES, Alarm, Condition
from egse.monitor.definitions import BOTH, DOWN, UP, Checks, Definition, LimitDefinitionError
from egse.monitor.expression import Expression, UnknownValueError
from egse.monitor.loading import Definitions, read_definitions, require_definitions
from egse.tmdict import Limits

__all__ = [
    "Definition",
    "Definitions",
    "Evaluator",
    "Expression",
    "LimitDefinitionError",
    "read_definitions",
    "require_definitions",
]

_LEVELS = ("", *PRIORITIES)
_LEVEL = {name: level for level, name in enumerate(_LEVELS)}
_NEVER = float("-inf")
_ABOVE, _BELOW = "above", "below"
_WINDOW = 4096
"""So many samples are kept at most to tell how fast a value changes."""

Verdict = tuple[int, str]
_WELL: Verdict = (0, "")


class Watch:
    """One parameter or rule that is watched.

    Args:
        definition: what is watched of it.

    Attributes:
        value: the newest one; None before the first.
        renewed: when it came.
        source: the server that it came from.
        level: how bad it is: 0 (well) to 3 (critical); -1 while that is not known.
    """

    __slots__ = (
        "_changed",
        "_history",
        "_inner",
        "_judged",
        "_out_of_range",
        "_stale",
        "_window",
        "checks",
        "definition",
        "level",
        "renewed",
        "source",
        "value",
    )

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.checks = definition.checks
        self.value: Any = None
        self.renewed = _NEVER
        self.source = ""
        self.level = -1
        self._changed = _NEVER
        self._judged = 0  # of the last sample alone
        self._out_of_range = 0  # the same, of its range alone
        self._stale = False
        self._history: deque[Verdict] = deque(maxlen=1)
        self._window: deque[tuple[float, float]] = deque(maxlen=_WINDOW)
        self._inner: tuple[float, float] | None = None
        self.use(definition.checks)

    def use(self, checks: Checks) -> None:
        """Has other checks count from now on; what was found in the last samples goes on counting."""
        self.checks = checks
        self._history = deque(self._history, maxlen=checks.of)
        self._inner = None
        simple = checks.rate is None and checks.stuck is None and checks.allowed is None
        if checks.ranges and simple and checks.valid_when is None and checks.monitored:
            lows = [limits.low for _, limits in checks.ranges if limits.low is not None]
            highs = [limits.high for _, limits in checks.ranges if limits.high is not None]
            self._inner = (max(lows, default=float("-inf")), min(highs, default=float("inf")))

    def succeed(self, former: Watch) -> None:
        """Goes on where the watch of former definitions has ended."""
        self.value, self.renewed, self.source = former.value, former.renewed, former.source
        self.level, self._judged, self._out_of_range = former.level, former._judged, former._out_of_range
        self._changed, self._stale = former._changed, former._stale
        self._history.extend(former._history)
        self._window = former._window

    def seed(self, priority: str, limit: str) -> None:
        """Goes on where the last life of the monitor has ended, with an alarm."""
        if self.level < 0:
            self.level = self._judged = _LEVEL[priority]
            self._out_of_range = self.level if limit.startswith((_ABOVE, _BELOW)) else 0

    def forget(self) -> None:
        """Begins anew: the server that it comes from has gone, or been started again."""
        self._window.clear()
        self._history.clear()
        self._changed = _NEVER

    def take(self, value: Any, now: float, values: Mapping[str, Any]) -> Condition | None:
        """Judges a value; returns what was found when it is bad, or was before.

        Args:
            value: None and nan stand for "no valid value", which is not judged.
            now: when it came [s].
            values: of the parameters in `valid_when`, by name.
        """
        if value is None or value != value:
            return None
        if value != self.value or self._changed == _NEVER:
            self._changed = now
        self.value, self.renewed = value, now
        if self.checks.rate is not None:
            self._remember(value, now, self.checks.rate.over)
        if self.level == 0 and self._judged == 0 and not self._stale:
            inner = self._inner
            if inner is not None and type(value) in (float, int) and inner[0] <= value <= inner[1]:
                if self.checks.of > 1:
                    self._history.append(_WELL)
                return None
        self._stale = False
        return self._judge_sample(values)

    def judge_again(self, values: Mapping[str, Any]) -> Condition | None:
        """Judges the newest value by the checks that count now; it is no further sample."""
        if self.renewed == _NEVER or self.value is None:
            return None
        if self._stale:
            if self.checks.stale is not None and self._counts(values):
                return None
            self._stale = False
        if self._history:
            self._history.pop()
        return self._judge_sample(values)

    def _judge_sample(self, values: Mapping[str, Any]) -> Condition | None:
        try:
            verdict = self._judge(self.value, self.renewed, values)
        except UnknownValueError:
            return None
        self._judged = verdict[0]
        confirmed = self._confirmed(verdict)
        return None if confirmed is None else self._tell(confirmed)

    def look(self, now: float, values: Mapping[str, Any]) -> Condition | None:
        """Looks whether the value is stale."""
        stale = self.checks.stale
        if stale is None or self._stale or self.renewed == _NEVER or now - self.renewed <= stale.seconds:
            return None
        if not self._counts(values):
            return None
        self._stale = True
        return self._tell((_LEVEL[stale.priority], f"not renewed for {now - self.renewed:.0f} s"))

    # -- judging ---------------------------------------------------------------------------------------------------

    def _counts(self, values: Mapping[str, Any]) -> bool:
        """Says whether the value means anything now; no when that is not known."""
        checks = self.checks
        try:
            return checks.monitored and (checks.valid_when is None or bool(checks.valid_when(values)))
        except UnknownValueError:
            return False

    def _judge(self, value: Any, now: float, values: Mapping[str, Any]) -> Verdict:
        checks = self.checks
        if not checks.monitored:
            return _WELL
        if checks.valid_when is not None and not checks.valid_when(values):
            self._window.clear()
            return _WELL
        if self.definition.is_condition:
            expression = self.definition.expression
            assert expression is not None
            return (_LEVEL[checks.priority], expression.text) if value else _WELL
        found = [self._judge_allowed(value), self._judge_stuck(now)]
        if isinstance(value, int | float) and not isinstance(value, bool):
            in_range = self._judge_range(value)
            self._out_of_range = in_range[0]
            found += [in_range, self._judge_rate(value, now)]
        return max(found, key=lambda verdict: verdict[0])

    def _judge_range(self, value: float) -> Verdict:
        unit = f" {self.definition.unit}" if self.definition.unit else ""
        for priority, limits in self.checks.ranges:
            level = _LEVEL[priority]
            margin = self.checks.hysteresis if level <= self._out_of_range else 0.0
            if (side := _violated(limits, value, margin)) is not None:
                return level, f"{side[0]} {side[1]:g}{unit} ({priority})"
        return _WELL

    def _judge_allowed(self, value: Any) -> Verdict:
        allowed = self.checks.allowed
        if allowed is None or value in allowed:
            return _WELL
        return _LEVEL[self.checks.priority], f"none of {', '.join(map(str, allowed))}"

    def _remember(self, value: Any, now: float, over: float) -> None:
        """Keeps the samples of the last `over` seconds, and the one before them."""
        if not isinstance(value, int | float) or isinstance(value, bool):
            return
        window = self._window
        window.append((now, value))
        while len(window) > 1 and window[1][0] <= now - over:
            window.popleft()

    def _judge_rate(self, value: float, now: float) -> Verdict:
        rate, window = self.checks.rate, self._window
        if rate is None or not window:
            return _WELL
        begin = now - rate.over
        ones = [one for when, one in window if when >= begin]
        if window[0][0] < begin and len(window) > 1:
            # Rows may come more seldom than that: what it was at the beginning lies between two samples.
            (before, first), (after, second) = window[0], window[1]
            ones.append(first + (second - first) * (begin - before) / (after - before))
        up = value - min(ones) if rate.direction in (UP, BOTH) else 0.0
        down = max(ones) - value if rate.direction in (DOWN, BOTH) else 0.0
        for priority, limit in rate.limits:
            if max(up, down) > limit:
                change = up if up >= down else -down
                text = f"changed by {change:g} within {rate.over:g} s ({priority}: {limit:g})"
                return _LEVEL[priority], text
        return _WELL

    def _judge_stuck(self, now: float) -> Verdict:
        stuck = self.checks.stuck
        if stuck is None or now - self._changed <= stuck.seconds:
            return _WELL
        return _LEVEL[stuck.priority], f"not changed for {now - self._changed:.0f} s"

    def _confirmed(self, verdict: Verdict) -> Verdict | None:
        """Returns the worst that was found in enough of the last samples.

        None while there are too few of them to tell whether what was bad, or may have been, is well again.
        """
        checks = self.checks
        if checks.of == 1:
            return verdict
        self._history.append(verdict)
        to_come = checks.of - len(self._history)
        for level in (3, 2, 1):
            bad = [one for one in self._history if one[0] >= level]
            if len(bad) >= checks.needed:
                return level, bad[-1][1]
            if bad and self.level != 0 and len(bad) + to_come >= checks.needed:
                return None
        return _WELL

    def _tell(self, verdict: Verdict) -> Condition | None:
        level, text = verdict
        before, self.level = self.level, level
        if level == 0 and before == 0:
            return None
        definition, checks = self.definition, self.checks
        name = definition.name
        if level == 0:
            return Condition(name=name, value=self.value, clear_after=checks.clear_after)
        return Condition(
            name=name,
            priority=_LEVELS[level],
            value=self.value,
            unit=definition.unit,
            limit=text,
            cause=checks.cause or _usual_cause(definition),
            action=checks.action or _usual_action(name, self.source),
            source=self.source,
            latch=checks.latch,
            clear_after=checks.clear_after,
        )


def _usual_cause(definition: Definition) -> str:
    what = definition.description or definition.name
    return f"{what}; the Setup names no cause (monitor.limits.{definition.name}.cause)"


def _usual_action(name: str, source: str) -> str:
    return f"look at {name} in the panel of {source or 'its server'}, then `cgse alarm ack {name}`"


def _violated(limits: Limits, value: float, margin: float) -> tuple[str, float] | None:
    """Returns which limit is violated, `above` or `below`; with `margin` also when a value is hardly within it."""
    if limits.high is not None and value > limits.high - margin:
        return _ABOVE, limits.high
    if limits.low is not None and value < limits.low + margin:
        return _BELOW, limits.low
    return None


class Evaluator:
    """Judges everything that comes in.

    Args:
        definitions: what is watched.

    Attributes:
        definitions: what is watched.
        context: the circumstances: `state`, `phase`, `mode`.
    """

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        self.context: dict[str, str] = {}
        self.watches = {name: Watch(definition) for name, definition in definitions.by_name.items()}
        self._rules = {name: w for name, w in self.watches.items() if w.definition.expression is not None}
        self._dependents: dict[str, list[str]] = {}
        for name, watch in self._rules.items():
            for wanted in watch.definition.inputs:
                self._dependents.setdefault(wanted, []).append(name)
        needed = {name for watch in self.watches.values() for name in watch.definition.inputs}
        needed.update(*(expression.names for expression in definitions.phases.values()))
        self._needed = frozenset(needed)
        self._values: dict[str, Any] = {}
        self._origins: dict[str, str] = {}
        self._with_stale = [
            watch
            for watch in self.watches.values()
            if any(
                c.stale for c in (watch.definition.checks, *(when.checks for when in watch.definition.whens))
            )
        ]

    def take(self, source: str, row: Mapping[str, Any], now: float) -> list[Condition]:
        """Judges a row of housekeeping; returns what is bad, and what is well again.

        Args:
            source: name of the server that it comes from.
            row: values by name.
            now: when it came [s].
        """
        found = []
        rules: dict[str, None] = {}
        values = self._values
        for name in self._needed.intersection(row):
            value = row[name]
            values[name] = None if value != value else value
            self._origins[name] = source
            rules.update(dict.fromkeys(self._dependents.get(name, ())))
        watches = self.watches
        for name, value in row.items():
            watch = watches.get(name)
            if watch is not None and name not in self._rules:
                watch.source = source
                condition = watch.take(value, now, values)
                if condition is not None:
                    found.append(condition)
        for name in rules:
            condition = self._judge_rule(self._rules[name], source, now)
            if condition is not None:
                found.append(condition)
        return found

    def _judge_rule(self, watch: Watch, source: str, now: float) -> Condition | None:
        expression = watch.definition.expression
        assert expression is not None
        watch.source = source
        try:
            value = expression(self._values)
        except UnknownValueError:
            return None
        return watch.take(bool(value) if watch.definition.is_condition else value, now, self._values)

    def look(self, now: float, is_there: Callable[[str], bool] = lambda source: True) -> list[Condition]:
        """Returns what has become stale.

        Args:
            now: the time [s].
            is_there: says whether a server is there; values of one that is not are told of by its own alarm.
        """
        found = [watch.look(now, self._values) for watch in self._with_stale if is_there(watch.source)]
        return [condition for condition in found if condition is not None]

    def set_context(self, context: Mapping[str, str]) -> list[Condition]:
        """Has the limits of other circumstances count; returns what that means for the newest values."""
        if dict(context) == self.context:
            return []
        self.context = dict(context)
        self._values.update(self.context)
        found = []
        for watch in self.watches.values():
            if not watch.definition.whens:
                continue
            checks = watch.definition.checks_in(self.context)
            if checks is watch.checks:
                continue
            watch.use(checks)
            found.append(watch.judge_again(self._values))
        return [condition for condition in found if condition is not None]

    def phase(self) -> str:
        """Returns the phase that the definitions tell by the newest values; empty when none is defined or known."""
        unknown = False
        for name, expression in self.definitions.phases.items():
            try:
                if expression(self._values):
                    return name
            except UnknownValueError:
                unknown = True
        return "" if unknown or not self.definitions.phases else "transition"

    def forget(self, source: str) -> None:
        """Forgets what came from a server that has gone, tells nothing any more, or was started again."""
        for name in [name for name, origin in self._origins.items() if origin == source]:
            self._values.pop(name, None)
        for watch in self.watches.values():
            if watch.source == source:
                watch.forget()

    def carry_over(self, former: Evaluator) -> list[Condition]:
        """Goes on where the definitions before these ones have ended; returns what these mean for the newest values."""
        self._values.update({k: v for k, v in former._values.items() if k in self._needed})
        self._origins.update(former._origins)
        for name, watch in self.watches.items():
            if name in former.watches:
                watch.succeed(former.watches[name])
        self.set_context(former.context)
        found = [watch.judge_again(self._values) for watch in self.watches.values()]
        return [condition for condition in found if condition is not None]

    def seed(self, alarms: Iterable[Alarm]) -> None:
        """Lets what was bad in the last life of the monitor be bad until samples of this one tell otherwise."""
        for alarm in alarms:
            watch = self.watches.get(alarm.name)
            if watch is not None and alarm.active and alarm.level:
                watch.seed(alarm.level, alarm.limit)

    def described(self, name: str | None = None) -> Iterator[dict[str, Any]]:
        """Yields what is watched, as plain values; everything for None."""
        for watch in self.watches.values() if name is None else [self.watches[name]]:
            yield _described(watch)


def _described(watch: Watch) -> dict[str, Any]:
    definition, checks = watch.definition, watch.checks
    ranges = {priority: [limits.low, limits.high] for priority, limits in checks.ranges}
    value = watch.value
    return {
        "name": definition.name,
        "value": value if isinstance(value, int | float | str | bool) else None,
        "unit": definition.unit,
        "level": _LEVELS[max(watch.level, 0)],
        "monitored": checks.monitored,
        **{priority: ranges.get(priority) for priority in PRIORITIES},
        "expression": definition.expression.text if definition.expression else "",
        "allowed": list(checks.allowed) if checks.allowed is not None else None,
        "rate": None
        if checks.rate is None
        else {**dict(checks.rate.limits), "over": checks.rate.over, "direction": checks.rate.direction},
        "stuck": checks.stuck.seconds if checks.stuck else None,
        "stale": checks.stale.seconds if checks.stale else None,
        "hysteresis": checks.hysteresis,
        "persistence": [checks.needed, checks.of],
        "valid_when": checks.valid_when.text if checks.valid_when else "",
        "latch": checks.latch,
        "contexts": len(definition.whens),
        "description": definition.description,
        "source": watch.source or definition.mnemonic,
        "place": definition.place or "TM dictionary",
    }
