"""`camtest obs list|show` and `camtest verify`: observations, from the files of the archive alone."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from egse.archive import Observation

LOCATION = click.option(
    "--location",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Data folder of the site (with obs/ and daily/); that of this environment by default.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_COLOURS = {"done": "green", "": "yellow", "aborted": "yellow", "interrupted": "yellow"}


@click.group()
def obs() -> None:
    """List and show observations, from their files alone."""


@obs.command("list")
@click.option("-n", "--last", default=20, show_default=True, help="How many, the newest last; 0 for all.")
@LOCATION
@JSON
def list_(last: int, location: Path | None, as_json: bool) -> None:
    """List observations: obsid, how they ended, start, function, description."""
    from egse.archive import list_observations
    from egse.env import EnvError

    try:
        observations = list_observations(location)
    except EnvError as exc:
        raise click.ClickException(str(exc)) from exc
    rows = [_row(observation) for observation in observations[-last if last else 0 :]]
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return
    if not rows:
        click.echo("There are no observations yet.")
        return
    _print_rows(rows, len(observations))


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
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(caption=f"{len(rows)} of {count} observations")
    for column in ("obsid", "status", "start (UTC)", "function", "description"):
        table.add_column(column, overflow="fold", no_wrap=column in ("obsid", "status"))
    for row in rows:
        status = Text(row["status"] or "running", style=_COLOURS.get(row["status"], "red"))
        table.add_row(
            row["obsid"], status, row["start"][:19], Text(row["function"]), Text(row["description"])
        )
    Console().print(table)


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
    events = Counter(str(event.get("event")) for event in observation.events())
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
    except (LookupError, ValueError, EnvError) as exc:
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
    count, problems = _verify_all(location) if everything else _verify_one(str(obsid), location)
    for problem in dict.fromkeys(problems):
        click.secho(problem, fg="red", err=True)
    if problems:
        raise SystemExit(1)
    what = f"{count} observations are" if everything else f"{obsid} is"
    click.echo(f"{what} as recorded.")


def _verify_one(obsid: str, location: Path | None) -> tuple[int, list[str]]:
    from egse.archive import verify as check

    return 1, [str(problem) for problem in check(find(obsid, location))]


def _verify_all(location: Path | None) -> tuple[int, list[str]]:
    """Returns how many observations were checked and what is wrong, removed ones included."""
    from egse.archive import list_observations
    from egse.archive import verify as check
    from egse.env import EnvError

    try:
        observations = list_observations(location)
    except EnvError as exc:
        raise click.ClickException(str(exc)) from exc
    problems: list[str] = []
    for observation in observations:
        found = check(observation)
        if _row(observation)["state"] in ("open", "closing"):
            click.echo(f"{observation.obsid}: not closed yet, cannot be checked")
            found = [problem for problem in found if problem.kind != "unsealed"]
        problems += [str(problem) for problem in found]
    problems += _removed(observations, location)
    return len(observations), problems


def _removed(observations: list[Observation], location: Path | None) -> list[str]:
    """Returns the recorded observations whose folder is not there."""
    from egse.confman import RECORD_FILE, read_records
    from egse.env import get_data_storage_location

    site = get_data_storage_location() if location is None else location
    records, _ = read_records(site / RECORD_FILE)
    present = {observation.folder.name for observation in observations}
    return [
        f"obs/{record.info.prefix}: the whole observation {record.info.obsid} is missing"
        for record in records.values()
        if record.info.prefix not in present and record.state == "closed"
    ]
