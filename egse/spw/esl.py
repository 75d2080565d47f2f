"""The EtherSpaceLink library of 4Links, function by function: it drives a Diagnostic SpaceWire Interface (DSI).

The library is not ours and is not delivered with this software. It is looked for where the Settings say (`DSI:
ESL_LIBRARY`: a path, a resource such as `:/lib/libEtherSpaceLink.so`, or a name for the system's loader), and else among
the resources as `:/lib/*EtherSpaceLink*`.

Names of functions and numbers are those of the library's interface. The connection is an opaque pointer: the layout of
its structure changes between versions of the library and nothing here depends on it. A function that a version lacks is
missed only when it is called.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint8, c_uint32, c_void_p
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import Any, Final

from egse.resource import ResourceError, get_resource
from egse.settings import Settings, SettingsError
from egse.spw.errors import ESLError

SETTINGS: Final = "DSI"
DEFAULT_PORT: Final = 4949
"""TCP port on which a DSI listens (developer manual, section 15.1)."""

RX_BUFFER: Final = 1 << 17
"""Size of the buffer for one packet or part of one [bytes]."""

READ_FLAGS: Final = 0x22
"""Extension data (timecodes, link errors) and special data are returned as packets of their own."""


class Terminator(IntEnum):
    """How a packet, or a part of one, ended."""

    EEP = 0x101
    EOP = 0x102
    PART_EOP_EEP = 1000
    SPECIAL = 1003
    PART_SPECIAL = 1004
    EXTN = 1005
    PART_EXTN = 1006


class LinkMode(IntEnum):
    """Mode of a SpaceWire port."""

    DISABLED = 1
    NORMAL = 2
    LEGACY = 4
    MASTER = 6


class Extension(IntEnum):
    """First byte of extension data: lower half of the extension codes."""

    ESC_EEP = 0x05
    ESC_EOP = 0x06
    ESC_ESC = 0x07
    TIMEOUT = 0x08
    PARITY_ERROR = 0x09
    TIMECODE = 0x91


class Report(IntEnum):
    """Events that are reported as extension data."""

    TIMEOUT = 0x000100
    ESC_ESC = 0x000200
    ESC_EEP = 0x000400
    ESC_EOP = 0x000800
    PARITY_ERROR = 0x001000
    TIME_CODE = 0x008080


ALL_REPORTS: Final = sum(Report)

TIMEOUT_ERROR: Final = 10
SHUTDOWN_ERROR: Final = 989
OVERFLOW_ERROR: Final = 999
ERROR_NAMES: Final[dict[int, str]] = {
    1: "record file cannot be opened",
    2: "record file cannot be written",
    3: "log file cannot be opened",
    4: "log file cannot be written",
    TIMEOUT_ERROR: "time-out",
    980: "speed cannot be set",
    SHUTDOWN_ERROR: "receiver was shut down",
    998: "send buffer cannot be flushed",
    OVERFLOW_ERROR: "packet is larger than the buffer",
}
"""Error codes of the library."""

_PROTOTYPES: Final[dict[str, tuple[Any, ...]]] = {  # result, arguments after the connection
    "get_version": (c_char_p,),
    "open": (c_void_p, c_char_p),
    "close": (None, c_void_p),
    "flush": (c_int, c_void_p),
    "shutdown": (None, c_void_p),
    "link_connected": (c_int, c_void_p),
    "set_active_link": (c_int, c_void_p, c_int),
    "set_speed": (c_int, c_void_p, c_int),
    "set_mode": (c_int, c_void_p, c_int),
    "send_timecode": (c_int, c_void_p, c_uint8),
    "set_rx_timeout": (None, c_void_p, c_int),
    "set_rx_timeout_action": (None, c_void_p, c_int),
    "get_receive_speed": (c_int, c_void_p),
    "get_error": (c_int, c_void_p),
    "get_number_of_links": (c_int, c_void_p),
    "get_manufacturer_string": (c_char_p, c_void_p),
    "get_product_string": (c_char_p, c_void_p),
    "read_packet_full": (c_int, c_void_p, c_void_p, c_int, POINTER(c_int), c_int),
    "write_packet": (c_int, c_void_p, c_char_p, c_size_t, c_uint32),
    "ER_enable_reporting": (c_int, c_void_p, c_int),
}

ESLConnection = int
"""Address of the library's structure of an open connection."""


def find_library(locator: str | Path | None = None) -> str:
    """Returns what the loader is to load.

    Args:
        locator: path, resource or name of the library; that of the Settings when not given.

    Raises:
        ESLError: when there is none, with what to do.
    """
    if locator is None:
        try:
            locator = Settings.load(SETTINGS).get("ESL_LIBRARY")
        except SettingsError:
            locator = None
    wanted = str(locator or ":/lib/*EtherSpaceLink*")
    try:
        found = str(get_resource(wanted)) if wanted.startswith(":/") else str(Path(wanted).expanduser())
    except ResourceError as error:
        raise ESLError(_absent(wanted, str(error))) from error
    if "/" in found and not Path(found).is_file():
        raise ESLError(_absent(wanted, "there is no such file"))
    return found


def _absent(wanted: str, why: str) -> str:
    return (
        f"the EtherSpaceLink library of 4Links is not here: {wanted}: {why}. It comes with the DSI: copy the shared "
        "library of your system from the delivery and name its path in the local settings, 'DSI: ESL_LIBRARY: PATH'; "
        "without a DSI use the simulator ('n_fee_sim start')"
    )


@cache
def load_library(path: str) -> ctypes.CDLL:
    """Loads the library, once per process.

    Raises:
        ESLError: when it cannot be loaded.
    """
    try:
        return ctypes.CDLL(path)
    except OSError as error:
        raise ESLError(_absent(path, f"it cannot be loaded: {error}")) from error


