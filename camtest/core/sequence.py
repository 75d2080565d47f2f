"""The command sequence: what a dry run gives, nested building blocks with the device commands they send.

Entries have hierarchical numbers (`2.1.3`: third entry of the first entry of the second block) and times relative to
the start, so that two exports of the same procedure read the same and differences stand out in `git diff`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from camtest.core.values import as_text, plain

if TYPE_CHECKING:
    from rich.table import Table
    from rich.tree import Tree

EntryKind = Literal["block", "command", "service"]
SCHEMA = 1
CSV_COLUMNS = ("id", "time_s", "kind", "block", "device", "name", "arguments", "result", "error", "source")
_LONGEST_RESULT = 60
_LONGEST_POLL = 3


@dataclass(slots=True)
class SequenceEntry:
    """One building block or command.

    Attributes:
        id: hierarchical number, stable between runs of the same procedure.
        kind: a building block, a command to a device, or a call of a core service.
        name: name of the building block or command.
        block: the building block that was active, empty outside of building blocks.
        device: name of the control server that a command went to; empty for building blocks.
        arguments: names and values, all of them.
        start, end: seconds since the start of the sequence [s]; `end` is None while active.
        result: what it returned, as plain data.
        error: type and text of the exception that it raised, empty when it did not.
        source: who answered ("model of lsci336_cs", "local", ...).
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
    children: list[SequenceEntry] = field(default_factory=list)

    @property
    def call(self) -> str:
        """The call as Python would write it: `lsci336_cs.set_setpoint(channel='A', value=-70.0)`."""
        arguments = ", ".join(f"{key}={value!r}" for key, value in self.arguments.items())
        prefix = f"{self.device}." if self.device else ""
        return f"{prefix}{self.name}({arguments})"

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

    def to_dict(self) -> dict[str, Any]:
        """Returns the entry with its children as plain data."""
        data: dict[str, Any] = {"id": self.id, "kind": self.kind, "name": self.name}
        optional = {"block": self.block, "device": self.device, "arguments": self.arguments}
        data |= {key: value for key, value in optional.items() if value}
        data |= {"start": _rounded(self.start), "end": _rounded(self.end)}
        late = {"result": self.result, "error": self.error, "source": self.source}
        data |= {key: value for key, value in late.items() if value not in (None, "")}
        if self.children:
            data["children"] = [child.to_dict() for child in self.children]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> SequenceEntry:
        """Returns the entry that `to_dict` described."""
        known = {key: value for key, value in data.items() if key != "children"}
        return cls(**known, children=[cls.from_dict(child) for child in data.get("children", ())])


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)


def _folded(entries: list[SequenceEntry]) -> Iterator[tuple[SequenceEntry, SequenceEntry, int]]:
    """Yields first and last of the entries that are repeated, and how often.

    Repeated are single commands and groups of up to `_LONGEST_POLL` commands, with nothing in between.
    """
    calls = [entry.id if entry.children or entry.kind == "block" else entry.call for entry in entries]
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


def _times(calls: list[str], position: int, period: int) -> int:
    """Returns how often the `period` calls from `position` on follow each other."""
    pattern = calls[position : position + period]
    times = 1
    while calls[position + times * period : position + (times + 1) * period] == pattern:
        times += 1
    return times


