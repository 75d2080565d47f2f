"""Keeps the truth about every cell in the notebook while it runs, and saves it atomically."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from nbformat import NotebookNode
from papermill.engines import NotebookExecutionManager

from camtest.run.notebooks import cell_titles, write_notebook

CellStatus = Literal["not-run", "running", "passed", "failed", "interrupted", "kernel-lost", "skipped"]
Reporter = Callable[[int, int, str, str, float], None]
"""Told number (from 1) and count of code cells, title, status and duration [s] at start and end of each of them."""

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

    Args:
        nb: the notebook.
        output_path: where it is saved; None for nowhere.
        report: told about each code cell.
        options: papermill's own options (progress bar, autosave).
    """

    def __init__(
        self, nb: NotebookNode, output_path: str | None, report: Reporter | None, **options: Any
    ) -> None:
        super().__init__(nb, output_path=output_path, **options)
        self.output_path: str | None = output_path
        self.titles = cell_titles(nb)
        self._report = report
        codes = [index for index, cell in enumerate(nb.cells) if cell.cell_type == "code"]
        self._numbers = {index: number for number, index in enumerate(codes, start=1)}

    def number(self, cell_index: int) -> int:
        """Returns the number of a cell among the code cells, from 1."""
        return self._numbers.get(cell_index, 0)

    def save(self, *, durable: bool = False, **_: Any) -> None:
        """Saves the notebook atomically; to another place than a local file as papermill does.

        Args:
            durable: wait until it is on disk.
        """
        if self.output_path is None or self.output_path == "-" or "://" in str(self.output_path):
            super().save()
            return
        write_notebook(self.nb, self.output_path, durable=durable)
        self.last_save_time = self.now()

    def notebook_start(self, **_: Any) -> None:
        """Clears results of an earlier run and saves."""
        for cell in self.nb.cells:
            cell.metadata["camtest"] = {"status": "not-run"}
        super().notebook_start()

    def cell_start(self, cell: NotebookNode, cell_index: int | None = None, **_: Any) -> None:
        """Marks the cell as running and saves."""
        self._mark(cell, "running")
        super().cell_start(cell, cell_index)
        self._tell(cell, cell_index)

    def cell_end(self, cell: NotebookNode, cell_index: int, status: CellStatus) -> None:
        """Marks how the cell ended and saves."""
        self._mark(cell, status)
        if status not in ("passed", "skipped"):
            self.cell_exception(cell, cell_index)
        self.cell_complete(cell, cell_index)
        self._tell(cell, cell_index)

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
        if self._report is not None and cell_index in self._numbers:
            duration = cell.metadata.papermill.get("duration") or 0.0
            status = cell.metadata["camtest"]["status"]
            number, count = self._numbers[cell_index], len(self._numbers)
            self._report(number, count, self.titles[cell_index], status, duration)
