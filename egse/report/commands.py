"""How many commands each server executed, and those that failed or whose outcome is not known, from the command journals."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from egse.hk.files import Span
from egse.journal import BeginRecord, EndRecord, read_journal
from egse.report.span import Scope

FAILED, UNKNOWN = "failed", "unknown"


@dataclass(frozen=True)
class Mishap:
    """A command that failed, or whose end is not in the journal.

    Attributes:
        time: when it was begun [Unix s].
        server: the control server.
        command: its name.
        block: the building block that issued it, empty outside.
        obsid: the observation, empty outside.
        origin: who asked.
        status: `failed`, or `unknown` when the server died before it ended.
        error: type and text of the exception.
    """

    time: float
    server: str
    command: str
    block: str
    obsid: str
    origin: str
    status: str
    error: str


@dataclass
class ServerCommands:
    """The commands of one server.

    Attributes:
        server: its name.
        commands: how many of each name were begun.
        statuses: how many ended how; `unknown` for those without an end.
        lives: the incarnations that executed them.
        origins: how many came from whom.
    """

    server: str
    commands: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    lives: set[str] = field(default_factory=set)
    origins: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """How many were begun."""
        return self.commands.total()


def read_commands(scope: Scope) -> tuple[list[ServerCommands], list[Mishap]]:
    """Returns the commands of each server, and what went wrong in the order of time."""
    servers, mishaps = [], []
    for folder in sorted((scope.site / "journal").glob("*")):
        if folder.is_dir():
            found, wrong = _of_server(folder, scope)
            mishaps += wrong
            if found.total:
                servers.append(found)
    return servers, sorted(mishaps, key=lambda one: one.time)


def _of_server(folder: Path, scope: Scope) -> tuple[ServerCommands, list[Mishap]]:
    found = ServerCommands(folder.name)
    begun: dict[str, BeginRecord] = {}
    ended: dict[str, EndRecord] = {}
    # A command that was begun before midnight has its end in the journal of the next day.
    later = Span(scope.span.start, scope.span.end + 1.0)
    for day in later.days:
        path = folder / f"{day}.journal"
        if not path.is_file():
            continue
        for record in read_journal(path):
            if isinstance(record, EndRecord):
                ended[record.id] = record
            elif scope.span.start <= record.time < scope.span.end:
                begun[record.id] = record
    mishaps = []
    for key, record in begun.items():
        end = ended.get(key)
        status = UNKNOWN if end is None else end.status
        found.commands[record.command] += 1
        found.statuses[status] += 1
        found.lives.add(record.source.incarnation)
        found.origins[record.origin] += 1
        if status in (FAILED, UNKNOWN):
            mishaps.append(_mishap(record, status, "" if end is None else end.error))
    return found, mishaps


def _mishap(record: BeginRecord, status: str, error: str) -> Mishap:
    return Mishap(
        record.time, record.server, record.command, record.block, record.obsid, record.origin, status, error
    )