class CommandSequence(Sequence[SequenceEntry]):
    """Building blocks and commands in order of execution.

    As a sequence it holds all entries flattened, a building block before what it caused.

    Args:
        title: what was executed.
        mode: "dry-run" or "operations"; stands in every export.
        details: site, Setup, parameters, ...: whatever helps to read the export later.
    """

    def __init__(
        self, title: str = "", *, mode: str = "dry-run", details: dict[str, Any] | None = None
    ) -> None:
        self.title = title
        self.mode = mode
        self.details: dict[str, Any] = details or {}
        self.entries: list[SequenceEntry] = []

    def add(
        self,
        parent: SequenceEntry | None,
        kind: EntryKind,
        name: str,
        *,
        start: float,
        arguments: dict[str, Any] | None = None,
        device: str = "",
        source: str = "",
    ) -> SequenceEntry:
        """Appends an entry below `parent` (None: at the top) and returns it.

        Args:
            start: seconds since the start of the sequence [s].
        """
        siblings = self.entries if parent is None else parent.children
        number = str(len(siblings) + 1)
        block = "" if parent is None else (parent.name if parent.kind == "block" else parent.block)
        entry = SequenceEntry(
            id=number if parent is None else f"{parent.id}.{number}",
            kind=kind,
            name=name,
            block=block,
            device=device,
            arguments={key: plain(value) for key, value in (arguments or {}).items()},
            start=start,
            source=source,
        )
        siblings.append(entry)
        return entry

    def clear(self) -> None:
        """Removes all entries."""
        self.entries.clear()

    def walk(self) -> Iterator[SequenceEntry]:
        """Yields all entries in order of execution."""
        for entry in self.entries:
            yield from entry.walk()

    @property
    def commands(self) -> list[SequenceEntry]:
        """The commands to devices, in order."""
        return [entry for entry in self.walk() if entry.kind == "command"]

    @property
    def blocks(self) -> list[SequenceEntry]:
        """The building blocks, in order of their start."""
        return [entry for entry in self.walk() if entry.kind == "block"]

    @property
    def duration(self) -> float:
        """Time from the start to the end of the last entry [s]."""
        return max((entry.end or entry.start for entry in self.walk()), default=0.0)

    def __len__(self) -> int:
        return sum(1 for _ in self.walk())

    def __iter__(self) -> Iterator[SequenceEntry]:
        return self.walk()

    @overload
    def __getitem__(self, index: int) -> SequenceEntry: ...
    @overload
    def __getitem__(self, index: slice) -> list[SequenceEntry]: ...
    def __getitem__(self, index: int | slice) -> SequenceEntry | list[SequenceEntry]:
        return list(self.walk())[index]

    def __bool__(self) -> bool:
        return bool(self.entries)

    def __repr__(self) -> str:
        return (
            f"<CommandSequence {self.title or 'untitled'!r} ({self.mode}): {len(self.blocks)} building blocks, "
            f"{len(self.commands)} commands, {self.duration:.1f} s>"
        )

    def __str__(self) -> str:
        return self.to_text()

    # Views -------------------------------------------------------------------------------------------------------

    def heading(self) -> str:
        """Returns one line that says what this is."""
        return (
            f"{self.title or 'Command sequence'} [{self.mode}]: {len(self.blocks)} building blocks, "
            f"{len(self.commands)} device commands, {self.duration:.3f} s"
        )

    def to_text(self) -> str:
        """Returns the sequence as an indented list, one entry a line."""
        width = max((len(entry.id) for entry in self.walk()), default=1)
        lines = [self.heading()]
        for entry in self.walk():
            indent = "  " * entry.id.count(".")
            outcome = f"  -> {entry.outcome}" if entry.outcome else ""
            lines.append(f"{entry.id:<{width}}  {entry.start:>10.3f} s  {indent}{entry.call}{outcome}")
        return "\n".join(lines)

    def tree(self, *, folded: bool = True) -> Tree:
        """Returns the sequence as a tree for `rich`.

        Args:
            folded: a command that is repeated without anything in between (polling) is one line, with the number of
                times and the last result.
        """
        from rich.text import Text
        from rich.tree import Tree

        root = Tree(Text(self.heading(), style="bold"))

        def grow(branch: Tree, entries: list[SequenceEntry]) -> None:
            for entry, last, times in _folded(entries) if folded else ((e, e, 1) for e in entries):
                label = Text.assemble(
                    (f"{entry.start:9.3f} s  ", "dim"),
                    (entry.call, "bold cyan" if entry.kind == "block" else ""),
                    (f"  -> {last.outcome}" if last.outcome else "", "red" if last.error else "green"),
                    (f"  ({times} times, until {last.start:.3f} s)" if times > 1 else "", "dim"),
                )
                grow(branch.add(label), entry.children)

        grow(root, self.entries)
        return root

    def table(self) -> Table:
        """Returns the sequence as a table for `rich`."""
        from rich.table import Table

        table = Table(title=self.heading())
        for column in ("id", "time [s]", "device", "call", "result"):
            table.add_column(column, justify="right" if column == "time [s]" else "left", overflow="fold")
        for entry in self.walk():
            style = "bold cyan" if entry.kind == "block" else ("red" if entry.error else None)
            arguments = ", ".join(f"{key}={value!r}" for key, value in entry.arguments.items())
            call = f"{entry.name}({arguments})"
            table.add_row(entry.id, f"{entry.start:.3f}", entry.device, call, entry.outcome, style=style)
        return table

    # Exports -----------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as plain data."""
        return {
            "schema": SCHEMA,
            "title": self.title,
            "mode": self.mode,
            "duration": _rounded(self.duration),
            **{key: plain(value) for key, value in self.details.items()},
            "entries": [entry.to_dict() for entry in self.entries],
        }

    def to_json(self) -> str:
        """Returns the nested sequence as JSON text."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> CommandSequence:
        """Returns the sequence that `to_json` wrote.

        Raises:
            ValueError: when the text is not such an export, or of a later schema.
        """
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise ValueError(f"not a command sequence of schema {SCHEMA}")
        reserved = ("schema", "title", "mode", "duration", "entries")
        sequence = cls(data["title"], mode=data["mode"])
        sequence.details = {key: value for key, value in data.items() if key not in reserved}
        sequence.entries = [SequenceEntry.from_dict(entry) for entry in data["entries"]]
        return sequence

    def to_csv(self) -> str:
        """Returns one line per entry, with a header line; arguments and results as JSON."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(CSV_COLUMNS)
        for entry in self.walk():
            writer.writerow(
                [
                    entry.id,
                    f"{entry.start:.3f}",
                    entry.kind,
                    entry.block,
                    entry.device,
                    entry.name,
                    json.dumps(entry.arguments, ensure_ascii=False),
                    "" if entry.result is None else json.dumps(entry.result, ensure_ascii=False),
                    entry.error,
                    entry.source,
                ]
            )
        return buffer.getvalue()

    def to_markdown(self) -> str:
        """Returns a table for review, in Markdown."""
        lines = [
            f"# {self.heading()}",
            "",
            *(f"- {key}: {as_text(value)}" for key, value in self.details.items()),
            "",
            "| id | time [s] | block | call | result |",
            "| --- | ---: | --- | --- | --- |",
        ]
        for entry in self.walk():
            cells = (
                entry.id,
                f"{entry.start:.3f}",
                entry.block,
                f"`{entry.call}`",
                entry.outcome.replace("|", "\\|"),
            )
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"

    def export(self, path: str | Path) -> Path:
        """Writes the sequence in the format that the suffix of `path` names: .json, .csv, .md or .txt.

        Raises:
            ValueError: for another suffix.
        """
        path = Path(path)
        writers = {".json": self.to_json, ".csv": self.to_csv, ".md": self.to_markdown, ".txt": self.to_text}
        if path.suffix not in writers:
            raise ValueError(
                f"cannot export to {path.name}: the suffix must be one of {', '.join(sorted(writers))}"
            )
        path.write_text(writers[path.suffix](), encoding="utf-8")
        return path
