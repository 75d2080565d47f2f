"""SpaceWire over a Diagnostic SpaceWire Interface (DSI) of 4Links (developer manual, section 15.2.1)."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any, Final

from egse.hardwarelock import refuse_hardware
from egse.rmap import AddressRules
from egse.rmap.constants import RMAP_TIMEOUT
from egse.settings import Settings, SettingsError
from egse.spw.errors import (
    ESLError,
    SpaceWireDisconnectError,
    SpaceWireEscapeError,
    SpaceWireLinkError,
    SpaceWireParityError,
)
from egse.spw.esl import (
    DEFAULT_PORT,
    OVERFLOW_ERROR,
    SETTINGS,
    SHUTDOWN_ERROR,
    TIMEOUT_ERROR,
    ESLConnection,
    ESLLibrary,
    Extension,
    LinkMode,
    Terminator,
)
from egse.spw.interface import EEP, EOP, RMAPLink
from egse.spw.packets import TimecodePacket, is_timecode

DEFAULT_SPEED: Final = 100
"""Speed of the link when the Settings have none [Mbit/s] (assumption; the ports go up to 400)."""

MAX_SPEED: Final = 400
"""Fastest speed of a port [Mbit/s] (developer manual, section 15.1)."""

_SLICE: Final = 500
"""Longest time that one call of the library waits [ms], so that signals are seen in between."""

_LINK_ERRORS: Final[dict[int, tuple[type[SpaceWireLinkError], str]]] = {
    Extension.TIMEOUT: (SpaceWireDisconnectError, "the SpaceWire link was disconnected"),
    Extension.PARITY_ERROR: (SpaceWireParityError, "parity error on the SpaceWire link"),
    Extension.ESC_ESC: (SpaceWireEscapeError, "escape error (ESC ESC) on the SpaceWire link"),
    Extension.ESC_EOP: (SpaceWireEscapeError, "escape error (ESC EOP) on the SpaceWire link"),
    Extension.ESC_EEP: (SpaceWireEscapeError, "escape error (ESC EEP) on the SpaceWire link"),
}


class SpaceWireOverDSI(RMAPLink):
    """A SpaceWire link through one port of a DSI.

        with SpaceWireOverDSI("192.168.1.50", active_link=1) as link:
            link.configure()
            flags, data = link.read_packet(timeout=2000)

    All arguments have their default in the Settings, group `DSI`.

    Args:
        dsi_address: host name or IP address of the DSI (`HOSTNAME`).
        active_link: SpaceWire port, 1..8 (`SPW_LINK`).
        speed: speed of the link [Mbit/s], up to 400 (`LINK_SPEED`).
        port: TCP port of the DSI (`DEVICE_PORT`).
        library: the EtherSpaceLink library: path, resource or name (`ESL_LIBRARY`).
        rules: address rules for RMAP.
        rmap_timeout: time to wait for an RMAP reply [s].

    Attributes:
        link_errors: errors of the link by name since it was opened.

    Raises:
        ESLError: when the library of 4Links is not there.
        ValueError: when port or speed are out of range.
    """

    def __init__(
        self,
        dsi_address: str | None = None,
        active_link: int | None = None,
        speed: int | None = None,
        *,
        port: int | None = None,
        library: str | Path | None = None,
        rules: AddressRules | None = None,
        rmap_timeout: float = RMAP_TIMEOUT,
    ) -> None:
        super().__init__(rules, rmap_timeout)
        settings = _settings()
        self._address = dsi_address or str(settings.get("HOSTNAME", "localhost"))
        self._port = int(settings.get("DEVICE_PORT", DEFAULT_PORT)) if port is None else port
        self._active_link = _checked_link(
            int(settings.get("SPW_LINK", 1) if active_link is None else active_link)
        )
        self._speed = _checked_speed(
            int(settings.get("LINK_SPEED", DEFAULT_SPEED) if speed is None else speed)
        )
        self._library = ESLLibrary(library)
        self._esl: ESLConnection | None = None
        self._timeout: int | None = None
        self.link_errors: Counter[str] = Counter()

    # --- the interface ------------------------------------------------------------------------------------------

    def connect(self) -> None:
        """Opens the connection to the DSI; the SpaceWire port starts with `configure`.

        Raises:
            ESLError: when the DSI does not answer.
        """
        if self._esl is None:
            refuse_hardware(f"DSI at {self._address}")
            address = self._address if self._port == DEFAULT_PORT else f"{self._address}:{self._port}"
            self._esl = self._library.esl_open_connection(address)
            self._timeout = None
            self.link_errors.clear()

    def disconnect(self) -> None:
        esl, self._esl = self._esl, None
        self._pending.clear()
        self._failure = None
        if esl is not None:
            self._library.esl_close_connection(esl)

    def configure(self) -> None:
        """Chooses the port, sets its speed, starts it, and has timecodes and link errors reported.

        Raises:
            ESLError: when the DSI refuses.
        """
        self._library.esl_configure(self._open_link(), self._active_link, self._speed, LinkMode.NORMAL)

    def flush(self) -> None:
        self._pending.clear()
        while self._receive(0)[1]:
            pass

    def send_timecode(self, timecode: int) -> None:
        self._library.esl_send_timecode(self._open_link(), TimecodePacket.from_timecode(timecode).timecode)

    def write_packet(self, data: bytes | memoryview, flags: int = EOP) -> None:
        """Sends one packet.

        Args:
            data: the packet; a timecode packet is sent as timecode.
            flags: how it ends, `EOP` or `EEP`.

        Raises:
            ESLError: when the DSI does not take it.
        """
        if is_timecode(data):
            self.send_timecode(data[1] & 0x3F)
        else:
            terminator = Terminator.EEP if flags == EEP else Terminator.EOP
            self._library.esl_write_packet(self._open_link(), bytes(data), terminator)

    def _receive(self, timeout: int | None) -> tuple[int, bytes]:
        esl = self._open_link()
        deadline = None if timeout is None else time.monotonic() + timeout / 1000
        parts: list[bytes] = []
        while True:
            left = _SLICE if deadline is None else (deadline - time.monotonic()) * 1000
            try:
                terminator, data = self._read(esl, max(1, min(_SLICE, int(left))))
            except ESLError as error:
                if error.code != TIMEOUT_ERROR:
                    raise _link_error(error) from error
                if deadline is not None and time.monotonic() >= deadline:
                    return EOP, b""
                continue
            parts.append(data)
            if terminator in (Terminator.EOP, Terminator.EEP):
                return (EEP if terminator == Terminator.EEP else EOP), b"".join(parts)
            if terminator == Terminator.EXTN:
                timecode = self._extension(b"".join(parts))
                if timecode is not None:
                    return EOP, timecode
            if terminator in (Terminator.EXTN, Terminator.SPECIAL):
                parts.clear()

    def _read(self, esl: ESLConnection, milliseconds: int) -> tuple[int, bytes]:
        if milliseconds != self._timeout:
            self._library.esl_set_rx_timeout(esl, milliseconds)
            self._timeout = milliseconds
        return self._library.esl_read_packet(esl)

    def _extension(self, data: bytes) -> bytes | None:
        """Returns a timecode packet, or None for what is of no interest; raises errors of the link."""
        if is_timecode(data):
            return data
        if data and data[0] in _LINK_ERRORS:
            kind, text = _LINK_ERRORS[data[0]]
            self.link_errors[kind.__name__] += 1
            raise kind(f"{text} (DSI {self._address}, port {self._active_link})")
        return None

    # --- the DSI ------------------------------------------------------------------------------------------------

    @property
    def active_link(self) -> int:
        """SpaceWire port in use, 1..8; setting it configures the other one when the link is open."""
        return self._active_link

    @active_link.setter
    def active_link(self, link: int) -> None:
        number = _checked_link(link)
        if self._esl is not None:
            count = self._library.esl_get_number_of_links(self._esl)
            if number > count:
                raise ValueError(f"the DSI at {self._address} has {count} ports, there is no port {number}")
        self._active_link = number
        if self._esl is not None:
            self.configure()

    @property
    def speed(self) -> int:
        """Transmit speed of the link [Mbit/s]; setting it takes effect at once when the link is open."""
        return self._speed

    @speed.setter
    def speed(self, speed: int) -> None:
        self._speed = _checked_speed(speed)
        if self._esl is not None:
            self._library.esl_set_speed(self._esl, self._speed)
            self._library.esl_flush(self._esl)

    @property
    def receive_speed(self) -> int:
        """Speed at which the other end sends, as measured by the DSI [Mbit/s]."""
        return self._library.esl_get_receive_speed(self._open_link())

    @property
    def is_connected(self) -> bool:
        """True when the DSI is open and its SpaceWire port is running."""
        return self._esl is not None and self._library.esl_link_connected(self._esl)

    @property
    def is_running(self) -> bool:
        return self.is_connected

    def get_speed(self) -> int:
        """Returns `speed` [Mbit/s]."""
        return self.speed

    def set_speed(self, speed: int) -> None:
        """Sets `speed` [Mbit/s]."""
        self.speed = speed

    def get_active_link(self) -> int:
        """Returns `active_link`."""
        return self.active_link

    def set_active_link(self, link: int) -> None:
        """Sets `active_link`."""
        self.active_link = link

    def __str__(self) -> str:
        text = f"DSI at {self._address}:{self._port}, port {self._active_link}, {self._speed} Mbit/s"
        if self._esl is None:
            return f"{text}, not connected"
        links = self._library.esl_get_number_of_links(self._esl)
        state = "running" if self.is_connected else "not running"
        return f"{self._library.esl_get_product_string(self._esl)} ({links} ports), {text}, link {state}"

    def _open_link(self) -> ESLConnection:
        if self._esl is None:
            raise SpaceWireLinkError(f"the SpaceWire link through the DSI at {self._address} is not open")
        return self._esl


def _settings() -> dict[str, Any]:
    try:
        return dict(Settings.load(SETTINGS))
    except SettingsError:
        return {}


def _link_error(error: ESLError) -> SpaceWireLinkError:
    if error.code == SHUTDOWN_ERROR:
        return SpaceWireDisconnectError(f"the DSI closed the connection: {error}")
    if error.code == OVERFLOW_ERROR:
        return ESLError(f"a packet does not fit: {error}", error.code)
    return error


def _checked_link(link: int) -> int:
    if not 1 <= link <= 8:
        raise ValueError(f"a DSI has SpaceWire ports 1 to 8, got {link}")
    return link


def _checked_speed(speed: int) -> int:
    if not 2 <= speed <= MAX_SPEED:
        raise ValueError(f"the speed of a SpaceWire link is 2 to {MAX_SPEED} Mbit/s here, got {speed}")
    return speed
