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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq

from egse.command import CommandDefinition, CommandError, commands_of
from egse.declaration import ServerContext, ServerDeclaration, site_clock
from egse.env import get_data_storage_location
from egse.journal import Journal
from egse.ports import PortInUseError
from egse.process import ProcessStatus
from egse.proxy import command_context, endpoint_from_settings
from egse.response import Failure, Message, Success, describe_error, register_error
from egse.server_services import ServiceController
from egse.services import ServiceInterface
from egse.settings import Settings
from egse.telemetry import DEFAULT_MARGIN, HousekeepingStore, Lane
from egse.wire import MAX_MESSAGE_SIZE, Reply, Request, WireError, decode_request, encode

if TYPE_CHECKING:
    pass

logger = logging.getLogger(__name__)

IDLE_SLICE = 100
"""How long the threads wait for a message before they look at the stop flag and at scheduled tasks [ms]."""
LAST_WORDS = 200
"""How long the end of a server waits for its last answers to be taken [ms]."""
END_LIMIT = 4.5
"""A server that has not ended this long after it was told to is ended the hard way [s]."""


@register_error
class ExpiredCommandError(TimeoutError):
    """A command came too late: its client had given up already, so it was not executed."""


@dataclass
class _Task:
    function: Callable[[], Any]
    due: float
    when: Callable[[], bool] | None


class _Dispatcher:
    """Finds and executes the commands of one interface on one object."""

    def __init__(self, interface: type, target: Any) -> None:
        self.table: dict[str, tuple[CommandDefinition, Callable[..., Any]]] = {
            name: (definition, getattr(target, name)) for name, definition in commands_of(interface).items()
        }

    def find(self, request: Request) -> tuple[CommandDefinition, Callable[..., Any]]:
        entry = self.table.get(request.name)
        if entry is None:
            raise CommandError(f"there is no command `{request.name}` here")
        return entry


