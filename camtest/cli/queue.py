"""`camtest queue`: procedures that wait to be run, one after the other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from camtest.cli.options import NOTEBOOK, gather_parameters, parameter_options


@click.group(epilog="Example: camtest queue add procedures/short_functional_test.ipynb -p num_cycles 2")
def queue() -> None:
    """Line procedures up while others run.

    A worker in the background runs them strictly one after the other, dry runs and analysis beside them. It outlives this
    terminal and ends when the queue is empty. When a procedure does not end as done, the queue pauses.
    """


@queue.command(epilog="Example: camtest queue add procedures/short_functional_test.ipynb -p num_cycles 2")
@NOTEBOOK
@parameter_options
@click.option("-d", "--description", default="", help="Free text for the obsid table.")
@click.option("--mode", type=click.Choice(["run", "dry-run", "analysis"]), default="run", show_default=True)
@click.option("--cell-timeout", type=float, help="Longest time for one cell [s].")
@click.option("--first", is_flag=True, help="Before all others.")
@click.option("--no-start", is_flag=True, help="Only line it up: start no worker.")
@click.option(
    "--output-dir",
    default="runs",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for executed notebooks, when this starts the worker.",
)
def add(
    notebook: Path,
    parameters: tuple[tuple[str, str], ...],
    parameters_raw: tuple[tuple[str, str], ...],
    parameters_yaml: tuple[str, ...],
    parameters_file: tuple[Path, ...],
    description: str,
    mode: Any,
    cell_timeout: float | None,
    first: bool,
    no_start: bool,
    output_dir: Path,
) -> None:
    """Put a procedure into the queue; its parameters are checked now."""
    from camtest.run.queue import Queue

    values = gather_parameters(notebook, parameters, parameters_raw, parameters_yaml, parameters_file)
    site_queue = Queue()
    number = site_queue.add(
        notebook, values, mode=mode, description=description, cell_timeout=cell_timeout, first=first
    )
    click.echo(f"{number}: {notebook.name} waits")
    if not no_start:
        _start(site_queue, output_dir)


def _start(site_queue: Any, output_dir: Path) -> None:
    from camtest.run.worker import start_worker

    state = site_queue.state()
    if state.status != "running":
        click.echo(
            f"The queue is {state.status}{f' ({state.reason})' if state.reason else ''}: camtest queue resume"
        )
        return
    try:
        if start_worker(site_queue, output_dir):
            click.echo("The worker of the queue was started.")
    except RuntimeError as exc:
        raise click.ClickException(str(exc)) from exc


@queue.command("list", epilog="Example: camtest queue list --all")
@click.option("--all", "everything", is_flag=True, help="Also those that have ended.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(everything: bool, as_json: bool) -> None:
    """Show what runs and what waits."""
    from camtest.run.queue import Queue

    state = Queue().state()
    running = [] if state.running is None else [state.running]
    shown = [*running, *(state.items[number] for number in state.waiting)]
    if everything:
        shown = [entry for entry in state.items.values() if entry not in shown] + shown
    if as_json:
        rows = [
            {
                "number": entry.item.number,
                "notebook": entry.item.notebook,
                "parameters": entry.item.parameters,
                "mode": entry.item.mode,
                "by": entry.by,
                "status": entry.status,
                "reason": "" if entry.attempt is None else entry.attempt.reason,
                "obsid": "" if entry.attempt is None else entry.attempt.obsid,
            }
            for entry in shown
        ]
        about = {"status": state.status, "reason": state.reason, "worker": state.worker, "items": rows}
        click.echo(json.dumps(about, indent=1))
        return
    worker = "" if state.worker else ", no worker"
    click.echo(f"The queue is {state.status}{f': {state.reason}' if state.reason else ''}{worker}.")
    for entry in shown:
        reason = f": {entry.attempt.reason}" if entry.attempt and entry.attempt.reason else ""
        obsid = f"  {entry.attempt.obsid}" if entry.attempt and entry.attempt.obsid else ""
        who = entry.by.partition("@")[0]
        click.echo(f"{entry.item.number:>4}  {entry.status}{reason}  {entry.item.label}{obsid}  by {who}")


def _change(action: Any) -> None:
    from camtest.run.queue import QueueError

    try:
        action()
    except QueueError as exc:
        raise click.ClickException(str(exc)) from exc


@queue.command(epilog="Example: camtest queue move 7 1")
@click.argument("number", type=int)
@click.argument("position", type=click.IntRange(1))
def move(number: int, position: int) -> None:
    """Move a waiting procedure; POSITION 1 is the next one."""
    from camtest.run.queue import Queue

    _change(lambda: Queue().move(number, position))


@queue.command(epilog="Example: camtest queue remove 7")
@click.argument("number", type=int)
def remove(number: int) -> None:
    """Take a waiting procedure out of the queue."""
    from camtest.run.queue import Queue

    _change(lambda: Queue().remove(number))


@queue.command(epilog="Example: camtest queue pause --reason lunch")
@click.option("--reason", default="", help="Why, for the others.")
def pause(reason: str) -> None:
    """Start nothing more until resumed; what runs goes on to its end."""
    from camtest.run.queue import Queue

    Queue().set_status("paused", reason)


@queue.command(epilog="Example: camtest queue resume")
@click.option(
    "--output-dir",
    default="runs",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for executed notebooks, when this starts the worker.",
)
def resume(output_dir: Path) -> None:
    """Go on after a pause, a stop, or a failure."""
    from camtest.run.queue import Queue

    site_queue = Queue()
    site_queue.set_status("running")
    if site_queue.state().waiting:
        _start(site_queue, output_dir)


@queue.command(epilog="Example: camtest queue stop")
@click.option("--reason", default="", help="Why, for the others.")
def stop(reason: str) -> None:
    """End the worker after what runs now; what waits stays in the queue."""
    from camtest.run.queue import Queue

    Queue().set_status("stopped", reason)
