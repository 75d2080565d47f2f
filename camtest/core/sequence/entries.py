"""The entries of a command sequence, and how repeated ones are folded."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from camtest.core.servers import readable
from camtest.core.values import as_text

EntryKind = Literal["block", "command", "service", "red-line"]

_LONGEST_RESULT = 60
_LONGEST_POLL = 3


@dataclass(slots=True)
class SequenceEntry:
    """One building block or command.

    Attributes:
        id: path of names from the top, with a number for what occurs again below the same parent:
            `warm_up/lsci336_cs.set_setpoint#2`. What is added or left out elsewhere does not change it.
        kind: a building block, a command to a device, a call of a core service, or a deviation of the operator.
        name: name of the building block or command.
        block: the building block that was active, empty outside of building blocks.
        device: name of the control server that a command went to; empty for building blocks.
        arguments: names and values, all of them, as journals and events hold them (values of enumeration members).
        start, end: seconds since the start of the sequence [s]; `end` is None while active.
        result: what it returned, as plain data.
        error: type and text of the exception that it raised, empty when it did not.
        source: who answered ("model of lsci336_cs", "observation CSL1_00084_01151", "declared", "nobody", ...).
        query: it asks and changes nothing.
        red_line: number and kind of the operator's deviation that it belongs to, empty for what the procedure says.
        children: the entries it caused, in order.
    """

    id: str
    kind: EntryKind
    name: str
    block: str = ""
    device: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    start: float = 0.0
    end: float | None = None
    result: Any = None
    error: str = ""
    source: str = ""
    query: bool = False
    red_line: str = ""
    children: list[SequenceEntry] = field(default_factory=list)

    @property
    def call(self) -> str:
        """The call as Python would write it: `lsci336_cs.set_setpoint(channel='A', value=-70.0)`."""
        return f"{self.label}({self.argument_text})"

    @property
    def argument_text(self) -> str:
        """The arguments as Python would write them, with the names of enumeration members."""
        texts = readable(self.device, self.name, self.arguments)
        return ", ".join(f"{key}={text}" for key, text in texts.items())

    @property
    def label(self) -> str:
        """Device and name: `lsci336_cs.set_setpoint`."""
        return f"{self.device}.{self.name}" if self.device else self.name

    @property
    def outcome(self) -> str:
        """The result or the error in a few words, empty for a call without result."""
        if self.error:
            return f"raised {self.error}"
        if self.result is None:
            return ""
        text = as_text(self.result)
        return text if len(text) <= _LONGEST_RESULT else f"{text[: _LONGEST_RESULT - 3]}..."

    def walk(self) -> Iterator[SequenceEntry]:
        """Yields this entry and everything below it, in order of execution."""
        yield self
        for child in self.children:
            yield from child.walk()

    def to_dict(self, *, times: bool = True) -> dict[str, Any]:
        """Returns the entry with its children as plain data."""
        data: dict[str, Any] = {"id": self.id, "kind": self.kind, "name": self.name}
        optional = {"block": self.block, "device": self.device, "arguments": self.arguments}
        data |= {key: value for key, value in optional.items() if value}
        if times:
            data |= {"start": rounded(self.start), "end": rounded(self.end)}
        late = {
            "result": self.result,
            "error": self.error,
            "source": self.source,
            "red_line": self.red_line,
        }
        data |= {key: value for key, value in late.items() if value not in (None, "")}
        if self.query:
            data["query"] = True
        if self.children:
            data["children"] = [child.to_dict(times=times) for child in self.children]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SequenceEntry:
        """Returns the entry that `to_dict` described."""
        known = {key: value for key, value in data.items() if key != "children"}
        return cls(**known, children=[cls.from_dict(child) for child in data.get("children", ())])


def rounded(seconds: float | None) -> float | None:
    """Returns a time as it is exported [s]."""
    return None if seconds is None else round(seconds, 6)


@dataclass(frozen=True)
class Step:
    """An entry as it is shown: where it stands, and how often it is repeated.

    Attributes:
        level: 0 at the top.
        entry: the first of its repetitions.
        last: the last of them.
        times: how many there are.
    """

    level: int
    entry: SequenceEntry
    last: SequenceEntry
    times: int = 1

    @property
    def repeated(self) -> str:
        """How often, in words; empty for once."""
        return f"  ({self.times} times, until {self.last.start:.3f} s)" if self.times > 1 else ""


def steps(entries: Sequence[SequenceEntry], *, folded: bool = True, level: int = 0) -> Iterator[Step]:
    """Yields all entries in order of execution.

    Args:
        entries: those of one level.
        folded: what is repeated without anything in between (polling) is one step.
        level: their level.
    """
    found: Iterable[tuple[SequenceEntry, SequenceEntry, int]] = (
        fold(entries) if folded else ((entry, entry, 1) for entry in entries)
    )
    for entry, last, times in found:
        yield Step(level, entry, last, times)
        yield from steps(entry.children, folded=folded, level=level + 1)


def fold(entries: Sequence[SequenceEntry]) -> Iterator[tuple[SequenceEntry, SequenceEntry, int]]:
    """Yields first and last of the entries that are repeated, and how often.

    Repeated are single commands and groups of up to `_LONGEST_POLL` commands, with nothing in between.
    """
    calls = [_call_key(entry) for entry in entries]
    position = 0
    while position < len(entries):
        period, times = max(
            ((period, _times(calls, position, period)) for period in range(1, _LONGEST_POLL + 1)),
            key=lambda found: (found[0] * found[1] if found[1] > 1 else 1, -found[0]),
        )
        period = period if times > 1 else 1
        for number in range(position, position + period):
            yield entries[number], entries[number + period * (times - 1)], times
        position += period * times


def _call_key(entry: SequenceEntry) -> Hashable:
    """Returns what is equal for commands that are repeated, and for nothing else."""
    if entry.children or entry.kind == "block":
        return entry.id
    # Most of what is repeated are questions without arguments; to write calls out takes long.
    return entry.device, entry.name, entry.argument_text if entry.arguments else "", entry.red_line


def _times(calls: list[Hashable], position: int, period: int) -> int:
    """Returns how often the `period` calls from `position` on follow each other."""
    pattern = calls[position : position + period]
    times = 1
    while calls[position + times * period : position + (times + 1) * period] == pattern:
        times += 1
    return times
