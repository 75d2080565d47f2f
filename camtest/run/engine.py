"""The papermill engine `camtest`: one notebook, one observation, closed with the true status however the run ends.

    papermill --engine camtest procedure.ipynb executed.ipynb -p num_cycles 2
    camtest run procedure.ipynb -p num_cycles 2

The order of things: parameters are checked, the observation is started (supervised: this process holds its lease, not
the kernel), the kernel runs the cells, notebook and record are stored, the observation is closed, which seals it.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from nbformat import NotebookNode
from papermill.engines import Engine
from papermill.log import logger as papermill_logger

from camtest.core.forwarding import forward_abandoned
from camtest.core.handle import ObservationHandle, open_observation
from camtest.core.holding import HELD, hold_seconds
from camtest.core.lease import supervised_lease
from camtest.core.services import ROOM_PATIENCE
from camtest.core.values import call_text, plain
from camtest.core.variables import (
    CONTINUES_VARIABLE,
    DRY_RUN_VARIABLE,
    HOLD_VARIABLE,
    OBSERVATION_VARIABLE,
    PROMPTS_VARIABLE,
    RUN_ID_VARIABLE,
    SPOOL_VARIABLE,
)
from camtest.run.client import Outcome, RunClient
from camtest.run.decisions import Decisions
from camtest.run.interrupts import Interrupts
from camtest.run.journal import RunJournal, prune
from camtest.run.manager import Reporter, RunManager
from camtest.run.notebooks import function_name, has_error_output, where_papermill_means
from camtest.run.parameters import check_parameters
from camtest.run.record import read_source, store_record
from camtest.run.recovery import recover_lost_runs
from camtest.run.verbs import as_operator_wanted, obey_verbs
from egse.confman import ObservationError
from egse.mode import current_mode
from egse.proxy import command_origin
from egse.settings import SettingsError
from egse.storage import StorageFullError

LOGGER = logging.getLogger(__name__)

KERNEL_NAME = "camtest"
LEFTOVERS_PATIENCE = 5.0
"""How long the end of a run waits for events of dead processes that are still being forwarded [s]."""
EXIT_CODES = {"done": 0, "failed": 1, "aborted": 3, "interrupted": 130, "kernel-lost": 138}


class RunError(click.ClickException, RuntimeError):
    """A run did not start, or did not end as `done`.

    Attributes:
        result: how it ended; None when no observation was started.
    """

    def __init__(self, message: str, result: RunResult | None = None) -> None:
        super().__init__(message)
        self.result = result
        self.exit_code = 1 if result is None else result.exit_code  # type: ignore[misc]


@dataclass
class RunResult:
    """What became of a run.

    Attributes:
        obsid: full obsid, SITE_SETUP_TEST.
        run_id: id of the run.
        status: done, failed, aborted, interrupted or kernel-lost.
        reason: why, in a few words.
        folder: folder of the observation.
        notebook: the executed notebook; None when it was not written besides the observation's own.
        problems: what could not be recorded.
    """

    obsid: str
    run_id: str
    status: str
    reason: str
    folder: str
    notebook: str | None
    problems: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """Exit code of a command that ran it: 0 only when it is done and recorded."""
        code = EXIT_CODES.get(self.status, 1)
        return 1 if code == 0 and self.problems else code

    def lines(self) -> list[str]:
        """Returns the summary for people."""
        rows = {
            "Observation": self.obsid,
            "Status": f"{self.status}: {self.reason}" if self.reason else self.status,
            "Folder": self.folder,
            "Notebook": self.notebook or "in the folder of the observation",
        }
        lines = [f"{key:<12}{value}" for key, value in rows.items()]
        return lines + [f"{'Warning':<12}{problem}" for problem in self.problems]


class CamtestEngine(Engine):  # type: ignore[misc]
    """Runs a notebook as one observation."""

    @classmethod
    def nb_kernel_name(cls, nb: NotebookNode, name: str | None = None) -> str:
        """Returns the kernel: `name`, else the notebook's own, else `camtest`."""
        return name or nb.metadata.get("kernelspec", {}).get("name") or KERNEL_NAME

    @classmethod
    def nb_language(cls, nb: NotebookNode, language: str | None = None) -> str:
        """Returns the language of the notebook; it is Python unless it says otherwise."""
        return language or nb.metadata.get("kernelspec", {}).get("language") or "python"

    @classmethod
    def execute_notebook(
        cls,
        nb: NotebookNode,
        kernel_name: str,
        output_path: str | None = None,
        progress_bar: bool | dict[str, Any] = True,
        log_output: bool = False,
        autosave_cell_every: int = 30,
        *,
        input_path: str | None = None,
        description: str = "",
        report: Reporter | None = None,
        on_start: Callable[[str], None] | None = None,
        on_end: Callable[[RunResult], None] | None = None,
        about: dict[str, Any] | None = None,
        skip: Callable[[NotebookNode], bool] | None = None,
        hold: float | None = None,
        **options: Any,
    ) -> NotebookNode:
        """Runs the notebook, parametrised already, as one observation.

        Args:
            nb: the notebook with its injected parameters.
            kernel_name: the kernel.
            output_path: where the executed notebook is saved as it goes.
            progress_bar, log_output, autosave_cell_every: as in papermill.
            input_path: where the notebook comes from.
            description: free text for the obsid table.
            report: told about the progress.
            on_start: told the obsid when the observation has been started.
            on_end: told the result when the observation is closed; the default prints it.
            about: more about the run for its record: `source` (batch, queue, task), `continues` (obsid), ...
            skip: tells which cells are left out, because the run continues another one; None for none.
            hold: how long what fails waits for an operator's decision [s]; None for `CAMTEST_HOLD`, which is 0 (not
                at all) by default. A run that nobody attends is not held.
            options: further options of papermill's nbclient engine.

        Raises:
            ParameterError: when parameters do not fit; nothing was started.
            RunError: when no observation could be started, or the run did not end as `done` and no cell shows why.
            DeadKernelError: when the kernel died.
        """
        run = _Run.prepare(nb, input_path, description, output_path=output_path, about=about, hold=hold)
        if on_start is not None:
            on_start(run.handle.obsid)
        manager: RunManager | None = None
        with Interrupts() as interrupts:
            run.handle.when_lost = lambda reason: interrupts.stop(f"the observation is over: {reason}")
            run.handle.room = lambda: 0.0 if interrupts.signalled else ROOM_PATIENCE
            run.handle.when_full = run.say_that_it_waits
            decisions = Decisions(run.handle, interrupts, run.hold)
            obey_verbs(run.handle, interrupts, decisions.take)
            try:
                manager = RunManager(
                    nb,
                    output_path,
                    run.observed(report),
                    run.journal,
                    progress_bar=progress_bar,
                    log_output=log_output,
                    autosave_cell_every=autosave_cell_every,
                )
                manager.notebook_start()
                client = RunClient(
                    manager, interrupts, **_client_options(kernel_name, log_output, skip, options)
                )
                client.at_failure = decisions.await_one
                outcome = as_operator_wanted(run.handle, client.run(run.environment()))
            except BaseException as exc:
                outcome = Outcome(
                    "failed" if isinstance(exc, Exception) else "interrupted", f"{type(exc).__name__}: {exc}"
                )
                run.close(outcome, manager, on_end or _print_result)
                raise
            result = run.close(outcome, manager, on_end or _print_result)
        cls._raise_for(nb, outcome, result)
        return nb

    @staticmethod
    def _raise_for(nb: NotebookNode, outcome: Outcome, result: RunResult) -> None:
        """Raises what papermill does not raise by itself: it sees the errors in the outputs of the cells."""
        if outcome.status == "kernel-lost" and outcome.error is not None:
            raise outcome.error
        if outcome.status != "done" and not has_error_output(nb):
            raise RunError(f"observation {result.obsid} ended as {result.status}: {result.reason}", result)
        if result.problems:
            raise RunError(f"observation {result.obsid}: {'; '.join(result.problems)}", result)


