"""Executes the cells of a notebook in a kernel and finds out how the run ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from nbformat.v4 import output_from_msg
from papermill.clientwrap import PapermillNotebookClient
from traitlets.config import Config

from camtest.run.interrupts import Interrupts
from camtest.run.journal import RunJournal
from camtest.run.manager import RunManager

RunStatus = Literal["done", "failed", "aborted", "interrupted", "kernel-lost"]

TIMEOUT_ERROR = "TimeoutError"
OUTPUT_PATIENCE = 10
"""How long the last outputs of a cell are waited for, also after it was interrupted by the time limit [s]."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: the status with which its observation is closed.
        reason: why, in a few words; empty when it is done.
        error: the exception that ended it, None when it is done.
    """

    status: RunStatus
    reason: str = ""
    error: Exception | None = None


class _KernelGoneError(Exception):
    """Leaves papermill's code, which has more to ask of the kernel at the end."""


class RunClient(PapermillNotebookClient):  # type: ignore[misc]
    """Executes the cells in order and stops at the first that does not pass.

    Args:
        manager: keeps the notebook.
        interrupts: the signals of this process.
        skip: tells which cells are left out.
        options: options of `nbclient.NotebookClient`; `km` for a kernel that is there already and stays.
    """

    def __init__(
        self,
        manager: RunManager,
        interrupts: Interrupts,
        skip: Callable[[NotebookNode], bool] = lambda cell: False,
        **options: Any,
    ) -> None:
        if options.get("timeout"):
            # The kernel is interrupted, so that `finally` runs, and the cell ends as failed.
            error = {
                "ename": TIMEOUT_ERROR,
                "evalue": f"the cell took longer than {options['timeout']} s",
                "traceback": [],
            }
            options |= {"interrupt_on_timeout": True, "error_on_timeout": error}
        # Other users of this host must not read or feed the kernel; kernelspecs say whether they can do it.
        encrypted = Config({"KernelManager": {"transport_encryption": "auto"}})
        super().__init__(manager, iopub_timeout=OUTPUT_PATIENCE, config=encrypted, **options)
        self._interrupts = interrupts
        self._skip = skip
        self._kernel_group: int | None = None
        self.before_cells: Callable[[RunClient], None] = lambda client: None
        self.after_cells: Callable[[RunClient], None] = lambda client: None
        self.at_failure: Callable[[RunClient, int, Outcome], str] = lambda client, index, outcome: ""
        self.outcome: Outcome | None = None
        self._kernel_gone = False

    def process_message(
        self, msg: dict[str, Any], cell: NotebookNode, cell_index: int
    ) -> NotebookNode | None:
        """Takes a message of the kernel; an output is in the record of the run before anything else is done with it."""
        journal = self.nb_man.journal
        if journal is not None:
            _write_down(journal, msg, cell_index)
        output: NotebookNode | None = super().process_message(msg, cell, cell_index)
        return output

    def run(self, environment: dict[str, str]) -> Outcome:
        """Starts the kernel, executes the cells and ends the kernel, whatever happens.

        Args:
            environment: the environment of the kernel.
        """
        try:
            self.execute(env=environment)
        except _KernelGoneError:
            pass
        except (RuntimeError, OSError, KeyError) as exc:
            if self.outcome is None:
                self.outcome = Outcome("failed", f"the kernel did not start: {exc}", exc)
            elif self.outcome.status == "done":
                self.outcome = Outcome("failed", f"the kernel did not end well: {exc}", exc)
        finally:
            self._ensure_ended()
        return self.outcome or Outcome("failed", "the kernel did not start")

    def papermill_execute_cells(self) -> None:
        """Executes the cells; called by papermill once the kernel is ready."""
        provisioner = self.km.provisioner
        self._kernel_group = getattr(provisioner, "pgid", None)
        self.before_cells(self)
        self.outcome = self._execute_all()
        if self._kernel_gone:
            raise _KernelGoneError
        self.after_cells(self)

    def _execute_all(self) -> Outcome:
        for index, cell in enumerate(self.nb.cells):
            if self._interrupts.reason is not None:
                return self._interrupted()
            if self._skip(cell):
                self.nb_man.skip(cell, index)
                continue
            outcome = self._execute_one(cell, index)
            if outcome is not None:
                return outcome
        return Outcome("done")

    def _execute_one(self, cell: NotebookNode, index: int) -> Outcome | None:
        """Executes one cell, again as often as an operator wants; returns how the run ended, None when it goes on."""
        while True:
            outcome = self._attempt(cell, index)
            if outcome is None or self._kernel_gone:
                return outcome
            decision = self.at_failure(self, index, outcome)
            if decision == "kernel-lost":
                self._kernel_gone = True
                return Outcome(
                    "kernel-lost", f"the kernel died while cell {self.nb_man.number(index)} was held"
                )
            if decision == "continue":
                return None
            if decision != "retry":
                return outcome
            self.nb_man.again(cell, index)

    @property
    def kernel_has_ended(self) -> bool:
        """True when the process of the kernel is no longer there."""
        process = getattr(self.km.provisioner, "process", None)
        return process is not None and process.poll() is not None

    def _attempt(self, cell: NotebookNode, index: int) -> Outcome | None:
        """Executes one cell once; returns how the run ended, None when it goes on."""
        self.nb_man.cell_start(cell, index)
        self._interrupts.cell_started(self._kernel_group)
        try:
            self.execute_cell(cell, index)
        except (CellExecutionError, CellTimeoutError) as exc:
            outcome = self._cell_failed(exc)
            interrupted = outcome.status == "interrupted"
            self.nb_man.cell_end(cell, index, "interrupted" if interrupted else "failed")
            return outcome
        except DeadKernelError as exc:
            self._kernel_gone = True
            if self._interrupts.reason is not None:
                self.nb_man.cell_end(cell, index, "interrupted")
                return self._interrupted()
            self.nb_man.cell_end(cell, index, "kernel-lost")
            return Outcome("kernel-lost", f"the kernel died in code cell {self.nb_man.number(index)}", exc)
        except BaseException:
            self.nb_man.cell_end(cell, index, "interrupted")
            raise
        finally:
            self._interrupts.cell_ended()
        self.nb_man.cell_end(cell, index, "passed")
        return None

    def _interrupted(self) -> Outcome:
        return Outcome("interrupted", self._interrupts.reason or "")

    def _cell_failed(self, error: CellExecutionError | CellTimeoutError) -> Outcome:
        if isinstance(error, CellTimeoutError):
            return Outcome("failed", "the cell took too long and did not react to an interrupt", error)
        name, text = error.ename, error.evalue
        reason = f"{name}: {text}" if text else name
        if name == "KeyboardInterrupt" or self._interrupts.reason is not None:
            return Outcome(
                "interrupted", self._interrupts.reason or "interrupted by an interrupt of the kernel", error
            )
        if name.endswith("Abort"):
            return Outcome("aborted", text or name, error)
        return Outcome("failed", reason, error)

    def ask(self, code: str) -> None:
        """Executes code in the kernel silently; for what a runner has to do besides the cells.

        Raises:
            RuntimeError: when the code raises.
        """
        reply = self.wait_for_reply(self.kc.execute(code, silent=True, store_history=False))
        content = reply["content"] if reply else {"status": "error", "evalue": "no reply"}
        if content["status"] != "ok":
            raise RuntimeError(f"the kernel could not do it: {content.get('ename')}: {content.get('evalue')}")

    def _ensure_ended(self) -> None:
        """Kills a kernel that is still there, after an exception in the middle of its start or end."""
        if self.km is not None and self.owns_km:  # a pooled kernel belongs to its pool
            self.end()

    def end(self) -> None:
        """Kills the kernel, if it still lives, and closes the connections to it."""
        self.kill()
        self._cleanup_kernel()

    def kill(self) -> None:
        """Kills the kernel, if it still lives; may be called from any thread."""
        process = getattr(self.km.provisioner, "process", None)
        group = getattr(self.km.provisioner, "pgid", None)
        if process is not None and process.poll() is None:
            with suppress(ProcessLookupError):
                if group is not None:
                    os.killpg(group, signal.SIGKILL)
                else:
                    process.kill()
            process.wait()


_OUTPUTS = frozenset(("stream", "display_data", "execute_result", "error"))


def _write_down(journal: RunJournal, msg: dict[str, Any], cell_index: int) -> None:
    """Writes what a message shows into the record of the run."""
    kind, content = msg["msg_type"], msg["content"]
    if kind in _OUTPUTS:
        display = (content.get("transient") or {}).get("display_id")
        named = {"display_id": display} if display else {}
        output = output_from_msg(msg)  # type: ignore[no-untyped-call]
        journal.write("output", cell=cell_index, output=output, **named)
    elif kind == "clear_output":
        journal.write("clear", cell=cell_index, wait=bool(content.get("wait")))
    elif kind == "update_display_data":
        shown = {"data": content["data"], "metadata": content["metadata"]}
        journal.write("update", display_id=content["transient"]["display_id"], output=shown)
