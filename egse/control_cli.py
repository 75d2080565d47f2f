"""The command line that every control server has: `NAME start|stop|status` and what its declaration adds."""

from __future__ import annotations

import logging
import sys
from typing import Any

import click

from egse.clock import system_clock
from egse.declaration import ServerDeclaration
from egse.env import EnvError
from egse.logger.handler import close_all_zmq_handlers, set_context_source, setup_logging
from egse.logger.records import LogContext
from egse.mode import SIMULATOR, current_mode, set_mode
from egse.ports import PortInUseError
from egse.proxy import OutcomeUnknownError, ServiceProxy, get_command_context
from egse.security.curve import act_as
from egse.security.keys import SERVER
from egse.server import END_LIMIT, ControlServer
from egse.settings import SettingsError
from egse.system import raise_open_files_limit

logger = logging.getLogger(__name__)

HELP = {"help_option_names": ["-h", "--help"]}
"""Both ask for help, as they do for `cgse`."""


def make_command_line(app: ServerDeclaration) -> click.Group:
    """Returns the click group of a control server."""

    @click.group(help=f"{app.title}: control server {app.name}.", context_settings=HELP)
    def group() -> None:
        pass

    group.add_command(_start(app))
    group.add_command(_stop(app))
    group.add_command(_status(app))
    for command in app.commands:
        group.add_command(command)
    return group


def _start(app: ServerDeclaration) -> click.Command:
    @click.command("start", help=f"Starts {app.name} in the foreground. Example: {app.name} start")
    def start(simulator: bool = False) -> None:
        act_as(SERVER)
        set_mode(SIMULATOR if simulator else "")
        setup_logging(app.name, mode=current_mode())
        set_context_source(_log_context)
        raise_open_files_limit()
        try:
            server = ControlServer(app, simulator=simulator)
        except (PortInUseError, EnvError, SettingsError, BlockingIOError) as exc:
            logger.error("%s", exc)
            close_all_zmq_handlers()
            raise click.ClickException(str(exc)) from exc
        server.install_signal_handlers()
        try:
            server.run(_announce)
        except Exception:
            logger.exception("%s ended by an error", app.name)
            close_all_zmq_handlers()
            sys.exit(1)
        close_all_zmq_handlers()

    option = click.Option(
        ["--simulator", "--sim"],
        is_flag=True,
        help="Talk to the device's model in this process instead of the instrument.",
    )
    start.params.append(option)
    return start


def _log_context() -> LogContext:
    context = get_command_context()
    return LogContext(context.obsid, context.block)


def _announce(server: ControlServer) -> None:
    click.echo(f"READY {server.name} {server.endpoints['commanding']}")
    sys.stdout.flush()


def _services(app: ServerDeclaration, timeout: float) -> ServiceProxy:
    return ServiceProxy(app.settings, app.name, timeout=timeout)


def _stop(app: ServerDeclaration) -> click.Command:
    @click.command("stop", help=f"Ends {app.name}. Example: {app.name} stop")
    def stop() -> None:
        services = _services(app, 5.0)
        try:
            services.quit_server()
        except ConnectionError as exc:
            raise click.ClickException(f"{app.name} is not running: {exc}") from exc
        except OutcomeUnknownError:
            pass  # it ended before its answer came through
        finally:
            services.disconnect_cs()
        click.echo(f"{app.name} {'ended' if _is_gone(services) else 'was told to end and is still busy'}")

    return stop


def _is_gone(services: ServiceProxy) -> bool:
    clock = system_clock()
    deadline = clock.monotonic() + END_LIMIT + 1.0
    try:
        while services.ping(0.1):
            if clock.monotonic() > deadline:
                return False
            clock.sleep(0.05)
        return True
    finally:
        services.disconnect_cs()


def _status(app: ServerDeclaration) -> click.Command:
    @click.command("status", help=f"Shows the state of {app.name}. Example: {app.name} status")
    @click.option("--full", is_flag=True, help="Show everything the server knows.")
    def status(full: bool) -> None:
        services = _services(app, 2.0)
        try:
            known = services.get_server_status()
        except (ConnectionError, TimeoutError):
            click.echo(f"{app.title}:\n  Status: not active")
            sys.exit(1)
        finally:
            services.disconnect_cs()
        lines = app.status_lines or generic_status_lines
        click.echo("\n".join([f"{app.title}:", *(f"  {line}" for line in lines(known, full))]))

    return status


def generic_status_lines(status: dict[str, Any], full: bool) -> list[str]:
    """Returns the lines that `status` shows for a server without lines of its own."""
    endpoints = status["endpoints"]
    host = endpoints["commanding"].split("//")[1].rpartition(":")[0]
    lines = [
        "Status: active" + (" (simulator)" if status["simulator"] else ""),
        f"Hostname: {host}",
        *port_lines(status),
    ]
    if status.get("device_connected") is not None:
        lines.append(f"Device: {'connected' if status['device_connected'] else 'not connected'}")
    if full:
        hidden = ("name", "title", "endpoints")
        lines += [f"{key}: {value}" for key, value in status.items() if key not in hidden]
    return lines


def port_lines(status: dict[str, Any]) -> list[str]:
    """Returns the three port lines in the manual's wording (section 7.7)."""
    return [
        f"{role.capitalize()} port: {status['endpoints'][role].rpartition(':')[2]}"
        for role in ("monitoring", "commanding", "service")
    ]
