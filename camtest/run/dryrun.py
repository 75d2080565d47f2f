"""Dry run of a procedure notebook: its cells run in a kernel whose commands go to models, on virtual time."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from nbformat import NotebookNode

from camtest.core.answers import DryRunOptions
from camtest.core.sequence import CommandSequence
from camtest.core.values import call_text, plain
from camtest.core.variables import (
    DRY_RUN_OPTIONS_VARIABLE,
    DRY_RUN_VARIABLE,
    RUN_ID_VARIABLE,
    SETUP_FILE_VARIABLE,
    SPOOL_VARIABLE,
)
from camtest.run.client import Outcome, RunClient
from camtest.run.interrupts import Interrupts
from camtest.run.manager import Reporter, RunManager
from camtest.run.notebooks import ANALYSIS_TAG, function_name, has_tag
from camtest.run.parameters import check_parameters
from camtest.run.runner import parametrised

if TYPE_CHECKING:
    from camtest.run.pool import WarmKernel

DRY_RUN_ID = "dry-run"

_ENTER = """
import gc
gc.freeze(); gc.set_threshold(50_000)  # looking for cycles among what is loaded takes a tenth of a short dry run
from camtest.state import GlobalState
assert GlobalState.dry_run, "the kernel is not in a dry run"
GlobalState.command_sequence.title = {title!r}
GlobalState.command_sequence.details["parameters"] = {parameters!r}
"""
_LEAVE = """
from camtest.state import GlobalState, active_dry_run
GlobalState.command_sequence.details["elapsed"] = round(active_dry_run().elapsed, 3)
GlobalState.command_sequence.export({path!r})
"""


class DryRunFailedError(click.ClickException, RuntimeError):
    """A cell raised in the dry run; `sequence` has what was commanded before."""

    def __init__(self, message: str, sequence: CommandSequence) -> None:
        super().__init__(message)
        self.sequence = sequence


def dry_run_notebook(
    path: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    setup_file: str | Path | None = None,
    kernel_name: str | None = None,
    report: Reporter | None = None,
    options: DryRunOptions | None = None,
    warm: WarmKernel | None = None,
    skip: Callable[[NotebookNode], bool] | None = None,
) -> CommandSequence:
    """Executes a notebook without touching a device and returns its command sequence.

    Cells tagged `analysis` are left out. No obsid is taken and nothing is written into the archive; device servers
    and core services may be down.

    Args:
        path: the notebook.
        parameters: values by name.
        setup_file: Setup to work with; None: the active one, or the newest in the configuration folder.
        kernel_name: None for the notebook's own kernel.
        report: told about the progress.
        options: seed of the simulators and other sources of answers.
        warm: a kernel of a pool to do it in; None for a new one.
        skip: tells which cells are left out besides those tagged `analysis`.

    Raises:
        ParameterError: when parameters do not fit.
        ValueError: when there are options for a warm kernel.
        DryRunFailedError: when a cell raised, as it would in operations.
    """
    if warm is not None and options is not None:
        raise ValueError("other sources of answers need a kernel of their own: give no warm one")
    source = Path(path).resolve()
    notebook, kernel = parametrised(source, parameters or {}, None, kernel_name)
    values = check_parameters(notebook, parameters or {}, source.name)
    manager = RunManager(notebook, None, report, progress_bar=False)
    manager.notebook_start()
    with tempfile.TemporaryDirectory(prefix="camtest-dry-run-") as folder, Interrupts() as interrupts:
        export = Path(folder) / "sequence.json"
        kernel_options = {} if warm is None else {"km": warm.manager(kernel)}
        client = RunClient(
            manager,
            interrupts,
            skip=lambda cell: has_tag(cell, ANALYSIS_TAG) or (skip is not None and skip(cell)),
            kernel_name=kernel,
            resources={"metadata": {"path": str(source.parent)}},
            **kernel_options,
        )
        if warm is not None:
            client.kc = warm.client
            warm.refresh(client, source.parent, setup_file)
        title = call_text(function_name(source), values)
        client.before_cells = lambda c: c.ask(_ENTER.format(title=title, parameters=plain(values)))
        client.after_cells = lambda c: c.ask(_LEAVE.format(path=str(export)))
        outcome = client.run(dry_run_environment(setup_file, options))
        if warm is not None and outcome.status != "done":
            warm.discard()
        text = export.read_bytes() if export.exists() else b""
    manager.notebook_complete()
    return _sequence(source.name, outcome, text)


def dry_run_environment(
    setup_file: str | Path | None, options: DryRunOptions | None = None
) -> dict[str, str]:
    environment = dict(os.environ)
    environment.pop(SPOOL_VARIABLE, None)
    environment |= {DRY_RUN_VARIABLE: "1", RUN_ID_VARIABLE: DRY_RUN_ID}
    if options is not None:
        environment[DRY_RUN_OPTIONS_VARIABLE] = options.to_json()
    if setup_file is not None:
        environment[SETUP_FILE_VARIABLE] = str(Path(setup_file).resolve())
    return environment


def _sequence(name: str, outcome: Outcome, text: bytes) -> CommandSequence:
    sequence = CommandSequence.from_json(text) if text else CommandSequence(name)
    if outcome.status != "done":
        raise DryRunFailedError(f"the dry run of {name} {outcome.status}: {outcome.reason}", sequence)
    return sequence
