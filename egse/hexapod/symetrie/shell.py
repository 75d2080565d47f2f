"""The wire of the Alpha+ controller: a Power PMAC behind a telnet-like login (device reference, sections 2.1 and 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from egse.clock import Clock
from egse.device import DeviceError, DeviceTransport, ReplyLength
from egse.hexapod import HexapodError
from egse.hexapod.symetrie.answers import to_numbers, wait_for_register
from egse.hexapod.symetrie.states import RETURN_CODES
from egse.instrument import NetworkInterface, Wire
from egse.settings import Settings, SettingsError
from egse.simulator import DeviceModel, MemoryTransport

PORT = 23
LOGIN, PASSWORD, PROMPT = b"login: ", b"Password: ", b"ppmac# "
END = b"\x06\r\n"
FACTORY = ("root", "deltatau")
"""User and password as delivered."""
POLL_INTERVAL, POLL_LIMIT = 0.01, 2.0
"""The command register is read so often, and so long [s]."""


def _after(*ends: bytes) -> ReplyLength:
    """Returns the rule for what ends with one of several texts."""

    def length(data: bytes) -> int | None:
        return len(data) if data.endswith(ends) else None

    return length


class GpasciiSession(DeviceTransport):
    """Logs in and starts the command interpreter whenever a connection is made; goes before a transport.

    Attributes:
        credentials: user name and password.
    """

    credentials: tuple[str, str] = FACTORY
    reply_length: ReplyLength

    def connect(self) -> None:
        """Connects and logs in.

        Raises:
            DeviceConnectionError: when nothing can be reached, or the login is refused.
        """
        with self.lock:
            if self.is_connected():
                return
            super().connect()  # type: ignore[safe-super]  # of the transport that it goes before
            try:
                self._log_in()
            except DeviceError:
                self.disconnect()
                raise

    def _log_in(self) -> None:
        user, password = self.credentials
        self._expect(LOGIN)
        self.write(user)
        self._expect(PASSWORD)
        self.write(password)
        if not self._expect(PROMPT, LOGIN).endswith(PROMPT):
            raise self.connection_error(
                f"the hexapod controller does not let {user!r} in: check USER_NAME and PASSWORD in the settings"
            )
        for line in ("gpascii -2", "echo7"):
            self.write(line)
            self._expect(END)

    def _expect(self, *ends: bytes) -> bytes:
        usual, self.reply_length = self.reply_length, _after(*ends)
        try:
            return self.read()
        finally:
            self.reply_length = usual


class AlphaPlusTelnetInterface(GpasciiSession, NetworkInterface):
    """The network port of the controller; user and password are `USER_NAME` and `PASSWORD` of the settings block."""

    def __init__(self, hostname: str | None = None, port: int | None = None, **options: Any) -> None:
        super().__init__(hostname, port, **options)
        self.credentials = credentials(self.wire.settings)


class AlphaPlusMemory(GpasciiSession, MemoryTransport):
    """The same to a model in this process."""


@dataclass(frozen=True)
class ShellWire(Wire):
    """How an Alpha+ controller is reached."""

    command_end: bytes = b"\r\n"
    reply_end: bytes = END
    timeout: float = 2.0

    def to_model(self, model: DeviceModel, clock: Clock) -> MemoryTransport:
        """Returns the way to a model in this process."""
        return AlphaPlusMemory(
            model,
            clock,
            timeout=self.timeout,
            command_terminator=self.command_end,
            reply_terminator=self.reply_end,
        )


def credentials(settings: str) -> tuple[str, str]:
    """Returns user name and password of a settings block, those of the factory when there are none."""
    try:
        block = Settings.load(settings)
    except SettingsError:
        return FACTORY
    return str(block.get("USER_NAME", FACTORY[0])), str(block.get("PASSWORD", FACTORY[1]))


def ask(transport: DeviceTransport, line: str) -> list[str]:
    """Sends one line and returns the values of its answer.

    Raises:
        HexapodError: when the controller refuses the line.
    """
    response = transport.query(line)
    lines = response.decode("ascii", errors="replace").split("\r\n")[:-2]
    if lines and lines[0] == line:
        del lines[0]
    for text in lines:
        if "error #" in text:
            raise HexapodError(f"the controller refused {line!r}: {text}")
    return lines


def parameters(count: int) -> str:
    """Returns the query of the first results of a command."""
    return "c_par(0)" if count == 1 else f"c_par(0),{count},1"


def command(transport: DeviceTransport, line: str, clock: Clock, count: int = 0) -> list[float]:
    """Sends a line that ends with a write to `c_cmd`, and waits until the controller has executed or accepted it.

    Args:
        transport: the way to the controller.
        line: parameters, then `c_cmd=C_NAME`.
        clock: of the pauses between two looks at the register.
        count: how many results there are.

    Returns:
        The results.

    Raises:
        HexapodError: when the controller refuses the command, with its reason, or does not take it.
    """
    with transport.lock:
        ask(transport, line)
        code = wait_for_register(
            lambda: to_numbers(ask(transport, "c_cmd"), int, 1)[0], clock, POLL_INTERVAL, POLL_LIMIT, line
        )
        if code < 0:
            reason = RETURN_CODES.get(code, "unknown return code")
            raise HexapodError(f"the controller refused {line!r}: {reason} (c_cmd = {code})")
        return to_numbers(ask(transport, parameters(count)), float, count) if count else []
