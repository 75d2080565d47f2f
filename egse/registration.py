"""Where a control server listens to others, and what makes it a producer and a listener (chapter 7 of the manual).

The listening server keeps a `Registration` per producer: a thread that registers, and registers again when the producer
has been started anew and so has forgotten it. `EventParticipant` gives that, and the listeners of `egse.listener`, to
every control server.
"""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
from typing import Any

import msgspec

from egse.event import EVENT_ID, Event
from egse.listener import Listener, ListenerRegistry
from egse.protocol import Protocol
from egse.proxy import Proxy, ServiceProxy
from egse.setupwatch import SetupWatch

logger = logging.getLogger(__name__)

TRIES = 5
"""How often a registration is tried before it is called a failure (section 7.2 of the manual)."""
DELAY = 10.0
"""How long to wait between two tries [s] (section 7.2 of the manual)."""
RENEWAL = 60.0
"""How often a listener makes sure that its producer still knows it, and goes on trying after a failure [s]."""
SERVICE_TIMEOUT = 2.0
"""How long a producer's services may take to come up, and to answer [s]."""
FAREWELL_TIMEOUT = 0.5
"""The same at the end of a server, which has little time [s]."""

Producer = Callable[[], Proxy] | str
"""The server to listen to: its Proxy class, or the name of its block in the Settings (when its package stands above)."""


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

    def confirm(self, event: Event) -> None:
        """Tells the producer that the listener has applied an event; one that is gone is not waited for."""
        try:
            with self._talk, services_of(self._producer, self._timeout) as services:
                services.confirm_event(event.source, self.listener.name, event.number)
        except (ConnectionError, TimeoutError) as exc:
            logger.warning("%s could not confirm event %s: %s", self.listener.name, event.type, exc)

    def withdraw(self) -> bool:
        """Ends the registration, within about 1 s; returns whether the producer knows."""
        self._ending.set()
        if not self._talk.acquire(timeout=FAREWELL_TIMEOUT):
            return False
        try:
            if not self.registered.is_set():
                return False
            with services_of(self._producer, FAREWELL_TIMEOUT) as services:
                _require_listening(services.get_endpoint())
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


def _require_listening(endpoint: str) -> None:
    """Raises ConnectionError at once when nobody listens: a server that ends has no time to wait for that."""
    host, _, port = endpoint.rpartition("//")[2].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=FAREWELL_TIMEOUT).close()
    except OSError as exc:
        raise ConnectionError(f"nobody listens at {endpoint}: {exc}") from exc


class EventParticipant:
    """What makes a control server a producer and a listener of events.

    Attributes:
        listeners: the listeners of this server.
        registrations: where this server listens, by name of the producer and of the listener.
    """

    name: str
    settings: Any
    endpoints: dict[str, str]
    controller: Any
    protocol: Protocol

    def start_events(self) -> None:
        """Called once by the server before its Controller is made."""
        self.setup_watch = SetupWatch(self.name)
        self.listeners = ListenerRegistry(self.name)
        self.registrations: dict[tuple[str, str, EVENT_ID], Registration] = {}

    def follow_setup(self) -> None:
        """Has this server hear of new Setups, for commands that need one; a Controller that listens does so itself."""
        listener = {"name": self.name, "event_id": EVENT_ID.SETUP}
        self.register_as_listener(
            "Configuration Manager Control Server", listener, on_registered=self.setup_watch.refresh
        )

    def note_event(self, event: Event) -> None:
        """Called for every event that arrives, before the Controller is.

        The producer gets a confirmation as soon as the event was applied: after the tasks that the Controller schedules for
        it, and not before `controller.has_applied(event)`, for one that works in a thread, returns True.
        """
        self.setup_watch.note(event)
        has_applied = getattr(self.controller, "has_applied", None)
        self.schedule_task(
            partial(self.schedule_task, partial(self._confirm, event)),
            when=None if has_applied is None else partial(has_applied, event),
        )

    def schedule_task(
        self, function: Callable[[], Any], after: float = 0.0, when: Callable[[], bool] | None = None
    ) -> None:
        """Has a function called from the event loop; see `egse.server.ControlServer`."""
        raise TypeError(f"{type(self).__name__} must define schedule_task()")

    def _confirm(self, event: Event) -> None:
        for registration in list(self.registrations.values()):
            if registration.listener.wants(event):
                threading.Thread(
                    target=registration.confirm, args=(event,), name=f"confirm-{event.type}", daemon=True
                ).start()

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
