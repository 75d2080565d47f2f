"""`cgse keys create|list|authorize|revoke`."""

from __future__ import annotations

from pathlib import Path

import click

from egse.cli.common import tells_errors
from egse.env import KEYS_LOCATION
from egse.security.keys import SERVER, KeyFolder
from egse.security.roles import Role

_KEYS_OPTION = click.option(
    "--keys",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    envvar=KEYS_LOCATION,
    help=f"The key folder; by default {KEYS_LOCATION} or SITE: KEYS of the settings.",
)


def _open(folder: Path | None) -> KeyFolder:
    return KeyFolder.of_site() if folder is None else KeyFolder(folder)


@click.group(no_args_is_help=True)
def keys() -> None:
    """Keys of people and servers: who may connect from other machines, and what they may do.

    \b
    On the machine of the servers:   cgse keys create server
    Each person, on their machine:   cgse keys create alice
    Give alice.key to the servers:   cgse keys authorize alice --role command --file alice.key
    Give server.key to each person:  copy it into their key folder

    Example: cgse keys create alice
    """


@keys.command()
@click.argument("name")
@_KEYS_OPTION
@tells_errors
def create(name: str, folder: Path | None) -> None:
    """Make the key pair of a person, or of the servers (NAME is `server`).

    Example: cgse keys create alice
    """
    opened = _open(folder)
    opened.create(name)
    click.echo(f"Public key  {opened.path / f'{name}.key'}")
    click.echo(f"Secret key  {opened.path / f'{name}.key_secret'}  (mode 0600; it never leaves this machine)")
    if name == SERVER:
        click.echo("\nGive server.key to everybody who connects; servers read their keys when they start.")
    else:
        click.echo(f"\nHave it accepted by the servers: cgse keys authorize {name} --role observe|command")


@keys.command("list")
@_KEYS_OPTION
@tells_errors
def list_(folder: Path | None) -> None:
    """List the keys: what is in the folder, and what is authorised.

    Example: cgse keys list
    """
    opened = _open(folder)
    opened.check()
    entries = opened.entries()
    persons = {caller.person: (caller.role, key) for key, caller in entries.items()}
    names = opened.names()
    click.echo(f"Key folder {opened.path}")
    if not names and not persons:
        click.echo(f"No key yet: make one with `cgse keys create {SERVER}`")
    for name in sorted({*names, *persons}):
        role, key = persons.get(name, ("", ""))
        state = "servers" if name == SERVER else str(role) or "not authorised"
        half = "secret" if opened.has_secret(name) else "public"
        if name not in names:
            half = "-"
        elif key and opened.public(name).decode() != key:
            state += " (with another key than the one here)"
        click.echo(f"  {name:<20} {half:<7} {state}")


@keys.command()
@click.argument("name")
@click.option(
    "--role", type=click.Choice([role.value for role in Role]), required=True, help="What it is good for."
)
@click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The public key NAME.key, made on another machine.",
)
@_KEYS_OPTION
@tells_errors
def authorize(name: str, role: str, file: Path | None, folder: Path | None) -> None:
    """Have the servers accept a person's key, at once; a person has one role and one key, the last ones given.

    `observe` may read status, housekeeping and queries; `command` may do everything.

    Example: cgse keys authorize alice --role command --file alice.key
    """
    _open(folder).authorize(name, Role(role), file)
    click.echo(f"{name} is authorised: {role}")


@keys.command()
@click.argument("name")
@_KEYS_OPTION
@tells_errors
def revoke(name: str, folder: Path | None) -> None:
    """Have the servers refuse a person's key, at once, also on connections that stand already.

    Example: cgse keys revoke alice
    """
    if not _open(folder).revoke(name):
        raise click.ClickException(f"{name} is not authorised; see `cgse keys list`")
    click.echo(f"{name} is not authorised any more")
