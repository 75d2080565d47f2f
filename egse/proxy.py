"""The client side of commanding: a Proxy offers the commands of an interface and forwards them to a control server.

A proxy can be made before its server is up and works as soon as it is. Every call is checked against the interface
before anything is sent. It is safe to use one proxy from several threads; calls then take turns.
"""

from __future__ import annotations

import getpass
import itertools
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import copy
from typing import Any, ClassVar, Protocol, Self

import msgspec
import zmq

from egse.command import CommandDefinition
from egse.response import register_error, restore_error
from egse.services import ServiceInterface
from egse.settings import Settings
from egse.wire import MAX_MESSAGE_SIZE, Reply, Request, WireError, decode_reply, encode

CONNECT_TIMEOUT = 2.0
"""How long a call waits for the server to accept the connection [s]; a server on the way up gets this long."""


@register_error
class OutcomeUnknownError(TimeoutError):
    """A command was sent and no answer came: it may or may not have been executed."""


class CommandContext(msgspec.Struct, frozen=True):
    """What every command carries along: the observation and building block that it belongs to.

    Attributes:
        obsid: full obsid of the running observation, empty outside.
        block: name of the active building block, empty outside.
        setup: id of the Setup that the client works with.
    """

    obsid: str = ""
    block: str = ""
    setup: str = ""


_context: ContextVar[CommandContext | None] = ContextVar("command_context", default=None)
_process_context = CommandContext()


def get_command_context() -> CommandContext:
    """Returns the context that commands are sent with now."""
    context = _context.get()
    base = _process_context
    if context is None:
        return base
    return CommandContext(context.obsid or base.obsid, context.block, context.setup or base.setup)


def set_command_context(*, obsid: str | None = None, setup: str | None = None) -> None:
    """Sets observation or Setup for all commands of this process; None leaves a field as it is."""
    global _process_context
    base = _process_context
    _process_context = CommandContext(
        base.obsid if obsid is None else obsid, "", base.setup if setup is None else setup
    )


@contextmanager
def command_context(*, obsid: str = "", block: str = "", setup: str = "") -> Iterator[None]:
    """Sets the context for commands sent inside the `with` block (by this thread or task)."""
    token = _context.set(CommandContext(obsid, block, setup))
    try:
        yield
    finally:
        _context.reset(token)


class CommandRouter(Protocol):
    """Takes the commands of all proxies of this process instead of the wire (dry run)."""

    def call(self, proxy: Proxy, definition: CommandDefinition, arguments: dict[str, Any]) -> Any:
        """Executes one command; the arguments are complete and checked."""


_router: CommandRouter | None = None


def route_commands(router: CommandRouter | None) -> None:
    """Sends the commands of all proxies of this process to `router`; None goes back to the control servers."""
    global _router
    _router = router


def command_origin() -> str:
    """Returns who sends commands from this process: `user@host:pid`."""
    return f"{getpass.getuser()}@{socket.gethostname()}:{os.getpid()}"


