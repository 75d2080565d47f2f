"""Synoptics out of the housekeeping of a control server, without ever holding that up.

A call to the synoptics manager waits for an answer, and for one that is away it waits long. Housekeeping must not: so a
control server hands its rows to a forwarder, which returns at once and sends them from a thread of its own. What cannot be
sent is dropped, oldest first, and counted; the rows themselves are in the file of the device all the same.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from egse.clock import system_clock
from egse.proxy import OutcomeUnknownError
from egse.synoptics.interface import COMMON, SITE, SynopticsError, SynopticsManagerProxy
from egse.system import format_datetime

LOGGER = logging.getLogger(__name__)

TIMEOUT = 2.0
"""How long an answer may take [s]."""
RETRY_INTERVAL = 1.0
"""How long to wait before a synoptics manager that is away is tried again [s]."""
REFRESH = 10.0
"""How often it is asked which housekeeping it wants [s]; it changes with the Setup."""


class SynopticsForwarder:
    """Sends housekeeping to the synoptics manager, in the background.

    Only the parameters that the synoptics manager asks for are sent, so a whole row can be handed in. The thread starts
    with the first row.

    Args:
        name: who sends, for messages: the name of the control server.
        capacity: rows that wait at most.
        proxy: client of the synoptics manager; one is made when None.

    Attributes:
        sent, dropped, refused: rows since the start.
    """

    def __init__(self, name: str, capacity: int = 100, proxy: SynopticsManagerProxy | None = None) -> None:
        self.name = name
        self.sent = 0
        self.dropped = 0
        self.refused = 0
        self._capacity = capacity
        self._proxy = proxy or SynopticsManagerProxy(timeout=TIMEOUT)
        self._rows: deque[tuple[str, dict[str, Any]]] = deque()
        self._changed = threading.Condition()
        self._ending = False
        self._thread: threading.Thread | None = None
        self._wanted: dict[str, frozenset[str]] = {}
        self._asked = float("-inf")
        self._complaint = ""

    def store_common_synoptics(self, hk: Mapping[str, Any]) -> None:
        """Hands in housekeeping of what all test houses have; returns at once."""
        self._put(COMMON, hk)

    def store_th_synoptics(self, hk: Mapping[str, Any]) -> None:
        """Hands in housekeeping of a test house's own device; returns at once."""
        self._put(SITE, hk)

    @property
    def waiting(self) -> int:
        """Rows that are not sent yet."""
        return len(self._rows)

    def close(self) -> None:
        """Ends the thread; rows that wait are dropped."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(TIMEOUT + 0.5)

    def _put(self, kind: str, hk: Mapping[str, Any]) -> None:
        row = {"timestamp": format_datetime(), **hk}
        with self._changed:
            if self._ending:
                return
            if len(self._rows) >= self._capacity:
                self._rows.popleft()
                self.dropped += 1
            self._rows.append((kind, row))
            self._changed.notify_all()
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"{self.name}-synoptics", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        try:
            while (item := self._next()) is not None:
                self._handle(*item)
        finally:
            self._proxy.disconnect_cs()

    def _next(self) -> tuple[str, dict[str, Any]] | None:
        """Waits for a row; None at the end."""
        with self._changed:
            while not self._rows and not self._ending:
                self._changed.wait()
            return None if self._ending else self._rows.popleft()

    def _handle(self, kind: str, row: dict[str, Any]) -> None:
        try:
            self._send(kind, row)
            self._note("")
        except (ConnectionError, OutcomeUnknownError, TimeoutError) as exc:
            self._asked = float("-inf")
            self._note(str(exc))
            self._keep(kind, row)
        except SynopticsError as exc:
            self.refused += 1
            self._asked = float("-inf")
            self._note(str(exc))
        except Exception:
            # Whatever the other side answers: the thread goes on, the row is lost for the synoptics.
            self.refused += 1
            LOGGER.exception("a row of %s was not taken as synoptics", self.name)

    def _send(self, kind: str, row: dict[str, Any]) -> None:
        now = system_clock().monotonic()
        if now - self._asked > REFRESH:
            origins = self._proxy.get_origins()
            self._wanted = {key: frozenset(names) for key, names in origins.items()}
            self._asked = now
        wanted = self._wanted.get(kind, frozenset())
        chosen = {name: value for name, value in row.items() if name in wanted}
        if not chosen:
            return
        chosen["timestamp"] = row["timestamp"]
        if kind == COMMON:
            self._proxy.store_common_synoptics(hk=chosen)
        else:
            self._proxy.store_th_synoptics(hk=chosen)
        self.sent += 1

    def _keep(self, kind: str, row: dict[str, Any]) -> None:
        """Puts a row back in its place, if there is room, and waits before it is tried again."""
        with self._changed:
            if len(self._rows) < self._capacity:
                self._rows.appendleft((kind, row))
            else:
                self.dropped += 1
            self._changed.wait_for(lambda: self._ending, RETRY_INTERVAL)

    def _note(self, complaint: str) -> None:
        """Logs a problem once, and its end."""
        if complaint and not self._complaint:
            LOGGER.warning("synoptics of %s wait or are left out: %s", self.name, complaint)
        elif self._complaint and not complaint:
            LOGGER.info("the synoptics manager takes synoptics of %s again", self.name)
        self._complaint = complaint
