"""Registration of listeners and delivery of events between control servers (chapter 7 of the manual).

The producer keeps a `ListenerRegistry`: one notifier thread per listener, so that events reach each listener in order
and a dead one delays nobody. The listening server keeps a `Registration` per producer: a thread that registers, and
registers again when the producer has been started anew and so has forgotten it. `EventParticipant` gives both to every
control server.
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
from egse.protocol import Protocol
from egse.proxy import DynamicProxy, Proxy, ServiceProxy
from egse.setup import SetupError
from egse.setup.trust import load_class
from egse.system import format_datetime

logger = logging.getLogger(__name__)

TRIES = 5
"""How often a registration is tried before it is called a failure (section 7.2 of the manual)."""
DELAY = 10.0
"""How long to wait between two tries [s] (section 7.2 of the manual)."""
RENEWAL = 60.0
"""How often a listener makes sure that its producer still knows it, and goes on trying after a failure [s]."""
SERVICE_TIMEOUT = 1.0
"""How long a producer's services may take to answer [s]."""
FAREWELL_TIMEOUT = 0.5
"""The same at the end of a server, which has little time [s]."""
ACKNOWLEDGE_TIMEOUT = 5.0
"""How long a listener may take to acknowledge an event [s]."""
MAX_FAILURES = 3
"""After this many failures in a row a listener is dropped."""
RETRY_PAUSE = 1.0
"""How long to wait before an event is sent again to a listener that did not acknowledge it [s]."""
LAST_EVENTS = 0.5
"""How long the end of a server waits for events that are on their way [s]."""

Producer = Callable[[], Proxy] | str
"""The server to listen to: its Proxy class, or the name of its block in the Settings (when its package stands above)."""


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

    def put(self, event: Event) -> None:
        self._events.put(event)

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
        logger.error("listener %s is dropped after %d failures in a row", tried.name, MAX_FAILURES)
        return True

    def names(self) -> list[str]:
        """Returns the names of all listeners, in the order of their registration."""
        with self._lock:
            return list(dict.fromkeys(name for name, _ in self._notifiers))

    def notify(self, event_id: EVENT_ID, context: Mapping[str, Any]) -> None:
        """Has an event sent to all listeners that want it; returns at once."""
        event = Event(
            event_id=EVENT_ID(event_id),
            context=dict(context),
            source=self.source,
            timestamp=format_datetime(),
        )
        with self._lock:
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


