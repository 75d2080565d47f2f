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
from collections.abc import Callable
from dataclasses import dataclass
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
from egse.frames import NOBLOCK, SNDMORE, send_frame
from egse.journal import Journal
from egse.localsocket import local_path, sweep
from egse.maintenance import MaintenanceInterface, find_maintenance
from egse.metrics.port import MetricsPort
from egse.mode import SIMULATOR
from egse.ports import PortInUseError
from egse.process import ProcessStatus
from egse.protocol import hook_device_methods
from egse.proxy import endpoint_from_settings
from egse.registration import EventParticipant
from egse.security.curve import Guard
from egse.security.keys import KeysError
from egse.security.roles import ANYBODY, Caller
from egse.server_services import ServiceController
from egse.services import ServiceInterface
from egse.settings import Settings
from egse.telemetry import DEFAULT_MARGIN, HousekeepingStore, Lane
from egse.wire import (
    DECODING_ERRORS,
    MAX_MESSAGE_SIZE,
    Request,
    WireError,
    decode_request_bare,
    encode,
)

logger = logging.getLogger(__name__)

IDLE_SLICE = 100
"""How long the threads wait for a message before they look at the stop flag and at scheduled tasks [ms]."""
HEARTBEAT_INTERVAL, HEARTBEAT_LIMIT = 1000, 5000
"""How often a silent client is asked for a sign of life, and how long it may take to give one [ms]."""
LONG_COMMAND = 0.05
"""A command that came while one of at least this length was executed counts as one that had to wait [s]."""
LAST_WORDS = 200
"""How long the end of a server waits for its last answers to be taken [ms]."""
LONG_TASK = 1.0
"""A scheduled task that takes longer is complained about [s]."""
END_LIMIT = 4.5
"""A server that has not ended this long after it was told to is ended the hard way [s]."""


@dataclass
class _Task:
    function: Callable[[], Any]
    due: float
    when: Callable[[], bool] | None


class _ClientGoneError(Exception):
    """The client of a waiting command has gone."""


