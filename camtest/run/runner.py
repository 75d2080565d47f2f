"""Running a notebook as `camtest run` does: on the camtest engine, with parameters in the types of the notebook."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.execute import prepare_notebook_metadata, remove_error_markers
from papermill.iorw import load_notebook_node
from papermill.parameterize import parameterize_notebook

from camtest.run.engine import CamtestEngine, RunError, RunResult

if TYPE_CHECKING:
    from collections.abc import Iterator

    from camtest.run.manager import Reporter

DEFAULT_OUTPUT_FOLDER = "runs"


def parametrised(
    path: Path, parameters: Mapping[str, Any], output: Path | None, kernel_name: str | None
) -> tuple[NotebookNode, str]:
    """Returns the notebook with the cell of injected parameters, as papermill makes it, and the kernel's name."""
    notebook = load_notebook_node(str(path))
    kernel = CamtestEngine.nb_kernel_name(notebook, kernel_name)
    if parameters:
        notebook = parameterize_notebook(
            notebook,
            dict(parameters),
            kernel_name=kernel,
            language=CamtestEngine.nb_language(notebook),
            engine_name="camtest",
        )
    target = None if output is None else str(output)
    return remove_error_markers(prepare_notebook_metadata(notebook, str(path), target)), kernel


def output_path(notebook: Path, folder: Path, number: int | None = None) -> Path:
    """Returns a path for the executed notebook: `NAME_YYYYMMDD_HHMMSS.ipynb` (UTC) in the folder.

    Args:
        notebook: the procedure.
        folder: where.
        number: of the run in its batch; it stands before the name.
    """
    first = "" if number is None else f"{number:03d}_"
    return folder / f"{first}{notebook.stem}_{time.strftime('%Y%m%d_%H%M%S', time.gmtime())}.ipynb"


def run_notebook(
    path: str | Path,
    parameters: Mapping[str, Any] | None = None,
    *,
    output: str | Path | None = None,
    output_dir: str | Path = DEFAULT_OUTPUT_FOLDER,
    kernel_name: str | None = None,
    description: str = "",
    cell_timeout: float | None = None,
    report: Reporter | None = None,
    on_start: Callable[[str], None] | None = None,
    about: dict[str, Any] | None = None,
    skip: Callable[[NotebookNode], bool] | None = None,
    hold: float | None = None,
) -> RunResult:
    """Runs a notebook as one observation.

    The kernel works in the folder of the notebook, as in JupyterLab.

    Args:
        path: the notebook.
        parameters: values by name.
        output: where the executed notebook is saved as it goes; None: a new name in `output_dir`.
        output_dir: folder for the executed notebook.
        kernel_name: None for the notebook's own kernel.
        description: free text for the obsid table.
        cell_timeout: longest time for one cell [s]; None for no limit.
        report: told about the progress.
        on_start: told the obsid when the observation has been started.
        about: more about the run for its record: `source`, `continues`, ...
        skip: tells which cells are left out; see `camtest.run.steps`.
        hold: how long what fails waits for an operator's decision [s]; None for `CAMTEST_HOLD`, see the engine.

    Returns:
        How it ended, whatever that is; a run that never started raises.

    Raises:
        ParameterError: when parameters do not fit.
        RunError: when no observation could be started.
        FileNotFoundError: when there is no such notebook.
        ValueError: when the file is no notebook.
    """
    source = Path(path).resolve()
    target = Path(output).resolve() if output else output_path(source, Path(output_dir).resolve())
    notebook, kernel = parametrised(source, parameters or {}, target, kernel_name)
    results: list[RunResult] = []
    with _working_in(source.parent):
        try:
            CamtestEngine.execute_notebook(
                notebook,
                kernel,
                str(target),
                progress_bar=False,
                input_path=str(source),
                description=description,
                report=report,
                on_start=on_start,
                on_end=results.append,
                about=about,
                skip=skip,
                hold=hold,
                execution_timeout=cell_timeout,
            )
        except (RunError, DeadKernelError):
            if not results:
                raise
    return results[0]


@contextmanager
def _working_in(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
