"""The client side of commanding: a Proxy offers the commands of an interface and forwards them to a control server.

A proxy can be made before its server is up and works as soon as it is. Every call is checked against the interface
before anything is sent. It is safe to use one proxy from several threads; calls then take turns.
"""

from __future__ import annotations

import itertools
import os
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from copy import copy
from functools import wraps
from typing import Any, ClassVar, Protocol, Self
from uuid import UUID

import msgspec

from egse.catalogue import LoadedCommands
from egse.channel import CONNECT_TIMEOUT, Channel, NotSentError, OutcomeUnknownError
from egse.command import DEFINITION_ATTRIBUTE, CommandDefinition, commands_of
from egse.context import (
    CommandContext,
    command_context,
    command_origin,
    get_command_context,
    set_command_context,
)
from egse.response import restore_error
from egse.security.token import current_token
from egse.services import ServiceInterface
from egse.settings import Settings
from egse.submission import Submitter
from egse.wire import DECODING_ERRORS, Request, encode

__all__ = [
    "CommandContext",
    "CommandRouter",
    "ControlServerConnectionInterface",
    "DynamicProxy",
    "NotSentError",
    "OutcomeUnknownError",
    "Proxy",
    "ServiceProxy",
    "command_context",
    "command_origin",
    "endpoint_from_settings",
    "get_command_context",
    "is_control_server_active",
    "route_commands",
    "set_command_context",
]


class CommandRouter(Protocol):
    """Takes the commands of all proxies of this process instead of the wire (dry run)."""

    def call(self, proxy: Proxy, definition: CommandDefinition, arguments: dict[str, Any]) -> Any:
        """Executes one command; the arguments are complete and checked."""


_router: CommandRouter | None = None


def route_commands(router: CommandRouter | None) -> None:
    """Sends the commands of all proxies of this process to `router`; None goes back to the control servers."""
    global _router
    _router = router


class _Numbers:
    """Command ids of this process: unique over all clients, ever."""

    def __init__(self) -> None:
        self.session = secrets.token_hex(6)
        self.counter = itertools.count(1)


_numbers = _Numbers()
_making = threading.Lock()
"""Held while a proxy gets its channel or its submitter, of which it has one."""


def _renew_after_fork() -> None:
    global _numbers, _making
    _numbers, _making = _Numbers(), threading.Lock()


os.register_at_fork(after_in_child=_renew_after_fork)


