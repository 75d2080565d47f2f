"""The AEU simulator as a process: `aeu_sim start`. One rack, nine devices, each on a port of its own.

It feeds the N-FEE simulator when the settings say so (AEU in the block of the N-FEE simulator), or with `--fee-port`.
"""

from __future__ import annotations

import selectors
from contextlib import ExitStack
from functools import partial

import click

from egse.aeu.link import CameraLink
from egse.aeu.proxies import PORTS, settings_name
from egse.aeu.rack import AEUModel
from egse.clock import RealClock
from egse.declaration import site_clock
from egse.settings import Settings, SettingsError
from egse.signals import on_signals
from egse.simulator import Busy, SimulatorServer, serve_together
from egse.spw.server import is_driven_by_aeu, side_channel_port
from egse.system import raise_open_files_limit

MAX_CLIENTS = 4
"""How many clients each unit takes at a time; one more waits."""


def device_port(unit: str) -> int:
    """Returns the port of a unit according to the settings."""
    try:
        return int(Settings.load(settings_name(unit)).get("DEVICE_PORT", PORTS[unit]))
    except SettingsError:
        return PORTS[unit]


def serve(
    rack: AEUModel,
    ports: dict[str, int],
    *,
    host: str = "127.0.0.1",
    speed: float = 1.0,
    seed: int = 0,
    admin_port: int | None = None,
    fee_port: int | None = None,
) -> None:
    """Serves until a signal ends it; must run in the main thread.

    Args:
        rack: the AEU.
        ports: of each unit by name; 0 lets the system choose.
        host: address to listen on.
        speed: how much faster than the wall time runs.
        seed: of the random parts of faults.
        admin_port: first of the side channels, one for each unit in order (0: any free ones); None: none.
        fee_port: side channel of the N-FEE simulator that is fed; None: none.

    Raises:
        click.ClickException: when a port cannot be had.
    """
    raise_open_files_limit()
    clock = RealClock(speed)
    servers: list[SimulatorServer] = []
    with ExitStack() as stack:
        selector = stack.enter_context(selectors.DefaultSelector())
        for index, (unit, model) in enumerate(rack.units().items()):
            server = SimulatorServer(
                model,
                host=host,
                port=ports[unit],
                clock=clock,
                max_clients=MAX_CLIENTS,
                busy=Busy.QUEUE,
                admin_port=admin_port + index if admin_port else admin_port,
                seed=seed,
                selector=selector,
            )
            stack.callback(server.close)
            try:
                server.open()
            except OSError as exc:
                raise click.ClickException(f"{unit} cannot listen on {host}:{ports[unit]}: {exc}") from exc
            servers.append(server)
        stack.enter_context(on_signals(servers[0].stop))
        if fee_port is not None:
            link = CameraLink(fee_port, clock)
            rack.on_feed = link.give
            stack.callback(link.close)
            link.start()
        _announce(rack, servers, admin_port is not None)
        serve_together(servers)


def _announce(rack: AEUModel, servers: list[SimulatorServer], with_admin: bool) -> None:
    lines = [f"READY {servers[0].address[0]} {servers[0].address[1]}"]
    for unit, server in zip(rack.units(), servers):
        lines.append(f"UNIT {unit} {server.address[1]}")
        if with_admin:
            lines.append(f"ADMIN {unit} {server.admin_address[1]}")
    click.echo("\n".join(lines))


@click.group(name="aeu_sim", help="Simulator of the AEU: cRIO, six power supplies, two waveform generators.")
def cli() -> None:
    """Command line of the simulator."""


@cli.command(help="Start the simulator of the AEU in this terminal; Ctrl-C ends it.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535 - len(PORTS)),
    default=None,
    help="Port of the cRIO, then power supplies 1 to 6 and generators 1 and 2 (0: any free ones); default: DEVICE_PORT "
    "of each in the settings, or 4000 to 4008.",
)
@click.option(
    "--speed", type=float, default=None, help="How much faster time runs; default: SPEED of the site."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the random parts of faults.")
@click.option(
    "--admin-port",
    type=click.IntRange(0, 65535 - len(PORTS)),
    default=None,
    help="First of nine side channels for faults, in the order of the ports (0: any free ones); default: none.",
)
@click.option(
    "--fee-port",
    type=click.IntRange(1, 65535),
    default=None,
    help="Side channel of the N-FEE simulator to be fed; default: ADMIN_PORT of the settings if AEU is set there.",
)
@click.option("--integers", is_flag=True, help="The generators answer WAVE? and OUTPUT? with numbers.")
def start(
    host: str,
    port: int | None,
    speed: float | None,
    seed: int,
    admin_port: int | None,
    fee_port: int | None,
    integers: bool,
) -> None:
    """Starts the simulator; the first line on stdout is `READY host port`, of the cRIO, then one line for each unit."""
    speed = site_clock().speed if speed is None else speed
    if not speed > 0:
        raise click.BadParameter("must be larger than 0", param_hint="--speed")
    find = device_port if port is None else partial(_port_after, port)
    if fee_port is None and is_driven_by_aeu():
        fee_port = side_channel_port()
    serve(
        AEUModel(as_integers=integers),
        {unit: find(unit) for unit in PORTS},
        host=host,
        speed=speed,
        seed=seed,
        admin_port=admin_port,
        fee_port=fee_port,
    )


def _port_after(first: int, unit: str) -> int:
    return first + list(PORTS).index(unit) if first else 0


def main() -> None:
    """Runs the command line (entry point of the console script)."""
    cli(prog_name="aeu_sim")


if __name__ == "__main__":
    main()