_Waiting = tuple[bytes, Request, Caller]
"""A request with the identity of its client's connection and its caller."""


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
        self._local_sockets: list[Path] = []
        self._tasks: list[_Task] = []
        self._task_lock = threading.Lock()
        self._publish_lock = threading.Lock()
        self.process_status = ProcessStatus()
        self._context = zmq.Context()
        self.guard = Guard(self.name, self._context)
        self._bind()
        self._open_answers = OpenAnswers()
        self.start_events()
        self.journal = self._open_journal() if app.device else None
        serve_devices()
        context = ServerContext(
            app.name, self.settings, self.clock, simulator, False, self, device_args=app.device_args
        )
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
        self.metrics = self._make_metrics_port()

    # -- set-up --------------------------------------------------------------------------------------------------

    def _bind(self) -> None:
        self.endpoints = {
            key: endpoint_from_settings(self.app.settings, port)
            for key, port in (
                ("commanding", "COMMANDING_PORT"),
                ("service", "SERVICE_PORT"),
                ("monitoring", "MONITORING_PORT"),
            )
        }
        self._command_socket = self._socket(zmq.ROUTER, "commanding")
        self._service_socket = self._socket(zmq.ROUTER, "service")
        self._monitoring_socket = self._socket(zmq.PUB, "monitoring")

    def _socket(self, kind: int, role: str) -> zmq.Socket[bytes]:
        sock = self._context.socket(kind)
        sock.setsockopt(zmq.LINGER, 0)
        sock.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_SIZE)
        if kind == zmq.ROUTER:
            sock.setsockopt(zmq.RCVTIMEO, IDLE_SLICE)
            # Clients that vanish without a word are noticed, and sending to one that has gone is an error.
            sock.setsockopt(zmq.ROUTER_MANDATORY, 1)
            sock.setsockopt(zmq.HEARTBEAT_IVL, HEARTBEAT_INTERVAL)
            sock.setsockopt(zmq.HEARTBEAT_TIMEOUT, HEARTBEAT_LIMIT)
        try:
            self.guard.secure(sock, self.endpoints[role])
            sock.bind(self.endpoints[role])
            if kind == zmq.ROUTER:
                self._bind_locally(sock, role)
        except (zmq.ZMQError, KeysError) as exc:
            self.guard.close()
            sock.close(0)
            self._context.destroy(linger=0)
            if isinstance(exc, KeysError):
                raise
            raise PortInUseError(self.name, role, self.endpoints[role]) from exc
        return sock

    def _bind_locally(self, sock: zmq.Socket[bytes], role: str) -> None:
        """Offers clients of the same user the short way, see `egse.localsocket`; they manage without."""
        path = local_path(self.endpoints[role])
        if path is None:
            return
        try:
            sweep(path.parent)
            sock.bind(f"ipc://{path}")
            self._local_sockets.append(path)
        except zmq.ZMQError as exc:
            logger.debug("%s has no local socket for its %s port: %s", self.name, role, exc)

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
            figures=self.protocol.get_figures,
        )

    # -- life ----------------------------------------------------------------------------------------------------

    def run(self, ready: Callable[[ControlServer], None] | None = None) -> None:
        """Serves until `stop()`; `ready` is called when commands are accepted."""
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
        for path in self._local_sockets:
            path.unlink(missing_ok=True)
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
        self._send_finished(self._command_socket)
        self._open_answers.close()
        for thread in (self.hk_lane, self.monitoring_lane, services):
            if thread.is_alive():
                thread.join(timeout=2.0)
        if self._store is not None:
            self._store.close()
        if self.journal is not None:
            self.journal.close()
        self._gate.close()
        self.guard.close()
        self._command_socket.close(LAST_WORDS)
        self._context.destroy(linger=0)
        if self._hard_end is not None and not self._owns_process:
            self._hard_end.cancel()
            self._hard_end.join()
        logger.info("%s ended", self.name)

    # -- commands ------------------------------------------------------------------------------------------------

    def _serve_commands(self) -> None:
        sock = self._command_socket
        answer, stopping, urgent = self.executor.answer, self._stop.is_set, self.executor.commands.urgent
        deferred, owed = self.executor.commands.deferred, self._open_answers.by_id
        waiting: deque[_Waiting] = deque()
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
                    self._run_tasks()
                    continue
                else:
                    client, request, caller = self._receive(sock)
            except zmq.Again:
                self._run_tasks()
                continue
            except (WireError, _ClientGoneError):
                continue
            except zmq.ContextTerminated:
                return
            started = time.monotonic()
            reply = answer(request, caller)
            if isinstance(reply, bytes):
                try:
                    if not addressed:
                        send_frame(sock, client, _FIRST_FRAME)
                    send_frame(sock, reply, NOBLOCK)
                except zmq.ZMQError as exc:
                    self._note_unsent(request, exc)
            else:
                self._owe(client, request, reply)
            if urgent or waiting or time.monotonic() - started > LONG_COMMAND:
                self._take_in(sock, waiting, urgent)
            if self._tasks:
                self._run_tasks()

    def _send_finished(self, sock: zmq.Socket[bytes]) -> None:
        """Answers the deferred commands that are done."""
        for answer, clients in self._open_answers.take():
            data = answer.finish()
            for client in clients:
                try:
                    sock.send_multipart((client, data), zmq.NOBLOCK)
                except zmq.ZMQError as exc:
                    logger.warning("the answer to %s could not be sent: %s", answer.command_id, exc)

    def _take_in(self, sock: zmq.Socket[bytes], waiting: deque[_Waiting], urgent: frozenset[str]) -> None:
        """Takes in what came during a command; urgent commands go before the others."""
        arrived = 0
        while int(sock.getsockopt(zmq.EVENTS)) & zmq.POLLIN:
            try:
                waiting.append(self._receive(sock))
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
            sock.send(client, _FIRST_FRAME)
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
        sock = self._service_socket
        while not self._stop.is_set():
            try:
                client, request, caller = self._receive(sock)
            except (zmq.Again, WireError):
                continue
            except zmq.ContextTerminated:
                break
            reply = self._service_executor.answer(request, caller)
            if not isinstance(reply, bytes):
                continue  # the answer to the first of two equal requests is on its way
            try:
                send_frame(sock, client, _FIRST_FRAME)
                send_frame(sock, reply, NOBLOCK)
            except zmq.ZMQError as exc:
                self._note_unsent(request, exc)
        sock.close(LAST_WORDS)

    def _receive(self, sock: zmq.Socket[bytes]) -> _Waiting:
        """Returns client identity, request and caller of the next message; raises WireError for one to be dropped."""
        caller = ANYBODY
        if self.guard.active:
            client, data, known = self.guard.receive(sock)
            if known is None:
                raise WireError("not authorised")
            caller = known
        else:
            # A ROUTER delivers at least two frames. Two calls cost less than `recv_multipart`, and a Frame knows whether
            # more frames follow, which is dear to ask of the socket.
            client = sock.recv()
            frame = sock.recv(copy=False)
            data = _skip_message(sock) if frame.more else frame.bytes
        try:
            return client, decode_request_bare(data), caller
        except DECODING_ERRORS as exc:
            self.executor.counters["malformed"] += 1
            raise WireError(f"not a request: {exc}") from exc

    def _owe(self, client: bytes, request: Request, answer: Deferred | None) -> None:
        """Keeps that a client gets its answer later: that of a deferred command, or of one that it has sent before."""
        if answer is None:
            self._open_answers.join(request.id, client)
        else:
            self._open_answers.add(client, answer)

    def _note_unsent(self, request: Request, error: zmq.ZMQError) -> None:
        gone = error.errno == zmq.EHOSTUNREACH  # the journal tells how the command ended
        logger.log(
            logging.INFO if gone else logging.WARNING,
            "the answer to %s could not be sent to %s: %s",
            request.name,
            request.context.origin,
            "it has gone" if gone else error,
        )

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
        data = encode(value)
        with self._publish_lock:
            if not self._monitoring_socket.closed:
                self._monitoring_socket.send_multipart((topic.encode(), data), zmq.NOBLOCK)

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
            "counters": dict(self.executor.counters),
            "housekeeping": {
                "period": self.hk_lane.period,
                "rows": self.hk_lane.count,
                "missed": self.hk_lane.missed,
            },
            "setup_loaded": str(self.setup_watch.loaded or ""),
            **({"device_connected": self._device_is_connected()} if self.app.device else {}),
            **({"reserved": self.maintenance.describe()} if self.maintenance is not None else {}),
            **self.protocol.get_status(),
        }

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
        with self._task_lock:
            self._tasks.append(_Task(function, time.monotonic() + after, when))

    def _run_tasks(self) -> None:
        now = time.monotonic()
        with self._task_lock:
            due = [t for t in self._tasks if t.due <= now]
            self._tasks = [t for t in self._tasks if t.due > now]
        for task in due:
            try:
                if task.when is not None and not task.when():
                    with self._task_lock:
                        self._tasks.append(task)
                    continue
                started = time.monotonic()
                result = task.function()
                if result is not None:
                    logger.info("scheduled task %s: %s", _name_of(task.function), result)
                if (duration := time.monotonic() - started) > LONG_TASK:
                    logger.warning(
                        "scheduled task %s kept commands waiting for %.1f s",
                        _name_of(task.function),
                        duration,
                    )
            except Exception:
                logger.exception("%s: the scheduled task %s failed", self.name, _name_of(task.function))


def _name_of(function: Callable[[], Any]) -> str:
    """Returns a name for messages, also of a `functools.partial`."""
    bare = getattr(function, "func", function)
    return getattr(bare, "__qualname__", repr(bare))


_FIRST_FRAME = NOBLOCK | SNDMORE


def _skip_message(sock: zmq.Socket[bytes]) -> bytes:
    """Reads a message with too many frames to its end; returns an empty one in its place."""
    while sock.getsockopt(zmq.RCVMORE):
        sock.recv()
    return b""
