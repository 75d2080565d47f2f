"""Instruments on other ports than TCP: serial lines, also virtual ones over USB, and whatever VISA reaches.

The entry `DEVICE_RESOURCE` in the settings block of a control server says where the instrument is, instead of
`DEVICE_HOSTNAME` and `DEVICE_PORT`:

    serial:/dev/ttyUSB0?baud=115200&rtscts=1        a serial line, or any URL that pyserial understands
    visa:USB0::0x1313::0x8079::P1000000::INSTR      any VISA resource; ?library=@py picks a VISA library
    tcp:192.168.1.20:5025                           the same as hostname and port

pyserial and pyvisa are asked for when the instrument is connected: `pip install 'camtest[usb]'`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl

from egse.device import ByteStream, DeviceConnectionError, DeviceTransport, StreamTransport, TCPTransport
from egse.settings import SettingsError

EXTRA = "pip install 'camtest[usb]'"
SERIAL_OPTIONS: dict[str, Callable[[str], Any]] = {
    "baud": int,
    "bytesize": int,
    "parity": str,
    "stopbits": float,
    "rtscts": lambda text: bool(int(text)),
    "xonxoff": lambda text: bool(int(text)),
    "dsrdtr": lambda text: bool(int(text)),
}
"""Options behind `serial:PORT?`: name -> how its text is read."""


def _library(name: str, distribution: str) -> Any:
    """Imports an optional library."""
    try:
        return import_module(name)
    except ImportError as exc:
        raise DeviceConnectionError(f"{distribution} is not installed: {EXTRA}") from exc


class _SerialStream:
    """A serial port that behaves like a socket."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def settimeout(self, value: float, /) -> None:
        self._port.timeout = value

    def recv(self, size: int, /) -> bytes:
        data: bytes = self._port.read(max(1, min(size, self._port.in_waiting)))
        if not data:
            raise BlockingIOError if self._port.timeout == 0 else TimeoutError
        return data

    def sendall(self, data: bytes, /) -> None:
        self._port.write(data)
        self._port.flush()

    def close(self) -> None:
        self._port.close()


class SerialTransport(StreamTransport):
    """An instrument on a serial line.

    Args:
        url: device file (`/dev/ttyUSB0`) or URL of pyserial (`socket://host:port`, `hwgrep://KSC101`).
        baud: rate [bit/s].
        bytesize, parity, stopbits, rtscts, xonxoff, dsrdtr: as in pyserial; default 8N1 without flow control.
        options: see `StreamTransport`.
    """

    def __init__(
        self,
        url: str,
        *,
        baud: int = 9600,
        bytesize: int = 8,
        parity: str = "N",
        stopbits: float = 1,
        rtscts: bool = False,
        xonxoff: bool = False,
        dsrdtr: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(url, **options)
        self._line = {
            "baudrate": baud,
            "bytesize": bytesize,
            "parity": parity,
            "stopbits": stopbits,
            "rtscts": rtscts,
            "xonxoff": xonxoff,
            "dsrdtr": dsrdtr,
        }

    def open_stream(self) -> ByteStream:
        serial = _library("serial", "pyserial")
        try:
            port = serial.serial_for_url(
                self.address, timeout=self.timeout, write_timeout=self.timeout, **self._line
            )
        except ValueError as exc:
            raise DeviceConnectionError(str(exc)) from exc
        port.reset_input_buffer()
        return _SerialStream(port)


class _VisaStream:
    """A VISA resource that behaves like a socket."""

    def __init__(self, resource: Any, errors: Any) -> None:
        self._resource = resource
        self._errors = errors
        self._timeout = 0.0

    def settimeout(self, value: float, /) -> None:
        self._timeout = value

    def recv(self, size: int, /) -> bytes:
        if self._timeout == 0:  # a message that nobody has asked for cannot be looked for here
            raise BlockingIOError
        self._resource.timeout = max(1, round(1000 * self._timeout))
        try:
            data: bytes = self._resource.read_raw()
        except self._errors.VisaIOError as exc:
            if exc.error_code == self._errors.StatusCode.error_timeout:
                raise TimeoutError from exc
            raise OSError(str(exc)) from exc
        return data

    def sendall(self, data: bytes, /) -> None:
        try:
            self._resource.write_raw(data)
        except self._errors.VisaIOError as exc:
            raise OSError(str(exc)) from exc

    def close(self) -> None:
        self._resource.close()  # not its manager, which all resources of this process share


class VisaTransport(StreamTransport):
    """An instrument that VISA reaches: USBTMC, GPIB, VXI-11, a socket, a serial line.

    Args:
        resource: `USB0::0x1313::0x8079::P1000000::INSTR`, `TCPIP0::host::5025::SOCKET`, ...
        library: for `pyvisa.ResourceManager`: `@py`, `@ivi`, a path; that of the system when empty, else pyvisa-py.
        options: see `StreamTransport`; replies must end with a terminator.
    """

    def __init__(
        self, resource: str, *, library: str = "", reply_terminator: bytes = b"\n", **options: Any
    ) -> None:
        super().__init__(resource, reply_terminator=reply_terminator, **options)
        self._library = library
        self._terminator = reply_terminator.decode("latin-1")

    def open_stream(self) -> ByteStream:
        visa = _library("pyvisa", "pyvisa")
        try:
            manager = visa.ResourceManager(self._library)
            resource = manager.open_resource(
                self.address, open_timeout=round(1000 * self.timeout), read_termination=self._terminator
            )
        except Exception as exc:  # VISA libraries raise whatever comes, also bare Exceptions
            raise DeviceConnectionError(str(exc)) from exc
        if self.address.upper().endswith("::INSTR"):
            resource.clear()  # an answer that came too late for the one before
        return _VisaStream(resource, visa.errors)


def open_resource(resource: str, **options: Any) -> DeviceTransport:
    """Returns the way to an instrument, not connected yet.

    Args:
        resource: see above.
        options: see `StreamTransport`.

    Raises:
        SettingsError: when the text makes no sense.
    """
    kind, _, rest = resource.partition(":")
    place, _, query = rest.partition("?")
    given = dict(parse_qsl(query, keep_blank_values=True))
    try:
        match kind:
            case "serial" if place:
                return SerialTransport(
                    place, **{name: SERIAL_OPTIONS[name](text) for name, text in given.items()}, **options
                )
            case "visa" if place and set(given) <= {"library"}:
                return VisaTransport(place, library=given.get("library", ""), **options)
            case "tcp" if place and not given:
                hostname, _, port = place.rpartition(":")
                return TCPTransport(hostname, int(port), **options)
    except (KeyError, ValueError) as exc:
        raise SettingsError(f"DEVICE_RESOURCE {resource!r} makes no sense: {exc}") from exc
    raise SettingsError(
        f"DEVICE_RESOURCE {resource!r} makes no sense: expected serial:PORT?baud=..., visa:RESOURCE or tcp:HOST:PORT"
    )
