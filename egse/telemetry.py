"""Housekeeping and monitoring of a control server: two lanes with a clock of their own."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from egse.proxy import OutcomeUnknownError, Proxy
from egse.storageerrors import StorageError, StorageFullError
from egse.system import format_datetime

logger = logging.getLogger(__name__)

DEFAULT_MARGIN = 0.2
"""Time left for other commands between two housekeeping rows [s] (section 6.4 of the manual)."""
BATCH = 500
"""Largest number of rows in one request to the storage manager."""
WEIGHT = 0.2
"""Weight of the last call in the mean execution time; the first few have more: the mean of one is that one."""
CELLS = 100_000
"""Largest number of values in one request."""
RETRY = 0.5
"""How long to wait before rows are offered to the storage manager again [s]."""
CLOSE_LIMIT = 1.5
"""How long the end of a server waits for its last rows to be stored [s]."""


class Lane(threading.Thread):
    """Calls a function at a fixed rhythm; a call that comes too late is skipped and counted, never caught up.

    The rhythm is the wanted one as long as the function is quick enough: see `period`.

    Args:
        name: for the thread and messages.
        action: what to do in each period.
        period: wanted seconds between two calls; 0 for never.
        margin: what the mean execution time is increased with [s], so that there is a pause after a call.

    Attributes:
        wanted: the wanted period [s], which is applied again when the function becomes quicker.
        count: calls that went well.
        missed: calls that were due, at the period applied then, and could not be made in time.
        failed: calls in a row that raised an exception, until now.
    """

    def __init__(self, name: str, action: Callable[[], None], period: float, margin: float) -> None:
        super().__init__(name=name, daemon=True)
        self._action = action
        self._margin = margin
        self._wake = threading.Event()
        self._ending = False
        self.wanted = period
        self.count = 0
        self.missed = 0
        self.failed = 0
        self._mean_duration = 0.0
        self._measured = 0

    @property
    def period(self) -> float:
        """The period that is applied [s]: never shorter than mean execution time + margin (section 6.4); 0 for never."""
        return max(self.wanted, self._mean_duration + self._margin) if self.wanted > 0.0 else 0.0

    def set_frequency(self, frequency: float) -> float:
        """Sets the wanted rhythm [Hz] and returns the one that is applied now, see `period`."""
        self.wanted = 1.0 / frequency
        self._wake.set()
        return 1.0 / self.period

    def end(self) -> None:
        """Ends the thread after the call that is running."""
        self._ending = True
        self._wake.set()

    def run(self) -> None:
        due = time.monotonic()
        while not self._ending:
            period = self.period  # what is due at this rhythm while the call goes on is missed
            if period <= 0.0:
                self._wake.wait()
                self._wake.clear()
                due = time.monotonic()
                continue
            started = time.monotonic()
            self._call()
            self._note_duration(time.monotonic() - started)
            due += period
            late = int((time.monotonic() - due) / period) + 1 if time.monotonic() > due else 0
            if late:
                self.missed += late
                due += late * period
            if (slower := self.period) > period:
                due = max(due, started + slower)
            if self._wake.wait(max(due - time.monotonic(), 0.0)):
                self._wake.clear()
                due = time.monotonic()

    def _note_duration(self, duration: float) -> None:
        self._measured += 1
        self._mean_duration += max(WEIGHT, 1.0 / self._measured) * (duration - self._mean_duration)

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
    """Hands housekeeping rows to the storage manager from a thread of its own; keeps them, in order, while it is away.

    `save` never waits. Rows that queue up travel together in one request; each is kept until it is acknowledged. They
    are numbered within a session, by which the storage manager recognises rows that are sent again because an answer
    was lost, also over a restart: every row is stored once.

    Args:
        origin: storage mnemonic.
        capacity: rows kept while the storage manager is away; the oldest are dropped (and counted) beyond.

    Attributes:
        acknowledged: rows that are stored.
        dropped: rows lost because the storage manager was away for too long.
        refused: rows lost because the storage manager does not take them.
    """

    def __init__(self, origin: str, capacity: int = 100_000) -> None:
        self.origin = origin
        self.acknowledged = 0
        self.dropped = 0
        self.refused = 0
        self._rows: deque[dict[str, Any]] = deque()
        self._first = 0  # number of the first row that waits
        self._capacity = capacity
        self._changed = threading.Condition()
        self._ending = False
        self._sender: threading.Thread | None = None
        self._session = secrets.token_hex(8)
        self._registered = False
        self._columns: list[str] = []
        self._singles = 0  # a batch was refused: so many rows go one by one until the culprit is found
        self._trouble = ""
        self._proxy = Proxy(timeout=5.0)
        self._proxy.settings_name = "Storage Control Server"
        self._proxy.server_name = "sm_cs"

    @property
    def waiting(self) -> int:
        """Number of rows that are not acknowledged yet."""
        return len(self._rows)

    def save(self, row: dict[str, Any]) -> None:
        """Takes a row, adding `timestamp` when it has none; returns at once."""
        row.setdefault("timestamp", format_datetime())
        with self._changed:
            if len(self._rows) >= self._capacity:
                self._forget_first(1)
                self.dropped += 1
            self._rows.append(row)
            self._changed.notify_all()
            if self._sender is None:
                self._sender = threading.Thread(target=self._run, name=f"{self.origin}-store", daemon=True)
                self._sender.start()

    def flush(self, timeout: float) -> bool:
        """Waits until all rows are acknowledged, at most `timeout` [s]; returns whether they are."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._rows, timeout)

    def close(self) -> None:
        """Sends what is waiting, unregisters and closes the connection, if that is done in a moment."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._sender is not None:
            self._sender.join(CLOSE_LIMIT)

    def _forget_first(self, count: int) -> None:
        for _ in range(count):
            self._rows.popleft()
        self._first += count
        self._changed.notify_all()

    # -- the sender's thread -------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._rows or self._ending)
                if self._ending:
                    break
            if not self._send_batch():
                with self._changed:
                    self._changed.wait_for(lambda: self._ending, RETRY)
        self._take_leave()

    def _send_batch(self) -> bool:
        """Sends the rows at the head of the queue; returns False when it is better to wait before the next try."""
        with self._changed:
            first = self._first
            width = max(1, len(self._rows[0]))
            rows = list(islice(self._rows, 1 if self._singles else max(1, min(BATCH, CELLS // width))))
        fresh = not self._registered
        try:
            self._register(rows[0])
            item = {"origin": self.origin, "data": rows, "session": self._session, "number": first}
            self._proxy.send("save", {"item": item})
        except (StorageFullError, ConnectionError, OutcomeUnknownError) as exc:
            return self._wait_for(exc)
        except (StorageError, ValueError, TypeError, KeyError) as exc:
            # A storage manager that has lost its list of producers, or a row that it does not take.
            self._registered = False
            return not fresh or self._blame(rows, first, exc)
        except Exception as exc:  # whatever else a server may answer: a producer keeps its rows and goes on
            return self._wait_for(exc, trace=True)
        self._acknowledge(first + len(rows))
        return True

    def _acknowledge(self, following: int) -> None:
        with self._changed:
            count = max(0, following - self._first)
            self.acknowledged += count
            self._forget_first(count)
        self._singles = max(0, self._singles - 1)
        if self._trouble:
            self._trouble = ""
            logger.info("housekeeping of %s is stored again", self.origin)

    def _wait_for(self, exc: Exception, trace: bool = False) -> bool:
        self._registered = False
        if self._trouble != type(exc).__name__:
            self._trouble = type(exc).__name__
            logger.warning(
                "housekeeping of %s waits for the storage manager: %s",
                self.origin,
                exc,
                exc_info=exc if trace else None,
            )
        return False

    def _blame(self, rows: list[dict[str, Any]], first: int, exc: Exception) -> bool:
        """Narrows a refusal down to one row and drops that."""
        if len(rows) > 1:
            self._singles = len(rows)
            return True
        self._singles = 0
        with self._changed:
            if self._first == first:
                self._forget_first(1)
                self.refused += 1
        if self.refused == 1 or self.refused % 1000 == 0:
            logger.error(
                "housekeeping of %s: %d rows were refused, the last one because: %s",
                self.origin,
                self.refused,
                exc,
            )
        return True

    def _register(self, row: dict[str, Any]) -> None:
        if self._registered:
            return
        columns = self._columns = self._columns or [
            "timestamp",
            *(name for name in row if name != "timestamp"),
        ]
        item = {
            "origin": self.origin,
            "persistence_class": "CSV",
            "prep": {"mode": "a", "column_names": columns},
        }
        self._proxy.send("register", {"item": item})
        self._registered = True

    def _take_leave(self) -> None:
        try:
            # The storage manager may be gone already, or be this very server: do not wait for it.
            if not self._proxy.ping(0.2):
                return
            while self._rows and self._send_batch():
                pass
            if self._registered and not self._rows:
                self._proxy.send("unregister", {"item": {"origin": self.origin}}, timeout=1.0)
        except (ConnectionError, TimeoutError, ValueError, KeyError) as exc:
            logger.info("%s not unregistered at the storage manager: %s", self.origin, exc)
        finally:
            if self._rows:
                logger.warning("%d housekeeping rows of %s were not stored", len(self._rows), self.origin)
            self._proxy.disconnect_cs()
