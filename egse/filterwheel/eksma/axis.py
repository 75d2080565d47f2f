"""One axis of a Standa controller: through the protocol on any transport, or through the manufacturer's library."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace
from typing import Any, Protocol

from egse.device import DeviceConnectionError, DeviceError, DeviceTransport
from egse.filterwheel.eksma.ximc import (
    BAD_CRC,
    BAD_VALUE,
    INFORMATION,
    LETTERS,
    SERIAL,
    STATUS,
    STATUS_FIELDS,
    TARGET,
    UNKNOWN,
    AxisStatus,
    with_crc,
)
from egse.hardwarelock import locked_reason
from egse.response import register_error

LIBRARY = "ximc:"
"""Begin of a `DEVICE_RESOURCE` that is reached through the manufacturer's library."""
_REASONS = {
    UNKNOWN: "it does not know the command",
    BAD_CRC: "the checksum was wrong",
    BAD_VALUE: "the value is not acceptable",
}


@register_error
class FilterWheelError(DeviceError):
    """A filter wheel did not do what it was told, or gave an answer that makes no sense."""


class Axis(Protocol):
    """What can be done with an axis."""

    def identity(self) -> str:
        """Returns manufacturer, product and serial number."""

    def status(self) -> AxisStatus:
        """Returns its state."""

    def move(self, steps: int) -> None:
        """Starts a motion to a position [full steps]."""

    def home(self) -> None:
        """Starts the search for the reference."""

    def zero(self) -> None:
        """Makes the present position 0."""

    def stop(self) -> None:
        """Stops at once."""


class LineAxis:
    """An axis whose controller is spoken to in its own protocol.

    Args:
        transport: with the framing of `ximc`.
    """

    def __init__(self, transport: DeviceTransport) -> None:
        self.transport = transport

    def identity(self) -> str:
        """Returns manufacturer, product and serial number."""
        maker, _, product, major, minor, release = INFORMATION.unpack(self._get(b"geti"))
        (serial,) = SERIAL.unpack(self._get(b"gser"))
        return f"{_text(maker)} {_text(product)} {serial} {major}.{minor}.{release}"

    def status(self) -> AxisStatus:
        """Returns its state."""
        values = STATUS.unpack(self._get(b"gets"))
        return AxisStatus.of(SimpleNamespace(**dict(zip(STATUS_FIELDS, values, strict=True))))

    def move(self, steps: int) -> None:
        """Starts a motion to a position [full steps]."""
        self._do(b"move", TARGET.pack(steps, 0))

    def home(self) -> None:
        """Starts the search for the reference."""
        self._do(b"home")

    def zero(self) -> None:
        """Makes the present position 0."""
        self._do(b"zero")

    def stop(self) -> None:
        """Stops at once."""
        self._do(b"stop")

    def _do(self, code: bytes, payload: bytes = b"") -> None:
        self._answer(code, code + with_crc(payload) if payload else code)

    def _get(self, code: bytes) -> bytes:
        answer = self._answer(code, code)[LETTERS:]
        payload = answer[:-2]
        if with_crc(payload) != answer:
            self.transport.disconnect()  # whatever else is in it
            raise FilterWheelError(f"the answer to {code.decode()} has a wrong checksum")
        return payload

    def _answer(self, code: bytes, command: bytes) -> bytes:
        answer = self.transport.trans(command)
        if answer[:LETTERS] == code:
            return answer
        reason = _REASONS.get(answer[:LETTERS])
        self.transport.disconnect()
        if reason is None:
            raise FilterWheelError(f"the controller answered {answer!r} to {code.decode()}")
        raise FilterWheelError(f"the controller refused {code.decode()}: {reason}")


class LibraryAxis(DeviceTransport):
    """An axis that the manufacturer's library reaches; it is loaded when the axis is connected, not before.

    A library that is missing is an error of this device, and of nobody else (manual, section 28.1).

    Args:
        uri: as the library wants it: `xi-com:///dev/ttyACM0`, `xi-net://host/serial`, `xi-tcp://host:port`.
    """

    def __init__(self, uri: str) -> None:
        super().__init__()
        self.uri = uri
        self._axis: Any = None

    def connect(self) -> None:
        with self.lock:
            if self._axis is not None:
                return
            if (reason := locked_reason()) is not None:
                raise DeviceConnectionError(f"connection to {self.uri} refused: {reason}")
            try:
                library = import_module("libximc.highlevel")
            except (
                ImportError,
                OSError,
                SystemExit,
            ) as exc:  # it ends the process where its files are missing
                raise DeviceConnectionError(
                    f"the library of the filter wheels cannot be loaded: {exc}; install it (pip install libximc, and "
                    "its shared libraries in LD_LIBRARY_PATH), or leave `ximc:` out of DEVICE_RESOURCE to do without"
                ) from exc
            axis = library.Axis(self.uri)
            try:
                axis.open_device()
            except (ConnectionError, RuntimeError, OSError) as exc:
                raise DeviceConnectionError(f"cannot open the filter wheel at {self.uri}: {exc}") from exc
            self._axis = axis

    def disconnect(self) -> None:
        with self.lock:
            if self._axis is not None:
                self._axis.close_device()
                self._axis = None

    def is_connected(self) -> bool:
        return self._axis is not None

    def write(self, command: bytes | str) -> None:
        raise FilterWheelError("the manufacturer's library sends no bytes of others")

    def read(self) -> bytes:
        raise FilterWheelError("the manufacturer's library does not give the bytes it receives")

    def identity(self) -> str:
        """Returns manufacturer, product and serial number."""
        found = self._call("get_device_information")
        serial = self._call("get_serial_number")
        return f"{found.Manufacturer} {found.ProductDescription} {serial} {found.Major}.{found.Minor}.{found.Release}"

    def status(self) -> AxisStatus:
        """Returns its state."""
        return AxisStatus.of(self._call("get_status"))

    def move(self, steps: int) -> None:
        """Starts a motion to a position [full steps]."""
        self._call("command_move", steps, 0)

    def home(self) -> None:
        """Starts the search for the reference."""
        self._call("command_home")

    def zero(self) -> None:
        """Makes the present position 0."""
        self._call("command_zero")

    def stop(self) -> None:
        """Stops at once."""
        self._call("command_stop")

    def _call(self, name: str, *arguments: Any) -> Any:
        with self.lock:
            self.connect()
            try:
                return getattr(self._axis, name)(*arguments)
            except (ConnectionError, RuntimeError, ValueError, NotImplementedError) as exc:
                self.disconnect()
                raise FilterWheelError(f"{name} failed: {exc}") from exc


def axis_of(transport: DeviceTransport) -> Axis:
    """Returns the axis at the end of a transport."""
    return transport if isinstance(transport, LibraryAxis) else LineAxis(transport)


def _text(field: bytes) -> str:
    return field.rstrip(b"\0 ").decode("ascii", "replace")
