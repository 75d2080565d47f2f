"""`camtest dry-run NOTEBOOK`: what would it command?"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

import click

from camtest.cli.options import NOTEBOOK, gather_parameters, parameter_options

PIPE_WIDTH = 240
"""Width of the output when it does not go to a terminal [characters]."""


@click.command(
    "dry-run", epilog="Example: camtest dry-run procedures/short_functional_test.ipynb -p num_cycles 2"
)
@NOTEBOOK
@parameter_options
@click.option(
    "--export",
    "exports",
    multiple=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the sequence to a .json, .yaml, .csv, .md, .html or .txt file.",
)
@click.option(
    "--setup",
    "setup_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Setup to work with instead of the active one.",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of noise and durations of the simulators."
)
@click.option("--against", metavar="OBSID", help="Answer queries as they were answered in this observation.")
@click.option(
    "--location", type=click.Path(file_okay=False), help="Data folder of the site of that observation."
)
@click.option(
    "--response",
    "responses",
    multiple=True,
    metavar="COMMAND=JSON",
    help="Declared answer: --response lsci336_cs.get_temperature='[17.0, 19.9]'; may be repeated.",
)
@click.option(
    "--after",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Begin where this exported dry run has left the devices; may be repeated, in order.",
)
@click.option("--no-times", is_flag=True, help="Export without times: for git, or to compare procedures.")
@click.option("--table", is_flag=True, help="Show a table instead of a tree.")
@click.option("--unfold", is_flag=True, help="Show every repetition of a polled query in the tree.")
@click.option("-k", "--kernel", help="Kernel to run in instead of the notebook's own.")
def dry_run(
    notebook: Path,
    parameters: tuple[tuple[str, str], ...],
    parameters_raw: tuple[tuple[str, str], ...],
    parameters_yaml: tuple[str, ...],
    parameters_file: tuple[Path, ...],
    exports: tuple[Path, ...],
    setup_file: Path | None,
    seed: int,
    against: str | None,
    location: str | None,
    responses: tuple[str, ...],
    after: tuple[Path, ...],
    no_times: bool,
    table: bool,
    unfold: bool,
    kernel: str | None,
) -> None:
    """Execute a notebook without touching a device, on virtual time, and show its command sequence.

    Device queries are answered by the simulator models in the process of the kernel; cells tagged `analysis` are left
    out. No obsid is taken and nothing is written into the archive; servers may be down.
    """
    from rich.console import Console

    from camtest.core.answers import DryRunOptions
    from camtest.run.dryrun import DryRunFailedError, dry_run_notebook

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    values = gather_parameters(notebook, parameters, parameters_raw, parameters_yaml, parameters_file)
    options = DryRunOptions(seed, against, location, _declared(responses), _sequences(after))
    failure: DryRunFailedError | None = None
    try:
        sequence = dry_run_notebook(
            notebook, values, setup_file=setup_file, kernel_name=kernel, options=options
        )
    except DryRunFailedError as exc:
        failure, sequence = exc, exc.sequence
    console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
    console.print(sequence.table() if table else sequence.tree(folded=not unfold))
    cycles = sequence.details.get("cycles")
    click.echo(f"Estimate: {sequence.duration:.0f} s" + (f", {cycles} readout cycles" if cycles else ""))
    for path in exports:
        try:
            click.echo(f"Written: {sequence.export(path, times=not no_times)}")
        except ValueError as exc:
            raise click.ClickException(str(exc)) from exc
    if failure is not None:
        raise failure


def _sequences(paths: tuple[Path, ...]) -> list[Path]:
    """Returns the files of what comes first, all of them readable."""
    from camtest.core.sequence import CommandSequence

    for path in paths:
        try:
            CommandSequence.read(path)
        except ValueError as exc:
            raise click.UsageError(f"--after: {exc}") from exc
    return list(paths)


def _declared(texts: tuple[str, ...]) -> dict[str, Any]:
    """Returns the answers that were declared on the command line."""
    found = {}
    for text in texts:
        name, separator, value = text.partition("=")
        try:
            found[name.strip()] = json.loads(value)
        except ValueError as exc:
            raise click.UsageError(f"--response {text!r} is not of the form COMMAND=JSON: {exc}") from exc
        if not separator or not name.strip():
            raise click.UsageError(f"--response {text!r} is not of the form COMMAND=JSON")
    return found
