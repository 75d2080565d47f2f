"""Commands that are begun now and answered later, while their server goes on with other commands.

A command marked as `deferred` on its interface may return a `concurrent.futures.Future` from its Controller: the server
sends the reply when the future is done, by whatever thread. Journal, outcomes and at-most-once are those of any other
command: its `end` is written, and a repetition is answered, when there is a result.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import zmq

P = ParamSpec("P")
R = TypeVar("R")

DEFERRED_ATTRIBUTE = "__deferred__"


def deferred(function: Callable[P, R]) -> Callable[P, R]:
    """Marks a command whose Controller may return a `Future` of its result; stands above the declaration."""
    setattr(function, DEFERRED_ATTRIBUTE, True)
    return function


def is_deferred(interface: type, name: str) -> bool:
    """Returns True when the interface declares the command as deferred."""
    return any(getattr(vars(base).get(name), DEFERRED_ATTRIBUTE, False) for base in interface.__mro__)


@dataclass(frozen=True)
class Deferred:
    """A command that was begun and has no result yet.

    Attributes:
        command_id: id of the request.
        finish: makes the encoded reply once the future is done; belongs to the thread that executes the commands.
        future: of the result.
    """

    command_id: str
    finish: Callable[[], bytes]
    future: Future[Any]


@dataclass
class _Open:
    deferred: Deferred
    clients: list[bytes] = field(default_factory=list)


class OpenAnswers:
    """The answers that a server still owes; belongs to the thread that executes its commands.

    Attributes:
        by_id: what is owed, by command id; empty most of the time.
    """

    def __init__(self) -> None:
        self.by_id: dict[str, _Open] = {}
        self._done: deque[str] = deque()
        self._lock = threading.Lock()
        self._wake: tuple[int, int] | None = os.pipe()
        for descriptor in self._wake:
            os.set_blocking(descriptor, False)

    def add(self, client: bytes, answer: Deferred) -> None:
        """Owes an answer to a client (identity of its connection)."""
        self.by_id[answer.command_id] = _Open(answer, [client])
        answer.future.add_done_callback(lambda _: self._on_done(answer.command_id))

    def join(self, command_id: str, client: bytes) -> None:
        """Has a client that repeated a request answered, too; nothing happens when that is not open."""
        entry = self.by_id.get(command_id)
        if entry is not None and client not in entry.clients:
            entry.clients.append(client)

    def take(self) -> Iterator[tuple[Deferred, list[bytes]]]:
        """Yields what is done by now, with the clients that wait for it."""
        self._drain()
        while self._done:
            entry = self.by_id.pop(self._done.popleft(), None)
            if entry is not None:
                yield entry.deferred, entry.clients

    def wait(self, sock: zmq.Socket[bytes], timeout: int) -> bool:
        """Waits until a message is there (True), or an answer is done or `timeout` [ms] is over (False)."""
        poller = zmq.Poller()
        poller.register(sock, zmq.POLLIN)
        if self._wake is not None:
            poller.register(self._wake[0], zmq.POLLIN)
        return sock in dict(poller.poll(timeout))

    def close(self) -> None:
        """Gives the answers up that are not done."""
        with self._lock:
            if self._wake is not None:
                for descriptor in self._wake:
                    os.close(descriptor)
            self._wake = None

    def _on_done(self, command_id: str) -> None:
        self._done.append(command_id)
        with self._lock:
            if self._wake is not None:
                try:
                    os.write(self._wake[1], b"!")
                except BlockingIOError:
                    return  # a full pipe wakes as well

    def _drain(self) -> None:
        with self._lock:
            if self._wake is not None:
                try:
                    os.read(self._wake[0], 4096)
                except BlockingIOError:
                    return
