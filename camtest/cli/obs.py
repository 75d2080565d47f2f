"""`camtest obs list|show` and `camtest verify`: observations, from the files of the archive alone."""

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

    site = _site(location)
    with ArchiveIndex(site) as index:
        index.refresh()
        return [_entry_row(entry, site) for entry in query.run(index)], index.count()


def _site(location: Path | None) -> Path:
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


@click.command()
@click.argument("obsid", required=False)
@click.option("--all", "everything", is_flag=True, help="Check all observations of the site.")
@LOCATION
def verify(obsid: str | None, everything: bool, location: Path | None) -> None:
    """Check every file of an observation against its manifest, raw files in daily/ included.

    Names each file that was altered, removed or added; exit code 1 when there is one.
    """
    if everything == (obsid is not None):
        raise click.UsageError("give an OBSID, or --all")
    problems = _verify_all(location) if everything else _verify_one(str(obsid), location)
    texts = list(dict.fromkeys(text for kind, text in problems if kind != "pruned"))
    pruned = sum(kind == "pruned" for kind, _ in problems)
    for text in texts:
        click.secho(text, fg="red", err=True)
    if pruned:
        click.secho(
            f"{pruned} files were removed here by `cgse archive prune`; verified copies are elsewhere.",
            fg="yellow",
        )
    if texts:
        raise SystemExit(1)
    click.echo(f"{'All observations are' if everything else f'{obsid} is'} as recorded.")


def _verify_one(obsid: str, location: Path | None) -> list[tuple[str, str]]:
    from egse.archive import verify as check

    return [(problem.kind, str(problem)) for problem in check(find(obsid, location))]


def _verify_all(location: Path | None) -> list[tuple[str, str]]:
    """Returns kind and text of whatever is wrong, removed observations included."""
    from egse.archive import list_observations
    from egse.archive import verify as check

    site = _site(location)
    observations = list_observations(site) if site.is_dir() else []
    problems: list[tuple[str, str]] = []
    for observation in observations:
        found = check(observation)
        if _row(observation)["state"] in ("open", "closing"):
            click.echo(f"{observation.obsid}: not closed yet, cannot be checked")
            found = [problem for problem in found if problem.kind != "unsealed"]
        problems += [(problem.kind, str(problem)) for problem in found]
    return problems + [("missing", text) for text in _removed(observations, site)]


def _removed(observations: list[Observation], site: Path) -> list[str]:
    """Returns the recorded observations whose folder is not there."""
    from egse.confman import RECORD_FILE, read_records

    records, _ = read_records(site / RECORD_FILE)
    present = {observation.folder.name for observation in observations}
    return [
        f"obs/{record.info.prefix}: the whole observation {record.info.obsid} is missing"
        for record in records.values()
        if record.info.prefix not in present and record.state == "closed"
    ]
