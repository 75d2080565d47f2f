"""Command line of the SpaceWire package: `python -m egse.spw check`."""

from __future__ import annotations

import click

from egse.spw.check import TIMEOUT, check_connection
from egse.spw.errors import ESLError
from egse.spw.packets import SpaceWirePacket
from egse.spw.server import default_endpoint
from egse.spw.transports import make_link
from egse.spw.zeromq import DEFAULT_IDENTITY


@click.group(name="python -m egse.spw", help="SpaceWire: test a connection, show packets.")
def cli() -> None:
    """Command line of the SpaceWire package."""


@cli.command()
@click.option(
    "--endpoint",
    default=None,
    help="tcp://HOST:PORT of a simulator, or dsi://HOST[:PORT][/LINK]; default: the N-FEE simulator of the site.",
)
@click.option("--dsi", is_flag=True, help="The DSI of the Settings.")
@click.option("--identity", default=DEFAULT_IDENTITY, show_default=True, help="Name of the link.")
@click.option("--timeout", default=TIMEOUT, show_default=True, help="Time to wait for a timecode [s].")
def check(endpoint: str | None, dsi: bool, identity: str, timeout: float) -> None:
    """Test a connection: state of the link, a timecode, a housekeeping packet, an RMAP read.

    Nothing is written to the FEE. While it runs, the DPU must not be connected: a link has one user.
    """
    address = "dsi:" if dsi else endpoint or default_endpoint()
    try:
        link = make_link(address, identity)
    except (ValueError, ESLError) as error:
        raise click.ClickException(str(error)) from error
    failed = 0
    for result in check_connection(link, timeout):
        click.echo(str(result))
        failed += not result.passed
    if failed:
        raise click.exceptions.Exit(1)


@cli.command()
@click.argument("data")
def show(data: str) -> None:
    """Print the fields of a packet given in hexadecimal."""
    try:
        packet = bytes.fromhex(data)
    except ValueError as error:
        raise click.BadParameter(f"not hexadecimal: {error}", param_hint="DATA") from error
    click.echo(str(SpaceWirePacket.create_packet(packet)))


if __name__ == "__main__":
    cli(prog_name="python -m egse.spw")
