"""`camtest obs list|show|report|note|sequence`: observations, from the files of the archive alone."""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from egse.archive import Entry, Observation, Query

LOCATION = click.option(
    "--data-dir",
    "--location",
    "location",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Data folder of the site (with obs/ and daily/) or the one above it; that of this environment by default.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_HEAD = ("obsid", "status", "start (UTC)", "function", "description")
_COLOURS = {"done": "green", "": "yellow", "aborted": "yellow", "interrupted": "yellow"}


@click.group()
def obs() -> None:
    """List and show observations, from their files alone."""


@obs.command("list")
@click.option("-n", "--last", default=20, show_default=True, help="How many, the newest last; 0 for all.")
@click.option(
    "--since", metavar="TIME", help="Started at or after: 2026-03-01, 2026-03-01T12:00, yesterday, 12h, 3d."
)
@click.option("--until", metavar="TIME", help="Started before; a day alone counts to its end.")
@click.option("--status", multiple=True, help="How they ended, or `running`; may be repeated.")
@click.option("--setup", type=int, help="With this Setup id.")
@click.option(
    "--grep",
    metavar="TEXT",
    default="",
    help="Text (a regular expression) in obsid, function, description or reason.",
)
@LOCATION
@JSON
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
def list_(
    last: int,
    since: str | None,
    until: str | None,
    status: tuple[str, ...],
    setup: int | None,
    grep: str,
    location: Path | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """List observations: obsid, how they ended, start, function, description.

    Example: camtest obs list --since 3d --status failed --grep hexapod
    """
    from egse.archive.query import Query, parse_moment, parse_until

    if as_json and as_csv:
        raise click.UsageError("give --json or --csv, not both")
    try:
        query = Query(
            since=parse_moment(since) if since else None,
            until=parse_until(until) if until else None,
            status=status,
            setup=setup,
            text=grep,
            last=max(last, 0),
        )
        rows, count = _ask(query, location)
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    elif as_csv:
        _print_csv(rows)
    elif not rows:
        click.echo("No observation fits." if count else "There are no observations yet.")
    else:
        _print_rows(rows, count)


def _ask(query: Query, location: Path | None) -> tuple[list[dict[str, Any]], int]:
    """Returns the observations that fit, and how many there are in all."""
    from egse.archive import ArchiveIndex

    site = site_of(location)
    with ArchiveIndex(site) as index:
        index.refresh()
        return [_entry_row(entry, site) for entry in query.run(index)], index.count()


def site_of(location: Path | None) -> Path:
    """Returns the data folder that is meant; ends the command with a message when there is none."""
    from egse.archive import site_folder
    from egse.env import EnvError

    try:
        return site_folder(location)
    except EnvError as exc:
        raise click.ClickException(f"{exc}; or name an archive: --data-dir PATH") from exc
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc


def _entry_row(entry: Entry, site: Path) -> dict[str, Any]:
    return {
        "obsid": entry.obsid,
        "status": entry.status,
        "state": entry.state,
        "start": entry.start,
        "end": entry.end,
        "function": entry.function,
        "description": entry.description,
        "reason": entry.reason,
        "setup": entry.setup_id,
        "camera": entry.camera,
        "origin": entry.origin,
        "folder": str(site / "obs" / entry.prefix) if entry.present else None,
    }


def _print_csv(rows: list[dict[str, Any]]) -> None:
    names = list(rows[0]) if rows else ["obsid", "status", "state", "start", "end", "function", "description"]
    writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _row(observation: Observation) -> dict[str, Any]:
    try:
        status, state, end = observation.status, observation.state, observation.end
    except ValueError:  # its manifest is damaged: `verify` says so
        status = state = "damaged"
        end = ""
    return {
        "obsid": observation.obsid,
        "status": status,
        "state": state,
        "start": observation.start,
        "end": end,
        "function": observation.function,
        "description": observation.description,
        "folder": str(observation.folder),
    }


def _print_rows(rows: list[dict[str, Any]], count: int) -> None:
    lines: list[tuple[str, ...]] = [
        (
            row["obsid"],
            row["status"] or ("?" if row["state"] == "unknown" else "running"),
            row["start"][:19],
            row["function"],
            row["description"],
        )
        for row in rows
    ]
    caption = f"{len(rows)} of {count} observations"
    if sys.stdout.isatty():
        _print_table(lines, caption)
    else:
        _print_plain([_HEAD, *lines], caption)


def _print_table(lines: list[tuple[str, ...]], caption: str) -> None:
    from rich.console import Console  # only for a terminal: it takes time to import
    from rich.table import Table
    from rich.text import Text

    table = Table(caption=caption)
    for column in _HEAD:
        table.add_column(column, overflow="fold", no_wrap=column in ("obsid", "status"))
    for obsid, status, start, function, description in lines:
        colour = _COLOURS.get("" if status in ("?", "running") else status, "red")
        table.add_row(obsid, Text(status, style=colour), start, Text(function), Text(description))
    Console().print(table)


def _print_plain(lines: list[tuple[str, ...]], caption: str) -> None:
    """Prints one line for each observation, aligned and not cut off, for pipes and files."""
    cells = [[" ".join(cell.split()) for cell in line] for line in lines]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        click.echo("  ".join(map(str.ljust, line, widths)).rstrip())
    click.echo(caption)


@obs.command()
@click.argument("obsid")
@LOCATION
@JSON
def show(obsid: str, location: Path | None, as_json: bool) -> None:
    """Show one observation: how it ended, its files and what happened.

    OBSID is a test id (1151), or the obsid in any of its forms.
    """
    observation = find(obsid, location)
    details = _row(observation)
    paths = list(observation.files)
    if details["state"] != "damaged":
        details["reason"] = observation.reason
        paths += observation.raw_files
    files = [_file(path, observation) for path in paths]
    events = Counter(str(event.get("event")) for event in observation.events)
    if as_json:
        click.echo(json.dumps(details | {"files": files, "events": events}, indent=1))
        return
    for key, value in details.items():
        if value:
            click.echo(f"{key:<12}{value}")
    click.echo(f"{'events':<12}" + (", ".join(f"{n} {kind}" for kind, n in events.items()) or "none"))
    click.echo(f"\n{len(files)} files:")
    for file in files:
        size = "missing" if file["size"] is None else f"{file['size']:,} bytes"
        click.echo(f"  {size:>19}  {file['path']}")


def _file(path: Path, observation: Observation) -> dict[str, Any]:
    inside = path.is_relative_to(observation.site_folder)
    name = path.relative_to(observation.site_folder) if inside else path
    return {"path": str(name), "size": path.stat().st_size if path.exists() else None}


def find(obsid: str, location: Path | None) -> Observation:
    """Returns an observation of the archive; ends the command with a message when there is none."""
    from egse.archive import Observation
    from egse.env import EnvError

    try:
        return Observation(obsid, location)
    except EnvError as exc:
        raise click.ClickException(f"{exc}; or name an archive: --data-dir PATH") from exc
    except (LookupError, ValueError) as exc:
        raise click.ClickException(str(exc.args[0]) if exc.args else str(exc)) from exc


@obs.command()
@click.argument("obsid")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file; <prefix>_report.html here by default.",
)
@click.option(
    "--plan",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Exported sequence of a dry run (.json, .yaml): the report shows what was done otherwise.",
)
@LOCATION
def report(obsid: str, output: Path | None, plan: Path | None, location: Path | None) -> None:
    """Make the as-run report of an observation: one HTML page that stands alone.

    Example: camtest obs report 1151 --plan plan.json -o report.html
    """
    from camtest.core.report import write_report
    from camtest.core.sequence import CommandSequence
    from egse.archive.siteverification import verify_observation

    observation = find(obsid, location)
    try:
        wanted = None if plan is None else CommandSequence.read(plan)
        path = output or Path(f"{observation.prefix}_report.html")
        write_report(observation, path, problems=verify_observation(observation), plan=wanted)
    except (ValueError, OSError) as exc:
        raise click.ClickException(f"no report of {obsid}: {exc}") from exc
    click.echo(f"Written: {path}")


@obs.command()
@click.argument("obsid")
@click.argument("text")
@click.option("--quality", type=click.Choice(["good", "suspect", "bad"]), help="What it says about the data.")
@click.option("--by", default="", help="Who says it; the name of this account by default.")
def note(obsid: str, text: str, quality: str | None, by: str) -> None:
    """Add a note to an observation, also long after it was closed.

    Example: camtest obs note 1151 "lamp drifted after cycle 3" --quality suspect
    """
    from camtest.core.notes import add_note
    from egse.storage import StorageError

    try:
        path = add_note(obsid, text, quality=quality or "", by=by)  # type: ignore[arg-type]
    except (ValueError, OSError, StorageError) as exc:
        raise click.ClickException(f"the note was not taken: {exc}") from exc
    click.echo(f"Written: {path}")


@obs.command()
@click.argument("obsid")
@click.option(
    "--export",
    "exports",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to a .json, .yaml, .csv, .md, .html or .txt file.",
)
@click.option(
    "--diff", metavar="FILE|OBSID", help="Show what is different from a plan or another observation."
)
@click.option("--queries", is_flag=True, help="Compare queries as well.")
@LOCATION
def sequence(
    obsid: str, exports: tuple[Path, ...], diff: str | None, queries: bool, location: Path | None
) -> None:
    """Show the as-run sequence of an observation: building blocks and device commands.

    With --diff exit code 1 when something was done otherwise that no red line accounts for. Example:
    camtest obs sequence 1151 --diff plan.json
    """
    from rich.console import Console

    from camtest.core.sequence import CommandSequence

    console = Console() if sys.stdout.isatty() else Console(width=240)
    try:
        as_run = CommandSequence.of_observation(find(obsid, location).folder)
        for path in exports:
            click.echo(f"Written: {as_run.export(path)}")
        if diff is None:
            if not exports:
                console.print(as_run.tree())
            return
        if Path(diff).is_file():
            other = CommandSequence.read(diff)
        else:
            other = CommandSequence.of_observation(find(diff, location).folder)
        found = other.diff(as_run, queries=queries)
    except (ValueError, LookupError, OSError) as exc:
        raise click.ClickException(str(exc)) from exc
    console.print(found)
    if found.unexplained:
        raise SystemExit(1)
