"""The configuration manager: `cm_cs start|stop|status|list-setups|load-setup`."""

from __future__ import annotations

import logging
from typing import Any

import click

from egse.clock import system_clock
from egse.confman.dry import DryRunConfigurationManager
from egse.confman.interface import ConfigurationManagerInterface, ConfigurationManagerProxy
from egse.confman.manager import ConfigurationManager
from egse.confman.observations import CLOSING, ObservationError
from egse.confman.repository import SetupRepository
from egse.control import ControlServerApp, ServerContext
from egse.control_cli import port_lines
from egse.env import get_conf_repo_location, get_data_storage_location, get_site_id
from egse.event import EVENT_ID
from egse.protocol import Protocol
from egse.setup import SetupError, SetupList
from egse.storage import StorageProxy

LOGGER = logging.getLogger(__name__)

TICK = 0.5
"""How often leases are checked and unfinished work is looked at [s]."""


class ConfigurationManagerProtocol(Protocol):
    """Housekeeping, status and scheduled work of the configuration manager."""

    controller: ConfigurationManager

    def start(self) -> None:
        """Starts the background work."""
        self.controller.start()
        self.controller.setups.on_change(lambda setup: self._announce(setup.setup_id))
        self._tick()

    def _tick(self) -> None:
        self.control_server.schedule_task(self._tick, after=TICK)
        self.controller.life.tick()

    def _announce(self, setup_id: int) -> None:
        self.control_server.publish("new_setup", {"setup_id": setup_id})
        self.control_server.notify_listeners(
            EVENT_ID.SETUP, {"event_type": "new_setup", "setup_id": setup_id}
        )

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns site, loaded Setup and running observation."""
        setup = self.controller.setups.current
        return {
            "CM_SITE_ID": self.controller.site_id,
            "CM_SETUP_ID": setup.setup_id if setup else None,
            "CM_OBSID": self.controller.get_obsid() or "",
        }

    def get_status(self) -> dict[str, Any]:
        """Returns what `cm_cs status` shows."""
        controller = self.controller
        setup = controller.setups.current
        return {
            "site": controller.site_id,
            "setup": f"{setup.setup_id:05d}" if setup else None,
            "setup file": str(setup.path) if setup else None,
            "repository": str(controller.repository.root),
            "push": controller.pusher.problem or ("pending" if controller.pusher.pending else "done"),
            "listeners": self.control_server.get_listener_names(),
            "control": str(controller.control.state()),
            "record problems": controller.life.book.problems,
            **controller.life.summary(),
        }

    def quit(self) -> None:
        """Ends the background work."""
        self.controller.close()


def make_controller(ctx: ServerContext) -> ConfigurationManager | DryRunConfigurationManager:
    """Returns the configuration manager of this site."""
    repository = SetupRepository(get_conf_repo_location(), get_site_id(), system_clock())
    if ctx.dry_run:
        return DryRunConfigurationManager(repository)
    storage = StorageProxy(timeout=float(ctx.settings.get("STORAGE_TIMEOUT", 5.0)))
    return ConfigurationManager(
        get_data_storage_location(),
        repository,
        storage,
        system_clock(),
        is_storage_there=lambda: storage.ping(0.2),
        patience=float(ctx.settings.get("STORAGE_PATIENCE", 5.0)),
    )


def status_lines(status: dict[str, Any], full: bool) -> list[str]:
    """Returns the lines of `cm_cs status` (manual, section 7.7)."""
    lines = [
        "Status: active",
        f"Site ID: {status['site']}",
        _observation_line(status["observation"]),
        f"Setup loaded: {status['setup']}" if status["setup"] else "No Setup loaded",
        f"Hostname: {status['endpoints']['commanding'].split('//')[1].rpartition(':')[0]}",
        *port_lines(status),
        f"Listeners: {', '.join(status['listeners']) or 'none'}",
    ]
    if full:
        lines += [
            f"Setup file: {status['setup file'] or 'none'}",
            f"Configuration repository: {status['repository']}",
            f"Push to the remote: {status['push']}",
            f"Control: {status['control']}",
            f"Observations closed: {status['closed']}",
            *(f"DAMAGED: {problem}" for problem in status["record problems"]),
        ]
    return lines


def _observation_line(observation: dict[str, Any] | None) -> str:
    if observation is None:
        return "No observation running"
    if observation["state"] == CLOSING:
        return f"Observation being closed: {observation['obsid']} ({observation['status']}), waiting for the storage manager"
    return f"Observation running: {observation['obsid']}, started at {observation['start']}"


@click.command("list-setups")
@click.argument("filters", nargs=-1, metavar="[PLACE=VALUE]...")
def list_setups_command(filters: tuple[str, ...]) -> None:
    """Lists the Setups of this site. Example: cm_cs list-setups camera__ID=achel"""
    wanted = {}
    for text in filters:
        place, separator, value = text.partition("=")
        if not separator:
            raise click.BadParameter(f"{text!r} is not of the form PLACE=VALUE, e.g. camera__ID=achel")
        wanted[place] = value
    with _proxy() as cm:
        click.echo(str(SetupList(tuple(row) for row in cm.list_setups(wanted))))


@click.command("load-setup")
@click.argument("setup_id", type=click.IntRange(0, 99_999))
def load_setup_command(setup_id: int) -> None:
    """Makes a Setup the loaded one. Example: cm_cs load-setup 45"""
    with _proxy() as cm:
        try:
            loaded = cm.load_setup(setup_id)
        except (SetupError, ObservationError) as exc:
            raise click.ClickException(str(exc)) from exc
    click.echo(f"Setup loaded: {loaded['setup_id']:05d} ({loaded['path']})")


def _proxy() -> ConfigurationManagerProxy:
    """Returns a proxy whose server answers; ends the program with a message otherwise."""
    proxy = ConfigurationManagerProxy(timeout=30.0)
    try:
        proxy.connect_cs()
    except ConnectionError as exc:
        raise click.ClickException(str(exc)) from exc
    return proxy


APP = ControlServerApp(
    name="cm_cs",
    settings="Configuration Manager Control Server",
    title="Configuration manager",
    interface=ConfigurationManagerInterface,
    controller=make_controller,
    protocol=ConfigurationManagerProtocol,
    proxy="egse.confman:ConfigurationManagerProxy",
    device=False,
    commands=(list_setups_command, load_setup_command),
    status_lines=status_lines,
)

if __name__ == "__main__":
    APP.main()
