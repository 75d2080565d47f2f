"""The F-FEE simulator as a process: `f_fee_sim start`, four SpaceWire links over ZeroMQ.

Link n listens on port SPW_PORT + n - 1 with the identity `F-FEE-n`. Registers, packets and housekeeping are assumptions,
see `egse.fee.f_fee`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Final

import click

from egse.clock import RealClock
from egse.declaration import site_clock
from egse.fee.f_fee import LINKS, FFEEModel
from egse.settings import Settings, SettingsError
from egse.signals import on_signals
from egse.spw import SpaceWireLinkError, SpaceWireOverZeroMQ
from egse.spw.server import LinkServer

SETTINGS: Final = "F-FEE SIMULATOR"
DEFAULT_PORT: Final = 30114


def default_port() -> int:
    """Returns the port of the first link: `SPW_PORT` of the settings."""
    try:
        return int(Settings.load(SETTINGS).get("SPW_PORT", DEFAULT_PORT))
    except SettingsError:
        return DEFAULT_PORT


class FourLinks:
    """The model for the loop of one link: what belongs to the other links is sent on the way.

    Args:
        model: the FEE.
        links: links 1 to 4, open.

    Attributes:
        dropped: packets of the other links for nobody.
    """

    def __init__(self, model: FFEEModel, links: Sequence[SpaceWireOverZeroMQ]) -> None:
        self.model = model
        self.dropped = 0
        self._links = links

    def next_event(self) -> float:
        """Returns when the next thing happens [s]."""
        return self.model.next_event()

    def step(self, now: float) -> list[bytes | memoryview]:
        """Sends what is due on the other links and returns what is due on the command link."""
        own: list[bytes | memoryview] = []
        for link, packet in self.model.step(now):
            if link == self.model.command_link:
                own.append(packet)
                continue
            try:
                self._links[link - 1].write_packet(packet)
            except SpaceWireLinkError:
                self.dropped += 1
        return own

    def handle(self, packet: bytes, now: float) -> list[bytes]:
        """Takes a packet from the command link and returns the replies."""
        return self.model.handle(packet, now)


def serve(model: FFEEModel, links: Sequence[SpaceWireOverZeroMQ], clock: RealClock) -> None:
    """Serves until a signal ends it; must run in the main thread.

    Args:
        model: the FEE; its times are those of `clock.monotonic()`.
        links: four links, not yet open.
        clock: the clock of the simulation.

    Raises:
        SpaceWireLinkError: when a link cannot be opened.
    """
    server = LinkServer(FourLinks(model, links), links[model.command_link - 1], clock)
    try:
        with ExitStack() as stack, on_signals(server.stop):
            for link in links:
                stack.enter_context(link)
            click.echo("READY f_fee_sim " + " ".join(link.endpoint for link in links))
            server.serve()
    finally:
        server.close()


@click.group(name="f_fee_sim", help="Simulator of the F-FEE (registers and packets are assumptions).")
def cli() -> None:
    """Command line of the simulator."""


@cli.command(help="Start the simulator of the F-FEE in this terminal; Ctrl-C ends it.")
@click.option(
    "--port",
    type=click.IntRange(0, 65532),
    default=None,
    help="Port of link 1 on the loopback interface, the others follow (0: any free ones).",
)
@click.option(
    "--speed", type=float, default=None, help="How much faster time runs; default: SPEED of the site."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of noise and stars.")
@click.option(
    "--light", type=click.FloatRange(0, 1), default=1.0, show_default=True, help="Light from outside."
)
def start(port: int | None, speed: float | None, seed: int, light: float) -> None:
    """Starts the simulator; the first line on stdout is `READY f_fee_sim` and the endpoints of the links."""
    speed = site_clock().speed if speed is None else speed
    if not speed > 0:
        raise click.BadParameter("must be larger than 0", param_hint="--speed")
    clock = RealClock(speed)
    first = default_port() if port is None else port
    try:
        links = [
            SpaceWireOverZeroMQ(f"tcp://127.0.0.1:{first + n if first else 0}", f"F-FEE-{n + 1}", bind=True)
            for n in range(LINKS)
        ]
        serve(FFEEModel(start=clock.monotonic(), seed=seed, light_level=light), links, clock)
    except (SpaceWireLinkError, OSError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def main() -> None:
    """Runs the command line (entry point of the console script)."""
    cli(prog_name="f_fee_sim")


if __name__ == "__main__":
    main()