def _new_request(name: str, arguments: Any, timeout: float) -> Request:
    numbers = _numbers
    session, epoch = current_token()
    return Request(
        f"{numbers.session}-{next(numbers.counter)}",
        name,
        arguments,
        time.time() + timeout,
        get_command_context(),
        session,
        epoch,
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


class Proxy(LoadedCommands, ControlServerConnectionInterface, is_base=True):
    """Base class of all proxies.

    A direct sub-class loads its commands from the control server when it is made, or later with `load_commands()`
    (sections 6.2 and 6.6.1 of the manual); a `DynamicProxy` has its commands from its interface.

    Sub-classes also inherit the interface of their device and name the block of their server in the Settings.

    Args:
        endpoint: `tcp://host:port` of the commanding port; from the Settings when None.
        timeout: how long a call waits for its answer [s].
    """

    settings_name: str = ""
    server_name: str = ""
    port_key: ClassVar[str] = "COMMANDING_PORT"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls._execute_command is Proxy._execute_command:
            for name, definition in commands_of(cls).items():
                method = getattr(cls, name)
                if getattr(method, DEFINITION_ATTRIBUTE, None) is definition and not definition.device_method:
                    setattr(cls, name, _quick_method(definition, method))

    def __init__(self, *, endpoint: str | None = None, timeout: float = 10.0) -> None:
        self._endpoint = endpoint
        self.has_own_endpoint = endpoint is not None
        self.timeout = timeout
        self._channel: Channel | None = None
        self._submitter: Submitter | None = None
        if self.loads_at_start and _router is None and type(self) is not Proxy:
            self._load_if_reachable()

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
        if channel is not None:
            return channel
        advice = f" Start it with `{self.server_name} start`." if self.server_name else ""
        endpoint = self.get_endpoint()
        with _making:
            if self._channel is None:
                self._channel = Channel(endpoint, advice)
            return self._channel

    def __copy__(self) -> Self:
        other = type(self).__new__(type(self))
        vars(other).update(vars(self))
        other._carry_commands()
        return other

    def with_timeout(self, timeout: float) -> Self:
        """Returns a proxy for the same server whose calls wait `timeout` [s] for their answer."""
        other = copy(self)
        other.timeout = timeout
        other._submitter = None
        return other

    def connect_cs(self) -> None:
        if _router is None and not self._get_channel().wait_connected(CONNECT_TIMEOUT):
            endpoint = self.get_endpoint()
            advice = self._get_channel().help_text
            self.disconnect_cs()
            raise ConnectionError(
                f"{type(self).__name__} could not connect to its control server at {endpoint}.{advice}"
            )
        if self.loads_at_start and _router is None and not self.commands_loaded and type(self) is not Proxy:
            self.load_commands()

    def disconnect_cs(self) -> None:
        submitter, self._submitter = self._submitter, None
        if submitter is not None:
            submitter.close()
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
        """Returns True if the control server answers within `timeout` [s]; in a dry run the models always do."""
        if _router is not None:
            return True
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
            NotSentError: when another thread's call of this proxy was still waiting for its answer.
            OutcomeUnknownError: when no answer came in time.
            Exception: the exception that the server reports.
        """
        if _router is not None:
            raise ConnectionError(
                f"`{name}` was not sent to {self.server_name or 'a control server'}: in a dry run only commands of an "
                "interface are executed, by models"
            )
        limit = self.timeout if timeout is None else timeout
        packed = msgspec.Raw(encode(dict(arguments)))
        reply = self._get_channel().exchange(_new_request(name, packed, limit), limit)
        if reply.error is not None:
            raise restore_error(reply.error)
        return reply.value

    def _execute_command(
        self, definition: CommandDefinition, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        if _router is not None:
            return _router.call(self, definition, definition.bind(args, kwargs))
        packed = definition.pack(args, kwargs)
        if self.loads_at_start:
            self._require_loaded(definition.name)
        timeout = self.timeout
        reply = self._get_channel().exchange(_new_request(definition.name, packed, timeout), timeout)
        if reply.error is not None:
            raise restore_error(reply.error)
        return convert_result(definition, reply.value) if definition.converts_result else reply.value

    def _fetch_catalogue(self) -> list[dict[str, Any]]:
        services = self.get_service_proxy()
        try:
            return services.get_commands()
        finally:
            services.disconnect_cs()

    def _is_reachable(self, timeout: float) -> bool:
        return self._get_channel().wait_connected(timeout)

    def outcome(self, command_id: str) -> dict[str, Any]:
        """Returns what became of a command, by the id that an `OutcomeUnknownError` carries.

        Returns:
            `status` (done, failed, running, not executed, unknown, not known) with `value` or `error` as far as known.
        """
        with self.get_service_proxy() as services:
            return services.get_outcome(command_id)

    @property
    def submit(self) -> Submitter:
        """The same commands without waiting: `future = proxy.submit.move_absolute(...)`.

        They are sent one after the other, in the order of submission. A future has `result(timeout)`, `cancel()` (works
        until the command is sent), and works in asyncio with `asyncio.wrap_future(future)`.
        """
        with _making:
            if self._submitter is None:
                self._submitter = Submitter(self)
            return self._submitter

    def get_service_proxy(self) -> ServiceProxy:
        """Returns a proxy for the services of the control server (section 6.4 of the manual)."""
        return ServiceProxy.for_proxy(self)


def _quick_method(definition: CommandDefinition, method: Callable[..., Any]) -> Callable[..., Any]:
    """Returns what `method` of a proxy does, in one function from the caller to the channel.

    Where many processes take turns on a processor, the code of each function on the way has to be fetched anew at each
    call, which costs more than to execute it. This is `pack` and `_new_request`, written out; whatever is not plain is left
    to `_execute_command`.
    """
    name, convert, now = definition.name, msgspec.convert, time.time

    @wraps(method)
    def command(self: Proxy, *args: Any, **kwargs: Any) -> Any:
        codec = definition.codec
        if codec is None or _router is not None or len(args) + len(kwargs) != len(codec.names):
            return self._execute_command(definition, args, kwargs)
        named = kwargs
        if args:
            named = dict(zip(codec.names, args))
            if kwargs:
                named.update(kwargs)
        try:
            arguments = convert(named, codec.struct)
        except DECODING_ERRORS:
            return self._execute_command(definition, args, kwargs)
        if self.loads_at_start:
            self._require_loaded(name)
        timeout, numbers = self.timeout, _numbers
        session, epoch = current_token()
        command_id = f"{numbers.session}-{next(numbers.counter)}"
        request = Request(command_id, name, arguments, now() + timeout, get_command_context(), session, epoch)
        reply = (self._channel or self._get_channel()).exchange(request, timeout)
        if reply.error is not None:
            raise restore_error(reply.error)
        return convert_result(definition, reply.value) if definition.converts_result else reply.value

    return command


class DynamicProxy(Proxy):
    """A proxy whose commands come from the interface class that it also inherits."""

    loads_at_start = False


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
        if _router is not None or (proxy.settings_name and not proxy.has_own_endpoint):
            return cls(proxy.settings_name, proxy.server_name)
        return cls(
            proxy.settings_name,
            proxy.server_name,
            endpoint=proxy.send("get_service_endpoint", {}, timeout=5.0),
        )

    def get_process_status(self) -> dict[str, Any]:
        """Returns the process status of the control server; its `UUID`, text on the wire, is a `uuid.UUID` here."""
        status = super().get_process_status()
        return {**status, "UUID": UUID(status["UUID"])} if isinstance(status.get("UUID"), str) else status


def convert_result(definition: CommandDefinition, value: Any) -> Any:
    """Returns a result in the type that the interface declares (enumerations, structs, tuples)."""
    if value is None or not definition.converts_result:
        return value
    try:
        return msgspec.convert(value, definition.returns.hint, strict=False)
    except (msgspec.ValidationError, TypeError):
        return value


def endpoint_from_settings(block: str, port_key: str = "COMMANDING_PORT") -> str:
    """Returns `tcp://host:port` for a port of a control server's block in the Settings."""
    settings = Settings.load(block)
    host = settings.get("HOSTNAME", "localhost")
    return f"{settings.get('PROTOCOL', 'tcp')}://{'127.0.0.1' if host == 'localhost' else host}:{settings[port_key]}"


def is_control_server_active(endpoint: str, timeout: float = 0.5) -> bool:
    """Returns True when a control server answers at `endpoint` within `timeout` [s]; leaves no socket open."""
    proxy = Proxy(endpoint=endpoint, timeout=timeout)
    try:
        return proxy.ping(timeout)
    finally:
        proxy.disconnect_cs()
