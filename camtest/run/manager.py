"""Keeps the truth about every cell in the notebook while it runs, and saves it atomically."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Literal

from nbformat import NotebookNode
from papermill.engines import NotebookExecutionManager

from camtest.run.journal import RunJournal
from camtest.run.notebooks import cell_titles, write_notebook
from egse.storage.disk import says_full

LOGGER = logging.getLogger(__name__)

CellStatus = Literal["not-run", "running", "passed", "failed", "interrupted", "kernel-lost", "skipped"]
Reporter = Callable[[int, int, str, str, float], None]
"""Told number (from 1) and count of code cells, title, status and duration [s] at start and end of each of them."""

SAVING_PART = 0.05
"""Part of the time of a run that may go into saving the notebook while it runs."""
LONGEST_SAVE = 0.5
"""A notebook that takes longer to save [s] is saved at the end only; the record of the run has the outputs meanwhile."""

FULL_DISK_PAUSE = 10.0
"""When the disk has no room for the notebook, it is saved again after this time [s]; the record of the run has it all."""

_PAPERMILL_STATUS: dict[CellStatus, str] = {
    "not-run": NotebookExecutionManager.PENDING,
    "running": NotebookExecutionManager.RUNNING,
    "passed": NotebookExecutionManager.COMPLETED,
    "failed": NotebookExecutionManager.FAILED,
    "interrupted": NotebookExecutionManager.FAILED,
    "kernel-lost": NotebookExecutionManager.FAILED,
    "skipped": NotebookExecutionManager.PENDING,
}


class RunManager(NotebookExecutionManager):  # type: ignore[misc]
    """papermill's record of a run, with statuses that are true however the run ends.

    Each cell's metadata has `camtest.status`: not-run, running, passed, failed, interrupted, kernel-lost or skipped;
    papermill's own status follows it.

    Outputs go to the record of the run as they appear; the whole notebook is saved as often as that costs little, so that
    the cost of a cell does not grow with the notebook.

    Args:
        nb: the notebook.
        output_path: where it is saved; None for nowhere.
        report: told about each code cell.
        journal: the record of the run; None when there is none.
        options: papermill's own options (progress bar, autosave).
    """

    def __init__(
        self,
        nb: NotebookNode,
        output_path: str | None,
        report: Reporter | None,
        journal: RunJournal | None = None,
        **options: Any,
    ) -> None:
        super().__init__(nb, output_path=output_path, **options)
        self.output_path: str | None = output_path
        self.journal = journal
        self._next_save = 0.0
        self._save_planned = False
        self.titles = cell_titles(nb)
        self._report = report
        codes = [index for index, cell in enumerate(nb.cells) if cell.cell_type == "code"]
        self._numbers = {index: number for number, index in enumerate(codes, start=1)}

    def number(self, cell_index: int) -> int:
        """Returns the number of a cell among the code cells, from 1."""
        return self._numbers.get(cell_index, 0)

    def save(self, *, durable: bool = False, **_: Any) -> None:
        """Saves the notebook atomically, unless it was saved just now; to another place than a local file as papermill does.

        Args:
            durable: save in any case, and wait until it is on disk.
        """
        if not durable and time.monotonic() < self._next_save:
            return
        if self.output_path is None or self.output_path == "-" or "://" in str(self.output_path):
            super().save()
            return
        began = time.monotonic()
        try:
            write_notebook(self.nb, self.output_path, durable=durable)
        except OSError as exc:
            if durable or not says_full(exc):
                raise
            LOGGER.error("%s is not saved for now, the run goes on: %s", self.output_path, exc)
            self._next_save = time.monotonic() + FULL_DISK_PAUSE
            return
        ended = time.monotonic()
        took = ended - began
        self._next_save = ended + took / SAVING_PART if took < LONGEST_SAVE else float("inf")
        self.last_save_time = self.now()

    def autosave_cell(self) -> None:
        """Saves what a message of the kernel has changed, now or soon; called in the event loop that waits for messages."""
        wait = self._next_save - time.monotonic()
        if wait <= 0:
            self.save()
        elif not self._save_planned and wait < float("inf"):
            self._save_planned = True
            asyncio.get_running_loop().call_later(wait, self._save_as_planned)

    def _save_as_planned(self) -> None:
        self._save_planned = False
        self.save()

    def notebook_start(self, **_: Any) -> None:
        """Clears results of an earlier run and saves."""
        for cell in self.nb.cells:
            cell.metadata["camtest"] = {"status": "not-run"}
        super().notebook_start()

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **_: Any) -> None:
        """Marks the cell as running and saves."""
        self._mark(cell, "running")
        self._tell(cell, cell_index)
        super().cell_start(cell, cell_index)

    def cell_end(self, cell: NotebookNode, cell_index: int, status: CellStatus) -> None:
        """Marks how the cell ended and saves."""
        self._save_planned = False  # a loop that no longer runs cannot keep its plan
        self._mark(cell, status)
        if status not in ("passed", "skipped"):
            self.cell_exception(cell, cell_index)
        self.cell_complete(cell, cell_index)
        self._tell(cell, cell_index)

    def again(self, cell: NotebookNode, cell_index: int) -> None:
        """Notes that a cell is executed once more: its outputs are those of the last time, the events have them all."""
        known = cell.metadata["camtest"]
        known["attempts"] = known.get("attempts", 1) + 1
        if self.journal is not None:
            self.journal.write("clear", cell=cell_index, wait=False)

    def skip(self, cell: NotebookNode, cell_index: int) -> None:
        """Marks a cell that is left out on purpose."""
        self._mark(cell, "skipped")
        self._tell(cell, cell_index)

    def notebook_complete(self, **_: Any) -> None:
        """Notes the end; cells that never ran stay pending (papermill would call them completed)."""
        statuses = [cell.metadata.papermill["status"] for cell in self.nb.cells]
        path, self.output_path = self.output_path, None
        super().notebook_complete()
        self.output_path = path
        for cell, status in zip(self.nb.cells, statuses, strict=True):
            cell.metadata.papermill["status"] = status
        self.save(durable=True)

    def get_cell_description(
        self, cell: NotebookNode, escape_str: str = "papermill_description="
    ) -> str | None:
        """Returns the title of a cell for the progress bar."""
        described = super().get_cell_description(cell, escape_str)
        if described is not None:
            return str(described)
        for candidate, title in zip(self.nb.cells, self.titles, strict=True):
            if candidate is cell:
                return title
        return None

    @staticmethod
    def _mark(cell: NotebookNode, status: CellStatus) -> None:
        cell.metadata["camtest"]["status"] = status
        cell.metadata.papermill["status"] = _PAPERMILL_STATUS[status]

    def _tell(self, cell: NotebookNode, cell_index: int | None) -> None:
        if cell_index not in self._numbers:
            return
        duration = cell.metadata.papermill.get("duration") or 0.0
        status = cell.metadata["camtest"]["status"]
        number, count, title = self._numbers[cell_index], len(self._numbers), self.titles[cell_index]
        if self.journal is not None:
            about = {"cell": cell_index, "number": number, "count": count, "title": title}
            self.journal.write("cell", **about, status=status, duration=duration)
        if self._report is not None:
            self._report(number, count, title, status, duration)
