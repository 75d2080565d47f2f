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
from camtest.core.sequence import CommandSequence, SequenceEntry
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


class EventWriter(ExecutionContext):
    """Writes building blocks into the events of an observation.

    Args:
        record: the configuration manager's record of the observation.
        spool: where the events are written.
    """

    def __init__(self, record: Observation, spool: EventSpool) -> None:
        self.record = record
        self._spool = spool
        self._obsid = str(record["obsid"])
        self.run_id = str(record.get("run_id", ""))
        self.pid = os.getpid()
        self._numbers = itertools.count(1)
        self._bbcount = itertools.count(1)
        self._entries = 0
        self._began = time.monotonic()
        details = {"obsid": self._obsid, "setup_id": str(record.get("setup_id", ""))}
        self.sequence = CommandSequence(str(record.get("function", "")), mode=current_mode(), details=details)
        set_command_sequence(self.sequence)
        self._contexts: dict[BlockDefinition, CommandContext] = {}

    @property
    def obsid(self) -> str:
        return self._obsid

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def mark(self, event: str, **fields: Any) -> None:
        """Writes a marker into the events."""
        self._spool.write_event({"t": time.time(), "event": event, "pid": self.pid, **fields})

    def _write_start(self, block: BlockDefinition, arguments: dict[str, Any], parent: Call | None) -> Call:
        number = next(self._numbers)
        safe = block.options.safe if block.options is not None else None
        event = _StartEvent(
            time.time(),
            self.pid,
            number,
            0 if parent is None else parent.number,
            block.qualified_name,
            block.bbid,
            next(self._bbcount),
            arguments,
            None if safe is None else {"name": safe.name, "arguments": dict(safe.arguments)},
        )
        self._spool.write(to_json_bytes(event) + b"\n")
        commands = self._contexts.get(block)
        if commands is None:
            commands = self._contexts[block] = CommandContext("", "", self._obsid, block.name)
        return Call(block, number, self._noted(block, arguments, parent), commands)

    def _noted(
        self, block: BlockDefinition, arguments: dict[str, Any], parent: Call | None
    ) -> SequenceEntry | None:
        """Adds the building block to the command sequence of this session, as long as that is of a readable length."""
        if self._entries >= LONGEST_SEQUENCE:
            self.sequence.details["incomplete"] = (
                f"only the first {LONGEST_SEQUENCE} building blocks are here"
            )
            return None
        self._entries += 1
        above = None if parent is None else parent.token
        entry = above if isinstance(above, SequenceEntry) else None
        start = time.monotonic() - self._began
        return self.sequence.add(
            entry, "block", block.name, start=start, arguments=arguments, red_line=RED_LINE.get()
        )

    def _write_end(self, call: Call) -> None:
        self._done(call)
        event = _EndEvent(time.time(), self.pid, call.number, call.block.qualified_name, next(self._bbcount))
        self._spool.write(to_json_bytes(event) + b"\n")

    def _write_failed(self, call: Call, text: str, *, aborted: bool) -> None:
        self._done(call, text)
        event = _FailedEvent(
            time.time(),
            self.pid,
            call.number,
            call.block.qualified_name,
            next(self._bbcount),
            text,
            aborted,
        )
        self._spool.write(to_json_bytes(event) + b"\n")

    def _done(self, call: Call, error: str = "") -> None:
        if isinstance(call.token, SequenceEntry):
            call.token.end = time.monotonic() - self._began
            call.token.error = error
