"""`cgse logbook add|show`: the shift logbook."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from egse.cli.archive import LOCATION, in_words, site_of

KIND_NAMES = ("note", "shift", "problem", "instruction")
"""As `egse.report.logbook.KINDS`, which is imported when it is needed."""


@click.group()
def logbook() -> None:
    """The shift logbook: who noted what and when; nothing in it can be changed.

    Example: cgse logbook add "Shutter stuck, opened by hand" --kind problem --obsid 1151
    """


@logbook.command()
@click.argument("text", nargs=-1)
@click.option("--by", default="", help="Who says so; the account by default.")
@click.option("--kind", type=click.Choice(KIND_NAMES), default="note", show_default=True, help="What it is.")
@click.option("--obsid", default="", help="The observation that it is about.")
@LOCATION
@in_words
def add(text: tuple[str, ...], by: str, kind: str, obsid: str, location: Path | None) -> None:
    """Add an entry; without TEXT it is read from standard input.

    Example: cgse logbook add "Taking over from the night shift" --kind shift --by Ann
    """
    from egse.report.logbook import Logbook, LogbookError

    words = " ".join(text) if text else sys.stdin.read()
    try:
        entry = Logbook(site_of(location)).add(words, by=by, kind=kind, obsid=obsid)
    except LogbookError as exc:
        raise click.ClickException(str(exc)) from exc
    click.echo(f"{entry.number}: {entry}")


@logbook.command()
@click.option("--since", default="", help="Earliest moment: today, 12h, 2026-11-25T07:30; all by default.")
@click.option("--until", default="", help="Latest moment.")
@click.option("-n", "count", type=click.IntRange(1), help="The last N entries.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@LOCATION
@in_words
def show(since: str, until: str, count: int | None, as_json: bool, location: Path | None) -> None:
    """Show entries, oldest first; damaged lines are named, with exit code 1.

    Example: cgse logbook show --since 12h
    """
    import msgspec

    from egse.archive.query import parse_moment, parse_until
    from egse.report.logbook import Logbook

    book = Logbook(site_of(location))
    try:
        entries = book.entries(parse_moment(since) if since else None, parse_until(until) if until else None)
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc
    for entry in entries[-count:] if count else entries:
        click.echo(msgspec.json.encode(entry) if as_json else f"{entry.number}: {entry}")
    problems = book.problems()
    if problems:
        raise click.ClickException("the logbook is damaged: " + "; ".join(problems))
