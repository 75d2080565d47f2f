"""The one generic control server.

A device package declares its interface, Controller and housekeeping (`egse.control.ControlServerApp`); everything else
is here: sockets, threads, journal, telemetry and the clean end.

Threads of a server:

* the main thread owns the commanding port (ROUTER) and executes device commands inline, in order of arrival;
* the services thread owns the service port and always answers, also while a device command is running;
* housekeeping and monitoring run on their own clocks (`egse.telemetry`).
"""

from __future__ import annotations

import logging
import os
import secrets
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import zmq

from egse.authority import Gate
from egse.declaration import ServerContext, ServerDeclaration, site_clock
from egse.deferral import Deferred, OpenAnswers
from egse.device import DeviceError
from egse.direct import serve_devices
from egse.env import get_data_storage_location
from egse.event import EventInterface, add_event_command
from egse.execution import CommandExecutor, Dispatcher
from egse.journal import Journal
from egse.maintenance import MaintenanceInterface, find_maintenance
from egse.metrics.figures import Figure
from egse.metrics.port import MetricsPort
from egse.mode import SIMULATOR
from egse.process import ProcessStatus
from egse.protocol import hook_device_methods
from egse.registration import EventParticipant
from egse.scheduling import Schedule
from egse.server_services import ServiceController
from egse.serversockets import FIRST_FRAME, IDLE_SLICE, LAST_WORDS, ServerSockets, Waiting
from egse.services import ServiceInterface
from egse.settings import Settings
from egse.telemetry import DEFAULT_MARGIN, HousekeepingStore, Lane
from egse.turns import wait_for_turns
from egse.wire import (
    Request,
    WireError,
    encode,
)

logger = logging.getLogger(__name__)

LONG_COMMAND = 0.05
"""A command that came while one of at least this length was executed counts as one that had to wait [s]."""
END_LIMIT = 4.0
"""A server that has not ended this long after it was told to is ended the hard way [s]."""


class _ClientGoneError(Exception):
    """The client of a waiting command has gone."""


