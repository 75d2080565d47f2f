"""What is different between two command sequences: plan against as-run, yesterday against today."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from html import escape
from typing import TYPE_CHECKING, Any, Literal

from camtest.core.sequence.entries import SequenceEntry, Step

if TYPE_CHECKING:
    from rich.text import Text

    from camtest.core.sequence.sequence import CommandSequence

DifferenceKind = Literal["removed", "added", "changed", "red-line"]
_SIGNS: dict[str, str] = {"same": " ", "removed": "-", "added": "+", "changed": "~", "red-line": "!"}
_STYLES = {"removed": "red", "added": "green", "changed": "yellow", "red-line": "bold red", "same": "dim"}


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        kind: removed, added, changed, or red-line: a deviation of the operator, taken with reason and names.
        before: the step in the first sequence, None when it is only in the second.
        after: the step in the second, None when it is only in the first.
        changes: what changed, by name: values before and after.
    """

    kind: DifferenceKind
    before: Step | None
    after: Step | None
    changes: dict[str, tuple[Any, Any]]

    @property
    def entry(self) -> SequenceEntry:
        """The entry in the later sequence, where there is one."""
        step = self.after or self.before
        assert step is not None
        return step.entry

    def __str__(self) -> str:
        step = self.after or self.before
        assert step is not None
        text = f"{'  ' * step.level}{step.entry.call}"
        if self.changes:
            text += "  # " + ", ".join(f"{name}: {a!r} -> {b!r}" for name, (a, b) in self.changes.items())
        red = self.entry.red_line
        return f"{_SIGNS[self.kind]} {text}" + (f"  [RED LINE {red}]" if red else "")


