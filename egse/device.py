"""Connections to instruments: the interfaces that drivers implement and the transports on streams of bytes, TCP first.

A *transport* moves bytes to and from one device; a *Controller* speaks the device's language over it. Access is
arbitrated per transaction: `transport.lock` is held from the first byte of a command to the last byte of its answer,
so that housekeeping never lands between a question and its reply.
"""

from __future__ import annotations

import pkgutil
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Protocol

from egse.command import dynamic_interface
from egse.hardwarelock import lock_hardware as lock_hardware
from egse.hardwarelock import locked_reason
from egse.response import register_error
from egse.security.roles import observe
from egse.wiretap import WireTap

ReplyLength = Callable[[bytes], int | None]
"""Says how many of the bytes received so far are the first complete reply; None while it is not complete."""


def ends_with(terminator: bytes) -> ReplyLength:
    """Returns the rule for replies that end with a terminator."""

    def length(data: bytes) -> int | None:
        end = data.find(terminator)
        return None if end < 0 else end + len(terminator)

    return length


@register_error
class DeviceError(Exception):
    """Something is wrong with a device or the talk with it."""


@register_error
class DeviceConnectionError(DeviceError, ConnectionError):
    """The device cannot be reached or closed the connection."""


@register_error
class DeviceTimeoutError(DeviceError, TimeoutError):
    """The device did not answer in time; what became of the command is unknown."""


class DeviceConnectionInterface:
    """Connection to a piece of hardware (section 13.1.1 of the manual)."""

    @dynamic_interface
    def connect(self) -> None:
        """Establishes the connection to the device.

        Raises:
            DeviceConnectionError: when the device cannot be reached.
        """

    @dynamic_interface
    def disconnect(self) -> None:
        """Terminates the connection to the device; nothing happens when there is none."""

    @observe
    @dynamic_interface
    def is_connected(self) -> bool:
        """Returns True if there is a working connection to the device."""


class DeviceInterface(DeviceConnectionInterface):
    """What every device offers."""

    @observe
    @dynamic_interface
    def is_simulator(self) -> bool:
        """Returns True when a simulator answers instead of the instrument."""


class DeviceFactoryInterface:
    """A class that a Setup names with `factory//` to make device objects (section 6.1.1 of the manual).

    A sub-class defines `create()`. When that makes a Controller, the Setup gives the Proxy of its control server, so
    that the device is shared and its commands are recorded; `direct: true` in `device_args` gives the Controller.
    """

    def create(self, **kwargs: Any) -> Any:
        """Returns the device object for the `device_args` of the Setup."""
        raise TypeError(f"{type(self).__name__} must define create(**device_args)")

    def create_proxy(self, *args: Any, **device_args: Any) -> Any:
        """Returns the Proxy for the device that `create()` makes of the same arguments.

        The Controller names its Proxy in `proxy_class` (a class, or `"package.module:Class"`). A factory whose devices
        have control servers of their own overrides this.

        Raises:
            TypeError: when the Controller does not name its Proxy.
        """
        device = self.create(*args, **device_args)
        if not isinstance(device, DeviceConnectionInterface) or hasattr(device, "connect_cs"):
            return device  # no Controller, or a Proxy already
        kind = getattr(device, "proxy_class", "")
        if not kind:
            raise TypeError(
                f"{type(device).__name__} does not name its Proxy: give it a `proxy_class`, or set `direct: true` in "
                "device_args to use the Controller without its control server"
            )
        return (pkgutil.resolve_name(kind) if isinstance(kind, str) else kind)()

    def make_device(self, *args: Any, direct: bool = False, **device_args: Any) -> Any:
        """Returns what the Setup gives: the Proxy, or with `direct` what `create()` makes; `factory//` calls this."""
        make = self.create if direct else self.create_proxy
        return make(*args, **device_args)


