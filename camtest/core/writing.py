"""Building blocks written down as they start and end: in the events of an observation and in the command sequence of the session."""

from __future__ import annotations

import itertools
import os
import time
from typing import Any

import msgspec

from camtest.core.blocks import BlockDefinition
from camtest.core.context import RED_LINE, Call, ExecutionContext
from camtest.core.handle import Observation
from camtest.core.sequence import LiveSequence, SequenceEntry
from camtest.core.spool import EventSpool
from camtest.core.values import to_json_bytes
from camtest.state import set_command_sequence
from egse.context import CommandContext
from egse.mode import current_mode

LONGEST_SEQUENCE = 10_000
"""How many building blocks the command sequence of a session shows; all of them are in the events."""


class _StartEvent(msgspec.Struct, tag_field="event", tag="start", omit_defaults=True):
    t: float
    pid: int
    call: int
    parent: int
    block: str
    bbid: str
    bbcount: int
    args: dict[str, Any]
    safe: dict[str, Any] | None = None
    red_line: str = ""


class _EndEvent(msgspec.Struct, tag_field="event", tag="end"):
    t: float
    pid: int
    call: int
    block: str
    bbcount: int


class _FailedEvent(msgspec.Struct, tag_field="event", tag="failed"):
    t: float
    pid: int
    call: int
    block: str
    bbcount: int
    error: str
    aborted: bool


class _Known(msgspec.Struct, frozen=True):
    """What is the same in all starts of a building block during an observation."""

    name: str
    bbid: str
    commands: CommandContext


class EventWriter(ExecutionContext):
    """Writes building blocks into the events of an observation.

    Args:
        record: the configuration manager's record of the observation.
        spool: where the events are written.
    """

    sequence: LiveSequence

    def __init__(self, record: Observation, spool: EventSpool) -> None:
        self.record = record
        self._spool = spool
        self._obsid = str(record["obsid"])
        self.run_id = str(record.get("run_id", ""))
        self.pid = os.getpid()
        self._numbers = itertools.count(1)
        self._bbcount = itertools.count(1)
        self._began = time.monotonic()
        details = {"obsid": self._obsid, "setup_id": str(record.get("setup_id", ""))}
        self.sequence = LiveSequence(
            str(record.get("function", "")), mode=current_mode(), details=details, longest=LONGEST_SEQUENCE
        )
        set_command_sequence(self.sequence)
        self._known: dict[BlockDefinition, _Known] = {}

    @property
    def obsid(self) -> str:
        return self._obsid

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def entry_of(self, call: Call) -> SequenceEntry | None:
        return self.sequence.entry_of(call.number)

    def mark(self, event: str, **fields: Any) -> None:
        """Writes a marker into the events."""
        self._spool.write_event({"t": time.time(), "event": event, "pid": self.pid, **fields})

    def _write_start(self, block: BlockDefinition, arguments: dict[str, Any], parent: Call | None) -> Call:
        number = next(self._numbers)
        known = self._known.get(block) or self._learn(block)
        event = _StartEvent(
            time.time(),
            self.pid,
            number,
            0 if parent is None else parent.number,
            known.name,
            known.bbid,
            next(self._bbcount),
            arguments,
            None if block.options is None else block.options.safe_event,
            RED_LINE.get(),
        )
        line = to_json_bytes(event) + b"\n"
        self._spool.write(line)
        return Call(block, number, known.commands, self.sequence.started(line))

    def _learn(self, block: BlockDefinition) -> _Known:
        commands = CommandContext("", "", self._obsid, block.name)
        known = self._known[block] = _Known(block.qualified_name, block.bbid, commands)
        return known

    def _write_end(self, call: Call) -> None:
        self._write_last(
            call,
            _EndEvent(time.time(), self.pid, call.number, call.block.qualified_name, next(self._bbcount)),
        )

    def _write_failed(self, call: Call, text: str, *, aborted: bool) -> None:
        block, count = call.block.qualified_name, next(self._bbcount)
        self._write_last(call, _FailedEvent(time.time(), self.pid, call.number, block, count, text, aborted))

    def _write_last(self, call: Call, event: _EndEvent | _FailedEvent) -> None:
        line = to_json_bytes(event) + b"\n"
        self._spool.write(line)
        if call.token:
            self.sequence.ended(line)
