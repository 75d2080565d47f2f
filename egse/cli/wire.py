"""`cgse tap` and `cgse console`: the bytes between a control server and its device."""

from __future__ import annotations

import base64
import getpass
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from egse.cli.common import tells_errors
from egse.clock import RealClock, system_clock
from egse.device import DeviceError
from egse.maintenance import DeviceReservedError
from egse.proxy import Proxy
from egse.signals import on_signals
from egse.simulator import Busy, SimulatorServer
from egse.simulator.replay import ReplayModel
from egse.site.layout import SiteError
from egse.site.programs import device_entry
from egse.site.sites import join_current_site
from egse.wiretap import Chunk, load_tap, save_tap

INTERVAL = 0.3
"""How often new bytes are asked for with `--follow` [s]."""
_MANY = 100_000


@click.command()
@click.argument("name")
@click.option(
    "-n", "count", type=click.IntRange(1, _MANY), default=40, show_default=True, help="How many chunks."
)
@click.option("--follow", "-f", is_flag=True, help="Go on, and show bytes as they come.")
@click.option(
    "--save", type=click.Path(dir_okay=False, path_type=Path), help="Write everything remembered to a file."
)
@click.option("--hex", "as_hex", is_flag=True, help="Show hexadecimal bytes, as for a binary device.")
@tells_errors
def tap(name: str, count: int, follow: bool, save: Path | None, as_hex: bool) -> None:
    """Show what went over the wire to a device lately: > to the device, < from it, = a new connection.

    NAME is that of its control server, `_cs` may be left out. `cgse replay FILE` puts a saved tap in the device's place.

    Example: cgse tap ogse --save ogse.tap
    """
    with _server(name) as proxy:
        if save is not None:
            chunks = _chunks(proxy, _MANY)
            save_tap(save, chunks)
            click.echo(f"{len(chunks)} chunks saved in {save}")
            return
        last = 0.0
        for chunk in _chunks(proxy, count):
            _show(chunk, as_hex)
            last = chunk.time
        while follow:
            system_clock().sleep(INTERVAL)
            for chunk in _chunks(proxy, _MANY):
                if chunk.time > last:
                    _show(chunk, as_hex)
                    last = chunk.time


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Port (0: let the system choose).")
@click.option(
    "--admin-port", type=click.IntRange(0, 65535), default=None, help="Port of the side channel for faults."
)
@tells_errors
def replay(file: Path, host: str, port: int, admin_port: int | None) -> None:
    """Stand in for a device with a saved tap, until Ctrl-C.

    Example: cgse replay ogse.tap --port 4181
    """
    try:
        model = ReplayModel(load_tap(file))
    except ValueError as exc:
        raise SiteError(str(exc)) from exc
    server = SimulatorServer(
        model,
        host=host,
        port=port,
        clock=RealClock(1.0),
        max_clients=1,
        busy=Busy.QUEUE,
        admin_port=admin_port,
    )
    with on_signals(server.stop, user=server.user_signal):
        try:
            server.open()
            click.echo("READY {} {}".format(*server.address))
            if admin_port is not None:
                click.echo("ADMIN {} {}".format(*server.admin_address))
            sys.stdout.flush()
            server.serve()
        except OSError as exc:
            raise SiteError(f"cannot listen on {host}:{port}: {exc}") from exc
        finally:
            server.close()


@click.command()
@click.argument("name")
@click.option(
    "--reason", prompt="What for", help="Why the device is reserved; others are told, and it is recorded."
)
@click.option("--wait", default=1.0, show_default=True, help="For an answer [s].")
@click.option(
    "--hex", "as_hex", is_flag=True, help="Type and show hexadecimal bytes, as for a binary device."
)
@tells_errors
def console(name: str, reason: str, wait: float, as_hex: bool) -> None:
    r"""Reserve a device for maintenance and talk to it, a line at a time; Ctrl-D ends it.

    Its control server goes on, but refuses other commands and takes no housekeeping meanwhile. \r, \n, \t and \xNN are
    understood.

    Example: cgse console lsci336 --reason "error memory"
    """
    with _server(name) as proxy:
        me = f"{getpass.getuser()}@{socket.gethostname()}"
        try:
            ticket = proxy.send("reserve_device", {"by": me, "reason": reason})
        except DeviceReservedError as exc:
            raise SiteError(str(exc)) from exc
        click.echo(f"{name} is reserved: {reason}. Ctrl-D ends it.", err=True)
        try:
            for line in _lines():
                try:
                    data = bytes.fromhex(line) if as_hex else _bytes_of(line)
                    answer = proxy.send(
                        "exchange_raw",
                        {"ticket": ticket, "data": base64.b64encode(data).decode(), "wait": wait},
                        timeout=wait + 10,
                    )
                except (ValueError, DeviceError, DeviceReservedError) as exc:
                    click.secho(str(exc), err=True, fg="red")
                    continue
                text = _text(base64.b64decode(answer), as_hex)
                click.echo(text or click.style("(no answer)", dim=True))
        finally:
            proxy.send("release_device", {"ticket": ticket})


@contextmanager
def _server(name: str) -> Iterator[Proxy]:
    """Gives the way to the control server of a device."""
    join_current_site()
    entry = device_entry(name)
    proxy = Proxy()
    proxy.settings_name, proxy.server_name = entry.settings, entry.name
    with proxy:
        try:
            yield proxy
        except ConnectionError as exc:
            raise SiteError(str(exc)) from exc


def _chunks(proxy: Proxy, count: int) -> list[Chunk]:
    return [
        Chunk(time, direction, base64.b64decode(data))
        for time, direction, data in proxy.send("get_wire_tap", {"last": count})
    ]


def _show(chunk: Chunk, as_hex: bool) -> None:
    moment = datetime.fromtimestamp(chunk.time, UTC).strftime("%H:%M:%S.%f")[:-3]
    colour = {">": "cyan", "<": "green"}.get(chunk.direction, "yellow")
    click.secho(f"{moment} {chunk.direction} {_text(chunk.data, as_hex)}", fg=colour)


def _text(data: bytes, as_hex: bool) -> str:
    return data.hex(" ") if as_hex else repr(data)[2:-1]


def _lines() -> Iterator[str]:
    while True:
        try:
            line = input("> " if sys.stdin.isatty() else "")
        except EOFError:
            return
        if line.strip():
            yield line


def _bytes_of(line: str) -> bytes:
    return line.encode("latin-1").decode("unicode_escape").encode("latin-1")