class DeviceTransport(ABC):
    """Moves bytes to and from one device.

    Attributes:
        lock: held during a transaction.
        tap: what went over the wire lately.
        reaches_hardware: False for one whose other end is a model in this process.
        connection_error: what is raised when the device is away; see `OwnConnectionError`.
    """

    reaches_hardware: ClassVar[bool] = True
    connection_error: type[DeviceConnectionError] = DeviceConnectionError

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.tap = WireTap()

    @abstractmethod
    def connect(self) -> None:
        """Opens the connection; raises `DeviceConnectionError`."""

    @abstractmethod
    def disconnect(self) -> None:
        """Closes the connection."""

    @abstractmethod
    def is_connected(self) -> bool:
        """Returns True while the connection is open."""

    @abstractmethod
    def write(self, command: bytes | str) -> None:
        """Sends one command; the terminator is added when missing."""

    @abstractmethod
    def read(self) -> bytes:
        """Reads one reply, terminator included."""

    def trans(self, command: bytes | str) -> bytes:
        """Sends one command and returns its reply."""
        with self.lock:
            self.write(command)
            return self.read()

    def query(self, command: bytes | str) -> bytes:
        """Sends one query and returns its reply (same as `trans`)."""
        return self.trans(command)

    def exchange(self, data: bytes, wait: float) -> bytes:
        """Sends bytes and returns what comes back, whatever it is; for people at a console.

        Args:
            data: sent as they are, with the terminator of a command when that is missing.
            wait: for the first byte of an answer [s].

        Returns:
            The answer; empty when there is none.
        """
        with self.lock:
            self.write(data)
            return self.collect(wait)

    def collect(self, wait: float) -> bytes:
        """Returns what comes within `wait` [s], empty when nothing does: one complete reply, where no more is known."""
        try:
            return self.read()
        except DeviceTimeoutError:
            return b""


class OwnConnectionError:
    """Lets a device that is away raise an error of its own kind (section 13.1.1 of the manual: `except HexapodError`).

    Goes before the Controller base of a driver, which names the error in `connection_error`. That is a registered
    sub-class of `DeviceConnectionError` and of the driver's other errors.
    """

    connection_error: ClassVar[type[DeviceConnectionError]] = DeviceConnectionError
    transport: DeviceTransport

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.transport.connection_error = self.connection_error

    def connect(self) -> None:
        """Connects to the device.

        Raises:
            DeviceConnectionError: the `connection_error` of this driver, when nothing can be reached, something else
                answers, or nothing does in time.
        """
        try:
            super().connect()  # type: ignore[misc]  # of the Controller that it goes before
        except self.connection_error:
            raise
        except (DeviceConnectionError, DeviceTimeoutError) as exc:
            raise self.connection_error(str(exc)) from exc


FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Pause between two attempts to find a lost device again [s]; it doubles from the first to the longest."""


QUIET = 0.05
"""A pause of this length ends an answer of which nothing else is known [s]."""


class ByteStream(Protocol):
    """What a `StreamTransport` reads from and writes to: a socket, or what behaves like one."""

    def settimeout(self, value: float, /) -> None:
        """Sets how long `recv` and `sendall` wait [s]; with 0 `recv` raises BlockingIOError when nothing has come."""

    def recv(self, size: int, /) -> bytes:
        """Returns what has come; empty when the other end has closed. Raises TimeoutError, OSError."""

    def sendall(self, data: bytes, /) -> None:
        """Sends everything. Raises OSError."""

    def close(self) -> None:
        """Closes the stream."""


class StreamTransport(DeviceTransport):
    """An instrument on a stream of bytes; a sub-class says how the stream is opened.

    A lost device is found again by the next command; while it stays away, commands fail at once between attempts that
    become rarer (an explicit `connect()` always tries).

    Args:
        address: where the instrument is, for messages.
        timeout: for connecting and for each reply [s].
        command_terminator: appended to a command that does not end with it.
        reply_terminator: end of a reply.
        reply_length: finds the end of a reply instead, for devices that do not speak in lines.
        banner: the device sends one line on connect, which is read and kept in `banner_text`.
        min_interval: shortest time between two commands [s].
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 5.0,
        command_terminator: bytes = b"\n",
        reply_terminator: bytes = b"\n",
        reply_length: ReplyLength | None = None,
        banner: bool = False,
        min_interval: float = 0.0,
    ) -> None:
        super().__init__()
        self.address = address
        self.timeout = timeout
        self.command_terminator = command_terminator
        self.reply_length = reply_length or ends_with(reply_terminator)
        self.banner = banner
        self.banner_text = b""
        self.min_interval = min_interval
        self._socket: ByteStream | None = None
        self._buffer = b""
        self._last_command = 0.0
        self._lost: DeviceConnectionError | None = None
        self._pause = 0.0
        self._next_attempt = 0.0

    @abstractmethod
    def open_stream(self) -> ByteStream:
        """Opens the stream.

        Raises:
            OSError: when it cannot be opened.
        """

    def connect(self) -> None:
        if (reason := locked_reason()) is not None:
            raise self.connection_error(f"connection to {self.address} refused: {reason}")
        with self.lock:
            if self._socket is not None:
                return
            try:
                self._socket = self.open_stream()
            except OSError as exc:
                self._lost = self.connection_error(
                    f"cannot connect to the device at {self.address}: {exc}; is it switched on and is the address "
                    "in the settings right?"
                )
                self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
                self._next_attempt = time.monotonic() + self._pause
                raise self._lost from exc
            self._lost, self._pause = None, 0.0
            self._buffer = b""
            self.tap.connected()
            if self.banner:
                self.banner_text = self.read()

    def disconnect(self) -> None:
        with self.lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None
            self._buffer = b""

    def is_connected(self) -> bool:
        return self._socket is not None

    def write(self, command: bytes | str) -> None:
        data = command.encode() if isinstance(command, str) else command
        if not data.endswith(self.command_terminator):
            data += self.command_terminator
        with self.lock:
            self._keep_interval()
            sock = self._quiet_socket()
            self.tap.sent(data)
            try:
                sock.sendall(data)
            except OSError as exc:
                self.disconnect()
                raise self.connection_error(f"the connection to {self.address} broke: {exc}") from exc

    def read(self) -> bytes:
        with self.lock:
            sock = self._open_socket()
            deadline = time.monotonic() + self.timeout
            while (length := self.reply_length(self._buffer)) is None:
                self._buffer += self._receive(sock, deadline)
            reply, self._buffer = self._buffer[:length], self._buffer[length:]
            return reply

    def collect(self, wait: float) -> bytes:
        """Returns what comes: the first bytes within `wait` [s], then all until there is a pause."""
        with self.lock:
            sock, self._buffer, answer = self._open_socket(), b"", b""
            sock.settimeout(wait)
            try:
                while data := sock.recv(65536):
                    self.tap.received(data)
                    answer += data
                    sock.settimeout(QUIET)
            except TimeoutError:
                return answer
            self.disconnect()
            return answer

    def _receive(self, sock: ByteStream, deadline: float) -> bytes:
        try:
            sock.settimeout(max(0.001, deadline - time.monotonic()))
            data = sock.recv(65536)
        except TimeoutError as exc:
            # A late answer must not be taken for the answer to the next question.
            self.disconnect()
            raise DeviceTimeoutError(f"no reply from {self.address} within {self.timeout:g} s") from exc
        except OSError as exc:
            self.disconnect()
            raise self.connection_error(f"the connection to {self.address} broke: {exc}") from exc
        if not data:
            self.disconnect()
            raise self.connection_error(f"the device at {self.address} closed the connection")
        self.tap.received(data)
        return data

    def _open_socket(self) -> ByteStream:
        if self._socket is None:
            wait = self._next_attempt - time.monotonic()
            if self._lost is not None and wait > 0:
                raise self.connection_error(f"{self._lost} (the next attempt is in {wait:.1f} s)")
            self.connect()
        if self._socket is None:
            raise self.connection_error(f"not connected to {self.address}")
        return self._socket

    def _keep_interval(self) -> None:
        if self.min_interval:
            pause = self._last_command + self.min_interval - time.monotonic()
            if pause > 0:
                threading.Event().wait(pause)
            self._last_command = time.monotonic()

    def _quiet_socket(self) -> ByteStream:
        """Returns the socket with nothing late in it; a connection closed while idle is made anew, nothing was sent."""
        sock = self._open_socket()
        self._buffer = b""
        sock.settimeout(0)
        try:
            while late := sock.recv(65536):
                self.tap.received(late)
            closed = True
        except BlockingIOError:
            closed = False
        except OSError:
            closed = True
        if closed:
            self.disconnect()
            sock = self._open_socket()
        sock.settimeout(self.timeout)
        return sock


class TCPTransport(StreamTransport):
    """An instrument on a TCP socket.

    Args:
        hostname, port: where the instrument listens.
        options: see `StreamTransport`.
    """

    def __init__(self, hostname: str, port: int, **options: Any) -> None:
        super().__init__(f"{hostname}:{port}", **options)
        self.hostname = hostname
        self.port = port

    def open_stream(self) -> ByteStream:
        stream = socket.create_connection((self.hostname, self.port), timeout=self.timeout)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream
