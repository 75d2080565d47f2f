"""The listeners of a control server, and the delivery of its events to them (chapter 7 of the manual).

The producer keeps a `ListenerRegistry`: one notifier thread per listener, so that events reach each listener in order
and a dead one delays nobody. The other side, how a server registers, is `egse.registration`.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import msgspec

from egse.command import CommandError
from egse.event import EVENT_ID, Event, EventInterface
from egse.proxy import DynamicProxy, Proxy
from egse.setup import SetupError
from egse.setup.trust import load_class
from egse.system import format_datetime

logger = logging.getLogger(__name__)

ACKNOWLEDGE_TIMEOUT = 5.0
"""How long a listener may take to acknowledge an event [s]."""
MAX_FAILURES = 3
"""After this many failures in a row a listener is dropped."""
RETRY_PAUSE = 1.0
"""How long to wait before an event is sent again to a listener that did not acknowledge it [s]."""
LAST_EVENTS = 0.5
"""How long the end of a server waits for events that are on their way [s]."""


class Listener(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A listener as it travels to its producer: plain text, nothing that is executed.

    Attributes:
        name: identifies the listener, for people too ("Storage CS").
        event_id: which events it wants.
        proxy: full name of its Proxy class; imported only when there is no endpoint, and only from a trusted package.
        endpoint: commanding endpoint, `tcp://host:port`.
    """

    name: str
    event_id: EVENT_ID
    proxy: str = ""
    endpoint: str = ""

    @classmethod
    def of(cls, description: Mapping[str, Any], endpoint: str = "") -> Listener:
        """Returns a listener from what `register_as_listener` and `add_listener` take.

        Args:
            description: `name`, `event_id` and `proxy` (a Proxy class or its full name), or `endpoint`.
            endpoint: used when the description has none.

        Raises:
            CommandError: when the description is not one, or the class cannot receive events.
        """
        fields = {"endpoint": endpoint, **description}
        proxy = fields.get("proxy", "")
        if isinstance(proxy, type):
            if not issubclass(proxy, EventInterface):
                raise CommandError(f"{proxy.__qualname__} cannot listen: it must inherit EventInterface")
            fields["proxy"] = f"{proxy.__module__}.{proxy.__qualname__}"
        try:
            listener = msgspec.convert(fields, cls)
        except msgspec.ValidationError as exc:
            raise CommandError(f"that describes no listener: {exc}") from exc
        if not listener.name.strip():
            raise CommandError("a listener needs a name")
        return listener

    def resolved(self) -> Listener:
        """Returns the listener with its endpoint, from the Settings of its Proxy class when it came without.

        Raises:
            CommandError: when the class is not trusted, does not exist or is no Proxy.
        """
        if self.endpoint:
            if not self.endpoint.startswith("tcp://"):
                raise CommandError(f"{self.endpoint!r} is no endpoint, expected tcp://host:port")
            return self
        if not self.proxy:
            raise CommandError(f"listener {self.name!r} names neither a proxy nor an endpoint")
        try:
            proxy = load_class(self.proxy)
        except SetupError as exc:
            raise CommandError(f"listener {self.name!r} is refused: {exc}") from exc
        if not issubclass(proxy, Proxy) or not issubclass(proxy, EventInterface):
            raise CommandError(f"{self.proxy} is no Proxy with EventInterface")
        return msgspec.structs.replace(self, endpoint=proxy().get_endpoint())

    def wants(self, event: Event) -> bool:
        """Says whether the listener has registered for this event."""
        return self.event_id in (EVENT_ID.ALL, event.event_id)


class EventProxy(DynamicProxy, EventInterface):
    """Client of any control server that listens: knows `handle_event` and nothing else."""


class _Notifier(threading.Thread):
    """Sends events to one listener, in order, each until it is acknowledged or the listener counts as dead."""

    def __init__(
        self, listener: Listener, drop: Callable[[_Notifier, Listener], bool], timeout: float, pause: float
    ) -> None:
        super().__init__(name=f"notify-{listener.name}", daemon=True)
        self.listener = listener
        self._drop = drop
        self._timeout = timeout
        self._pause = pause
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._ending = threading.Event()
        self._failures = 0
        self.sent = self.told = self.applied = 0
        """Number of the last event that was meant for the listener, that it has acknowledged, that it has applied."""

    def put(self, event: Event) -> None:
        self.sent = event.number
        self._events.put(event)

    @property
    def state(self) -> str:
        """`applied`, `told` or `waiting`: what has become of the last event."""
        if self.applied >= self.sent:
            return "applied"
        return "told" if self.told >= self.sent else "waiting"

    def finish(self) -> None:
        """Ends the thread after the events that are waiting."""
        self._events.put(None)

    def end(self) -> None:
        """Ends the thread; what is waiting is not sent any more."""
        self._ending.set()
        self._events.put(None)

    def run(self) -> None:
        while (event := self._events.get()) is not None and not self._ending.is_set():
            self._deliver(event)

    def _deliver(self, event: Event) -> None:
        while not self._ending.is_set():
            listener = self.listener
            problem, again = _send(listener, event, self._timeout)
            if not problem:
                self._failures = 0
                self.told = event.number
                return
            self._failures += 1
            logger.warning("event %s did not reach %s: %s", event.type, listener.name, problem)
            if self._failures >= MAX_FAILURES:
                if self._drop(self, listener):
                    self._ending.set()
                    return
                self._failures = 0  # it has registered again meanwhile
            if not again:
                return
            self._ending.wait(self._pause)