class ESLLibrary:
    """The functions of the library with Python types; what they refuse is raised.

    Args:
        locator: see `find_library`.

    Raises:
        ESLError: when the library is not there.
    """

    def __init__(self, locator: str | Path | None = None) -> None:
        self.path = find_library(locator)
        self._library = load_library(self.path)
        self._buffer = ctypes.create_string_buffer(RX_BUFFER)
        self._terminator = c_int(0)

    def _call(self, name: str, *arguments: Any) -> Any:
        symbol = f"EtherSpaceLink_{name}"
        try:
            function = getattr(self._library, symbol)
        except AttributeError:
            raise ESLError(f"{self.path} has no function {symbol}: another version is needed") from None
        function.restype, *function.argtypes = _PROTOTYPES[name]
        return function(*arguments)

    def _checked(self, name: str, esl: ESLConnection, *arguments: Any) -> None:
        if self._call(name, esl, *arguments):
            raise self._error(name, esl)

    def _error(self, name: str, esl: ESLConnection) -> ESLError:
        code = self.esl_get_error(esl)
        return ESLError(f"EtherSpaceLink_{name}: {ERROR_NAMES.get(code, 'unknown error')} [{code}]", code)

    def esl_get_version(self) -> str:
        """Returns the version of the library."""
        return _text(self._call("get_version"))

    def esl_open_connection(self, address: str) -> ESLConnection:
        """Opens a connection to the DSI at a host name or IP address (`host:port` for another port than 4949).

        Raises:
            ESLError: when there is no answer.
        """
        esl = self._call("open", address.encode())
        if not esl:
            raise ESLError(
                f"no DSI answers at {address} (TCP port {DEFAULT_PORT}): is it switched on, is the address in the "
                "local settings right ('DSI: HOSTNAME'), is another process connected to it?"
            )
        return int(esl)

    def esl_close_connection(self, esl: ESLConnection) -> None:
        """Closes a connection."""
        self._call("close", esl)

    def esl_flush(self, esl: ESLConnection) -> None:
        """Sends what is queued."""
        self._checked("flush", esl)

    def esl_set_active_link(self, esl: ESLConnection, link: int) -> None:
        """Chooses the SpaceWire port, 1..8, that the other functions act on."""
        self._checked("set_active_link", esl, link)

    def esl_set_speed(self, esl: ESLConnection, speed: int) -> None:
        """Sets the transmit speed of the active port [Mbit/s]."""
        self._checked("set_speed", esl, speed)

    def esl_get_receive_speed(self, esl: ESLConnection) -> int:
        """Returns the receive speed of the active port [Mbit/s]; it is measured by the interface."""
        speed = int(self._call("get_receive_speed", esl))
        if speed < 0:
            raise self._error("get_receive_speed", esl)
        return speed

    def esl_set_mode(self, esl: ESLConnection, mode: LinkMode) -> None:
        """Sets the mode of the active port; it is disabled when a connection is opened."""
        self._checked("set_mode", esl, int(mode))

    def esl_er_enable_reporting(self, esl: ESLConnection, reports: int = ALL_REPORTS) -> None:
        """Chooses the events that come as extension data (see `Report`)."""
        self._checked("ER_enable_reporting", esl, reports)

    def esl_configure(self, esl: ESLConnection, active_link: int, speed: int, mode: LinkMode) -> None:
        """Chooses the port, sets its speed and mode, and has time-outs and link errors reported."""
        self.esl_set_active_link(esl, active_link)
        self.esl_set_speed(esl, speed)
        self.esl_set_mode(esl, mode)
        self.esl_er_enable_reporting(esl)
        self._call("set_rx_timeout_action", esl, 1)
        self.esl_flush(esl)

    def esl_link_connected(self, esl: ESLConnection) -> bool:
        """Returns True when the active port is running."""
        return bool(self._call("link_connected", esl))

    def esl_get_number_of_links(self, esl: ESLConnection) -> int:
        """Returns how many SpaceWire ports the interface has."""
        return int(self._call("get_number_of_links", esl))

    def esl_get_product_string(self, esl: ESLConnection) -> str:
        """Returns maker and name of the interface."""
        parts = [_text(self._call(f"get_{what}_string", esl)) for what in ("manufacturer", "product")]
        return " ".join(part for part in parts if part)

    def esl_get_error(self, esl: ESLConnection) -> int:
        """Returns the last error code (see `ERROR_NAMES`)."""
        return int(self._call("get_error", esl))

    def esl_send_timecode(self, esl: ESLConnection, timecode: int) -> None:
        """Sends a timecode, 0..63."""
        self._checked("send_timecode", esl, timecode)
        self.esl_flush(esl)

    def esl_set_rx_timeout(self, esl: ESLConnection, milliseconds: int) -> None:
        """Sets how long a read waits [ms]."""
        self._call("set_rx_timeout", esl, milliseconds)

    def esl_read_packet(self, esl: ESLConnection) -> tuple[int, bytes]:
        """Reads a packet or a part of one.

        Returns:
            (terminator, data), see `Terminator`.

        Raises:
            ESLError: with code 10 when nothing came in time.
        """
        size = self._call(
            "read_packet_full", esl, self._buffer, RX_BUFFER, ctypes.byref(self._terminator), READ_FLAGS
        )
        if size < 0:
            raise self._error("read_packet_full", esl)
        return self._terminator.value, ctypes.string_at(self._buffer, size)

    def esl_write_packet(self, esl: ESLConnection, data: bytes, terminator: int = Terminator.EOP) -> None:
        """Sends a packet."""
        self._checked("write_packet", esl, data, len(data), int(terminator))
        self.esl_flush(esl)


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode(errors="replace")
