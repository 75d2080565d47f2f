"""Building blocks and commands in order of execution."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import yaml

from camtest.core.sequence import exports, views
from camtest.core.sequence.asrun import as_run
from camtest.core.sequence.difference import SequenceDiff
from camtest.core.sequence.entries import EntryKind, SequenceEntry, Step, rounded, steps
from camtest.core.values import plain, recorded

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from rich.table import Table
    from rich.tree import Tree

SCHEMA = 2
NOBODY = "nobody"
"""Source of a query that nobody answered."""
_READABLE = (1, 2)
_RESERVED = ("schema", "title", "mode", "duration", "entries")


class CommandSequence(Sequence[SequenceEntry]):
    """Building blocks and commands in order of execution.

    As a sequence it holds all entries flattened, a building block before what it caused.

    Args:
        title: what was executed.
        mode: "dry-run", "operations" or "simulator"; stands in every export.
        details: site, Setup, parameters, ...: whatever helps to read the export later.
    """

    def __init__(
        self, title: str = "", *, mode: str = "dry-run", details: dict[str, Any] | None = None
    ) -> None:
        self.title = title
        self.mode = mode
        self.details: dict[str, Any] = details or {}
        self._entries: list[SequenceEntry] = []
        self._names: dict[int, Counter[str]] = {}

    @property
    def entries(self) -> list[SequenceEntry]:
        """The entries at the top, in order."""
        return self._entries

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
        query: bool = False,
        red_line: str = "",
    ) -> SequenceEntry:
        """Appends an entry below `parent` (None: at the top) and returns it.

        Args:
            start: seconds since the start of the sequence [s].
        """
        siblings = self.entries if parent is None else parent.children
        label = f"{device}.{name}" if device else name
        names = self._names.get(id(siblings))
        if names is None:  # counted once: a loop that polls for hours has thousands of siblings
            names = self._names[id(siblings)] = Counter(sibling.label for sibling in siblings)
        names[label] += 1
        number = label if names[label] == 1 else f"{label}#{names[label]}"
        block = "" if parent is None else (parent.name if parent.kind == "block" else parent.block)
        entry = SequenceEntry(
            id=number if parent is None else f"{parent.id}/{number}",
            kind=kind,
            name=name,
            block=block,
            device=device,
            arguments={key: recorded(value) for key, value in (arguments or {}).items()},
            start=start,
            source=source,
            query=query,
            red_line=red_line,
        )
        siblings.append(entry)
        return entry

    def clear(self) -> None:
        """Removes all entries."""
        self.entries.clear()
        self._names.clear()

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
        """Time from the start to the end of the last entry, or of the dry run, where it waited after that [s]."""
        ends = (entry.end or entry.start for entry in self.walk())
        return max((*ends, float(self.details.get("elapsed", 0.0))))

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

    @property
    def unanswered(self) -> list[SequenceEntry]:
        """The queries that nobody answered: they got an empty value."""
        return [entry for entry in self.walk() if entry.source == NOBODY]

    @property
    def sources(self) -> dict[str, int]:
        """Who answered how many commands."""
        return dict(
            Counter(entry.source for entry in self.walk() if entry.source and entry.kind == "command")
        )

    @property
    def red_lines(self) -> list[SequenceEntry]:
        """What the operator did otherwise than the procedure says."""
        return [entry for entry in self.walk() if entry.red_line]

    def steps(self, *, folded: bool = True) -> list[Step]:
        """Returns all entries with their level; `folded`: what is repeated (polling) once, with how often."""
        return list(steps(self.entries, folded=folded))

    def state_changing(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Returns device, name and arguments of the commands that change something, in order."""
        return [(entry.device, entry.name, entry.arguments) for entry in self.commands if not entry.query]

    @classmethod
    def of_observation(cls, obsid: int | str | Path, location: str | Path | None = None) -> CommandSequence:
        """Returns the as-run sequence of an observation, from its files.

        Args:
            obsid: the observation, in any form.
            location: data folder of the site, or the one above it; that of this environment when None.

        Raises:
            LookupError: when there is no such observation.
        """
        run = as_run(obsid, location)
        sequence = cls(run.title, mode=run.mode, details=run.details)
        run.fill(sequence.add)
        return sequence

    def diff(
        self, other: CommandSequence, *, queries: bool | None = None, results: bool = False
    ) -> SequenceDiff:
        """Returns what is different in another sequence; times aside, repeated polls folded.

        Args:
            other: the later one, the as-run.
            queries: compare queries as well; None: when both have the same mode (a plan and its as-run poll
                differently).
            results: compare results as well.
        """
        return SequenceDiff(
            self, other, queries=self.mode == other.mode if queries is None else queries, results=results
        )

    # Views -------------------------------------------------------------------------------------------------------

    def heading(self) -> str:
        """Returns one line that says what this is."""
        return (
            f"{self.title or 'Command sequence'} [{self.mode}]: {len(self.blocks)} building blocks, "
            f"{len(self.commands)} device commands, {self.duration:.3f} s"
        )

    def to_text(self) -> str:
        """Returns the sequence as an indented list, one entry a line."""
        return views.to_text(self)

    def tree(self, *, folded: bool = True) -> Tree:
        """Returns the sequence as a tree for `rich`.

        Args:
            folded: a command that is repeated without anything in between (polling) is one line, with the number of
                times and the last result.
        """
        return views.tree(self, folded=folded)

    def table(self) -> Table:
        """Returns the sequence as a table for `rich`."""
        return views.table(self)

    def timeline(self) -> Figure:
        """Returns a plot (matplotlib): building blocks by level and the commands of each device, over time."""
        return views.timeline(self)

    def _repr_html_(self) -> str:
        return exports.fragment(self)

    # Exports -----------------------------------------------------------------------------------------------------

    def to_dict(self, *, times: bool = True) -> dict[str, Any]:
        """Returns everything as plain data."""
        return {
            "schema": SCHEMA,
            "title": self.title,
            "mode": self.mode,
            **({"duration": rounded(self.duration)} if times else {}),
            **{key: plain(value) for key, value in self.details.items()},
            "entries": [entry.to_dict(times=times) for entry in self.entries],
        }

    def to_json(self, *, times: bool = True) -> str:
        """Returns the nested sequence as JSON text."""
        return json.dumps(self.to_dict(times=times), indent=1, ensure_ascii=False) + "\n"

    def to_yaml(self, *, times: bool = True) -> str:
        """Returns the nested sequence as YAML text."""
        return yaml.safe_dump(self.to_dict(times=times), sort_keys=False, allow_unicode=True, width=120)

    @classmethod
    def from_json(cls, text: str | bytes) -> CommandSequence:
        """Returns the sequence that `to_json` wrote.

        Raises:
            ValueError: when the text is not such an export, or of a later schema.
        """
        return cls.from_dict(json.loads(text))

    @classmethod
    def from_dict(cls, data: Any) -> CommandSequence:
        """Returns the sequence that `to_dict` described.

        Raises:
            ValueError: when `data` is not such a description, or of a later schema.
        """
        if not isinstance(data, dict) or data.get("schema") not in _READABLE:
            raise ValueError(f"not a command sequence of schema {SCHEMA}")
        sequence = cls(data["title"], mode=data["mode"])
        sequence.details = {key: value for key, value in data.items() if key not in _RESERVED}
        sequence._entries = [SequenceEntry.from_dict(entry) for entry in data["entries"]]
        return sequence

    @classmethod
    def read(cls, path: str | Path) -> CommandSequence:
        """Returns the sequence in an exported .json, .yaml or .yml file.

        Raises:
            ValueError: when it is none.
        """
        text = Path(path).read_text(encoding="utf-8")
        try:
            return cls.from_dict(
                yaml.safe_load(text) if Path(path).suffix in (".yaml", ".yml") else json.loads(text)
            )
        except (ValueError, KeyError, TypeError, yaml.YAMLError) as exc:
            raise ValueError(f"{path} is no exported command sequence: {exc}") from exc

    def to_csv(self, *, times: bool = True) -> str:
        """Returns one line per entry, with a header line; arguments and results as JSON."""
        return exports.to_csv(self, times=times)

    def to_markdown(self, *, times: bool = True) -> str:
        """Returns a table for review, in Markdown."""
        return exports.to_markdown(self, times=times)

    def to_html(self) -> str:
        """Returns a page of its own: heading, timeline, table."""
        return exports.to_html(self)

    def export(self, path: str | Path, *, times: bool = True) -> Path:
        """Writes the sequence in the format that the suffix of `path` names: .json, .csv, .yaml, .md, .html or .txt.

        Args:
            path: the file.
            times: with times; without them, two exports of a procedure in git differ only where it was changed.

        Raises:
            ValueError: for another suffix.
        """
        path = Path(path)
        path.write_text(exports.text_for(path.name, self, times=times), encoding="utf-8")
        return path
