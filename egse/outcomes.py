"""What became of a command: a control server remembers its last answers, its journal the rest.

A request that arrives twice (the same id) is answered from memory and executed once. A client whose call ended without
an answer asks for the outcome of its command id.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

from egse.journal import EndRecord, read_journal
from egse.wire import decode_reply

CAPACITY = 2048
"""At least so many commands are remembered, at most twice as many."""
LARGEST = 64 * 1024
"""Larger answers are not kept, only that there was one [bytes]."""
VOLUME = 1024 * 1024
"""The answers take at most this much memory together [bytes]: a status has kilobytes and is asked for every second."""
SEARCHED = 512 * 1024 * 1024
"""So much of the journal is searched for an older command, the newest file first [bytes]; a file is searched as a whole."""


class Outcomes:
    """The answers of one control server, by command id; one thread writes, any may read.

    Args:
        journal_folder: the journal of the server, None when it has none.

    Attributes:
        newer, older: two generations of encoded replies by command id. A command that begins is put into `newer` with
            None; one that stands in neither is not known.
    """

    def __init__(self, journal_folder: Path | None) -> None:
        self._journal_folder = journal_folder
        # Two generations instead of a queue: the older one is dropped as a whole, which costs nothing per command.
        self.newer: dict[str, bytes | None] = {}
        self.older: dict[str, bytes | None] = {}
        self._failed: set[str] = set()  # those of both generations that have failed
        self._volume = 0  # of the answers that are kept, those of dropped generations included [bytes]

    def _begin_generation(self) -> None:
        answers = self.newer
        running: dict[str, bytes | None] = {
            k: None for k, a in self.older.items() if a is None and answers.get(k) is None
        }
        self.older, self.newer = answers, running
        self._failed &= answers.keys()

    def end(self, command_id: str, answer: bytes, *, failed: bool = False) -> None:
        """Remembers the encoded reply to a command, and whatever becomes of that, that it has failed or was refused."""
        if len(answer) > LARGEST:
            answer = b""
        if len(self.newer) >= CAPACITY:
            self._begin_generation()
        if failed:
            self._failed.add(command_id)
        self.newer[command_id] = answer
        self._volume += len(answer)
        if self._volume > VOLUME:
            self._shed()

    def _shed(self) -> None:
        """Keeps the newest answers, up to half of the volume; of the others only that there was one."""
        volume = 0
        for generation in (self.newer, self.older):
            for command_id in reversed(generation):
                size = len(generation[command_id] or b"")
                if volume + size > VOLUME // 2:
                    generation[command_id] = b""
                else:
                    volume += size
        self._volume = volume

    def is_known(self, command_id: str) -> bool:
        """Returns True when the command is being executed or was."""
        return command_id in self.newer or command_id in self.older

    def answer(self, command_id: str) -> bytes | None:
        """Returns the encoded reply; None while the command runs or when its reply is not kept (any more)."""
        return self.newer.get(command_id) or self.older.get(command_id) or None

    def describe(self, command_id: str) -> dict[str, Any]:
        """Returns what became of a command, see `egse.services.ServiceInterface.get_outcome`."""
        for generation in (self.newer, self.older):
            if command_id in generation:
                answer = generation[command_id]
                break
        else:
            return self._from_journal(command_id)
        if answer is None:
            return {"status": "running"}
        if not answer:
            return self._without_answer(command_id)
        reply = decode_reply(answer)
        if reply.error is not None:
            return {"status": "failed", "error": f"{reply.error.type}: {reply.error.message}"}
        return {"status": "done", "value": reply.value}

    def _without_answer(self, command_id: str) -> dict[str, Any]:
        """Returns what became of a command whose answer is not kept; the journal has the rest, as far as there is more."""
        status = "failed" if command_id in self._failed else "done"
        found = self._from_journal(command_id)
        if found["status"] == status:
            return found
        if status == "failed":
            return {"status": status, "error": "the error was too long, or too long ago, to be kept"}
        return {
            "status": status,
            "value": None,
            "remark": "the result was too large, or too long ago, to be kept",
        }

    def _from_journal(self, command_id: str) -> dict[str, Any]:
        if self._journal_folder is None:
            return {"status": "not known"}
        left = SEARCHED
        for path in sorted(self._journal_folder.glob("*.journal"), reverse=True):
            if left <= 0:
                return {"status": "not known"}
            left -= path.stat().st_size
            records = (
                [r for r in read_journal(path) if r.id == command_id] if _mentions(path, command_id) else []
            )
            for record in records:
                if isinstance(record, EndRecord):
                    return _ended(record)
            if records:
                return {"status": "unknown"}
        return {"status": "not executed"}


def _mentions(path: Path, command_id: str) -> bool:
    """Says whether a file has a command id in it: much quicker than to read its records."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(command_id.encode()) >= 0


def _ended(record: EndRecord) -> dict[str, Any]:
    if record.status != "done":
        return {"status": record.status, "error": record.error}
    if record.result is None:
        return {
            "status": "done",
            "value": None,
            "remark": "of results the journal keeps short ones of queries only",
        }
    return {"status": "done", "value": record.result}