class SequenceDiff:
    """The differences between two sequences; false when there are none.

    Times do not count, and neither does how often a command was repeated in a row (polling).

    Args:
        before: the first sequence.
        after: the second.
        queries: compare queries as well.
        results: compare results as well.
    """

    def __init__(
        self, before: CommandSequence, after: CommandSequence, *, queries: bool = True, results: bool = False
    ) -> None:
        self.before, self.after = before, after
        self._queries, self._results = queries, results
        self._lines = list(self._compare())
        self.differences = [line for line in self._lines if isinstance(line, Difference)]

    def __bool__(self) -> bool:
        return bool(self.differences)

    def __len__(self) -> int:
        return len(self.differences)

    def __iter__(self) -> Iterator[Difference]:
        return iter(self.differences)

    def __repr__(self) -> str:
        return f"<SequenceDiff {self.heading()}>"

    def __str__(self) -> str:
        return self.to_text()

    @property
    def red_lines(self) -> list[Difference]:
        """The differences that an operator accounted for."""
        return [difference for difference in self.differences if difference.entry.red_line]

    @property
    def unexplained(self) -> list[Difference]:
        """The differences that nobody accounted for."""
        return [difference for difference in self.differences if not difference.entry.red_line]

    # -- comparing ---------------------------------------------------------------------------------------------------

    def _compare(self) -> Iterator[Step | Difference]:
        first, second = self._steps(self.before), self._steps(self.after)
        matcher = SequenceMatcher(
            None, [self._key(step) for step in first], [self._key(step) for step in second], autojunk=False
        )
        for kind, a, b, c, d in matcher.get_opcodes():
            if kind == "equal":
                yield from self._equal(first[a:b], second[c:d])
            else:
                yield from self._replaced(first[a:b], second[c:d])

    def _steps(self, sequence: CommandSequence) -> list[Step]:
        steps = [step for step in sequence.steps(folded=False) if step.entry.kind != "service"]
        steps = [step for step in steps if self._queries or not step.entry.query]
        return _without_repetitions(steps, self._key)

    def _key(self, step: Step) -> str:
        entry = step.entry
        parts: list[Any] = [step.level, entry.kind, entry.device, entry.name, _number_free(entry.arguments)]
        if self._results:
            parts.append(entry.result)
        return json.dumps(parts, sort_keys=True, default=str)

    def _equal(self, first: list[Step], second: list[Step]) -> Iterator[Step | Difference]:
        for before, after in zip(first, second, strict=True):
            changes = _outcome_changes(before.entry, after.entry)
            if after.entry.red_line and not before.entry.red_line:
                yield Difference("red-line", before, after, changes)
            elif changes:
                yield Difference("changed", before, after, changes)
            else:
                yield after

    def _replaced(self, first: list[Step], second: list[Step]) -> Iterator[Difference]:
        """Pairs calls of the same name as changed, in order; the rest was removed or added."""
        names = [(step.level, step.entry.label) for step in first]
        others = [(step.level, step.entry.label) for step in second]
        for kind, a, b, c, d in SequenceMatcher(None, names, others, autojunk=False).get_opcodes():
            if kind == "equal":
                for before, after in zip(first[a:b], second[c:d], strict=True):
                    yield Difference("changed", before, after, self._changes(before.entry, after.entry))
                continue
            for before in first[a:b]:
                yield Difference("removed", before, None, {})
            for after in second[c:d]:
                yield Difference("red-line" if after.entry.kind == "red-line" else "added", None, after, {})

    def _changes(self, before: SequenceEntry, after: SequenceEntry) -> dict[str, tuple[Any, Any]]:
        names = dict.fromkeys((*before.arguments, *after.arguments))
        changes = {
            name: (before.arguments.get(name), after.arguments.get(name))
            for name in names
            if _number_free(before.arguments.get(name)) != _number_free(after.arguments.get(name))
        }
        if self._results and before.result != after.result:
            changes["result"] = (before.result, after.result)
        return changes | _outcome_changes(before, after)

    # -- views -------------------------------------------------------------------------------------------------------

    def heading(self) -> str:
        """Returns one line that says what was compared and how many differences there are."""
        count = len(self.differences)
        text = "no differences" if not count else f"{count} difference{'s' if count > 1 else ''}"
        if self.red_lines:
            text += f", {len(self.red_lines)} of them red-lined"
        return f"{_name(self.before)} against {_name(self.after)}: {text}"

    def to_text(self, *, context: int = 2) -> str:
        """Returns the differences with what stands around them, like `diff -u`.

        Args:
            context: how many equal steps are shown before and after a difference.
        """
        return "\n".join([self.heading(), *(text for _, text in self._shown(context))])

    def _shown(self, context: int) -> Iterator[tuple[str, str]]:
        """Yields kind and text of each line; `...` for what is left out."""
        wanted = {
            near
            for number, line in enumerate(self._lines)
            if isinstance(line, Difference)
            for near in range(number - context, number + context + 1)
        }
        last = -1
        for number, line in enumerate(self._lines):
            if number not in wanted:
                continue
            if number != last + 1:
                yield "same", "  ..."
            last = number
            if isinstance(line, Difference):
                yield line.kind, str(line)
            else:
                yield "same", f"  {'  ' * line.level}{line.entry.call}"

    def to_html(self) -> str:
        """Returns the differences as a piece of HTML."""
        lines = [f'<span style="{_css(kind)}">{escape(text)}</span>' for kind, text in self._shown(context=2)]
        return f"<p><b>{escape(self.heading())}</b></p><pre>{chr(10).join(lines)}</pre>"

    def _repr_html_(self) -> str:
        return self.to_html()

    def __rich__(self) -> Text:
        from rich.text import Text

        text = Text(self.heading(), style="bold")
        for kind, line in self._shown(context=2):
            text.append(f"\n{line}", style=_STYLES[kind])
        return text

    def to_dict(self) -> dict[str, Any]:
        """Returns the differences as plain data."""
        return {
            "before": _name(self.before),
            "after": _name(self.after),
            "differences": [
                {
                    "kind": difference.kind,
                    "id": difference.entry.id,
                    "call": difference.entry.call,
                    "changes": {name: list(values) for name, values in difference.changes.items()},
                    "red_line": difference.entry.red_line,
                }
                for difference in self.differences
            ],
        }


def _css(kind: str) -> str:
    colours = {
        "removed": "#a00",
        "added": "#1a6e3c",
        "changed": "#9a5b00",
        "red-line": "#d00000;font-weight:bold",
    }
    return f"color:{colours.get(kind, '#777')}"


def _name(sequence: CommandSequence) -> str:
    obsid = sequence.details.get("obsid")
    return f"{obsid or sequence.title or 'untitled'} [{sequence.mode}]"


def _number_free(value: Any) -> Any:
    """Returns a value in which 1 and 1.0 are the same; what went over a wire does not tell them apart."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return float(value)
    if isinstance(value, dict):
        return {key: _number_free(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_number_free(item) for item in value]
    return value


def _outcome_changes(before: SequenceEntry, after: SequenceEntry) -> dict[str, tuple[Any, Any]]:
    kinds = (before.error.partition(":")[0], after.error.partition(":")[0])
    return {"error": (before.error, after.error)} if kinds[0] != kinds[1] else {}


def _without_repetitions(steps: list[Step], key: Any) -> list[Step]:
    """Leaves out commands that repeat the one before, and groups of two or three that do."""
    found: list[Step] = []
    keys: list[str] = []
    for step in steps:
        found.append(step)
        keys.append(key(step))
        for period in (1, 2, 3):
            tail, before = keys[-period:], keys[-2 * period : -period]
            if tail == before and all(one.entry.query for one in found[-period:]):
                del found[-period:], keys[-period:]
                break
    return found
