"""`camtest reactions list|dry-run|cancel|blocks|history`: automatic reactions to alarms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from camtest.reactions.table import ReactionTable
    from egse.setup import Setup

SETUP = click.option(
    "--setup",
    "setup_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Setup to look into instead of the loaded one.",
)


@click.group()
def reactions() -> None:
    """Automatic reactions to alarms: what the Setup says, how they stand, what they would command.

    Example: camtest reactions dry-run fee_too_hot
    """


def _setup(setup_file: Path | None) -> Setup:
    from egse.setup import Setup, SetupError, get_setup

    try:
        return get_setup() if setup_file is None else Setup.from_yaml_file(setup_file)
    except (SetupError, ConnectionError, TimeoutError) as exc:
        raise click.ClickException(f"{exc}; --setup names a file") from exc


def _table(setup: Setup) -> ReactionTable:
    from camtest.reactions.table import read_table

    return read_table(setup)


@reactions.command("list")
@SETUP
def list_(setup_file: Path | None) -> None:
    """Show the table, the most urgent reaction first, and how each stands; mistakes in it give exit code 1."""
    table = _table(_setup(setup_file))
    stages = {} if setup_file else _stages()
    for one in table:
        click.echo(click.style(one.name, bold=True) + f"  {one.function}")
        click.echo(
            f"    {', '.join(one.alarms)} at {one.at}; priority {one.priority}, warning {one.warning:g} s"
        )
        if one.description:
            click.echo(f"    {one.description}")
        now = stages.get(one.name)
        if now and now["stage"]:
            click.secho(f"    {now['stage']} because of {', '.join(now['because'])}: {now['text']}", fg="red")
    if not table.reactions and not table.problems:
        click.echo("The Setup has no reactions (monitor.reactions).")
    if table.problems:
        raise click.ClickException("\n".join(table.problems))


def _stages() -> dict[str, dict[str, Any]]:
    from camtest.reactions.interface import ReactionProxy

    try:
        with ReactionProxy(timeout=2.0) as proxy:
            return {one["name"]: one for one in proxy.get_reactions()}
    except OSError:
        click.secho("fdir_cs does not run: nothing is reacted to.", fg="red", err=True)
        return {}


@reactions.command("dry-run")
@click.argument("name", required=False)
@click.option("--all", "everything", is_flag=True, help="All reactions of the table.")
@SETUP
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of noise and durations of the simulators."
)
def dry_run(name: str | None, everything: bool, setup_file: Path | None, seed: int) -> None:
    """Show what a reaction would command, without touching a device.

    Example: camtest reactions dry-run --all
    """
    from camtest.core.exec import generate_command_sequence

    if (name is None) == (not everything):
        raise click.UsageError("give the NAME of a reaction, or --all")
    setup = _setup(setup_file)
    table = _table(setup)
    try:
        chosen = list(table) if name is None else [table.find(name)]
    except LookupError as exc:
        raise click.ClickException(str(exc.args[0])) from exc
    failed = []
    for one in chosen:
        click.secho(f"{one.name}: {one.function}", bold=True)
        assert one.call.block is not None  # read_table has found it
        try:
            sequence = generate_command_sequence(one.call.block, setup=setup, seed=seed, **one.call.arguments)
        except Exception as exc:  # a dry run finds out whatever goes wrong in a building block
            failed.append(f"{one.name}: {type(exc).__name__}: {exc}")
            continue
        click.echo(str(sequence))
    problems = [*failed, *(table.problems if name is None else ())]
    if problems:
        raise click.ClickException("\n".join(problems))


@reactions.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why, for the record.")
def cancel(name: str, reason: str) -> None:
    """Cancel an announced reaction; it does not begin as long as its alarm stays."""
    from camtest.reactions.interface import ReactionProxy
    from egse.command import CommandError

    try:
        with ReactionProxy() as proxy:
            done = proxy.cancel_reaction(name, reason)
    except (OSError, CommandError) as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"{done['name']} is {done['stage']} by {done['by']}")


@reactions.command()
@click.argument("modules", nargs=-1)
def blocks(modules: tuple[str, ...]) -> None:
    """Show the building blocks that reactions may run, of camtest.commanding and of MODULES."""
    from camtest.reactions.table import recoveries

    try:
        found = recoveries(modules)
    except ImportError as exc:
        raise click.ClickException(str(exc)) from exc
    for name, text in found.items():
        click.echo(f"{name}  {text}")


@reactions.command()
@click.option("-n", "count", type=click.IntRange(1), default=50, show_default=True, help="The last N events.")
@click.option(
    "--data-dir",
    "location",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Data folder of the site; that of this environment by default.",
)
def history(count: int, location: Path | None) -> None:
    """Show what reactions did, from their journal; no service need run."""
    from camtest.reactions.journal import read_reactions
    from egse.archive import site_folder
    from egse.system import format_datetime, from_unix_time

    try:
        site = site_folder(location)
    except (OSError, LookupError) as exc:
        raise click.ClickException(str(exc)) from exc
    for event in list(read_reactions(site))[-count:]:
        who = f" by {event.by}" if event.by else ""
        when = format_datetime(from_unix_time(event.time))[:19]
        click.echo(f"{when}  {event.reaction} {event.stage}{who} ({', '.join(event.alarms)}): {event.text}")
