"""The command sequence of a running observation: kept as lines of events, made into entries when somebody looks."""

from __future__ import annotations

import threading
import time
from typing import Any

import msgspec

from camtest.core.sequence.entries import SequenceEntry
from camtest.core.sequence.sequence import CommandSequence


class LiveSequence(CommandSequence):
    """The building blocks of a running observation, in order of their start.

    Making an entry costs more than everything else a building block leaves behind, and hardly any is ever looked at:
    so the lines of the events are kept as they are written, and become entries when the sequence is read.

    Args:
        title: what is executed.
        mode: "operations" or "simulator".
        details: as for any sequence.
        longest: how many building blocks it shows; all of them are in the events.
    """

    def __init__(self, title: str, *, mode: str, details: dict[str, Any], longest: int) -> None:
        super().__init__(title, mode=mode, details=details)
        self._began = time.time()
        self._longest = self._room = longest
        self._lines: list[bytes] = []
        self._of_call: dict[int, SequenceEntry] = {}
        self._lock = threading.RLock()

    def started(self, line: bytes) -> bool:
        """Takes the event of a start; returns False when the sequence has its full length: its end is not wanted then."""
        if self._room <= 0:
            self.details["incomplete"] = f"only the first {self._longest} building blocks are here"
            return False
        self._room -= 1
        self._lines.append(line)
        return True

    def ended(self, line: bytes) -> None:
        """Takes the event of an end, good or bad."""
        self._lines.append(line)

    @property
    def entries(self) -> list[SequenceEntry]:
        """The entries at the top, in order."""
        if self._lines:
            with self._lock:
                lines, self._lines = self._lines, []
                for line in lines:
                    self._take(msgspec.json.decode(line))
        return self._entries

    def entry_of(self, call: int) -> SequenceEntry | None:
        """Returns the entry of a call of this process; None when the sequence does not show it."""
        with self._lock:
            return self._of_call.get(call) if self.entries else None

    def clear(self) -> None:
        super().clear()
        self._of_call.clear()

    def _take(self, event: dict[str, Any]) -> None:
        at = event["t"] - self._began
        if event["event"] == "start":
            self._of_call[event["call"]] = self.add(
                self._of_call.get(event.get("parent", 0)),
                "block",
                event["block"].rpartition(".")[2],
                start=at,
                arguments=event["args"],
                red_line=event.get("red_line", ""),
            )
        elif (entry := self._of_call.get(event["call"])) is not None:
            entry.end, entry.error = at, event.get("error", "")
