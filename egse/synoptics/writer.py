"""Puts rows of synoptics into storage, off the path of the commands."""

from __future__ import annotations

import logging
import threading
from queue import Empty, SimpleQueue
from typing import Any

from egse.telemetry import HousekeepingStore

LOGGER = logging.getLogger(__name__)

RETRY_INTERVAL = 1.0
"""How often the storage manager is tried again while it is away [s]."""
STORED_WITHIN = 0.5
"""How long a caller waits for its row to be stored; then it only knows that it is kept [s]."""

_Item = tuple[dict[str, Any], threading.Event]


class SynopticsWriter(threading.Thread):
    """Hands rows to the storage manager, in order; keeps them while it is away.

    Args:
        origin: storage mnemonic.
        capacity: rows that are kept; the oldest are dropped (and counted) beyond.
    """

    def __init__(self, origin: str, capacity: int = 20_000) -> None:
        super().__init__(name="syn-writer", daemon=True)
        self._store = HousekeepingStore(origin, capacity)
        self._rows: SimpleQueue[_Item | None] = SimpleQueue()
        self._ending = False
        self.stored = 0

    @property
    def waiting(self) -> int:
        """Rows that are not stored yet."""
        return self._rows.qsize() + self._store.waiting

    @property
    def dropped(self) -> int:
        """Rows that were lost because the storage manager was away for too long."""
        return self._store.dropped

    def save(self, row: dict[str, Any]) -> bool:
        """Takes a row; returns whether it is stored already.

        It waits for that for a moment, unless older rows wait anyhow.
        """
        done = threading.Event()
        behind = self._store.waiting > 0
        self._rows.put((row, done))
        return not behind and self.is_alive() and done.wait(STORED_WITHIN)

    def close(self) -> None:
        """Stores what can be stored now and ends the thread."""
        self._rows.put(None)
        if self.is_alive():
            self.join(2.5)

    def run(self) -> None:
        while not self._ending:
            self._flush(self._take())
        self._store.close()

    def _take(self) -> list[threading.Event]:
        """Takes over the rows that have come, and waits for one when there are none."""
        taken: list[threading.Event] = []
        timeout = RETRY_INTERVAL
        while True:
            try:
                item = self._rows.get(timeout=timeout)
            except Empty:
                return taken
            if item is None:
                self._ending = True
                return taken
            self._store.put(item[0])
            taken.append(item[1])
            timeout = 0.0

    def _flush(self, taken: list[threading.Event]) -> None:
        before = self._store.waiting
        try:
            if before:
                self._store.flush()
        except Exception:
            # The storage manager refused: it is told who we are once more with the next row. The loop must go on.
            LOGGER.exception("rows of %s were not stored", self._store.origin)
        self.stored += before - self._store.waiting
        if not self._store.waiting:
            for done in taken:
                done.set()
