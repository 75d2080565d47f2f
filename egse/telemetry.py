"""Housekeeping and monitoring of a control server: two lanes with a clock of their own."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from egse.proxy import OutcomeUnknownError, Proxy
from egse.system import format_datetime

logger = logging.getLogger(__name__)

DEFAULT_MARGIN = 0.2
"""Time left for other commands between two housekeeping rows [s] (section 6.4 of the manual)."""


class Lane(threading.Thread):
    """Calls a function at a fixed rhythm; a call that comes too late is skipped and counted, never caught up.

    Args:
        name: for the thread and messages.
        action: what to do in each period.
        period: seconds between two calls; 0 for never.
        margin: smallest pause after a call [s].
    """

    def __init__(self, name: str, action: Callable[[], None], period: float, margin: float) -> None:
        super().__init__(name=name, daemon=True)
        self._action = action
        self._margin = margin
        self._wake = threading.Event()
        self._ending = False
        self.period = period
        self.count = 0
        self.missed = 0
        self.failed = 0
        self._mean_duration = 0.0

    def set_frequency(self, frequency: float) -> float:
        """Sets the rhythm [Hz] and returns the one really used: never faster than mean duration + margin."""
        self.period = max(1.0 / frequency, self._mean_duration + self._margin)
        self._wake.set()
        return 1.0 / self.period

    def end(self) -> None:
        """Ends the thread after the call that is running."""
        self._ending = True
        self._wake.set()

    def run(self) -> None:
        due = time.monotonic()
        while not self._ending:
            started = time.monotonic()
            self._call()
            duration = time.monotonic() - started
            self._mean_duration += 0.2 * (duration - self._mean_duration)
            due += self.period
            late = int((time.monotonic() - due) / self.period) + 1 if time.monotonic() > due else 0
            if late:
                self.missed += late
                due += late * self.period
            if self._wake.wait(max(due - time.monotonic(), 0.0)):
                self._wake.clear()
                due = time.monotonic()

    def _call(self) -> None:
        try:
            self._action()
            self.count += 1
            if self.failed:
                logger.info("%s works again after %d failures", self.name, self.failed)
                self.failed = 0
        except Exception as exc:
            # The device may be gone for hours: say it once in full, then only count.
            self.failed += 1
            if self.failed == 1:
                logger.exception("%s failed; it will be tried again in the next periods", self.name)
            elif self.failed % 1000 == 0:
                logger.warning("%s has failed %d times in a row: %s", self.name, self.failed, exc)


class HousekeepingStore:
    """Hands housekeeping rows to the storage manager; keeps them, in order, while it is away.

    Args:
        origin: storage mnemonic.
        capacity: rows kept while the storage manager is away; the oldest are dropped (and counted) beyond.
    """

    def __init__(self, origin: str, capacity: int = 100_000) -> None:
        self.origin = origin
        self.dropped = 0
        self._rows: deque[dict[str, Any]] = deque()
        self._capacity = capacity
        self._registered = False
        self._away = False
        self._resend = False
        self._proxy = Proxy(timeout=5.0)
        self._proxy.settings_name = "Storage Control Server"
        self._proxy.server_name = "sm_cs"

    def save(self, row: dict[str, Any]) -> None:
        """Stores a row; raises nothing when the storage manager is away."""
        self.put(row)
        self.flush()

    @property
    def waiting(self) -> int:
        """Rows that are not stored yet."""
        return len(self._rows)

    def put(self, row: dict[str, Any]) -> None:
        """Takes a row over; it is stored by the next `flush`."""
        row.setdefault("timestamp", format_datetime())
        if len(self._rows) >= self._capacity:
            self._rows.popleft()
            self.dropped += 1
        self._rows.append(row)

    def flush(self) -> None:
        """Sends the rows that are waiting."""
        try:
            self._register(next(iter(self._rows), {}))
            while self._rows:
                item = {"origin": self.origin, "data": self._rows[0], "resend": self._resend}
                # Until the answer is there, the row may or may not be in the file: say so when it is sent again.
                self._resend = True
                self._proxy.send("save", {"item": item})
                self._resend = False
                self._rows.popleft()
            self._away = False
        except (ConnectionError, OutcomeUnknownError) as exc:
            self._note_away(exc)
        except Exception:
            # Refused: perhaps a storage manager that was started anew and does not know this producer yet.
            self._registered = False
            raise

    def _note_away(self, exc: Exception) -> None:
        self._registered = False
        if not self._away:
            self._away = True
            logger.warning("housekeeping of %s waits for the storage manager: %s", self.origin, exc)

    def _register(self, row: dict[str, Any]) -> None:
        if self._registered:
            return
        columns = ["timestamp", *(name for name in row if name != "timestamp")]
        item = {
            "origin": self.origin,
            "persistence_class": "CSV",
            "prep": {"mode": "a", "column_names": columns},
        }
        self._proxy.send("register", {"item": item})
        self._registered = True

    def close(self) -> None:
        """Sends what is waiting, unregisters and closes the connection."""
        try:
            # The storage manager may be gone already, or be this very server: do not wait for it.
            if not self._proxy.ping(0.2):
                return
            if self._rows:
                self.flush()
            if self._registered:
                self._proxy.send("unregister", {"item": {"origin": self.origin}}, timeout=1.0)
        except (ConnectionError, TimeoutError, ValueError, KeyError) as exc:
            logger.info("%s not unregistered at the storage manager: %s", self.origin, exc)
        finally:
            self._proxy.disconnect_cs()
