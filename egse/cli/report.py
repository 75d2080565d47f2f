"""`cgse report day|handover`: looking back, from the files of the archive alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import click

from egse.cli.archive import LOCATION, in_words, site_of
from egse.clock import system_clock

OUTPUT = click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file; `-` prints it."
)
_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(min|h|d)")
_SECONDS = {"min": 60.0, "h": 3600.0, "d": 86_400.0}


class _Length(click.ParamType):  # type: ignore[type-arg]
    name = "length"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = _SPAN.fullmatch(value.strip())
        if match is None:
            self.fail(f"{value!r} is no length of time: 30min, 8h, 2d", param, ctx)
        return float(match[1]) * _SECONDS[match[2]]


@click.group()
def report() -> None:
    """Looking back at a day or a shift: one HTML file, from the archive alone; no service need run.

    Example: cgse report day yesterday
    """


@report.command()
@click.argument("date", default="today")
@OUTPUT
@LOCATION
@in_words
def day(date: str, output: Path | None, location: Path | None) -> None:
    """Report of a UTC day: observations, alarms, limits, availability, disk, commands, logbook.

    DATE is today (up to now), yesterday, or as in 2026-11-25.

    Example: cgse report day yesterday
    """
    from egse.archive.query import parse_moment
    from egse.report.day import day_report, save_report
    from egse.report.span import Scope
    from egse.system import from_unix_time

    try:
        wanted = f"{from_unix_time(parse_moment(date)):%Y%m%d}"
        scope = Scope.of_day(site_of(location), wanted, system_clock().now())
    except ValueError as exc:
        raise click.ClickException(str(exc)) from exc
    html = day_report(scope)
    _deliver(
        html, output, lambda: save_report(scope, f"{wanted}_{scope.site.name}_report.html", html, output)
    )


@report.command()
@click.option("--since", type=_Length(), default="8h", show_default=True, help="How far back: 30min, 8h, 2d.")
@OUTPUT
@LOCATION
@in_words
def handover(since: float, output: Path | None, location: Path | None) -> None:
    """Page for the next shift: what is open, what runs, what was noted, what happened.

    Example: cgse report handover --since 12h
    """
    from egse.report.day import handover_page, save_report
    from egse.report.span import Scope
    from egse.system import from_unix_time

    scope = Scope.of_last(site_of(location), since, system_clock().now())
    html = handover_page(scope)
    name = f"{from_unix_time(scope.now):%Y%m%d_%H%M%S}_{scope.site.name}_handover.html"
    _deliver(html, output, lambda: save_report(scope, name, html, output))


def _deliver(html: str, output: Path | None, save: Callable[[], Path]) -> None:
    if output is not None and str(output) == "-":
        click.echo(html, nl=False)
    else:
        click.echo(save())
