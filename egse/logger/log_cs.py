"""The log manager: `log_cs start|stop|status|set-level`.

All processes send their log records to it (`egse.logger.setup_logging`); it writes those of all levels to `general.log`
and `general.jsonl` in the folder that `PLATO_LOG_FILE_LOCATION` names, and shows INFO and above on its console.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import click
import zmq

from egse.command import CommandError, dynamic_interface
from egse.control import ControlServerApp, PortInUseError, ServerContext
from egse.control_cli import port_lines
from egse.env import get_log_file_location
from egse.logger.console import CutelogForwarder
from egse.logger.files import LogFiles
from egse.logger.handler import installed_handlers, receiver_endpoint
from egse.logger.receiver import LogReceiver
from egse.logger.records import LEVELS
from egse.metrics.figures import Figure
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
        """Returns the counters since the start: records, duplicates, gaps, dropped, clients, and how many of each level."""

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
        files: the log files.
        viewer: host and port of a Cutelog viewer that gets all records while it listens; None for none.
    """

    def __init__(self, endpoint: str, files: LogFiles, viewer: tuple[str, int] | None = None) -> None:
        self._endpoint = endpoint
        self._files = files
        self._viewer = viewer
        forward = CutelogForwarder(*viewer) if viewer is not None else None
        try:
            self._receiver = LogReceiver(endpoint, files, own_process="log_cs", forward=forward)
        except zmq.ZMQError as exc:
            raise PortInUseError("log_cs", "receiver", endpoint) from exc

    def start(self) -> None:
        """Starts receiving."""
        self._receiver.start()

    def close(self) -> None:
        """Writes what has arrived and ends; the last words of this process are written without the network."""
        handlers = installed_handlers()
        for handler in handlers:
            handler.flush_records(0.5)
        self._receiver.end()
        if self._receiver.is_alive():
            self._receiver.join(3.0)
        for handler in handlers:
            handler.last_resort = self._receiver.take_last

    def get_log_file(self) -> str:
        return str(self._files.path)

    def get_statistics(self) -> dict[str, Any]:
        receiver = self._receiver
        figures = asdict(receiver.counters)
        levels = figures.pop("by_level")
        forward = receiver.forward
        return {
            "endpoint": self._endpoint,
            **figures,
            "clients": receiver.clients(),
            "levels": {name: levels[name] for name in LEVELS if name in levels},
            "echo_level": logging.getLevelName(receiver.echo_level),
            "size": self._files.size(),
            "trouble": receiver.trouble,
            "viewer": "" if self._viewer is None else f"{self._viewer[0]}:{self._viewer[1]}",
            "viewer_connected": forward is not None and forward.connected,
        }

    def set_echo_level(self, level: str) -> str:
        number = logging.getLevelNamesMapping().get(level.upper())
        if number is None:
            raise CommandError(f"{level!r} is no logging level; use DEBUG, INFO, WARNING, ERROR or CRITICAL")
        self._receiver.echo_level = number
        return logging.getLevelName(number)


HOUSEKEEPING = (
    "received",
    "duplicates",
    "gaps",
    "missing",
    "dropped",
    "malformed",
    "rejected",
    "held",
    "clients",
    "size",
)


class LogManagerProtocol(Protocol):
    """Housekeeping and status of the log manager."""

    controller: LogManagerController

    def start(self) -> None:
        """Starts receiving."""
        self.controller.start()

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns the counters."""
        figures = self.controller.get_statistics()
        return {f"LOG_{name.upper()}": figures[name] for name in HOUSEKEEPING}

    def get_figures(self) -> Iterator[Figure]:
        """Returns how many records of each level were received."""
        levels = self.controller.get_statistics()["levels"]
        yield Figure(
            "egse_log_records_total",
            "Log records received from all processes",
            tuple(({"level": level}, float(levels.get(level, 0))) for level in LEVELS),
            "counter",
        )

    def get_status(self) -> dict[str, Any]:
        """Returns log file and counters."""
        return {"log file": self.controller.get_log_file(), "records": self.controller.get_statistics()}

    def quit(self) -> None:
        """Ends the receiver."""
        self.controller.close()


def make_controller(ctx: ServerContext) -> LogManagerController:
    """Returns the log manager of this site."""
    settings = ctx.settings
    files = LogFiles(
        get_log_file_location() / settings.get("FILENAME", "general.log"),
        int(settings.get("MAX_FILE_SIZE", 20_000_000)),
        int(settings.get("BACKUP_COUNT", 20)),
    )
    host, port = settings.get("EXTERN_LOG_HOST"), settings.get("EXTERN_LOG_PORT")
    return LogManagerController(receiver_endpoint(), files, (str(host), int(port)) if host and port else None)


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
    if records["trouble"]:
        lines.append(f"WARNING: records cannot be written: {records['trouble']}")
    lines.append(
        f"Records: {records['received']}, gaps: {records['gaps']}, duplicates: {records['duplicates']}, "
        f"dropped: {records['dropped']}, clients: {records['clients']}"
    )
    if full:
        counts = ", ".join(f"{level} {count}" for level, count in records["levels"].items()) or "none"
        viewer = f"{records['viewer'] or 'none'}{' (connected)' if records['viewer_connected'] else ''}"
        lines += [
            f"Levels: {counts}",
            f"Missing: {records['missing']}, malformed: {records['malformed']}, rejected: {records['rejected']}, "
            f"held back: {records['held']}, from the spool: {records['spooled']}",
            f"Size of the log file: {records['size'] / 1e6:.1f} MB",
            f"Console: {records['echo_level']} and above",
            f"Viewer: {viewer}",
        ]
    return lines


@click.command("set-level")
@click.argument("level", type=click.Choice(LEVELS, case_sensitive=False))
def set_level(level: str) -> None:
    """Set from which level on the log manager shows records on its console; its files always get all levels.

    Example: log_cs set-level WARNING
    """
    try:
        with LogManagerProxy(timeout=5.0) as manager:
            click.echo(f"Console of the log manager: {manager.set_echo_level(level)} and above")
    except ConnectionError as exc:
        raise click.ClickException(f"log_cs is not running: {exc}") from exc


APP = ControlServerApp(
    name="log_cs",
    settings="Logging Control Server",
    title="Log Manager",
    interface=LogManagerInterface,
    controller=make_controller,
    protocol=LogManagerProtocol,
    proxy="egse.logger.log_cs:LogManagerProxy",
    device=False,
    commands=(set_level,),
    status_lines=status_lines,
)

if __name__ == "__main__":
    APP.main()
