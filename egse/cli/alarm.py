"""`cgse alarm list|ack|shelve|unshelve|history|limits|deadman`: what is wrong, and what is done about it."""

from __future__ import annotations

import functools
import json
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click
import msgspec

from egse.cli.common import format_duration, tells_errors
from egse.env import get_data_storage_location, get_site_id
from egse.monitor import AlarmError, AlarmEvent, LimitMonitorProxy
from egse.monitor.heartbeat import PATIENCE, DeadMan
from egse.monitor.interface import SETTINGS
from egse.monitor.journal import FOLDER, last_alarm_events
from egse.monitor.limits import read_definitions
from egse.monitor.routes import routes_of
from egse.settings import Settings
from egse.setup import Setup, SetupError
from egse.site.sites import join_current_site
from egse.system import format_datetime, from_unix_time, unix_time
from egse.tmdict import TMDictionaryError, find_dictionary

P = ParamSpec("P")
T = TypeVar("T")

UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86_400.0}
COLOURS = {"critical": "red", "alarm": "red", "warning": "yellow"}
WIDEST = 60
"""Cells of tables are cut after so many characters."""


def _asks_monitor(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator: joins the site, and tells in words when the monitor is away or refuses."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            join_current_site()
            return tells_errors(function)(*args, **kwargs)
        except (AlarmError, TMDictionaryError, SetupError) as exc:
            raise click.ClickException(str(exc)) from exc
        except (ConnectionError, TimeoutError) as exc:
            raise click.ClickException(f"the limit monitor does not answer: {exc}") from exc

    return wrapper


def duration(text: str) -> float:
    """Returns the seconds of `90`, `90s`, `15m`, `2h`, `1d`.

    Raises:
        click.BadParameter: when it is no such text.
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([a-z]*)\s*", text)
    try:
        if found is None:
            raise ValueError
        return float(found[1]) * UNITS[found[2] or "s"]
    except (ValueError, KeyError):
        raise click.BadParameter(f"{text!r} is no time span: 90s, 15m, 2h, 1d") from None


def _moment(text: str) -> float:
    """Returns the Unix time of a date, or of a time span before now."""
    if re.fullmatch(r"\s*[0-9.]+\s*[a-z]*\s*", text) and not re.fullmatch(r"[0-9]{8}", text):
        return time.time() - duration(text)
    try:
        return unix_time(text)
    except ValueError as exc:
        raise click.BadParameter(f"{exc}, or a time span before now: 2h") from None


def _at(seconds: float) -> str:
    return format_datetime(from_unix_time(seconds))[:19].replace("T", " ") if seconds else "-"


def _value(row: Mapping[str, Any]) -> str:
    value = row.get("value")
    text = f"{value:.6g}" if isinstance(value, float) else "-" if value is None else str(value)
    return f"{text} {row.get('unit') or ''}".strip()


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], colours: Sequence[str | None]) -> None:
    """Prints a table; the first cell of each row in its colour."""
    cut = [[cell if len(cell) <= WIDEST else cell[: WIDEST - 1] + "…" for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in (head, *cut)) for column in range(len(head))]
    click.echo("  ".join(text.ljust(width) for text, width in zip(head, widths)).rstrip())
    for row, colour in zip(cut, colours):
        cells = [text.ljust(width) for text, width in zip(row, widths)]
        cells[0] = click.style(cells[0], fg=colour) if colour else cells[0]
        click.echo("  ".join(cells).rstrip())


_json = click.option("--json", "as_json", is_flag=True, help="Print everything, for programs.")


@click.group()
def alarm() -> None:
    """What is wrong at a site: alarms, their history, the limits.

    Example: cgse alarm list
    """


@alarm.command("list")
@_json
@_asks_monitor
def list_(as_json: bool) -> None:
    """Show the alarms that are active, or that nobody has acknowledged, the most urgent first.

    Example: cgse alarm list
    """
    with LimitMonitorProxy() as monitor:
        alarms, shelves = monitor.get_alarms(), monitor.get_shelves()
    if as_json:
        click.echo(json.dumps(alarms))
        return
    if not alarms:
        click.echo("No alarms.")
    else:
        _show_alarms(alarms)
    shown = {one["name"] for one in alarms}
    for shelf in shelves:
        if shelf["name"] not in shown:
            click.echo(
                f"Shelved until {_at(shelf['until'])}: {shelf['name']} by {shelf['by']}: {shelf['reason']}"
            )


def _state(one: Mapping[str, Any]) -> str:
    state = "active" if one["active"] else "cleared"
    if one["shelved_until"]:
        state += ", shelved"
    return state + (", acknowledged" if one["acknowledged"] else "")


def _show_alarms(alarms: Sequence[Mapping[str, Any]]) -> None:
    rows = [
        (one["priority"].upper(), one["name"], _state(one), _at(one["raised"]), str(one["count"]), _value(one), one["limit"])
        for one in alarms
    ]  # fmt: skip
    colours = [COLOURS[one["priority"]] if one["active"] else None for one in alarms]
    _table(("PRIORITY", "NAME", "STATE", "RAISED (UTC)", "TIMES", "VALUE", "LIMIT"), rows, colours)
    for one in alarms:
        if not one["active"]:
            continue
        click.echo(f"\n{one['name']}\n  cause:  {one['cause']}\n  next:   {one['action']}")
        if one["acknowledged"]:
            click.echo(f"  acknowledged by {one['acknowledged_by']} {one['comment']}".rstrip())
        if one["shelved_until"]:
            click.echo(
                f"  shelved until {_at(one['shelved_until'])} by {one['shelved_by']}: {one['shelved_reason']}"
            )
        for text in one["reactions"]:
            click.echo(f"  reaction: {text}")


@alarm.command()
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that nobody has acknowledged.")
@click.option("--comment", "-m", default="", help="For the journal.")
@_asks_monitor
def ack(names: tuple[str, ...], everything: bool, comment: str) -> None:
    """Acknowledge alarms: you have taken notice.

    Example: cgse alarm ack GSYN_TRP1 -m "heater test, see log book"
    """
    if bool(names) == everything:
        raise click.UsageError("name the alarms, or give --all")
    with LimitMonitorProxy() as monitor:
        chosen = names or [one["name"] for one in monitor.get_alarms() if not one["acknowledged"]]
        for name in chosen:
            found = monitor.acknowledge(name, comment=comment)
            click.echo(f"{name}: acknowledged by {found['acknowledged_by']} at {_at(found['acknowledged'])}")


@alarm.command()
@click.argument("name")
@click.option("--for", "span", required=True, help="How long: 90s, 15m, 2h, 1d.")
@click.option("--reason", "-m", required=True, help="Why; for those who come after you.")
@_asks_monitor
def shelve(name: str, span: str, reason: str) -> None:
    """Have nobody called for an alarm for a while; the journal goes on.

    Example: cgse alarm shelve GSYN_TRP1 --for 2h -m "sensor is being changed"
    """
    with LimitMonitorProxy() as monitor:
        found = monitor.shelve(name, "", duration(span), reason)
    click.echo(f"{name} is shelved until {_at(found['until'])} UTC")


@alarm.command()
@click.argument("name")
@_asks_monitor
def unshelve(name: str) -> None:
    """Take an alarm from the shelf before its time.

    Example: cgse alarm unshelve GSYN_TRP1
    """
    with LimitMonitorProxy() as monitor:
        monitor.unshelve(name)
    click.echo(f"{name} is not shelved any more")


@alarm.command()
@click.argument("name", required=False)
@click.option("--since", help="A date (UTC), or a time span before now: 2h.")
@click.option("--until", help="A date (UTC), or a time span before now.")
@click.option("--last", default=100, show_default=True, help="The newest so many events.")
@_json
@_asks_monitor
def history(name: str | None, since: str | None, until: str | None, last: int, as_json: bool) -> None:
    """Show what has happened to alarms, out of the journal; the monitor need not run.

    Example: cgse alarm history --since 12h
    """
    begin = _moment(since) if since else None
    end = _moment(until) if until else None
    folder = get_data_storage_location() / FOLDER
    count = last if name is None else 100_000
    events = [e for e in last_alarm_events(folder, count, begin, end) if name in (None, e.name)][-last:]
    if as_json:
        click.echo(json.dumps([msgspec.to_builtins(event) for event in events]))
    elif not events:
        click.echo("Nothing has happened.")
    else:
        rows = [_history_row(event) for event in events]
        _table(("TIME (UTC)", "EVENT", "PRIORITY", "NAME", "VALUE", "TEXT"), rows, [None] * len(rows))


def _history_row(event: AlarmEvent) -> tuple[str, ...]:
    text = " ".join(part for part in (event.by, event.comment) if part)
    told = event.limit if event.event in ("raised", "escalated", "cleared") and not text else text
    return (
        _at(event.time),
        event.event,
        event.priority,
        event.name,
        _value({"value": event.value, "unit": event.unit}),
        told,
    )


@alarm.command()
@click.argument("name", required=False)
@click.option(
    "--check",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Check the limits of this Setup file.",
)
@_json
@_asks_monitor
def limits(name: str | None, check: Path | None, as_json: bool) -> None:
    """Show what is watched, with the newest values; or check the limits in a Setup file.

    Example: cgse alarm limits GSYN_TRP1
    """
    if check is not None:
        _check(check)
        return
    with LimitMonitorProxy() as monitor:
        found = monitor.get_limits(name)
    if as_json or name is not None:
        click.echo(json.dumps(found, indent=None if as_json else 2))
        return
    rows = [
        (one["name"], _value(one), one["level"] or "-", _range(one["warning"]), _range(one["alarm"]), _range(one["critical"]), _more(one))
        for one in found
    ]  # fmt: skip
    _table(
        ("NAME", "VALUE", "IS", "WARNING", "ALARM", "CRITICAL", "MORE"),
        rows,
        [COLOURS.get(one["level"]) for one in found],
    )


def _check(path: Path) -> None:
    setup = Setup.from_yaml_file(path)
    found = read_definitions(setup, find_dictionary(setup))
    if found.problems:
        raise click.ClickException("\n".join(found.problems))
    click.echo(f"{path}: {len(found.by_name)} parameters and rules, all in order")


def _range(limits: list[float | None] | None) -> str:
    if limits is None:
        return "-"
    low, high = ("" if end is None else f"{end:g}" for end in limits)
    return f"{low} … {high}".strip()


def _more(one: Mapping[str, Any]) -> str:
    parts = [one["expression"]] if one["expression"] else []
    parts += [f"{key} {one[key]}" for key in ("allowed", "rate", "stuck", "stale", "valid_when") if one[key]]
    parts += ["latch"] if one["latch"] else []
    parts += [f"{one['contexts']} contexts"] if one["contexts"] else []
    return "; ".join(parts) if one["monitored"] else "not monitored now"


@alarm.command()
@click.option("--every", default=2.0, show_default=True, help="How often to look [s]; 0 to look once.")
@click.option("--patience", default=PATIENCE, show_default=True, help="So long no sign of life is fine [s].")
@_asks_monitor
def deadman(every: float, patience: float) -> None:
    """Look whether the limit monitor is alive, and call people when it is not; ends with Ctrl-C.

    The watchdog (wd_cs) does the same; this one may run where that does not. With --every 0 the exit code tells: 1 also when
    no sign of life can be read.

    Example: cgse alarm deadman --every 0
    """
    routes, problems = routes_of(Settings.load(SETTINGS), get_site_id())
    for problem in problems:
        click.echo(f"Nobody is called by this: {problem}", err=True)
    for route in routes:
        route.start()

    def call(events: Sequence[AlarmEvent]) -> None:
        for event in events:
            click.echo(f"{_at(event.time)} {event.event}: {event.name}: {event.cause}")
        for route in routes:
            route.put(events)

    man = DeadMan(get_data_storage_location() / FOLDER, call, patience, "cgse alarm deadman")
    ending = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: ending.set())
    alive = man.look(time.time(), time.monotonic())
    while every > 0 and not ending.wait(every):
        alive = man.look(time.time(), time.monotonic())
    for route in routes:
        route.end()
        route.join(4.0)
    if man.trouble:
        raise click.ClickException(man.trouble)
    if not alive:
        raise click.ClickException("the limit monitor is gone: start it with `cgse core start`")
    click.echo(
        f"The limit monitor was heard within the last {format_duration(patience)}, or has ended on request."
    )
