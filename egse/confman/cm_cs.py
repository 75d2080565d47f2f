"""The configuration manager: `cm_cs start|stop|status|list-setups|load-setup|submit|check|sync`."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from egse.clock import system_clock
from egse.confman.dry import DryRunConfigurationManager
from egse.confman.interface import ConfigurationManagerInterface, ConfigurationManagerProxy
from egse.confman.manager import ConfigurationManager
from egse.confman.observations import CLOSING, ObservationError
from egse.confman.repository import SetupFile, SetupRepository
from egse.control import ControlServerApp, ServerContext
from egse.control_cli import port_lines
from egse.env import get_conf_repo_location, get_data_storage_location, get_site_id
from egse.event import EVENT_ID
from egse.metrics.figures import Figure
from egse.protocol import Protocol
from egse.setup import Setup, SetupError, SetupList, submit_setup
from egse.setup.stamp import SetupStamp
from egse.storage import StorageProxy

LOGGER = logging.getLogger(__name__)

SYNC_LIMIT = 150.0
"""How long `cm_cs sync` waits [s]."""
TICK = 0.5
"""How often leases are checked and unfinished work is looked at [s]."""


class ConfigurationManagerProtocol(Protocol):
    """Housekeeping, status and scheduled work of the configuration manager."""

    controller: ConfigurationManager

    def start(self) -> None:
        """Starts the background work."""
        self.controller.start()
        self.controller.setups.on_change(self._announce)
        self._tick()

    def _tick(self) -> None:
        self.control_server.schedule_task(self._tick, after=TICK)
        self.controller.life.tick()
        self.controller.desk.tick()

    def _announce(self, setup: SetupFile) -> None:
        stamp = SetupStamp.of(Setup.from_yaml_string(setup.text, setup.path))
        news = {"setup_id": setup.setup_id, "digest": stamp.digest}
        self.control_server.publish("new_setup", news)
        self.control_server.notify_listeners(EVENT_ID.SETUP, {"event_type": "new_setup", **news})

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns site, loaded Setup and running observation."""
        setup = self.controller.setups.current
        return {
            "CM_SITE_ID": self.controller.site_id,
            "CM_SETUP_ID": setup.setup_id if setup else None,
            "CM_OBSID": self.controller.get_obsid() or "",
        }

    def get_figures(self) -> Iterator[Figure]:
        """Returns the running observation, for the annotations of dashboards, and how many are closed."""
        summary = self.controller.life.summary()
        current = summary["observation"]
        labels = [] if current is None else [(str(current["obsid"]), str(current.get("function", ""))[:80])]
        yield Figure(
            "egse_observation_running",
            "1 while this observation runs",
            tuple(({"obsid": obsid, "title": title}, 1.0) for obsid, title in labels),
        )
        yield Figure.of(
            "egse_observations_closed_total", "Closed observations", float(summary["closed"]), "counter"
        )

    def get_status(self) -> dict[str, Any]:
        """Returns what `cm_cs status` shows."""
        controller = self.controller
        setup = controller.setups.current
        return {
            "site": controller.site_id,
            "setup": f"{setup.setup_id:05d}" if setup else None,
            "setup file": str(setup.path) if setup else None,
            "repository": str(controller.repository.root),
            **controller.repository_status(),
            "listeners": self.control_server.get_listener_names(),
            "listeners behind": [
                f"{name} ({state})"
                for name, state in self.control_server.listeners.states().items()
                if state != "applied"
            ],
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
        *(f"ATTENTION {f['name']}: {f['text']}; {f['step']}" for f in status["findings"]),
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
    if loaded.get("problem"):
        click.echo(f"ATTENTION {loaded['problem']}", err=True)


@click.command("submit")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--description", "-d", required=True, metavar="TEXT", help="What was changed, and why.")
def submit_command(file: Path, description: str) -> None:
    """Submits a Setup from a file of your own. Example: cm_cs submit mine.yaml -d "new temperature sensors" """
    _proxy().disconnect_cs()
    try:
        setup = submit_setup(Setup.from_yaml_file(file), description=description)
    except (SetupError, ObservationError, ValueError) as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"Setup submitted: {setup.get_id()} ({setup.get_filename()})")


@click.command("check")
def check_command() -> None:
    """Shows what is wrong with the Setups and their repository, with the next step. Example: cm_cs check"""
    with _proxy() as cm:
        findings = cm.check_setups()
    for finding in findings:
        click.echo(f"{finding['name']}: {finding['text']}\n  -> {finding['step']}")
    if not findings:
        click.echo("The Setups are in order.")
    raise SystemExit(1 if findings else 0)


@click.command("sync")
def sync_command() -> None:
    """Takes over what is new on the remote and pushes what is new here, now. Example: cm_cs sync"""
    clock = system_clock()
    deadline = clock.monotonic() + SYNC_LIMIT
    with _proxy() as cm:
        before = cm.sync_setups()
        while (outcome := cm.sync_setups(start=False))["attempts"] == before["attempts"]:
            if clock.monotonic() > deadline:
                raise click.ClickException("the remote does not answer; it is tried again in the background")
            clock.sleep(0.1)
    if outcome["text"]:
        raise click.ClickException(
            "; ".join(filter(None, (outcome["state"] + ": " + outcome["text"], outcome["step"])))
        )
    click.echo(f"Setups and remote: {outcome['state']}")


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
    commands=(list_setups_command, load_setup_command, submit_command, check_command, sync_command),
    status_lines=status_lines,
)

if __name__ == "__main__":
    APP.main()