class ControlServer(EventParticipant):
    """A running control server.

    Args:
        app: its declaration.
        simulator: talk to the device's model in this process.
    """

    def __init__(self, app: ServerDeclaration, *, simulator: bool = False) -> None:
        self.app = app
        self.name = app.name
        self.settings = Settings.load(app.settings)
        self.simulator = simulator
        self.clock = site_clock()
        self.incarnation = secrets.token_hex(4)
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._hard_end: threading.Timer | None = None
        self._owns_process = False
        self._schedule = Schedule(self.name)
        self.process_status = ProcessStatus()
        self.sockets = ServerSockets(self.name, app.settings)
        self.endpoints, self.guard = self.sockets.endpoints, self.sockets.guard
        self._open_answers = OpenAnswers()
        self.start_events()
        self.journal = self._open_journal() if app.device else None
        serve_devices()
        context = ServerContext(
            app.name, self.settings, self.clock, simulator, False, self, device_args=app.device_args
        )
        self.metrics = self._make_metrics_port()  # a Controller may publish from its very first moment
        self.controller = app.controller(context)
        self.protocol = app.protocol(self, self.controller)
        inline = {"ping": lambda: "pong", "get_service_endpoint": lambda: self.endpoints["service"]}
        dispatcher = Dispatcher(app.interface, self.controller)
        add_event_command(self.controller, dispatcher.table, self.note_event)
        hook_device_methods(self.protocol, dispatcher.table)
        self.maintenance = find_maintenance(self.controller) if app.device else None
        if self.maintenance is not None:
            dispatcher.add(MaintenanceInterface, self.maintenance)
        self._gate = Gate(device=app.device, ask=getattr(self.controller, "get_control", None))
        self.executor = CommandExecutor(
            dispatcher,
            self.journal,
            self.incarnation,
            inline,
            None if self._gate.is_open and not self.guard.active else self._gate.admit,
            self.setup_watch.check,
            None if self.maintenance is None else self.maintenance.check,
        )
        services = Dispatcher(ServiceInterface, ServiceController(self))
        self._service_executor = CommandExecutor(
            services, None, self.incarnation, inline, self._gate.admit_service
        )
        self._make_lanes()

    # -- set-up --------------------------------------------------------------------------------------------------

    def _open_journal(self) -> Journal:
        folder = Path(get_data_storage_location()) / "journal" / self.name
        return Journal(folder, self.name, self.incarnation, SIMULATOR if self.simulator else "")

    def _make_lanes(self) -> None:
        margin = float(self.settings.get("HK_MARGIN", DEFAULT_MARGIN))
        mnemonic = self.settings.get("STORAGE_MNEMONIC", "")
        self._store = HousekeepingStore(mnemonic) if mnemonic else None
        self.hk_lane = Lane(
            f"{self.name}-hk",
            self._take_housekeeping,
            float(self.settings.get("HK_DELAY", 1.0)),
            margin,
        )
        self.monitoring_lane = Lane(
            f"{self.name}-monitoring",
            self._publish_status,
            float(self.settings.get("MONITORING_DELAY", 1.0)),
            margin,
        )

    def _make_metrics_port(self) -> MetricsPort:
        return MetricsPort(
            self.name,
            self.settings,
            period=lambda: max(self.hk_lane.period, self.monitoring_lane.period),
            interface=self.app.interface,
            title=self.app.title,
            figures=self._get_figures,
        )

    def _get_figures(self) -> Iterator[Figure]:
        yield from self.process_status.update().figures()
        yield from self.protocol.get_figures()

    # -- life ----------------------------------------------------------------------------------------------------

    def run(self, ready: Callable[[ControlServer], None] | None = None) -> None:
        """Serves until `stop()`; `ready` is called when commands are accepted."""
        wait_for_turns()
        services = threading.Thread(target=self._serve_services, name=f"{self.name}-services", daemon=True)
        try:
            self.protocol.start()
            services.start()
            self.metrics.start()
            if "handle_event" in self.executor.commands.table and not isinstance(
                self.controller, EventInterface
            ):
                self.follow_setup()
            self.monitoring_lane.start()
            if self._store is not None:
                self.hk_lane.start()
            logger.info("%s started at %s", self.name, self.endpoints["commanding"])
            if ready is not None:
                ready(self)
            self._serve_commands()
        finally:
            self._shut_down(services)

    def serve(self) -> None:
        """Serves until `stop()`; `after_serve` follows (names of the manual, chapter 7)."""
        self.run()

    @property
    def stopping(self) -> bool:
        """True once the server was told to end; long waits inside a command should look at it."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Ends the server; may be called from any thread and from a signal handler."""
        if not self._stop.is_set():
            self._stop.set()
            self._hard_end = threading.Timer(END_LIMIT, self._end_hard)
            self._hard_end.daemon = True
            self._hard_end.start()

    def _end_hard(self) -> None:
        self.sockets.forget_local()
        logger.critical("%s did not end within %g s; ended the hard way", self.name, END_LIMIT)
        os._exit(70)

    def install_signal_handlers(self) -> None:
        """Lets SIGTERM, SIGINT and SIGHUP end the server cleanly; the limit of its end then holds for the process."""
        self._owns_process = True
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stop())

    def _shut_down(self, services: threading.Thread) -> None:
        self._stop.set()
        self.metrics.close()
        self.hk_lane.end()
        self.monitoring_lane.end()
        self.after_serve()
        try:
            self.protocol.quit()
        except Exception:
            logger.exception("%s: the protocol did not end cleanly", self.name)
        self._send_finished(self.sockets.commanding)
        self._open_answers.close()
        for thread in (self.hk_lane, self.monitoring_lane, services):
            if thread.is_alive():
                thread.join(timeout=2.0)
        if self._store is not None:
            self._store.close()
        if self.journal is not None:
            self.journal.close()
        self._gate.close()
        self.sockets.close()
        if self._hard_end is not None and not self._owns_process:
            self._hard_end.cancel()
            self._hard_end.join()
        logger.info("%s ended", self.name)

    # -- commands ------------------------------------------------------------------------------------------------

    def _serve_commands(self) -> None:
        sockets, schedule = self.sockets, self._schedule
        sock, receive = sockets.commanding, sockets.receive
        answer, stopping, urgent = self.executor.answer, self._stop.is_set, self.executor.commands.urgent
        deferred, owed = self.executor.commands.deferred, self._open_answers.by_id
        waiting: deque[Waiting] = deque()
        while not stopping():
            try:
                addressed = False
                if owed:
                    self._send_finished(sock)
                if waiting:
                    client, request, caller = waiting.popleft()
                    if request.name not in deferred and not self.executor.outcomes.is_known(request.id):
                        addressed = self._address(sock, client, request)
                elif owed and not self._open_answers.wait(sock, IDLE_SLICE):
                    schedule.run()
                    continue
                else:
                    client, request, caller = receive(sock)
            except zmq.Again:
                schedule.run()
                continue
            except (WireError, _ClientGoneError):
                continue
            except zmq.ContextTerminated:
                return
            started = time.monotonic()
            reply = answer(request, caller)
            if isinstance(reply, bytes):
                sockets.answer(sock, client, request, reply, is_addressed=addressed)
            else:
                self._owe(client, request, reply)
            if urgent or waiting or time.monotonic() - started > LONG_COMMAND:
                self._take_in(sock, waiting, urgent)
            if schedule.tasks:
                schedule.run()

    def _send_finished(self, sock: zmq.Socket[bytes]) -> None:
        """Answers the deferred commands that are done."""
        for answer, clients in self._open_answers.take():
            data = answer.finish()
            for client in clients:
                try:
                    sock.send_multipart((client, data), zmq.NOBLOCK)
                except zmq.ZMQError as exc:
                    logger.warning("the answer to %s could not be sent: %s", answer.command_id, exc)

    def _take_in(self, sock: zmq.Socket[bytes], waiting: deque[Waiting], urgent: frozenset[str]) -> None:
        """Takes in what came during a command; urgent commands go before the others."""
        arrived = 0
        while int(sock.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            try:
                waiting.append(self.sockets.receive(sock))
                arrived += 1
            except WireError:
                continue
        if arrived and any(request.name in urgent for _, request, _ in waiting):
            ordered = sorted(waiting, key=lambda item: item[1].name not in urgent)
            waiting.clear()
            waiting.extend(ordered)

    def _address(self, sock: zmq.Socket[bytes], client: bytes, request: Request) -> bool:
        """Puts the address on the answer to a command that had to wait, before the command is executed.

        Returns:
            False when the client is there but slow in taking its answers; the address is put on later then.

        Raises:
            _ClientGoneError: the client has gone; its command must not be executed.
        """
        try:
            sock.send(client, FIRST_FRAME)
        except zmq.Again:
            return False
        except zmq.ZMQError as exc:
            if exc.errno != zmq.EHOSTUNREACH:
                raise
            self.executor.counters["dropped"] += 1
            logger.warning(
                "%s (%s) was not executed: its client %s has gone",
                request.name,
                request.id,
                request.context.origin,
            )
            raise _ClientGoneError from None
        return True

    def _serve_services(self) -> None:
        sockets, sock = self.sockets, self.sockets.service
        while not self._stop.is_set():
            try:
                client, request, caller = sockets.receive(sock)
            except (zmq.Again, WireError):
                continue
            except zmq.ContextTerminated:
                break
            reply = self._service_executor.answer(request, caller)
            if isinstance(reply, bytes):  # else the answer to the first of two equal requests is on its way
                sockets.answer(sock, client, request, reply)
        sock.close(LAST_WORDS)

    def _owe(self, client: bytes, request: Request, answer: Deferred | None) -> None:
        """Keeps that a client gets its answer later: that of a deferred command, or of one that it has sent before."""
        if answer is None:
            self._open_answers.join(request.id, client)
        else:
            self._open_answers.add(client, answer)

    # -- telemetry -----------------------------------------------------------------------------------------------

    def _take_housekeeping(self) -> None:
        if self.maintenance is not None and self.maintenance.is_reserved:
            return
        row = self.protocol.get_housekeeping()
        if row and self._store is not None:
            self._store.save(row)
            self.publish("housekeeping", row)

    def _publish_status(self) -> None:
        self.publish("status", self.status())

    def publish(self, topic: str, value: Any) -> None:
        """Publishes a value on the monitoring port as two frames: topic (text) and msgpack; tells it as metrics too."""
        self.metrics.note(topic, value)
        self.sockets.publish(topic, encode(value))

    def status(self) -> dict[str, Any]:
        """Returns the figures of the server and what its protocol adds."""
        return {
            "name": self.name,
            "title": self.app.title,
            "pid": os.getpid(),
            "incarnation": self.incarnation,
            "simulator": self.simulator,
            "uptime": time.monotonic() - self._started,
            "endpoints": self.endpoints,
            "counters": {**self.executor.counters, "malformed": self.sockets.malformed},
            "housekeeping": {
                "period": self.hk_lane.period,
                "wanted_period": self.hk_lane.wanted,
                "rows": self.hk_lane.count,
                "missed": self.hk_lane.missed,
            },
            "monitoring_period": self.monitoring_lane.period,
            "process": self.get_process_status(),
            "setup_loaded": str(self.setup_watch.loaded or ""),
            **({"device_connected": self._device_is_connected()} if self.app.device else {}),
            **({"reserved": self.maintenance.describe()} if self.maintenance is not None else {}),
            **self.protocol.get_status(),
        }

    def get_process_status(self) -> dict[str, Any]:
        """Returns what the process costs now, see `ProcessStatus.as_dict`; its UUID as text, `delay` that of housekeeping.

        May be called by any thread.
        """
        values = self.process_status.update().as_dict()
        return {**values, "UUID": str(values["UUID"]), "delay": round(self.hk_lane.period * 1000)}

    def _device_is_connected(self) -> bool | None:
        """Returns whether the device is connected; None for a Controller that cannot tell."""
        is_connected = getattr(self.controller, "is_connected", None)
        try:
            return None if is_connected is None else bool(is_connected())
        except (DeviceError, OSError):
            return False

    # -- scheduled tasks -----------------------------------------------------------------------------------------

    def schedule_task(
        self, function: Callable[[], Any], after: float = 0.0, when: Callable[[], bool] | None = None
    ) -> None:
        """Has `function` called from the event loop, outside any command (section 7.5 of the manual).

        Args:
            function: what to do; it should be quick, as commands wait meanwhile, or start a thread. Its result (other
                than None) and its exceptions are logged.
            after: not before this many seconds have passed.
            when: not before this returns True; looked at from then on, at least ten times a second while the server is
                idle. When it raises an exception the task is given up.
        """
        self._schedule.add(function, after, when)