class ControlServer:
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
        self.counters = {"commands": 0, "failures": 0, "refused": 0, "malformed": 0, "expired": 0}
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._hard_end: threading.Timer | None = None
        self._tasks: list[_Task] = []
        self._task_lock = threading.Lock()
        self._publish_lock = threading.Lock()
        self.process_status = ProcessStatus()
        self._context = zmq.Context()
        self._bind()
        self.journal = self._open_journal() if app.device else None
        context = ServerContext(app.name, self.settings, self.clock, simulator, False, self)
        self.controller = app.controller(context)
        self.protocol = app.protocol(self, self.controller)
        self.commands = _Dispatcher(app.interface, self.controller)
        self._services = _Dispatcher(ServiceInterface, ServiceController(self))
        self._make_lanes()

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
        try:
            sock.bind(self.endpoints[role])
        except zmq.ZMQError as exc:
            sock.close(0)
            self._context.destroy(linger=0)
            raise PortInUseError(self.name, role, self.endpoints[role]) from exc
        return sock

    def _open_journal(self) -> Journal:
        folder = Path(get_data_storage_location()) / "journal" / self.name
        return Journal(folder, self.name, self.incarnation)

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

    # -- life ----------------------------------------------------------------------------------------------------

    def run(self, ready: Callable[[ControlServer], None] | None = None) -> None:
        """Serves until `stop()`; `ready` is called when commands are accepted."""
        services = threading.Thread(target=self._serve_services, name=f"{self.name}-services", daemon=True)
        try:
            self.protocol.start()
            services.start()
            self.monitoring_lane.start()
            if self._store is not None:
                self.hk_lane.start()
            logger.info("%s started at %s", self.name, self.endpoints["commanding"])
            if ready is not None:
                ready(self)
            self._serve_commands()
        finally:
            self._shut_down(services)

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
        logger.critical("%s did not end within %g s; ended the hard way", self.name, END_LIMIT)
        os._exit(70)

    def install_signal_handlers(self) -> None:
        """Lets SIGTERM, SIGINT and SIGHUP end the server cleanly."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self.stop())

    def _shut_down(self, services: threading.Thread) -> None:
        self._stop.set()
        self.hk_lane.end()
        self.monitoring_lane.end()
        try:
            self.protocol.quit()
        except Exception:
            logger.exception("%s: the protocol did not end cleanly", self.name)
        for thread in (self.hk_lane, self.monitoring_lane, services):
            if thread.is_alive():
                thread.join(timeout=2.0)
        if self._store is not None:
            self._store.close()
        if self.journal is not None:
            self.journal.close()
        self._command_socket.close(LAST_WORDS)
        self._context.destroy(linger=0)
        if self._hard_end is not None:
            self._hard_end.cancel()
        logger.info("%s ended", self.name)

    # -- commands ------------------------------------------------------------------------------------------------

    def _serve_commands(self) -> None:
        sock = self._command_socket
        while not self._stop.is_set():
            try:
                client, data = _receive(sock)
            except zmq.Again:
                self._run_tasks()
                continue
            except zmq.ContextTerminated:
                return
            self._answer(sock, client, data, self._execute)
            if self._tasks:
                self._run_tasks()

    def _serve_services(self) -> None:
        sock = self._service_socket
        while not self._stop.is_set():
            try:
                client, data = _receive(sock)
            except zmq.Again:
                continue
            except zmq.ContextTerminated:
                break
            self._answer(sock, client, data, self._execute_service)
        sock.close(LAST_WORDS)

    def _answer(
        self, sock: zmq.Socket[bytes], client: bytes, data: bytes, execute: Callable[[Request], Any]
    ) -> None:
        """Executes the request in `data` and sends the reply: the one place where errors become data."""
        try:
            request = decode_request(data)
        except WireError:
            self.counters["malformed"] += 1
            return
        try:
            answer = encode(Reply(request.id, self.incarnation, execute(request)))
        except Exception as exc:
            self._count_failure(request, exc)
            answer = encode(Reply(request.id, self.incarnation, None, describe_error(exc)))
        try:
            sock.send(client, _FIRST_FRAME)
            sock.send(answer, zmq.NOBLOCK)
        except zmq.ZMQError as exc:
            logger.warning("the answer to %s (%s) could not be sent: %s", request.name, request.origin, exc)

    def _count_failure(self, request: Request, exc: Exception) -> None:
        if isinstance(exc, CommandError):
            self.counters["refused"] += 1
            logger.warning("%s refused for %s: %s", request.name, request.origin, exc)
        else:
            self.counters["failures"] += 1
            logger.error("%s failed for %s: %s", request.name, request.origin, exc, exc_info=exc)

    def _execute(self, request: Request) -> Any:
        if request.name in _INLINE:
            return _INLINE[request.name](self)
        definition, method = self.commands.find(request)
        if 0 < request.deadline < time.time():
            self.counters["expired"] += 1
            raise ExpiredCommandError(f"{request.name} came after its deadline and was not executed")
        arguments = definition.bind((), request.args)
        self.counters["commands"] += 1
        if self.journal is None:
            return _plain(method(**arguments))
        if request.obsid or request.block:
            with command_context(obsid=request.obsid, block=request.block, setup=request.setup):
                return self._execute_journalled(request, method, arguments)
        return self._execute_journalled(request, method, arguments)

    def _execute_journalled(
        self, request: Request, method: Callable[..., Any], arguments: dict[str, Any]
    ) -> Any:
        journal = self.journal
        assert journal is not None
        journal.begin(
            request.id,
            request.name,
            arguments,
            request.origin,
            request.setup,
            request.obsid,
            request.block,
        )
        try:
            value = _plain(method(**arguments))
        except Exception as exc:
            journal.end(request.id, "failed", f"{type(exc).__name__}: {exc}", request.obsid)
            raise
        journal.end(request.id, "done", "", request.obsid)
        return value

    def _execute_service(self, request: Request) -> Any:
        if request.name in _INLINE:
            return _INLINE[request.name](self)
        definition, method = self._services.find(request)
        return method(**definition.bind((), request.args))

    # -- telemetry -----------------------------------------------------------------------------------------------

    def _take_housekeeping(self) -> None:
        row = self.protocol.get_housekeeping()
        if row and self._store is not None:
            self._store.save(row)
            self.publish("housekeeping", row)

    def _publish_status(self) -> None:
        self.publish("status", self.status())

    def publish(self, topic: str, value: Any) -> None:
        """Publishes a value on the monitoring port as two frames: topic (text) and msgpack."""
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
            "counters": dict(self.counters),
            "housekeeping": {
                "period": self.hk_lane.period,
                "rows": self.hk_lane.count,
                "missed": self.hk_lane.missed,
            },
            **self.protocol.get_status(),
        }

    # -- scheduled tasks -----------------------------------------------------------------------------------------

    def schedule_task(
        self, function: Callable[[], Any], after: float = 0.0, when: Callable[[], bool] | None = None
    ) -> None:
        """Has `function` called from the event loop, outside any command (section 7.5 of the manual).

        Args:
            function: what to do; it should be quick. Exceptions are logged.
            after: not before this many seconds have passed.
            when: not before this returns True.
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
                task.function()
            except Exception:
                logger.exception("%s: a scheduled task failed", self.name)


_FIRST_FRAME = zmq.NOBLOCK | zmq.SNDMORE


def _receive(sock: zmq.Socket[bytes]) -> tuple[bytes, bytes]:
    """Returns client identity and message of the next request; an empty message for one with a wrong frame count.

    Two plain calls cost 4 us less than `recv_multipart`; a ROUTER delivers at least two frames.
    """
    client = sock.recv()
    data = sock.recv()
    if sock.getsockopt(zmq.RCVMORE):
        data = b""
        while sock.getsockopt(zmq.RCVMORE):
            sock.recv()
    return client, data


def _plain(value: Any) -> Any:
    """Takes the result out of a `Success`, raises the cause of a `Failure` (older Controllers return them)."""
    if isinstance(value, Failure):
        raise value.cause or RuntimeError(value.message)
    if isinstance(value, Success):
        return value.return_code
    if isinstance(value, Message):
        return value.message
    return value


_INLINE: dict[str, Callable[[ControlServer], Any]] = {
    "ping": lambda server: "pong",
    "get_service_endpoint": lambda server: server.endpoints["service"],
}
