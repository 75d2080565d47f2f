"""The sending side of one connection: replies in order, some of them late, each in one write."""

from __future__ import annotations

import socket
from collections import deque

from egse.simulator.faults import Action, Close, Send

MAX_BACKLOG = 4 * 1024 * 1024
"""A client that does not read this many bytes [bytes] is cut off."""


class Outbox:
    """What still has to be sent to one client.

    Args:
        sock: the non-blocking socket of the client.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._queue: deque[tuple[float, bytes | None]] = deque()
        self._unsent = b""
        self._last_due = 0.0

    def put(self, action: Action, now: float) -> None:
        """Appends an action; a delay counts from the action before, so that replies never overtake each other."""
        due = max(now, self._last_due)
        if isinstance(action, Send):
            due = max(due, action.due) + action.delay
        self._last_due = due
        self._queue.append((due, None if isinstance(action, Close) else action.data))

    @property
    def next_due(self) -> float | None:
        """When the next action is due [s]; None when nothing waits for its time."""
        return self._queue[0][0] if self._queue and not self._unsent else None

    @property
    def blocked(self) -> bool:
        """True while the client's receive buffer is full."""
        return bool(self._unsent)

    @property
    def empty(self) -> bool:
        """True when everything has been sent."""
        return not self._queue and not self._unsent

    def flush(self, now: float) -> bool:
        """Sends what is due.

        Returns:
            False when the connection has to be closed now.

        Raises:
            OSError: when the connection is broken.
        """
        while not self._unsent and self._queue and self._queue[0][0] <= now:
            due, data = self._queue.popleft()
            if data is None:
                return False
            self._unsent = data
            while self._queue and self._queue[0][0] == due and self._queue[0][1] is not None:
                self._unsent += self._queue.popleft()[1] or b""  # held back together, sent together
            self._send()
        if self._unsent:
            self._send()
        return len(self._unsent) + sum(len(data or b"") for _, data in self._queue) <= MAX_BACKLOG

    def _send(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return
        self._unsent = self._unsent[sent:]
