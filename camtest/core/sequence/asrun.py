"""The as-run sequence of an observation, from its events and the journals of the control servers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from camtest.core.sequence.entries import EntryKind, SequenceEntry
from camtest.core.servers import is_query
from egse.system import unix_time

if TYPE_CHECKING:
    from egse.archive import Observation

AS_RUN = "as run"
"""Source of what the commands of an observation have answered."""

Add = Callable[..., SequenceEntry]


@dataclass(eq=False)
class _Node:
    """A building block, command or deviation with its times (Unix time [s]); `order` decides between equal ones."""

    kind: EntryKind
    name: str
    start: float
    order: int
    end: float | None = None
    device: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    result: Any = None
    red_line: str = ""
    parent: _Node | None = None
    children: list[_Node] = field(default_factory=list)

    def holds(self, t: float) -> bool:
        return self.start <= t and (self.end is None or t <= self.end)

    def distance(self, t: float) -> float:
        """How far a time is from this block [s]."""
        if self.holds(t):
            return 0.0
        return self.start - t if t < self.start else t - (self.end or t)


@dataclass
class AsRun:
    """What happened in an observation.

    Attributes:
        title: what was executed.
        mode: operations or simulator.
        details: site, obsid, Setup, status, parameters.
        began: when it started, Unix time [s].
        roots: what happened at the top.
    """

    title: str
    mode: str
    details: dict[str, Any]
    began: float
    roots: list[_Node]

    def fill(self, add: Add) -> None:
        """Hands everything to `CommandSequence.add`, in order of time."""
        self._fill(add, None, self.roots)

    def _fill(self, add: Add, parent: SequenceEntry | None, nodes: Iterable[_Node]) -> None:
        for node in sorted(nodes, key=lambda n: (n.start, n.order)):
            entry = add(
                parent,
                node.kind,
                node.name,
                start=node.start - self.began,
                arguments=node.arguments,
                device=node.device,
                source=AS_RUN if node.kind == "command" else "",
                query=node.kind == "command" and is_query(node.device, node.name),
                red_line=node.red_line,
            )
            entry.end = None if node.end is None else node.end - self.began
            entry.error, entry.result = node.error, node.result
            self._fill(add, entry, node.children)


def as_run(obsid: int | str | Path, location: str | Path | None) -> AsRun:
    """Reads what happened in an observation.

    Raises:
        LookupError: when there is no such observation.
        ValueError: when its events or commands are damaged.
    """
    from egse.archive import Observation  # loads the index; most users of a sequence read no archive

    observation = Observation(obsid, location)
    roots = _blocks(observation.events)
    blocks = list(_below(roots))
    for number, command in enumerate(observation.commands):
        node = _command(command, number)
        block = _block_of(str(command.get("block", "")), node.start, blocks)
        if block is None:
            roots.append(node)
        else:
            node.parent = block
            block.children.append(node)
    _mark_red_lines(observation.events, roots)
    starts = [event["t"] for event in observation.events if "t" in event] or [node.start for node in roots]
    began = unix_time(observation.start) if observation.start else min(starts, default=0.0)
    return AsRun(observation.function, _mode(observation), _details(observation), began, roots)


def _mode(observation: Observation) -> str:
    manifest = observation.manifest
    told = manifest.mode if manifest else ""
    return told or str((observation.info.details if observation.info else {}).get("mode") or "operations")


def _details(observation: Observation) -> dict[str, Any]:
    info = observation.info
    return {
        "site": observation.name.site_id or "",
        "setup_id": f"{observation.name.setup_id or 0:05d}",
        "obsid": observation.obsid,
        "status": observation.status or observation.state,
        "parameters": (info.details if info else {}).get("parameters") or {},
    }


def _blocks(events: Iterable[Mapping[str, Any]]) -> list[_Node]:
    """Returns the building blocks at the top, with those below them, and the deviations."""
    roots: list[_Node] = []
    known: dict[tuple[Any, Any], _Node] = {}
    for order, event in enumerate(events):
        kind, process = event.get("event"), event.get("pid")
        if kind == "start" and "block" in event:
            name = str(event["block"]).rpartition(".")[2]
            node = _Node("block", name, float(event["t"]), order, arguments=dict(event.get("args") or {}))
            node.parent = known.get((process, event.get("parent")))
            (roots if node.parent is None else node.parent.children).append(node)
            known[process, event.get("call")] = node
        elif kind in ("end", "failed") and (process, event.get("call")) in known:
            node = known[process, event.get("call")]
            node.end, node.error = float(event["t"]), str(event.get("error", ""))
        elif kind == "red-line":
            wanted = ("what", "planned", "actual", "reason", "by", "second")
            told = {key: event[key] for key in wanted if event.get(key) is not None}
            node = _Node("red-line", str(event.get("kind", "")), float(event["t"]), order, arguments=told)
            node.red_line, node.end = f"{event.get('number', '')} {event.get('kind', '')}".strip(), node.start
            above = known.get((process, event.get("call")))
            (roots if above is None else above.children).append(node)
    return roots


def _below(nodes: Iterable[_Node]) -> Iterable[_Node]:
    for node in nodes:
        yield node
        yield from _below(node.children)


def _command(command: Mapping[str, Any], number: int) -> _Node:
    start = float(command.get("t") or unix_time(str(command["time"])))
    status = command.get("status")
    return _Node(
        "command",
        str(command["command"]),
        start,
        number,
        end=unix_time(str(command["ended"])) if command.get("ended") else None,
        device=str(command["server"]),
        arguments=dict(command.get("args") or {}),
        error=str(command.get("error") or status) if status != "done" else "",
        result=command.get("result"),
    )


def _block_of(name: str, t: float, blocks: Iterable[_Node]) -> _Node | None:
    """Returns the call of building block `name` that a command at `t` belongs to, the innermost; None outside.

    Clocks of client and server may differ a little: the nearest call is taken when none was active.
    """
    named = [block for block in blocks if block.kind == "block" and block.name == name]
    return min(named, key=lambda block: (block.distance(t), -block.start), default=None)


def _mark_red_lines(events: Iterable[Mapping[str, Any]], roots: Iterable[_Node]) -> None:
    """Marks what was done between the begin and the end of a deviation."""
    opened: dict[Any, tuple[float, str]] = {}
    spans = []
    for event in events:
        if event.get("event") == "red-line":
            opened[event.get("number")] = (float(event["t"]), f"{event.get('number')} {event.get('kind')}")
        elif event.get("event") == "red-line-end" and event.get("number") in opened:
            spans.append((*opened.pop(event.get("number")), float(event["t"])))
    for node in _below(roots):
        for start, mark, end in spans:
            if not node.red_line and start <= node.start <= end:
                node.red_line = mark