class Registration(threading.Thread):
    """Registers one listener at one producer, and keeps it registered.

    Args:
        producer: the server to listen to.
        listener: who listens.
        tries: after so many failed tries an error is logged; tried on after `renewal` then.
        delay: between two tries [s].
        renewal: how often the registration is renewed [s].
        timeout: how long the producer may take to answer [s].
        on_registered: called after the first registration (and after every one that ends a failure), for what may have
            been missed before.
    """

    def __init__(
        self,
        producer: Producer,
        listener: Listener,
        *,
        tries: int = TRIES,
        delay: float = DELAY,
        renewal: float = RENEWAL,
        timeout: float = SERVICE_TIMEOUT,
        on_registered: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(name=f"register-{listener.name}", daemon=True)
        self.listener = listener
        self.registered = threading.Event()
        self._producer = producer
        self._tries = tries
        self._delay = delay
        self._renewal = renewal
        self._timeout = timeout
        self._on_registered = on_registered
        self._ending = threading.Event()
        self._talk = threading.Lock()
        self._failures = 0

    def run(self) -> None:
        try:
            while not self._ending.is_set():
                self._ending.wait(self._step())
        except Exception:
            logger.exception("%s cannot be registered as a listener", self.listener.name)

    def _step(self) -> float:
        """Registers once; returns how long to wait until the next time [s]."""
        try:
            with self._talk:
                if self._ending.is_set():
                    return 0.0
                self._register()
        except (ConnectionError, TimeoutError) as exc:
            return self._note_failure(exc)
        self._failures = 0
        if not self.registered.is_set():
            self.registered.set()
            logger.info("%s is registered as a listener", self.listener.name)
            if self._on_registered is not None:
                self._on_registered()
        return self._renewal

    def _note_failure(self, exc: Exception) -> float:
        self.registered.clear()
        self._failures += 1
        if self._failures == self._tries:
            logger.error(
                "%s is not registered as a listener after %d tries, tried again every %g s: %s",
                self.listener.name,
                self._tries,
                self._renewal,
                exc,
            )
        elif self._failures == 1:
            logger.warning("%s is not registered as a listener yet: %s", self.listener.name, exc)
        return self._delay if self._failures < self._tries else self._renewal

    def _register(self) -> None:
        with services_of(self._producer, self._timeout) as services:
            services.add_listener(msgspec.to_builtins(self.listener))

    def withdraw(self) -> bool:
        """Ends the registration, within about 1 s; returns whether the producer knows."""
        self._ending.set()
        if not self._talk.acquire(timeout=FAREWELL_TIMEOUT):
            return False
        try:
            if not self.registered.is_set():
                return False
            with services_of(self._producer, FAREWELL_TIMEOUT) as services:
                services.remove_listener(msgspec.to_builtins(self.listener))
            return True
        except (ConnectionError, TimeoutError) as exc:
            # Usual at the end of the day: the producer went first.
            logger.warning("%s not un-registered: %s", self.listener.name, exc)
            return False
        finally:
            self._talk.release()


def services_of(producer: Producer, timeout: float = SERVICE_TIMEOUT) -> closing[ServiceProxy]:
    """Returns the services of a producer, to be used in a `with` statement: no connection stays behind it.

    Unlike the context manager of a Proxy it waits for the server no longer than `timeout` [s].
    """
    if isinstance(producer, str):
        return closing(ServiceProxy(producer, timeout=timeout))
    with closing(producer().with_timeout(timeout)) as proxy:
        services = proxy.get_service_proxy()
    services.timeout = timeout
    return closing(services)


class EventParticipant:
    """What makes a control server a producer and a listener of events.

    Attributes:
        listeners: the listeners of this server.
        registrations: where this server listens, by name of the producer and of the listener.
    """

    name: str
    settings: Any
    endpoints: dict[str, str]
    protocol: Protocol

    def start_events(self) -> None:
        """Called once by the server before its Controller is made."""
        self.listeners = ListenerRegistry(self.name)
        self.registrations: dict[tuple[str, str, EVENT_ID], Registration] = {}

    def after_serve(self) -> None:
        """Called once when no more commands are executed: calls the protocol's hook, then ends what is left.

        That is: registrations that the protocol did not withdraw, and the notifiers of this server.
        """
        try:
            self.protocol.after_serve()
        except Exception:
            logger.exception("%s: after_serve() of the protocol failed", self.name)
        while self.registrations:
            _, registration = self.registrations.popitem()
            registration.withdraw()
        self.listeners.close()

    def register_as_listener(
        self,
        proxy: Producer,
        listener: Mapping[str, Any],
        *,
        on_registered: Callable[[], object] | None = None,
    ) -> Registration:
        """Registers this server as a listener, in a thread: 5 tries, 10 s apart (`LISTENER_DELAY` in its settings).

            self.register_as_listener(
                proxy=ConfigurationManagerProxy,
                listener={'name': 'Storage CS', 'proxy': StorageProxy, 'event_id': EVENT_ID.SETUP}
            )

        Args:
            proxy: Proxy class of the producer, or the name of its block in the Settings.
            listener: `name`, `proxy` (Proxy class of this server) and `event_id`.
            on_registered: called, in that thread, when the producer has accepted the registration.

        Raises:
            CommandError: when the listener is not described properly.
        """
        wanted = Listener.of(listener, self.endpoints["commanding"])
        registration = Registration(
            proxy,
            wanted,
            delay=float(self.settings.get("LISTENER_DELAY", DELAY)),
            renewal=float(self.settings.get("LISTENER_RENEWAL", RENEWAL)),
            on_registered=on_registered,
        )
        key = (_name_of(proxy), wanted.name, wanted.event_id)
        former = self.registrations.pop(key, None)
        if former is not None:
            former.withdraw()
        self.registrations[key] = registration
        registration.start()
        return registration

    def unregister_as_listener(self, proxy: Producer, listener: Mapping[str, Any]) -> None:
        """Ends a registration; a producer that is gone already is not waited for.

        Args:
            proxy, listener: as for `register_as_listener`.
        """
        wanted = Listener.of(listener, self.endpoints["commanding"])
        registration = self.registrations.pop((_name_of(proxy), wanted.name, wanted.event_id), None)
        if registration is not None:
            registration.withdraw()

    def notify_listeners(self, event_id: EVENT_ID, context: Mapping[str, Any]) -> None:
        """Sends an event to all registered listeners, in threads; returns at once.

        Args:
            event_id: what kind of event.
            context: plain values, among them `event_type`.
        """
        self.listeners.notify(event_id, context)

    def get_listener_names(self) -> list[str]:
        """Returns the names of the registered listeners."""
        return self.listeners.names()


def _name_of(producer: Producer) -> str:
    return producer if isinstance(producer, str) else getattr(producer, "settings_name", "") or repr(producer)
