"""What the sub-commands of `cgse` share: errors in words, tables, the run directory of the site."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

import click

from egse.env import EnvError
from egse.process import LaunchError, State, Supervision
from egse.settings import SettingsError
from egse.site.layout import SiteError, current_site
from egse.site.ports import PortClaimError
from egse.site.sites import join_current_site
from egse.site.supervise import Row, Started, failure_text
from egse.yamlfile import YAMLFileError

P = ParamSpec("P")
T = TypeVar("T")

USER_ERRORS = (
    SiteError,
    LaunchError,
    PortClaimError,
    EnvError,
    SettingsError,
    YAMLFileError,
    PermissionError,
)
"""What goes wrong without a mistake in this software: told in words, without a traceback."""

_COLOURS = {State.RUNNING: "green", State.FATAL: "red", State.BLOCKED: "red", State.BACKOFF: "yellow"}


def tells_errors(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator: errors of the user or the machine end the command with their text and exit code 1."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except USER_ERRORS as exc:
            raise click.ClickException(str(exc.args[0]) if isinstance(exc, KeyError) else str(exc)) from exc

    return wrapper


def site_supervision() -> Supervision:
    """Returns the supervision of the site that the environment names, or of this user's current site.

    Raises:
        SiteError: when neither names a site.
    """
    joined = join_current_site()
    if joined is not None:
        click.echo(f"Site {joined.site_id} in {joined.folder} (the environment names none)", err=True)
    try:
        _, run_dir, log_dir = current_site()
    except EnvError as exc:
        raise SiteError(f"{exc}; or choose a site of this machine: cgse site list|use|new") from exc
    return Supervision(run_dir, log_dir)


def format_duration(seconds: float | None) -> str:
    """Returns a time span as people read it, e.g. `2 h 05 min`; a dash for None."""
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02d} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


def print_table(rows: Sequence[Row]) -> None:
    """Prints one line for each program, and the reasons of those that do not run below."""
    if not rows:
        click.echo("Nothing runs here.")
        return
    head = ("NAME", "STATE", "PID", "UPTIME", "ENDPOINT")
    table = [
        (row.name, row.state, str(row.pid or "-"), format_duration(row.uptime), row.endpoint or "-")
        for row in rows
    ]
    widths = [max(len(line[column]) for line in (head, *table)) for column in range(len(head))]
    click.echo("  ".join(text.ljust(width) for text, width in zip(head, widths)).rstrip())
    for row, line in zip(rows, table):
        cells = [text.ljust(width) for text, width in zip(line, widths)]
        cells[1] = click.style(
            cells[1], fg=_COLOURS.get(State(row.state)) if row.state in set(State) else "cyan"
        )
        click.echo("  ".join(cells).rstrip())
    for row in rows:
        if row.remark and not (row.up and row.state == State.RUNNING):
            click.echo(f"\n{row.name}: {row.remark}")


def report_start(started: Started) -> None:
    """Prints what a start has done; ends with exit code 1 when something does not run."""
    if started.already:
        click.echo(f"Running already: {', '.join(started.already)}")
    print_table([row for row in started.rows if row.up])
    if started.failed:
        raise click.ClickException(failure_text(started.failed))


def report_stop(stopped: Sequence[str]) -> None:
    """Prints what a stop has done."""
    click.echo(f"Stopped: {', '.join(stopped)}" if stopped else "Nothing was running.")
