"""The two threads of a panel: one listens and repaints, one commands; each owns the sockets that it uses.

Both hold their panel by weak reference only, so that a panel that nobody holds any more takes its threads with it.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import zmq

from egse.security.curve import HandshakeError
from egse.settings import SettingsError
from egse.zmq import subscribed

LOGGER = logging.getLogger(__name__)

REFRESH = 0.2
"""Shortest time between two repaints of a panel [s]: five a second, however fast its data come."""
GATHER = 0.1
"""After messages were taken in, those that follow are left to gather this long [s]: waking for each of them is dear."""
AT_ONCE = 500
"""So many messages of one stream are taken in before the others get their turn."""
RETRY = 1.0
"""How long to wait before a stream is looked for again whose address is not known yet [s]."""
FAREWELL = 2.0
"""How long the end of a panel waits for a thread; one in the middle of a command ends with that [s]."""
SELDOM = 4000
"""How often a server that may well not be there is looked for at least [ms]."""
HIGH_WATER = 5000
"""So many messages wait for a slow panel before the newest are dropped."""

Receiver = Callable[[list[bytes]], None]
"""Gets the frames of a message."""


@dataclass(frozen=True)
class Subscription:
    """What a panel wants to hear.

    Attributes:
        endpoint: returns `tcp://host:port`; may raise while it is not known, it is asked again then.
        topics: first bytes of the first frame.
        receive: gets the frames of a message, in the listening thread.
        often: False: who is not there need not be looked for often.
    """

    endpoint: Callable[[], str]
    topics: tuple[bytes, ...]
    receive: Callable[[list[bytes]], None]
    often: bool = True


def weak(method: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a function that calls a bound method as long as its object lives, and then does nothing."""
    reference = weakref.WeakMethod(method)

    def call(*args: Any, **kwargs: Any) -> Any:
        living = reference()
        return None if living is None else living(*args, **kwargs)

    return call


class Listening(threading.Thread):
    """Receives what a panel has subscribed to, and has it repainted.

    Args:
        name: of the panel.
        subscriptions: what to listen to.
        tick: repaints; called at most every `REFRESH` seconds, and at least once a second.
        failed: told of an exception in a receiver or in `tick`, which do not end the thread.
    """

    def __init__(
        self,
        name: str,
        subscriptions: list[Subscription],
        tick: Callable[[], None],
        failed: Callable[[Exception, str], None],
    ) -> None:
        super().__init__(name=f"panel-{name}-listening", daemon=True)
        self._subscriptions = subscriptions
        self._tick = tick
        self._failed = failed
        self._ending = False
        self._near, self._far = socket.socketpair()
        self._near.setblocking(False)

    def wake(self) -> None:
        """Has the panel repainted soon, also when nothing comes in; from any thread."""
        try:
            self._near.send(b"w")
        except OSError:  # a wake-up is waiting already, or the thread has ended
            return

    def end(self) -> None:
        """Ends the thread."""
        self._ending = True
        self.wake()

    def run(self) -> None:
        with self._far:
            try:
                with zmq.Context() as context:
                    sockets: dict[Any, Receiver] = {}
                    try:
                        self._serve(context, sockets)
                    finally:
                        for sock in sockets:
                            sock.close(0)
            finally:
                self._near.close()

    def _serve(self, context: zmq.Context[zmq.Socket[bytes]], receivers: dict[Any, Receiver]) -> None:
        poller, alarm_clock = zmq.Poller(), zmq.Poller()
        poller.register(self._far, zmq.POLLIN)
        alarm_clock.register(self._far, zmq.POLLIN)
        missing = list(self._subscriptions)
        painted, looked = 0.0, float("-inf")
        pending = True
        while not self._ending:
            now = time.monotonic()
            if missing and now - looked >= RETRY:
                looked = now
                missing = [s for s in missing if not self._connect(context, s, poller, receivers)]
            if pending and now - painted >= REFRESH:
                pending, painted = False, now
                self._guarded(self._tick, "showing the state")
            wait = REFRESH - (now - painted) if pending else 1.0
            ready = dict(poller.poll(max(1, int(1000 * wait))))
            pending = pending or bool(ready) or time.monotonic() - painted >= 1.0
            for sock in ready:
                if isinstance(sock, int):  # the wake-up is no socket of ZeroMQ
                    self._far.recv(4096)
                else:
                    self._drain(sock, receivers[sock])
            if ready and all(not isinstance(sock, int) for sock in ready):
                alarm_clock.poll(int(1000 * GATHER))

    def _connect(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        subscription: Subscription,
        poller: zmq.Poller,
        receivers: dict[Any, Receiver],
    ) -> bool:
        try:
            endpoint = subscription.endpoint()
        except (OSError, LookupError, SettingsError) as exc:
            LOGGER.debug("%s: a stream is not known yet: %s", self.name, exc)
            return False
        reconnect = None if subscription.often else (SELDOM // 8, SELDOM)
        try:
            sock = subscribed(context, endpoint, subscription.topics, HIGH_WATER, reconnect)
        except (HandshakeError, zmq.ZMQError) as exc:
            self._failed(exc, f"listening at {endpoint}")
            return False
        poller.register(sock, zmq.POLLIN)
        receivers[sock] = subscription.receive
        return True

    def _drain(self, sock: zmq.Socket[bytes], receive: Receiver) -> None:
        for _ in range(AT_ONCE):
            try:
                frames = sock.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            try:
                receive(frames)
            except Exception as exc:  # what a stream brings must not end the panel; it is shown and recorded
                self._failed(exc, "reading a message")

    def _guarded(self, action: Callable[[], None], what: str) -> None:
        try:
            action()
        except (
            Exception
        ) as exc:  # an error in showing one thing must not end the panel; it is shown and recorded
            self._failed(exc, what)


Job = tuple[str, Callable[[], Any], Callable[[Any], None]]


class Commanding(threading.Thread):
    """Does one thing after the other for a panel: whatever asks a server something and may have to wait.

    Args:
        name: of the panel.
        begun: told what is being done, and the empty text when that is over.
        failed: told of exceptions.
    """

    def __init__(
        self, name: str, begun: Callable[[str], None], failed: Callable[[Exception, str], None]
    ) -> None:
        super().__init__(name=f"panel-{name}-commanding", daemon=True)
        self._begun = begun
        self._failed = failed
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._ending = False
        self._waiting: set[str] = set()

    def put(self, what: str, action: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Has something done; returns at once.

        Args:
            what: for people; something with a name that begins with `?` is not done twice when it waits already.
            action: what to do, in this thread.
            done: gets its result, in this thread.
        """
        if what.startswith("?"):
            if what in self._waiting:
                return
            self._waiting.add(what)
        self._jobs.put((what, action, done))

    def end(self) -> None:
        """Ends the thread after what it is doing; what waits is not done any more."""
        self._ending = True
        self._jobs.put(None)

    def run(self) -> None:
        while (job := self._jobs.get()) is not None and not self._ending:
            what, action, done = job
            self._waiting.discard(what)
            quiet = what.startswith("?")
            if not quiet:
                self._begun(what)
            try:
                done(action())
            except Exception as exc:  # whatever a server or a device answers: it is shown and recorded
                self._failed(exc, what.removeprefix("?"))
            finally:
                if not quiet:
                    self._begun("")
