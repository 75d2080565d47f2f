"""`cgse device NAME start|stop|status`."""

from __future__ import annotations

import sys

import click

from egse.cli.common import print_table, report_start, report_stop, site_supervision, tells_errors
from egse.site.keepers import site_keeper
from egse.site.layout import SiteError
from egse.site.programs import Entry, device_entries, device_group
from egse.site.supervise import Row, make_row, rows_of, running_elsewhere, start_programs
from egse.site.units import UnitKeeper

ACTIONS = ("start", "stop", "status")


@click.command()
@click.argument("name", required=False)
@click.argument("action", metavar="[start|stop|status]", required=False)
@click.option(
    "--simulator", is_flag=True, help="Start it with a model of the device instead of the instrument."
)
@click.option("--timeout", default=60.0, show_default=True, help="How long a start may take [s].")
@tells_errors
def device(name: str | None, action: str | None, simulator: bool, timeout: float) -> None:
    """Start, stop or show a device control server; without a name: show all.

    NAME is that of the server, `_cs` may be left out; `aeu` stands for all servers of the AEU. What is started is supervised: it is restarted when it crashes.
    Where LAUNCHER of the process manager is systemd, it is a unit.

    Example: cgse device ogse start --simulator
    """
    if name in ACTIONS:  # as in `cgse core start`
        name, action = action, name
    if action is not None and action not in ACTIONS:
        raise click.UsageError(f"{action!r} is none of {', '.join(ACTIONS)}")
    if name is None:
        if action in ("start", "stop"):
            raise click.UsageError(f"which server? cgse device NAME {action}")
        print_table(_rows(device_entries()))
        return
    entries = device_group(name)
    if action == "start":
        for entry in entries:
            _start(entry, simulator, timeout)
    elif action == "stop":
        for entry in entries:
            _stop(entry)
    else:
        rows = _rows(entries)
        print_table(rows)
        sys.exit(0 if all(row.up for row in rows) else 1)


def _start(entry: Entry, simulator: bool, timeout: float) -> None:
    supervision = site_supervision()
    if (units := _units()) is not None:
        units.start(entry, simulator=simulator)
        print_table(_rows([entry]))
        return
    record = supervision.launcher.status().get(entry.name)
    if record is not None and simulator != ("--simulator" in record.command):
        kind = "without the simulator" if simulator else "with the simulator"
        raise SiteError(f"{entry.name} runs already, {kind}: stop it first (cgse device {entry.name} stop)")
    elsewhere = running_elsewhere(supervision, [entry])
    program = entry.program(simulator=simulator)
    report_start(start_programs(supervision, [program], elsewhere, timeout))


def _stop(entry: Entry) -> None:
    supervision = site_supervision()
    if (units := _units()) is not None:
        units.stop([entry.name])
        print_table(_rows([entry]))
        return
    report_stop(supervision.withdraw([entry.name]))
    for name, holder in running_elsewhere(supervision, [entry]).items():
        click.echo(f"{name} still runs, not started here: {holder}. Stop it with `{name} stop`.", err=True)


def _units() -> UnitKeeper | None:
    """Returns the keeper of a site whose device servers are units of systemd; None for any other site."""
    keeper = site_keeper()
    return keeper if isinstance(keeper, UnitKeeper) else None


def _rows(entries: list[Entry]) -> list[Row]:
    supervision = site_supervision()
    if (units := _units()) is not None:
        states = units.states(entries)
        return [make_row(entry.name, states.get(entry.name)) for entry in entries]
    return rows_of(supervision, [entry.name for entry in entries], running_elsewhere(supervision, entries))
