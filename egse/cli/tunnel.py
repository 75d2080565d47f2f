"""`cgse tunnel`: the servers of another machine, which listen on its loopback only, as if they ran here.

One `ssh` with a local forward for each port. Clients here then connect to localhost, as their settings say anyway.
"""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
import shutil
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

from egse.cli.common import tells_errors
from egse.ports import port_holder
from egse.settings import Settings, SettingsError
from egse.site.layout import SiteError
from egse.site.programs import TABLE, Entry, Kind, core_entries, device_entries, device_entry

SSH_PORT = 22
_NOT_OF_THE_SERVER = ("DEVICE_", "EXTERN_")
"""Ports of a block that belong to somebody else: the instrument behind the server, a viewer of logs."""


@dataclass(frozen=True)
class Forward:
    """One port that is reached through the tunnel.

    Attributes:
        server: name of the server, `cm_cs`.
        role: its name in the settings, `COMMANDING_PORT`.
        port: its number, here and there.
    """

    server: str
    role: str
    port: int


def forwards_of(entries: Sequence[Entry]) -> list[Forward]:
    """Returns the ports of servers, from the blocks of their settings.

    Raises:
        SettingsError: when a server has no block in the settings.
        SiteError: when clients would not come through a tunnel, because `HOSTNAME` of a block is another machine, or
            when two servers have the same port.
    """
    forwards: dict[int, Forward] = {}
    for entry in entries:
        block = Settings.load(entry.settings)
        hostname = str(block.get("HOSTNAME") or "localhost")
        if not _is_loopback(hostname):
            raise SiteError(
                f"the settings send clients of {entry.name} to {hostname}, past a tunnel: in the local settings of "
                f"this machine set HOSTNAME: localhost for {entry.settings!r}"
            )
        for role, port in _ports(block).items():
            new = Forward(entry.name, role, port)
            other = forwards.setdefault(port, new)
            if other is not new:
                raise SiteError(
                    f"{entry.name} and {other.server} both have port {port} ({role}, {other.role}) in the settings"
                )
    return list(forwards.values())


def ssh_command(forwards: Sequence[Forward], host: str, port: int = SSH_PORT) -> list[str]:
    """Returns the command that makes the tunnel.

    It ends when a port cannot be forwarded, and when the other side has been silent for 45 s.

    Args:
        forwards: what is forwarded; the ports listen on loopback here.
        host: the other machine, `host` or `user@host`.
        port: where its SSH server listens.

    Raises:
        SiteError: when `host` is no name of a machine.
    """
    if not re.fullmatch(r"([A-Za-z0-9_][\w.\-]*@)?[A-Za-z0-9_:\[][\w.\-:%\]]*", host):
        raise SiteError(f"SSH_SERVER: {host!r} is no name of a machine (host, or user@host)")
    command = ["ssh", "-N", "-p", str(port), "-o", "ExitOnForwardFailure=yes"]
    command += ["-o", "ServerAliveInterval=15", "-o", "ServerAliveCountMax=3"]
    for forward in forwards:
        command += ["-L", f"127.0.0.1:{forward.port}:127.0.0.1:{forward.port}"]
    return [*command, host]


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option(
    "--host", help="The other machine, host or user@host; default: SSH_SERVER of the settings (SITE)."
)
@click.option(
    "--ssh-port", type=click.IntRange(1, 65535), help="Of its SSH server; default: SSH_PORT of the settings."
)
@click.option("--print", "only_print", is_flag=True, help="Only print the ssh command.")
@tells_errors
def tunnel(names: tuple[str, ...], host: str | None, ssh_port: int | None, only_print: bool) -> None:
    """Reach the servers of another machine through SSH.

    NAME is that of a server, `_cs` may be left out; without names: the core services and all device servers. All ports
    of their settings are forwarded, those of the instruments behind them are not. Ctrl-C ends it.

    Example: cgse tunnel cm sm ogse --host operator@egse-server
    """
    site = Settings.load("SITE")
    host = host or str(site.get("SSH_SERVER") or "")
    ssh_port = ssh_port or int(site.get("SSH_PORT") or SSH_PORT)
    if not host or (_is_loopback(host.rpartition("@")[2]) and ssh_port == SSH_PORT):
        raise SiteError(
            "the settings name no other machine: set SITE: SSH_SERVER in the local settings, or use --host"
        )
    forwards = forwards_of(_entries(names))
    command = ssh_command(forwards, host, ssh_port)
    if only_print:
        click.echo(shlex.join(command))
        return
    executable = shutil.which("ssh")
    if executable is None:
        raise SiteError("there is no ssh on this machine: install an SSH client")
    _check_free(forwards)
    _describe(forwards, host)
    sys.stdout.flush()
    os.execv(executable, command)  # this process becomes ssh: signals and its exit code are its own


def _entries(names: Sequence[str]) -> list[Entry]:
    """Returns what the names stand for; without names all servers that have a block in the settings."""
    if names:
        return list({entry.name: entry for entry in map(_entry, names)}.values())
    known = [*core_entries(), *device_entries()]
    return [entry for entry in known if _has_block(entry)]


def _entry(name: str) -> Entry:
    for entry in TABLE:
        if entry.kind is not Kind.SIMULATOR and entry.name in (name, f"{name}_cs"):
            return entry
    return device_entry(name)


def _has_block(entry: Entry) -> bool:
    try:
        Settings.load(entry.settings)
    except SettingsError as exc:
        click.echo(f"{entry.name} is left out: {exc.args[0]}", err=True)
        return False
    return True


def _ports(block: Mapping[str, Any]) -> dict[str, int]:
    return {
        role: port
        for role, port in block.items()
        if role.endswith("_PORT") and not role.startswith(_NOT_OF_THE_SERVER) and isinstance(port, int)
    }


def _is_loopback(hostname: str) -> bool:
    try:
        return hostname == "localhost" or ipaddress.ip_address(hostname.strip("[]")).is_loopback
    except ValueError:
        return False


def _check_free(forwards: Sequence[Forward]) -> None:
    """Raises `SiteError` when a port is in use here, naming who has it."""
    for forward in forwards:
        try:
            socket.create_server(("127.0.0.1", forward.port)).close()
        except OSError as exc:
            holder = port_holder(forward.port)
            raise SiteError(
                f"port {forward.port} ({forward.server} {forward.role}) is in use on this machine by {holder}: is "
                f"there a tunnel already, or does {forward.server} run here?"
            ) from exc


def _describe(forwards: Sequence[Forward], host: str) -> None:
    click.echo(f"Through {host}, until Ctrl-C:")
    width = max((len(forward.server) for forward in forwards), default=0)
    for server in dict.fromkeys(forward.server for forward in forwards):
        ports = [f"{f.role.removesuffix('_PORT').lower()} {f.port}" for f in forwards if f.server == server]
        click.echo(f"  {server:<{width}}  {', '.join(ports)}")
