"""The log manager: `log_cs start|stop|status`.

All processes push their log records to it (`egse.logger.setup_logging`); it writes them to `general.log` in the folder
that `PLATO_LOG_FILE_LOCATION` names, and shows INFO and above on its console.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import zmq

from egse.command import CommandError, dynamic_interface
from egse.control import ControlServerApp, PortInUseError, ServerContext
from egse.control_cli import port_lines
from egse.env import get_log_file_location
from egse.logger.handler import receiver_endpoint
from egse.logger.receiver import LogReceiver, RotatingLog
from egse.protocol import Protocol
from egse.proxy import DynamicProxy
from egse.security.roles import observe

LOGGER = logging.getLogger(__name__)


class LogManagerInterface:
    """Commands of the log manager."""

    @observe
    @dynamic_interface
    def get_log_file(self) -> str:
        """Returns the path of the current log file."""

    @observe
    @dynamic_interface
    def get_statistics(self) -> dict[str, Any]:
        """Returns how many records were received, malformed, missing and not written, and how many of each level."""

    @dynamic_interface
    def set_echo_level(self, level: str) -> str:
        """Sets from which level on records are shown on the console of the log manager.

        Args:
            level: "DEBUG", "INFO", "WARNING", "ERROR" or "CRITICAL".
        """


class LogManagerProxy(DynamicProxy, LogManagerInterface):
    """Client of the log manager."""

    settings_name = "Logging Control Server"
    server_name = "log_cs"


class LogManagerController(LogManagerInterface):
    """The log manager.

    Args:
        endpoint: where records are received.
        path: the log file.
        max_size: size at which a new file is begun [bytes].
        backups: how many old files are kept.
    """

    def __init__(self, endpoint: str, path: Path, max_size: int, backups: int) -> None:
        self._endpoint = endpoint
        self._path = path
        try:
            self._receiver = LogReceiver(endpoint, RotatingLog(path, max_size, backups), own_process="log_cs")
        except zmq.ZMQError as exc:
            raise PortInUseError("log_cs", "receiver", endpoint) from exc

    def start(self) -> None:
        """Starts receiving."""
        self._receiver.start()

    def close(self) -> None:
        """Writes what has arrived and ends."""
        self._receiver.end()
        if self._receiver.is_alive():
            self._receiver.join(3.0)

    def get_log_file(self) -> str:
        return str(self._path)

    def get_statistics(self) -> dict[str, Any]:
        receiver = self._receiver
        levels = {logging.getLevelName(level): count for level, count in sorted(receiver.by_level.items())}
        return {
            "endpoint": self._endpoint,
            "received": receiver.received,
            "malformed": receiver.malformed,
            "missing": receiver.missing,
            "unwritten": receiver.unwritten,
            "levels": levels,
        }

    def set_echo_level(self, level: str) -> str:
        number = logging.getLevelNamesMapping().get(level.upper())
        if number is None:
            raise CommandError(f"{level!r} is no logging level; use DEBUG, INFO, WARNING, ERROR or CRITICAL")
        self._receiver.echo_level = number
        return logging.getLevelName(number)


class LogManagerProtocol(Protocol):
    """Housekeeping and status of the log manager."""

    controller: LogManagerController

    def start(self) -> None:
        """Starts receiving."""
        self.controller.start()

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns the counters."""
        figures = self.controller.get_statistics()
        return {
            f"LOG_{name.upper()}": figures[name] for name in ("received", "malformed", "missing", "unwritten")
        }

    def get_status(self) -> dict[str, Any]:
        """Returns log file and counters."""
        return {"log file": self.controller.get_log_file(), "records": self.controller.get_statistics()}

    def quit(self) -> None:
        """Ends the receiver."""
        self.controller.close()


def make_controller(ctx: ServerContext) -> LogManagerController:
    """Returns the log manager of this site."""
    settings = ctx.settings
    return LogManagerController(
        receiver_endpoint(),
        get_log_file_location() / settings.get("FILENAME", "general.log"),
        int(settings.get("MAX_FILE_SIZE", 20_000_000)),
        int(settings.get("BACKUP_COUNT", 20)),
    )


def status_lines(status: dict[str, Any], full: bool) -> list[str]:
    """Returns the lines of `log_cs status`."""
    records = status["records"]
    lines = [
        "Status: active",
        f"Hostname: {status['endpoints']['commanding'].split('//')[1].rpartition(':')[0]}",
        *port_lines(status),
        f"Receiver: {records['endpoint']}",
        f"Log file: {status['log file']}",
    ]
    if full:
        counts = ", ".join(f"{level} {count}" for level, count in records["levels"].items()) or "none"
        lines += [
            f"Records: {records['received']} ({counts})",
            f"Missing: {records['missing']}, malformed: {records['malformed']}, not written: {records['unwritten']}",
        ]
    return lines


APP = ControlServerApp(
    name="log_cs",
    settings="Logging Control Server",
    title="Log Manager",
    interface=LogManagerInterface,
    controller=make_controller,
    protocol=LogManagerProtocol,
    proxy="egse.logger.log_cs:LogManagerProxy",
    device=False,
    status_lines=status_lines,
)

if __name__ == "__main__":
    APP.main()
