"""The device commands of an observation, collected from the journals of the control servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from egse.journal import BeginRecord, JournalRecord, read_journal
from egse.storage.naming import utc_text


class CommandEntry(msgspec.Struct, kw_only=True):
    """One device command, as a line of `<prefix>_commands.jsonl`.

    Attributes:
        time: when it was begun (UTC).
        server: the control server that executed it.
        command: its name.
        args: its arguments by name; arrays and long texts are abridged.
        block: the building block that issued it, empty outside.
        origin: who asked, as claimed.
        status: done, failed, or unknown when the server died before it ended.
        error: type and text of the exception of a failed command.
        ended: when it ended (UTC), empty when unknown.
        id: id of the command.
        t: when it was begun, Unix time [s].
        mode: operations, or simulator when that answered in the place of the device.
        result: what a query answered; null for other commands.
    """

    time: str
    server: str
    command: str
    args: dict[str, object]
    block: str
    origin: str
    status: str = "unknown"
    error: str = ""
    ended: str = ""
    id: str = ""
    t: float = 0.0
    mode: str = ""
    result: object = None


def collect_commands(site_folder: Path, obsid: str, first_day: str) -> bytes:
    """Returns the commands of an observation in the order in which they were begun, one JSON object per line.

    Args:
        site_folder: data folder of the site, with `journal/<server>/<YYYYMMDD>.journal`.
        obsid: full obsid of the observation.
        first_day: day of its start, YYYY-MM-DD (UTC); older journals are not read.
    """
    begun: dict[str, tuple[float, CommandEntry]] = {}
    for record in _records(site_folder, first_day):
        if isinstance(record, BeginRecord):
            if record.obsid == obsid:
                begun[record.id] = (record.time, _entry(record))
        elif record.id in begun:
            entry = begun[record.id][1]
            entry.status, entry.error, entry.ended = record.status, record.error, utc_text(record.time)
            entry.result = record.result
    entries = [entry for _, entry in sorted(begun.values(), key=lambda item: item[0])]
    return b"".join(msgspec.json.encode(entry) + b"\n" for entry in entries)


def _records(site_folder: Path, first_day: str) -> Iterator[JournalRecord]:
    for path in sorted((site_folder / "journal").glob("*/*.journal")):
        if path.stem >= first_day.replace("-", ""):
            yield from read_journal(path)


def _entry(record: BeginRecord) -> CommandEntry:
    return CommandEntry(
        time=utc_text(record.time),
        server=record.server,
        command=record.command,
        args=record.args,
        block=record.block,
        origin=record.origin,
        id=record.id,
        t=record.time,
        mode=record.source.mode,
    )