def _client_options(
    kernel_name: str, log_output: bool, skip: Callable[[NotebookNode], bool] | None, options: dict[str, Any]
) -> dict[str, Any]:
    """Returns the options of our client from those of papermill's engine."""
    limit = options.get("execution_timeout") or options.get("timeout")
    return {
        "timeout": limit,
        "startup_timeout": options.get("start_timeout", 60),
        "kernel_name": kernel_name,
        "log": papermill_logger,
        "log_output": log_output,
        "stdout_file": options.get("stdout_file"),
        "stderr_file": options.get("stderr_file"),
        **({} if skip is None else {"skip": skip}),
    }


def _print_result(result: RunResult) -> None:
    for line in result.lines():
        click.echo(line, err=True)


def _begin_record(handle: ObservationHandle, notebook: NotebookNode, header: dict[str, Any]) -> RunJournal:
    journal = RunJournal(handle.run_id, {**header, "notebook_content": notebook})
    journal.state("running", obsid=handle.obsid, notebook=header["name"])
    return journal


def _settle_leftovers() -> None:
    """Looks after what runs that were killed have left: their events, then their notebooks."""
    forward_abandoned()
    try:
        recover_lost_runs()
        prune()
    except OSError as exc:
        LOGGER.warning("records of earlier runs could not be looked after: %s", exc)


