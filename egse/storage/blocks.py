"""Which building blocks of the open observation run, as its events tell."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any

_ENDS = ("end", "failed")


class RunningBlocks:
    """Follows the events of one observation; safe to use from several threads.

    Attributes:
        begun: building blocks that have begun since this storage manager has the observation.
    """

    def __init__(self) -> None:
        self.begun = 0
        self._lock = threading.Lock()
        self._running: dict[tuple[Any, Any], str] = {}

    def note(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Takes notice of events in their order, each of them once; those of other kinds are not looked at."""
        with self._lock:
            for event in events:
                kind, key = event.get("event"), (event.get("pid"), event.get("call"))
                if kind == "start":
                    self.begun += 1
                    self._running[key] = str(event.get("block", ""))
                elif kind in _ENDS:
                    self._running.pop(key, None)

    def names(self) -> list[str]:
        """Returns the names of those that run, outermost first."""
        with self._lock:
            return list(dict.fromkeys(self._running.values()))
