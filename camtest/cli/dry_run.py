"""`camtest dry-run NOTEBOOK`: what would it command?"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

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
    help="Write the sequence to a .json, .csv, .md or .txt file.",
)
@click.option(
    "--setup",
    "setup_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Setup to work with instead of the active one.",
)
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
    table: bool,
    unfold: bool,
    kernel: str | None,
) -> None:
    """Execute a notebook without touching a device, on virtual time, and show its command sequence.

    Device queries are answered by the simulator models in the process of the kernel; cells tagged `analysis` are left
    out. No obsid is taken and nothing is written into the archive; servers may be down.
    """
    from rich.console import Console

    from camtest.run.dryrun import DryRunFailedError, dry_run_notebook

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    values = gather_parameters(notebook, parameters, parameters_raw, parameters_yaml, parameters_file)
    failure: DryRunFailedError | None = None
    try:
        sequence = dry_run_notebook(notebook, values, setup_file=setup_file, kernel_name=kernel)
    except DryRunFailedError as exc:
        failure, sequence = exc, exc.sequence
    console = Console() if sys.stdout.isatty() else Console(width=PIPE_WIDTH)
    console.print(sequence.table() if table else sequence.tree(folded=not unfold))
    for path in exports:
        try:
            click.echo(f"Written: {sequence.export(path)}")
        except ValueError as exc:
            raise click.ClickException(str(exc)) from exc
    if failure is not None:
        raise failure
