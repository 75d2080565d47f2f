"""`python -m egse.setup [--use-cm]`: shows the current Setup."""

from __future__ import annotations

import sys

import click

from egse.env import EnvError
from egse.setup import Setup, SetupError, diff_setups, get_setup, list_setups
from egse.setup.conf import setup_files, setup_from_disk


@click.command(name="python -m egse.setup")
@click.option(
    "--use-cm", is_flag=True, help="Ask the configuration manager instead of looking at the files on disk."
)
@click.option("--setup-id", type=click.IntRange(min=0), help="The Setup to show; by default the current one.")
@click.option(
    "--diff", "other", type=click.IntRange(min=0), metavar="ID", help="Show what differs from Setup ID."
)
@click.option("--list", "list_all", is_flag=True, help="List the Setups of this site.")
def main(use_cm: bool, setup_id: int | None, other: int | None, list_all: bool) -> None:
    """Show the current Setup of this site."""
    try:
        if list_all:
            click.echo(
                str(list_setups()) if use_cm else "\n".join(str(path) for path in setup_files().values())
            )
            return
        read = get_setup if use_cm else setup_from_disk
        if other is not None:
            click.echo(str(diff_setups(read(other), read(setup_id))))
        else:
            _show(read(setup_id))
    except (EnvError, SetupError, ConnectionError) as exc:
        raise click.ClickException(str(exc)) from exc


def _show(setup: Setup) -> None:
    click.echo(f"Setup {setup.get_id()}" + (f" from {setup.get_filename()}" if setup.get_filename() else ""))
    if sys.stdout.isatty():
        import rich

        rich.print(setup)
    else:
        click.echo(str(setup))


if __name__ == "__main__":
    main()