class _Identity:
    """Identity of this process on the wire; made anew after a fork, so that ids stay unique."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.session = secrets.token_hex(6)
        self.origin = command_origin()
        self.counter = itertools.count(1)


_identity = _Identity()


def _new_request(name: str, arguments: dict[str, Any], timeout: float) -> Request:
    global _identity
    if _identity.pid != os.getpid():
        _identity = _Identity()
    context = get_command_context()
    return Request(
        f"{_identity.session}-{next(_identity.counter)}",
        name,
        arguments,
        _identity.origin,
        context.setup,
        context.obsid,
        context.block,
        time.time() + timeout,
    )


class ControlServerConnectionInterface:
    """Connection of a proxy to its control server (section 13.1.1 of the manual)."""

    def connect_cs(self) -> None:
        """Connects to the control server; raises ConnectionError when it does not answer."""

    def disconnect_cs(self) -> None:
        """Closes the connection to the control server."""

    def reconnect_cs(self) -> None:
        """Connects again (the same as `connect_cs`, for readable code)."""

    def reset_cs_connection(self, retries: int = 3) -> None:
        """Drops a connection in an unknown state and makes a new one."""

    def is_cs_connected(self) -> bool:
        """Returns True if the control server answers."""
        return False


class Channel:
    """One DEALER socket to one endpoint: sends a request and waits for its reply.

    Args:
        endpoint: `tcp://host:port`.
        help_text: how to start the server, for error messages.
    """

    def __init__(self, endpoint: str, help_text: str = "") -> None:
        self.endpoint = endpoint
        self.help_text = help_text
        self._lock = threading.Lock()
        self._socket: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes] | None = None
        self._receive_timeout = -1

    def _open(self) -> zmq.Socket[bytes]:
        if self._socket is not None:
            return self._socket
        sock: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        sock.setsockopt(zmq.LINGER, 0)
        # Only a peer that is really there gets the message; none is kept for a server that starts tomorrow.
        sock.setsockopt(zmq.IMMEDIATE, 1)
        sock.setsockopt(zmq.MAXMSGSIZE, MAX_MESSAGE_SIZE)
        sock.setsockopt(zmq.RECONNECT_IVL, 20)
        sock.setsockopt(zmq.RECONNECT_IVL_MAX, 500)
        self._monitor = sock.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        sock.connect(self.endpoint)
        self._socket = sock
        self._receive_timeout = -1
        return sock

    def close(self) -> None:
        """Closes the socket; the next exchange opens a new one."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._socket is not None:
            self._socket.disable_monitor()
            if self._monitor is not None:
                self._monitor.close(0)
            self._socket.close(0)
            self._socket = self._monitor = None

    def wait_connected(self, timeout: float) -> bool:
        """Returns True when the connection to the server stands, waiting at most `timeout` [s]."""
        with self._lock:
            return bool(self._open().poll(int(timeout * 1000), zmq.POLLOUT))

    def exchange(self, request: Request, timeout: float) -> Reply:
        """Sends a request and returns its reply.

        Raises:
            ConnectionError: nothing was sent, the server is not there.
            OutcomeUnknownError: the request was sent and no reply came within `timeout` [s], or the server went away.
        """
        data = encode(request)
        with self._lock:
            sock = self._open()
            try:
                self._send(sock, data, timeout)
                return self._receive(sock, request, timeout)
            except BaseException:
                self._close()  # a late reply must not meet the next request
                raise

    def _send(self, sock: zmq.Socket[bytes], data: bytes, timeout: float) -> None:
        try:
            sock.send(data, zmq.NOBLOCK)
            return
        except zmq.Again:
            pass
        wait = min(timeout, CONNECT_TIMEOUT)
        if not sock.poll(int(wait * 1000), zmq.POLLOUT):
            raise ConnectionError(
                f"no control server answers at {self.endpoint} (waited {wait:g} s).{self.help_text}"
            )
        sock.send(data, zmq.NOBLOCK)

    def _receive(self, sock: zmq.Socket[bytes], request: Request, timeout: float) -> Reply:
        deadline = time.monotonic() + timeout
        remaining = timeout
        while remaining > 0:
            slice_ms = max(1, int(min(remaining, 0.5) * 1000))
            if slice_ms != self._receive_timeout:
                sock.setsockopt(zmq.RCVTIMEO, slice_ms)
                self._receive_timeout = slice_ms
            try:
                data = sock.recv()
            except zmq.Again:
                if self._peer_is_gone():
                    raise OutcomeUnknownError(
                        f"{request.name}: the control server at {self.endpoint} went away before it answered; the "
                        f"outcome of command {request.id} is unknown"
                    ) from None
                remaining = deadline - time.monotonic()
                continue
            try:
                reply = decode_reply(data)
            except WireError as exc:
                raise OutcomeUnknownError(
                    f"{request.name}: {self.endpoint} sent something that is no reply ({exc}); the outcome of "
                    f"command {request.id} is unknown"
                ) from exc
            if reply.id == request.id:
                return reply
            remaining = deadline - time.monotonic()
        raise OutcomeUnknownError(
            f"{request.name}: no answer from {self.endpoint} within {timeout:g} s; the outcome of command "
            f"{request.id} is unknown"
        )

    def _peer_is_gone(self) -> bool:
        return self._monitor is not None and bool(self._monitor.poll(0))