UNATTENDED = ("batch", "queue")
"""Sources of runs that nobody attends."""


class _Run:
    """One run: its observation and what goes into the record."""

    def __init__(
        self,
        handle: ObservationHandle,
        notebook: NotebookNode,
        input_path: str | None,
        parameters: dict[str, Any],
        given: dict[str, Any],
        record: dict[str, Any],
        hold: float,
    ) -> None:
        self.handle = handle
        self.notebook = notebook
        self.name = Path(str(input_path)).stem if input_path else "notebook"
        self.source = read_source(input_path, notebook)
        self.parameters = parameters
        self.given = given
        self.continues = str(record.get("continues", ""))
        self.unattended = record.get("source") in UNATTENDED
        self._waits_for_room = False
        self.hold = hold
        self.journal = _begin_record(handle, notebook, {"name": self.name, **record})
        handle.when_state = self._tell_state
        self._leftovers = threading.Thread(target=_settle_leftovers, name="leftovers", daemon=True)
        self._leftovers.start()

    @classmethod
    def prepare(
        cls,
        notebook: NotebookNode,
        input_path: str | None,
        description: str,
        *,
        output_path: str | None,
        about: dict[str, Any] | None,
        hold: float | None = None,
    ) -> _Run:
        """Checks the parameters and starts the observation."""
        wait = hold_seconds() if hold is None else hold
        wait = 0.0 if (about or {}).get("source") in UNATTENDED else wait
        given = dict(notebook.metadata.get("papermill", {}).get("parameters") or {})
        label = Path(str(input_path)).name if input_path else "notebook"
        parameters = check_parameters(notebook, given, label)
        if os.environ.get(DRY_RUN_VARIABLE):
            raise RunError(
                f"{DRY_RUN_VARIABLE} is set: use `camtest dry-run`, which takes no obsid, or unset it"
            )
        function = call_text(function_name(label), parameters)
        details = {
            "session": "notebook",
            "mode": current_mode(),
            "notebook": str(where_papermill_means(input_path).resolve()) if input_path else "",
            "parameters": plain(parameters),
            "operator": command_origin(),
            **(about or {}),
        }
        try:
            handle = open_observation(
                function, description, supervised=True, lease=supervised_lease(), details=details
            )
        except ObservationError as exc:
            raise RunError(f"{label} was not started: {exc}") from exc
        except StorageFullError as exc:
            raise RunError(f"{label} was not started: {exc}") from exc
        except (ConnectionError, TimeoutError, SettingsError) as exc:
            raise RunError(
                f"{label} was not started: no observation without the configuration manager. {exc}"
            ) from exc
        notebook.metadata["camtest"] = {
            "obsid": handle.obsid,
            "run_id": handle.run_id,
            "mode": current_mode(),
            "status": "running",
            "reason": "",
        }
        record = {"source": "single", **details, "obsid": handle.obsid, "description": description}
        record["given"] = plain(given)
        local = output_path is not None and output_path != "-" and "://" not in output_path
        record["output"] = str(where_papermill_means(output_path).resolve()) if local and output_path else ""
        return cls(handle, notebook, input_path, parameters, given, record, wait)

    def environment(self) -> dict[str, str]:
        """Returns the environment of the kernel, by which it joins the observation.

        Questions of a run that nobody attends are answered by their defaults, unless the environment says otherwise.
        """
        policy = {PROMPTS_VARIABLE: "default"} if self.unattended else {}
        return (
            policy
            | os.environ
            | {
                RUN_ID_VARIABLE: self.handle.run_id,
                OBSERVATION_VARIABLE: json.dumps(plain(self.handle.record)),
                SPOOL_VARIABLE: str(self.handle.spool.path),
                CONTINUES_VARIABLE: self.continues,
                HOLD_VARIABLE: f"{self.hold:g}",
            }
        )

    def _tell_state(self, state: str, detail: str) -> None:
        """Tells viewers and subscribers what the desk was told; how the run ends they are told at its end."""
        if state == HELD:
            LOGGER.warning(
                "Held, %s. It waits %g s for `camtest decide retry|continue|abort`", detail, self.hold
            )
        if state not in ("failed", "over"):
            self.journal.state(state, detail, obsid=self.handle.obsid, notebook=self.name)

    def observed(self, report: Reporter | None) -> Reporter:
        """Returns a reporter that also writes the events of the cells."""

        def observe(cell: int, count: int, title: str, status: str, duration: float) -> None:
            event = "cell-start" if status == "running" else "cell-end"
            self.handle.mark(event, cell=cell, title=title, status=status, duration=duration)
            if report is not None:
                report(cell, count, title, status, duration)

        return observe

    def say_that_it_waits(self) -> None:
        """Says, once, that the end of the run waits for room on the data disk."""
        if not self._waits_for_room:
            self._waits_for_room = True
            text = "the data disk is full; the run ends when there is room for its record"
            self.journal.state("running", text, obsid=self.handle.obsid)
            click.echo(f"{self.handle.obsid}: {text}", err=True)

    def close(
        self, outcome: Outcome, manager: RunManager | None, on_end: Callable[[RunResult], None]
    ) -> RunResult:
        """Stores the record and closes the observation; signals do not disturb it."""
        self.notebook.metadata["camtest"] |= {"status": outcome.status, "reason": outcome.reason}
        problems: list[str] = []
        if manager is not None:
            try:
                manager.notebook_complete()
            except OSError as exc:
                problems.append(f"the executed notebook could not be saved: {exc}")
        problems += store_record(
            self.handle,
            name=self.name,
            source=self.source,
            executed=self.notebook,
            parameters=self.parameters,
            given=self.given,
        )
        status: str = outcome.status
        try:
            self.handle.close(outcome.status, outcome.reason)
            record = self.handle.wait_until_sealed()
            status = str(record.get("status") or status)
            if record.get("state") == "closing":
                problems.append(str(record.get("message") or "the folder is not sealed yet"))
        except (OSError, ObservationError) as exc:
            problems.append(f"the observation could not be closed as {outcome.status}: {exc}")
            self.handle.release()
        result = RunResult(
            obsid=self.handle.obsid,
            run_id=self.handle.run_id,
            status=status,
            reason=outcome.reason,
            folder=str(self.handle.folder),
            notebook=None if manager is None else manager.output_path,
            problems=problems,
        )
        self.journal.end(status, outcome.reason, obsid=result.obsid, problems=problems)
        self._leftovers.join(timeout=LEFTOVERS_PATIENCE)
        on_end(result)
        return result
