"""One run on behalf of a batch or the queue: as an observation, as a dry run, or as analysis; its result is data."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from nbclient.exceptions import DeadKernelError

from camtest.run.client import RunClient
from camtest.run.dryrun import DryRunFailedError, dry_run_environment, dry_run_notebook
from camtest.run.engine import RunError
from camtest.run.interrupts import BY_SIGNAL, Interrupts
from camtest.run.manager import Reporter, RunManager
from camtest.run.parameters import ParameterError, check_parameters
from camtest.run.plan import Item
from camtest.run.pool import WarmKernel
from camtest.run.runner import output_path, parametrised, run_notebook

START_PATIENCE = 90.0
"""How long a run that could not start is tried again [s]: a core service restarts, the observation of a dead client ends."""
START_PAUSE = 1.0

NOT_STARTED = "not-started"


class Attempt(msgspec.Struct, kw_only=True):
    """How a run went.

    Attributes:
        status: as of an observation, or `not-started`.
        reason: why, in a few words.
        obsid: its observation; empty when it had none.
        run_id: its record; empty when it has none.
        start, end: [s since 1970].
        duration: of a dry run, the time that it would take in operations [s].
        commands: of a dry run, how many there are to devices.
        notebook: the executed notebook.
    """

    status: str
    reason: str = ""
    obsid: str = ""
    run_id: str = ""
    start: float = 0.0
    end: float = 0.0
    duration: float | None = None
    commands: int | None = None
    notebook: str = ""

    @property
    def by_hand(self) -> bool:
        """True when the operator ended it, by a signal or by an abort."""
        return self.status == "aborted" or (
            self.status == "interrupted" and self.reason.startswith(BY_SIGNAL)
        )


def attempt_run(
    item: Item,
    parameters: dict[str, Any],
    output_dir: Path,
    *,
    about: dict[str, Any],
    report: Reporter | None = None,
    on_start: Callable[[str], None] | None = None,
    stopping: Callable[[], str | None] = lambda: None,
    patience: float = START_PATIENCE,
) -> Attempt:
    """Runs an item as an observation.

    While the site is busy or the configuration manager away nothing has begun, so starting is tried again for a while.

    Args:
        item: what to run.
        parameters: its parameters.
        output_dir: folder for the executed notebook.
        about: for the record of the run.
        report: told about the progress.
        on_start: told the obsid.
        stopping: tells why not to try again; None to go on.
        patience: how long starting is tried [s].
    """
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while True:
        start = time.time()
        try:
            result = run_notebook(
                item.notebook,
                parameters,
                output=output_path(Path(item.notebook), output_dir, item.number),
                kernel_name=item.kernel,
                description=item.description,
                cell_timeout=item.cell_timeout,
                report=report,
                on_start=on_start,
                about=about,
            )
        except (RunError, ParameterError, OSError, ValueError) as exc:
            reason = exc.message if isinstance(exc, RunError) else str(exc)
            again = isinstance(exc, RunError) and exc.result is None and time.monotonic() < deadline
            if not again or stopping() is not None:
                return Attempt(status=NOT_STARTED, reason=stopping() or reason, start=start, end=time.time())
            pause.wait(START_PAUSE)
            continue
        status = result.status if result.exit_code or result.status != "done" else "done"
        reason = "; ".join(filter(None, [result.reason, *result.problems]))
        return Attempt(
            status="failed" if status == "done" and result.exit_code else status,
            reason=reason,
            obsid=result.obsid,
            run_id=result.run_id,
            start=start,
            end=time.time(),
            notebook=result.notebook or "",
        )


def attempt_dry_run(item: Item, parameters: dict[str, Any], kernel: WarmKernel) -> Attempt:
    """Dry-runs an item on a pooled kernel."""
    start = time.time()
    try:
        sequence = dry_run_notebook(item.notebook, parameters, kernel_name=item.kernel, warm=kernel)
    except (DryRunFailedError, ParameterError, OSError, ValueError, RuntimeError) as exc:
        kernel.discard()
        reason = getattr(exc, "message", str(exc))
        return Attempt(status="failed", reason=reason, start=start, end=time.time())
    return Attempt(
        status="done",
        start=start,
        end=time.time(),
        duration=float(sequence.details.get("elapsed", sequence.duration)),
        commands=len(sequence.commands),
    )


def attempt_analysis(item: Item, parameters: dict[str, Any], output_dir: Path, kernel: WarmKernel) -> Attempt:
    """Runs an item that commands nothing on a pooled kernel; its executed notebook goes to the output folder."""
    start = time.time()
    source = Path(item.notebook)
    target = output_path(source, output_dir, item.number)
    try:
        notebook, name = parametrised(source, parameters, target, item.kernel)
        check_parameters(notebook, parameters, source.name)
        manager = RunManager(notebook, str(target), None, progress_bar=False)
        manager.notebook_start()
        client = RunClient(
            manager, Interrupts(), kernel_name=name, km=kernel.manager(name), timeout=item.cell_timeout
        )
        client.kc = kernel.client
        kernel.refresh(client, source.parent, None)
        outcome = client.run(dry_run_environment(None))
        notebook.metadata["camtest"] = {
            "mode": "analysis",
            "status": outcome.status,
            "reason": outcome.reason,
        }
        manager.notebook_complete()
    except (ParameterError, OSError, ValueError, RuntimeError, DeadKernelError) as exc:
        kernel.discard()
        return Attempt(status="failed", reason=str(exc), start=start, end=time.time())
    if outcome.status != "done":
        kernel.discard()
    return Attempt(
        status=outcome.status, reason=outcome.reason, start=start, end=time.time(), notebook=str(target)
    )
