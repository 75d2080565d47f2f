"""`camtest run NOTEBOOK`: one notebook, one observation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from camtest.cli.options import gather_parameters, parameter_options, progress

EPILOG = """\b
Exit codes: 0 done, 1 failed or not started, 2 wrong parameters, 3 aborted, 130 interrupted, 138 kernel lost.

Example: camtest run procedures/short_functional_test.ipynb -p num_cycles 2
"""


@click.command(epilog=EPILOG)
@click.argument("notebook", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@parameter_options
@click.option(
    "--output-dir",
    default="runs",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the executed notebook; a copy goes into the observation.",
)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Path of the executed notebook."
)
@click.option("-k", "--kernel", help="Kernel to run in instead of the notebook's own.")
@click.option("-d", "--description", default="", help="Free text for the obsid table.")
@click.option("--cell-timeout", type=float, help="Longest time for one cell [s].")
@click.option(
    "--continues",
    metavar="RUN",
    help="Go on with this run (id, obsid or test id), with its notebook and parameters, at the step that did not pass.",
)
@click.option("--from-step", metavar="TITLE", help="With --continues: begin with this earlier step.")
@click.option(
    "--hold",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="When something fails, keep the kernel and wait so long for `camtest decide`; CAMTEST_HOLD by default, or not at all.",
)
@click.option("--detach", is_flag=True, help="Run it in the background; follow it with `camtest attach`.")
@click.option("-q", "--quiet", is_flag=True, help="Print the summary only.")
def run(
    notebook: Path | None,
    parameters: tuple[tuple[str, str], ...],
    parameters_raw: tuple[tuple[str, str], ...],
    parameters_yaml: tuple[str, ...],
    parameters_file: tuple[Path, ...],
    output_dir: Path,
    output: Path | None,
    kernel: str | None,
    description: str,
    cell_timeout: float | None,
    continues: str | None,
    from_step: str | None,
    hold: float | None,
    detach: bool,
    quiet: bool,
) -> None:
    """Run a procedure notebook as one observation.

    Parameters are checked first; then the observation is started, the cells are executed, notebook and record are
    stored, and the observation is closed with the true status.
    """
    if detach:
        _detach()
        return
    from camtest.core.logs import log_as
    from camtest.run.runner import run_notebook

    log_as("camtest_run")
    if (notebook is None) != (continues is not None):
        raise click.UsageError("give either a notebook, or --continues RUN")
    options: dict[str, Any] = {}
    if notebook is None:
        if parameters or parameters_raw or parameters_yaml or parameters_file:
            raise click.UsageError("a run that continues another one has the parameters of that one")
        notebook, values, options = _continuation(str(continues), from_step, kernel)
    else:
        values = gather_parameters(notebook, parameters, parameters_raw, parameters_yaml, parameters_file)
    name = notebook.name
    try:
        result = run_notebook(
            notebook,
            values,
            **options,
            output=output,
            output_dir=output_dir,
            kernel_name=kernel,
            description=description,
            cell_timeout=cell_timeout,
            hold=hold,
            report=None if quiet else progress(),
            on_start=lambda obsid: click.echo(f"Observation {obsid} started: {name}"),
        )
    except ValueError as exc:
        if isinstance(exc, click.ClickException):
            raise
        raise click.ClickException(str(exc)) from exc
    for line in result.lines():
        click.echo(line, err=result.exit_code != 0)
    raise SystemExit(result.exit_code)


def _continuation(
    name: str, step: str | None, kernel: str | None
) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """Returns notebook, parameters and options for a run that goes on with another one."""
    from camtest.run.journal import find_run
    from camtest.run.steps import plan_continuation, require_set_up_without_commands

    try:
        plan = plan_continuation(find_run(name), step)
    except LookupError as exc:
        raise click.ClickException(str(exc)) from exc
    require_set_up_without_commands(plan, kernel)
    click.echo(f"Continues {plan.obsid} with {plan.step!r}")
    return plan.notebook, plan.parameters, {"skip": plan.skip, "about": {"continues": plan.obsid}}


def _detach() -> None:
    """Starts this very command again, without a terminal, and waits until its observation has begun."""
    from camtest.run.background import NotStartedError, start_in_background

    arguments = [word for word in sys.argv[1:] if word != "--detach"]
    try:
        record = start_in_background(arguments)
    except NotStartedError as exc:
        click.echo(f"Error: {exc}", err=True)
        raise SystemExit(exc.exit_code or 1) from exc
    click.echo(f"Observation {record.header['obsid']} runs in the background; camtest attach {record.run_id}")