def _send(listener: Listener, event: Event, timeout: float) -> tuple[str, bool]:
    """Sends one event; returns what went wrong (empty when it was acknowledged) and whether to try again."""
    with closing(EventProxy(endpoint=listener.endpoint, timeout=timeout)) as proxy:
        try:
            proxy.handle_event(event)
        except (ConnectionError, TimeoutError) as exc:
            return str(exc), True
        except Exception as exc:  # the listener's own trouble: it got the event and said so
            return f"{type(exc).__name__}: {exc}", False
    return "", False


class ListenerRegistry:
    """The listeners of one producer.

    Args:
        source: name of the producer.
        timeout: how long a listener may take to acknowledge an event [s].
        pause: before an event is sent again that was not acknowledged [s].
    """

    def __init__(
        self, source: str, *, timeout: float = ACKNOWLEDGE_TIMEOUT, pause: float = RETRY_PAUSE
    ) -> None:
        self.source = source
        self._timeout = timeout
        self._pause = pause
        self._notifiers: dict[tuple[str, EVENT_ID], _Notifier] = {}
        self._lost: set[str] = set()
        self._number = 0
        self._lock = threading.Lock()

    def add(self, listener: Listener) -> None:
        """Adds a listener, or tells where it is now when it was added before.

        Events that still wait for a listener which was started anew are sent to its new endpoint.

        Raises:
            CommandError: when it cannot be found out where it listens.
        """
        listener = listener.resolved()
        key = (listener.name, listener.event_id)
        with self._lock:
            known = self._notifiers.get(key)
            if known is not None:
                moved = known.listener.endpoint != listener.endpoint
                known.listener = listener
            else:
                moved = True
                self._lost.discard(listener.name)
                self._notifiers[key] = notifier = _Notifier(listener, self._drop, self._timeout, self._pause)
                notifier.start()
        if moved:
            logger.info("%s at %s listens to %s events", listener.name, listener.endpoint, listener.event_id)

    def remove(self, name: str) -> bool:
        """Removes all registrations of a listener; returns False when there was none."""
        with self._lock:
            found = [self._notifiers.pop(key) for key in list(self._notifiers) if key[0] == name]
        for notifier in found:
            notifier.end()
        if found:
            logger.info("%s does not listen any more", name)
        return bool(found)

    def _drop(self, notifier: _Notifier, tried: Listener) -> bool:
        key = (tried.name, tried.event_id)
        with self._lock:
            if notifier.listener is not tried or self._notifiers.get(key) is not notifier:
                return False
            del self._notifiers[key]
            self._lost.add(tried.name)
        logger.error("listener %s is dropped after %d failures in a row", tried.name, MAX_FAILURES)
        return True

    def names(self) -> list[str]:
        """Returns the names of all listeners, in the order of their registration."""
        with self._lock:
            return list(dict.fromkeys(name for name, _ in self._notifiers))

    def confirm(self, name: str, number: int) -> None:
        """Takes notice that a listener has applied event `number` and all before it."""
        with self._lock:
            for (listener, _), notifier in self._notifiers.items():
                if listener == name:
                    notifier.applied = max(notifier.applied, number)

    def states(self) -> dict[str, str]:
        """Returns what has become of the last event of each listener.

        Returns:
            By name: `applied`, `told` (it has acknowledged the event and not applied it yet), `waiting` (it has not been
            reached yet), or `lost` (it could not be reached and was dropped).
        """
        with self._lock:
            states = {name: notifier.state for (name, _), notifier in self._notifiers.items()}
            return {**dict.fromkeys(self._lost, "lost"), **states}

    def notify(self, event_id: EVENT_ID, context: Mapping[str, Any]) -> None:
        """Has an event sent to all listeners that want it; returns at once."""
        with self._lock:
            self._number += 1
            event = Event(
                event_id=EVENT_ID(event_id),
                context=dict(context),
                source=self.source,
                timestamp=format_datetime(),
                number=self._number,
            )
            for notifier in self._notifiers.values():
                if notifier.listener.wants(event):
                    notifier.put(event)

    def close(self) -> None:
        """Ends all notifiers; events on their way get a moment."""
        with self._lock:
            notifiers = list(self._notifiers.values())
            self._notifiers.clear()
        deadline = time.monotonic() + LAST_EVENTS
        for notifier in notifiers:
            notifier.finish()
        for notifier in notifiers:
            notifier.join(max(0.0, deadline - time.monotonic()))
            notifier.end()
