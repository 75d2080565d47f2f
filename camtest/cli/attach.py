"""`camtest attach`, `camtest log`, `camtest runs`: look at procedures that run or have run; nothing is touched."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from camtest.run.journal import RunRecord

_COLOURS = {"passed": "green", "skipped": "yellow", "done": "green", "running": "cyan", "paused": "yellow"}
_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@click.command(epilog="Example: camtest attach")
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the record itself, one JSON object a line.")
def attach(run: str | None, as_json: bool) -> None:
    """Show a procedure from its start and follow it to its end; read-only, for any number of viewers.

    RUN is a run id, an obsid or a test id; without it the running procedure is shown, or the last one. Ctrl-C leaves
    the viewer, not the procedure.
    """
    _show(run, as_json, wait=True, times=False)


@click.command(epilog="Example: camtest log 7")
@click.argument("run", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the record itself, one JSON object a line.")
def log(run: str | None, as_json: bool) -> None:
    """Show the states, cells and outputs of a run so far, with their times (UTC).

    RUN is a run id, an obsid or a test id; without it the running procedure is shown, or the last one.
    """
    _show(run, as_json, wait=False, times=True)


@click.command(epilog="Example: camtest runs -n 5")
@click.option("-n", "--last", default=20, show_default=True, help="How many at most.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--follow", "-f", is_flag=True, help="Print the changes of state of all runs as they happen.")
def runs(last: int, as_json: bool, follow: bool) -> None:
    """List the runs of this machine: single ones, those of batches and of the queue."""
    from camtest.run.journal import list_runs, runs_location

    if follow:
        _follow_states(runs_location())
        return
    found = list_runs()[-last:]
    if as_json:
        click.echo(json.dumps([_row(run) for run in found], indent=1))
    elif not found:
        click.echo("No procedure has been run on this machine yet.")
    else:
        _print_table(found)


def _row(run: RunRecord) -> dict[str, Any]:
    keys = ("obsid", "notebook", "parameters", "source", "operator", "continues", "output")
    return {
        "run_id": run.run_id,
        "start": run.header["t"],
        "status": run.status,
        "reason": run.reason,
        **{key: run.header.get(key, "") for key in keys},
    }


def _print_table(found: list[RunRecord]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for column in ("run", "obsid", "procedure", "from", "who", "start (UTC)", "status", "reason"):
        table.add_column(column, overflow="fold")
    for run in found:
        header = run.header
        begin = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(header["t"]))
        about = (header.get("obsid", ""), header.get("name", ""), header.get("source", ""))
        who = str(header.get("operator", "")).rpartition(":")[0]
        table.add_row(run.run_id, *about, who, begin, run.status, run.reason)
    Console().print(table)


def _follow_states(folder: Any) -> None:
    from camtest.run.journal import follow_states

    try:
        for event in follow_states(folder):
            click.echo(json.dumps(event))
    except KeyboardInterrupt:
        return


def _show(name: str | None, as_json: bool, *, wait: bool, times: bool) -> None:
    from camtest.run.journal import find_run, follow, read_record

    try:
        record = find_run(name)
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    entries = follow(record.path, wait=wait)
    try:
        for entry in entries:
            for line in [json.dumps(entry)] if as_json else render(entry):
                click.echo(f"{_clock(entry)} {line}" if times and not as_json else line)
    except KeyboardInterrupt:
        click.echo("Left; the procedure goes on.", err=True)
        return
    # Read again: what was found at first tells of a run that was under way then.
    if wait and not as_json and read_record(record.path).status == "lost":
        click.secho("The process of this run was killed: `camtest recover` makes its notebook.", fg="red")
        raise SystemExit(1)


def _clock(entry: dict[str, Any]) -> str:
    return time.strftime("%H:%M:%S", time.gmtime(entry["t"])) + f".{int(entry['t'] % 1 * 1000):03d}"


def render(entry: dict[str, Any]) -> Iterator[str]:
    """Yields the lines that show an entry of a record in a terminal."""
    match entry["kind"]:
        case "run":
            values = ", ".join(f"{k}={v!r}" for k, v in (entry.get("parameters") or {}).items())
            yield f"{entry.get('name', '')}({values}), observation {entry.get('obsid', '')}, {entry.get('operator', '')}"
        case "cell" if entry["status"] == "running":
            yield click.style(f"[{entry['number']}/{entry['count']}] {entry['title']}", bold=True)
        case "cell":
            took = f"{entry['duration']:.1f} s"
            yield f"  {click.style(entry['status'], fg=_COLOURS.get(entry['status'], 'red'))} {took}"
        case "state" | "end":
            reason = f": {entry['reason']}" if entry.get("reason") else ""
            yield click.style(entry["status"], fg=_COLOURS.get(entry["status"], "red")) + reason
        case "output" | "update":
            for line in _text_of(entry["output"]).splitlines():
                yield f"    {line}"


def _text_of(output: dict[str, Any]) -> str:
    if output.get("output_type") == "stream":
        return str(output["text"])
    if output.get("output_type") == "error":
        text = "\n".join(output["traceback"]) or f"{output['ename']}: {output['evalue']}"
        return text if sys.stdout.isatty() else _ANSI.sub("", text)
    data = output.get("data", {})
    images = ", ".join(kind for kind in data if kind.startswith("image/"))
    return str(data.get("text/plain", "")) + (f"  [{images}]" if images else "")


@click.command(epilog="Example: camtest recover")
def recover() -> None:
    """Make the notebooks of runs whose process was killed, from their records; done at the next run as well."""
    from camtest.run.recovery import recover_lost_runs

    recovered = recover_lost_runs()
    for run in recovered:
        click.echo(
            f"{run.run_id} {run.header.get('obsid', '')}: {run.header.get('output') or 'in its observation'}"
        )
    if not recovered:
        click.echo("No run was lost.")
