"""The command line of a simulator: `NAME start`, the READY line, and signals."""

from __future__ import annotations

import logging
import selectors
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import click

from egse.clock import Clock, RealClock
from egse.declaration import site_clock
from egse.settings import Settings, SettingsError
from egse.signals import on_signals
from egse.simulator.model import DeviceModel
from egse.simulator.server import Busy, SimulatorServer, serve_together
from egse.system import raise_open_files_limit

LOGGER = logging.getLogger("egse.simulator")


@dataclass(frozen=True)
class FurtherPort:
    """One more port of a device.

    Attributes:
        name: what it is, for the line `NAME host port` on stdout.
        model: makes what stands behind it out of the device.
        settings: settings block whose `DEVICE_PORT` is the default port.
        port: default port when the settings do not name one.
        max_clients: how many clients it takes at a time.
    """

    name: str
    model: Callable[[Any], DeviceModel]
    settings: str
    port: int
    max_clients: int = 8


@dataclass(frozen=True)
class SimulatorApp:
    """A simulator as a process.

    `main()` is the console script. The first line on stdout is `READY host port`, when clients can connect; with a
    side channel the second is `ADMIN host port`; then follows `NAME host port` (and `ADMIN-NAME host port`) of each further
    port. SIGTERM, SIGHUP and SIGINT end the process cleanly and at once, SIGUSR1 is passed to the model.

    Attributes:
        name: name of the command (`ogse_sim`).
        title: name of the device, for people.
        model: makes the device; called with the seed of its random parts.
        settings: settings block of its control server; `DEVICE_PORT` there is the default port.
        port: default port when the settings do not name one.
        max_clients: how many clients the device takes at a time.
        busy: what happens to one more.
        further: ports besides the first; with `--port N` they are N + 1 and so on.
    """

    name: str
    title: str
    model: Callable[[int], DeviceModel]
    settings: str
    port: int
    max_clients: int = 4
    busy: Busy = Busy.REFUSE
    further: tuple[FurtherPort, ...] = ()

    def device_port(self) -> int:
        """Returns the port of the device according to the settings."""
        return port_from_settings(self.settings, self.port)

    def command(self) -> click.Group:
        """Returns the command line."""

        @click.group(
            name=self.name,
            help=f"Simulator of the {self.title}.",
            context_settings={"help_option_names": ["-h", "--help"]},
        )
        def group() -> None:
            return

        @group.command(help=f"Start the simulator of the {self.title} in this terminal; Ctrl-C ends it.")
        @click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
        @click.option("--port", type=click.IntRange(0, 65535), default=None, help=self._port_help())
        @click.option(
            "--speed", type=float, default=None, help="How much faster time runs; default: SPEED of the site."
        )
        @click.option(
            "--seed", type=int, default=0, show_default=True, help="Of noise and other random parts."
        )
        @click.option(
            "--admin-port",
            type=click.IntRange(0, 65535),
            default=None,
            help="Port of the side channel for faults (0: let the system choose); default: none.",
        )
        def start(
            host: str, port: int | None, speed: float | None, seed: int, admin_port: int | None
        ) -> None:
            speed = site_clock().speed if speed is None else speed
            if not speed > 0:
                raise click.BadParameter("must be larger than 0", param_hint="--speed")
            wanted = self.device_port() if port is None else port
            self.run(host=host, port=wanted, speed=speed, seed=seed, admin_port=admin_port)

        return group

    def main(self) -> None:
        """Runs the command line (entry point of the console script)."""
        self.command()(prog_name=self.name)

    def run(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        speed: float = 1.0,
        seed: int = 0,
        admin_port: int | None = None,
    ) -> None:
        """Serves until a signal ends it; must run in the main thread.

        Args:
            host, port: where the device listens; port 0 lets the system choose.
            speed: how much faster than the wall the device's time runs.
            seed: of the random parts.
            admin_port: of the side channel; None: no side channel.

        Raises:
            click.ClickException: when a port cannot be had.
        """
        raise_open_files_limit()
        with ExitStack() as stack:
            selector = stack.enter_context(selectors.DefaultSelector())
            servers = self._make_servers(RealClock(speed), seed, host, port, admin_port, selector)
            for server in servers:
                stack.callback(server.close)
            stack.enter_context(on_signals(servers[0].stop, user=servers[0].user_signal))
            for server in servers:
                try:
                    server.open()
                except OSError as exc:
                    where = f"{host}:{server.wanted_port}"
                    raise click.ClickException(f"{self.name} cannot listen on {where}: {exc}") from exc
            self._announce(servers, admin_port is not None)
            serve_together(servers)

    def _make_servers(
        self,
        clock: Clock,
        seed: int,
        host: str,
        port: int,
        admin_port: int | None,
        selector: selectors.BaseSelector,
    ) -> list[SimulatorServer]:
        device = self.model(seed)
        ports = [(device, port, self.max_clients, self.busy)]
        by_settings = port == self.device_port()
        for number, one in enumerate(self.further, start=1):
            place = port_from_settings(one.settings, one.port) if by_settings else port and port + number
            ports.append((one.model(device), place, one.max_clients, Busy.REFUSE))
        return [
            SimulatorServer(
                model,
                host=host,
                port=place,
                clock=clock,
                max_clients=max_clients,
                busy=busy,
                admin_port=admin_port + number if admin_port else admin_port,
                seed=seed,
                selector=selector,
            )
            for number, (model, place, max_clients, busy) in enumerate(ports)
        ]

    def _announce(self, servers: list[SimulatorServer], with_admin: bool) -> None:
        names = ["", *(one.name for one in self.further)]
        for name, server in zip(names, servers, strict=True):
            click.echo("{} {} {}".format(name or "READY", *server.address))
            if with_admin:
                click.echo("{} {} {}".format(f"ADMIN-{name}" if name else "ADMIN", *server.admin_address))

    def _port_help(self) -> str:
        return f"Port of the device (0: let the system choose); default: DEVICE_PORT of the settings, or {self.port}."


def port_from_settings(block: str, default: int) -> int:
    """Returns `DEVICE_PORT` of a settings block, `default` when there is none."""
    try:
        return int(Settings.load(block).get("DEVICE_PORT", default))
    except SettingsError:
        return default
