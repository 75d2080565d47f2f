"""Cells that are executed by a magic: within an observation, or as a dry run."""

from __future__ import annotations

from typing import Any

from camtest.core.dryrun import DryRun
from camtest.core.sequence import CommandSequence
from camtest.state import active_dry_run, install_dry_run, setup_for_dry_run


def awaits(shell: Any, cell: str) -> bool:
    """Returns True when a cell awaits something at its top level, which no magic can do for it."""
    return bool(shell.should_run_async(cell, transformed_cell=shell.transform_cell(cell)))


def run_inner_cell(shell: Any, cell: str, what: str) -> None:
    """Executes a cell as the shell does; it shows its own value and traceback.

    Args:
        shell: the interactive shell.
        cell: the code.
        what: what it is part of, for the one line that is shown when it fails.

    Raises:
        BaseException: what the cell raised, so that the outer cell fails as well; it is shown once.
    """
    result = shell.run_cell(cell, store_history=False)
    error = result.error_before_exec or result.error_in_exec
    if error is not None:
        error._render_traceback_ = lambda: [f"{what} failed: {type(error).__name__} (shown above)"]
        raise error


def dry_run_of_cell(shell: Any, cell: str, title: str) -> CommandSequence:
    """Executes a cell as a dry run of its own, with devices as after power-on; what was active before goes on after it.

    Args:
        shell: the interactive shell.
        cell: the code.
        title: of the sequence.

    Returns:
        What it would command; also when it failed, then it is shown before the exception.

    Raises:
        BaseException: what the cell raised.
    """
    from IPython.display import display

    outer = active_dry_run()
    dry_run = DryRun(setup_for_dry_run(), title, supervised=True)
    install_dry_run(dry_run)
    try:
        run_inner_cell(shell, cell, "the dry run")
    except BaseException:
        display(dry_run.sequence)  # type: ignore[no-untyped-call]
        raise
    finally:
        install_dry_run(outer)
        dry_run.close()
    return dry_run.sequence
