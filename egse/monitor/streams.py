"""Listening to the monitoring streams of all servers, in a thread of its own."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
import zmq

from egse.security.curve import HandshakeError
from egse.settings import Settings
from egse.zmq import subscribed

LOGGER = logging.getLogger(__name__)

TOPICS = (b"housekeeping", b"status")
HIGH_WATER = 10_000
"""So many messages of a server wait at most."""
RECONNECT, RECONNECT_MAX = 200, 2000
"""How soon a server that is not there is looked for again, at first and at last [ms]."""
AT_ONCE = 200
"""So many messages of one server are taken in before the others get their turn."""
TICK = 0.25
"""How often the time is looked at [s]."""

Receiver = Callable[[str, str, dict[str, Any]], None]
"""Gets block of the Settings, topic and value of a message."""


def endpoints(own: str) -> dict[str, str]:
    """Returns the monitoring endpoints of all servers in the Settings, by the name of their block, without `own`."""
    found = {}
    for block, entries in Settings.load(force=True).items():
        if block == own or not isinstance(entries, dict):
            continue
        port = entries.get("MONITORING_PORT")
        if isinstance(port, int) and isinstance(entries.get("COMMANDING_PORT"), int):
            host = entries.get("HOSTNAME", "localhost")
            address = "127.0.0.1" if host == "localhost" else host
            found[block] = f"{entries.get('PROTOCOL', 'tcp')}://{address}:{port}"
    return found


class Streams(threading.Thread):
    """Receives what all servers publish; also those that start later.

    Args:
        receive: gets each message, in this thread.
        tick: called a few times a second, in this thread.
        failed: told of exceptions in both, which do not end the thread.
    """

    def __init__(
        self, receive: Receiver, tick: Callable[[], None], failed: Callable[[str], None] = lambda what: None
    ) -> None:
        super().__init__(name="monitor-streams", daemon=True)
        self.messages = 0
        self._receive = receive
        self._tick = tick
        self._failed = failed
        self._wanted: dict[str, str] = {}
        self._changed = True
        self._ending = False
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)
        self._sockets: dict[str, tuple[str, zmq.Socket[bytes]]] = {}

    def follow(self, wanted: Iterable[tuple[str, str]]) -> None:
        """Sets which streams are listened to: name of the block and endpoint of each."""
        self._wanted = dict(wanted)
        self._changed = True
        self.wake()

    def wake(self) -> None:
        """Has `tick` called soon; from any thread."""
        try:
            self._near.send(b"w")
        except OSError:  # a wake-up is waiting already, or the thread has ended
            return

    def end(self) -> None:
        """Ends the thread."""
        self._ending = True
        self.wake()

    def run(self) -> None:
        context = zmq.Context()
        try:
            self._serve(context)
        finally:
            context.destroy(linger=0)
            self._near.close()
            self._far.close()

    def _serve(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        poller = zmq.Poller()
        poller.register(self._far, zmq.POLLIN)
        due = 0.0
        while not self._ending:
            if self._changed:
                self._changed = False
                self._connect(context, poller)
            now = time.monotonic()
            if now >= due:
                due = now + TICK
                self._guarded(self._tick, "looking at the time")
            blocks = {sock: block for block, (_, sock) in self._sockets.items()}
            for ready, _ in poller.poll(max(1, int(1000 * (due - time.monotonic())))):
                if isinstance(ready, int):
                    self._far.recv(4096)
                    due = 0.0
                else:
                    self._drain(blocks[ready], ready)

    def _connect(self, context: zmq.Context[zmq.Socket[bytes]], poller: zmq.Poller) -> None:
        wanted = self._wanted
        for block, (endpoint, sock) in list(self._sockets.items()):
            if wanted.get(block) != endpoint:
                poller.unregister(sock)
                sock.close(0)
                del self._sockets[block]
        for block, endpoint in wanted.items():
            if block not in self._sockets:
                made = self._subscribe(context, endpoint)
                if made is not None:
                    self._sockets[block] = (endpoint, made)
                    poller.register(made, zmq.POLLIN)

    def _subscribe(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str) -> zmq.Socket[bytes] | None:
        try:
            return subscribed(context, endpoint, TOPICS, HIGH_WATER, (RECONNECT, RECONNECT_MAX))
        except (HandshakeError, zmq.ZMQError) as exc:
            LOGGER.error("%s is not monitored: %s", endpoint, exc)
            return None

    def _drain(self, block: str, sock: zmq.Socket[bytes]) -> None:
        for _ in range(AT_ONCE):
            try:
                frames = sock.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._guarded(lambda frames=frames: self._take(block, frames), f"a message of {block}")  # type: ignore[misc]

    def _take(self, block: str, frames: list[bytes]) -> None:
        if len(frames) != 2 or frames[0] not in TOPICS:
            return
        value = msgspec.msgpack.decode(frames[1])
        if isinstance(value, dict):
            self.messages += 1
            self._receive(block, frames[0].decode(), value)

    def _guarded(self, action: Callable[[], None], what: str) -> None:
        try:
            action()
        except Exception:  # whatever comes in, the monitor must go on watching
            LOGGER.exception("the limit monitor has stumbled over %s; it goes on", what)
            self._failed(what)
