"""What became of a command: a control server remembers its last answers, its journal the rest.

A request that arrives twice (the same id) is answered from memory and executed once. A client whose call ended without
an answer asks for the outcome of its command id.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from egse.journal import read_journal
from egse.wire import decode_reply

CAPACITY = 4096
"""How many answers are remembered."""
LARGEST = 64 * 1024
"""Larger answers are not kept, only that there was one [bytes]."""
JOURNAL_DAYS = 2
"""How many of the newest journal files are searched for older commands."""


class Outcomes:
    """The answers of one control server, by command id; safe in threads.

    Args:
        journal_folder: the journal of the server, None when it has none.
    """

    def __init__(self, journal_folder: Path | None) -> None:
        self._journal_folder = journal_folder
        self._answers: OrderedDict[str, bytes | None] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, command_id: str) -> None:
        """Remembers that a command is being executed."""
        with self._lock:
            self._answers[command_id] = None
            if len(self._answers) > CAPACITY:
                self._answers.popitem(last=False)

    def end(self, command_id: str, answer: bytes) -> None:
        """Remembers the encoded reply to a command."""
        with self._lock:
            self._answers[command_id] = answer if len(answer) <= LARGEST else b""

    def is_known(self, command_id: str) -> bool:
        """Returns True when the command is being executed or was."""
        return command_id in self._answers

    def answer(self, command_id: str) -> bytes | None:
        """Returns the encoded reply; None while the command runs or when its reply was too large to keep."""
        with self._lock:
            return self._answers.get(command_id) or None

    def describe(self, command_id: str) -> dict[str, Any]:
        """Returns what became of a command, see `egse.services.ServiceInterface.get_outcome`."""
        with self._lock:
            known = command_id in self._answers
            answer = self._answers.get(command_id)
        if not known:
            return self._from_journal(command_id)
        if answer is None:
            return {"status": "running"}
        if not answer:
            return {"status": "done", "value": None, "remark": "the result was too large to be kept"}
        reply = decode_reply(answer)
        if reply.error is not None:
            return {"status": "failed", "error": f"{reply.error.type}: {reply.error.message}"}
        return {"status": "done", "value": reply.value}

    def _from_journal(self, command_id: str) -> dict[str, Any]:
        if self._journal_folder is None:
            return {"status": "not known"}
        begun = False
        for path in sorted(self._journal_folder.glob("*.journal"))[-JOURNAL_DAYS:]:
            for record in read_journal(path):
                if record.id != command_id:
                    continue
                if record.event == "end":
                    return {"status": record.status, "error": record.error}
                begun = True
        return {"status": "unknown" if begun else "not executed"}