class Proxy(ControlServerConnectionInterface):
    """Base class of all proxies.

    Sub-classes also inherit the interface of their device and name the block of their server in the Settings.

    Args:
        endpoint: `tcp://host:port` of the commanding port; from the Settings when None.
        timeout: how long a call waits for its answer [s].
    """

    settings_name: str = ""
    server_name: str = ""
    port_key: ClassVar[str] = "COMMANDING_PORT"

    def __init__(self, *, endpoint: str | None = None, timeout: float = 10.0) -> None:
        self._endpoint = endpoint
        self.has_own_endpoint = endpoint is not None
        self.timeout = timeout
        self._channel: Channel | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self.server_name or 'a control server'} at {self._where()}>"

    def _where(self) -> str:
        try:
            return self.get_endpoint()
        except (KeyError, OSError) as exc:
            return f"an unknown endpoint ({exc})"

    @property
    def name(self) -> str:
        """Name of the control server."""
        return self.server_name

    def get_endpoint(self) -> str:
        """Returns `tcp://host:port` of the control server, from the Settings unless given."""
        if self._endpoint is None:
            self._endpoint = endpoint_from_settings(self.settings_name, self.port_key)
        return self._endpoint

    def _get_channel(self) -> Channel:
        channel = self._channel
        if channel is None:
            advice = f" Start it with `{self.server_name} start`." if self.server_name else ""
            channel = self._channel = Channel(self.get_endpoint(), advice)
        return channel

    def with_timeout(self, timeout: float) -> Self:
        """Returns a proxy for the same server whose calls wait `timeout` [s] for their answer."""
        other = copy(self)
        other.timeout = timeout
        return other

    def connect_cs(self) -> None:
        if _router is None and not self._get_channel().wait_connected(CONNECT_TIMEOUT):
            endpoint = self.get_endpoint()
            advice = self._get_channel().help_text
            self.disconnect_cs()
            raise ConnectionError(
                f"{type(self).__name__} could not connect to its control server at {endpoint}.{advice}"
            )

    def disconnect_cs(self) -> None:
        if self._channel is not None:
            self._channel.close()

    close = disconnect_cs

    def reconnect_cs(self) -> None:
        self.connect_cs()

    def reset_cs_connection(self, retries: int = 3) -> None:
        for attempt in range(retries):
            self.disconnect_cs()
            try:
                return self.connect_cs()
            except ConnectionError:
                if attempt == retries - 1:
                    raise
        return None

    def is_cs_connected(self) -> bool:
        if _router is not None:
            return True
        try:
            return self.ping()
        except (OSError, KeyError):
            return False

    def ping(self, timeout: float = CONNECT_TIMEOUT) -> bool:
        """Returns True if the control server answers within `timeout` [s]."""
        try:
            self.send("ping", {}, timeout=timeout)
        except (ConnectionError, TimeoutError):
            return False
        return True

    def __enter__(self) -> Self:
        self.connect_cs()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect_cs()

    def send(self, name: str, arguments: Mapping[str, Any], *, timeout: float | None = None) -> Any:
        """Sends a command by name, unchecked, and returns its result; for tools that know no interface.

        Raises:
            ConnectionError: when the server is not there.
            OutcomeUnknownError: when no answer came in time.
            Exception: the exception that the server reports.
        """
        limit = self.timeout if timeout is None else timeout
        reply = self._get_channel().exchange(_new_request(name, dict(arguments), limit), limit)
        if reply.error is not None:
            raise restore_error(reply.error)
        return reply.value

    def get_service_proxy(self) -> ServiceProxy:
        """Returns a proxy for the services of the control server (section 6.4 of the manual)."""
        return ServiceProxy.for_proxy(self)


class DynamicProxy(Proxy):
    """A proxy whose commands come from the interface class that it also inherits."""

    def _execute_command(
        self, definition: CommandDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        arguments = definition.bind(args, kwargs)
        if _router is not None:
            return _router.call(self, definition, arguments)
        timeout = self.timeout
        reply = self._get_channel().exchange(_new_request(definition.name, arguments, timeout), timeout)
        if reply.error is not None:
            raise restore_error(reply.error)
        return convert_result(definition, reply.value)


class ServiceProxy(DynamicProxy, ServiceInterface):
    """Client of a control server's services; made by `get_service_proxy()` of any proxy."""

    port_key = "SERVICE_PORT"

    def __init__(
        self,
        settings_name: str = "",
        server_name: str = "",
        *,
        endpoint: str | None = None,
        timeout: float = 5.0,
    ) -> None:
        super().__init__(endpoint=endpoint, timeout=timeout)
        self.settings_name = settings_name
        self.server_name = server_name

    @classmethod
    def for_proxy(cls, proxy: Proxy) -> Self:
        """Returns the services of the control server that `proxy` talks to."""
        if proxy.settings_name and not proxy.has_own_endpoint:
            return cls(proxy.settings_name, proxy.server_name)
        return cls(
            proxy.settings_name,
            proxy.server_name,
            endpoint=proxy.send("get_service_endpoint", {}, timeout=5.0),
        )


def convert_result(definition: CommandDefinition, value: Any) -> Any:
    """Returns a result in the type that the interface declares (enumerations, structs, tuples)."""
    hint = definition.returns.hint
    if value is None or hint in _PLAIN_RESULTS or not _is_convertible(hint):
        return value
    try:
        return msgspec.convert(value, hint, strict=False)
    except (msgspec.ValidationError, TypeError):
        return value


_PLAIN_RESULTS = (Any, None, type(None), float, int, str, bool, bytes, dict, list)


def _is_convertible(hint: Any) -> bool:
    return not (isinstance(hint, type) and hint.__module__ == "numpy") and "numpy" not in repr(hint)


def endpoint_from_settings(block: str, port_key: str = "COMMANDING_PORT") -> str:
    """Returns `tcp://host:port` for a port of a control server's block in the Settings."""
    settings = Settings.load(block)
    host = settings.get("HOSTNAME", "localhost")
    return f"{settings.get('PROTOCOL', 'tcp')}://{'127.0.0.1' if host == 'localhost' else host}:{settings[port_key]}"
