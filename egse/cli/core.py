"""`cgse core start|stop|status`."""

from __future__ import annotations

import sys

import click

from egse.cli.common import print_table, report_start, report_stop, site_supervision, tells_errors
from egse.site.programs import core_entries, programs_of
from egse.site.supervise import rows_of, running_elsewhere, start_programs


@click.group()
def core() -> None:
    """Start, stop and show the core services of a site.

    The site is the one that the environment names (SITE_ID, PLATO_...), otherwise the current one of `cgse site`.

    Example: cgse core start
    """


@core.command()
@click.option("--timeout", default=60.0, show_default=True, help="How long it may take [s].")
@tells_errors
def start(timeout: float) -> None:
    """Start the core services that do not run yet.

    They are supervised: what crashes is restarted. Example: cgse core start
    """
    entries = core_entries()
    supervision = site_supervision()
    elsewhere = running_elsewhere(supervision, entries)
    report_start(start_programs(supervision, programs_of(entries), elsewhere, timeout))


@core.command()
@tells_errors
def stop() -> None:
    """Stop the core services that were started with `cgse core start`.

    Device servers keep running. Example: cgse core stop
    """
    entries = core_entries()
    supervision = site_supervision()
    report_stop(supervision.withdraw([entry.name for entry in entries]))
    for name, holder in running_elsewhere(supervision, entries).items():
        click.echo(f"{name} still runs, not started here: {holder}. Stop it with `{name} stop`.", err=True)


@core.command()
@tells_errors
def status() -> None:
    """Show which core services run; exit code 1 when one does not.

    Example: cgse core status
    """
    entries = core_entries()
    supervision = site_supervision()
    rows = rows_of(supervision, [entry.name for entry in entries], running_elsewhere(supervision, entries))
    print_table(rows)
    sys.exit(0 if all(row.up for row in rows) else 1)
