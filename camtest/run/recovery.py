"""The notebook of a run from its record: for runs whose process was killed."""

from __future__ import annotations

import fcntl
import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from camtest.core import services
from camtest.core.values import to_json_bytes
from camtest.run.journal import Entry, RunRecord, announce, follow, list_runs
from camtest.run.notebooks import notebook_bytes, write_notebook
from egse.confman import ObservationError
from egse.storage import StorageError

LOGGER = logging.getLogger(__name__)

LOST_REASON = "the process that executed it was killed"
_PAPERMILL_STATUS = {"passed": "completed", "not-run": "pending", "skipped": "pending", "running": "running"}


def notebook_of(record: RunRecord, *, lost: bool = False) -> NotebookNode:
    """Returns the notebook as it was executed, up to the last output in the record.

    Args:
        record: the run.
        lost: its process was killed; the cell that was running then is `interrupted`.
    """
    notebook: NotebookNode = nbformat.from_dict(record.header["notebook_content"])  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        _mark(cell, "not-run")
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    replay = _Replay(notebook)
    for entry in follow(record.path, wait=False):
        replay.take(entry)
    about = notebook.metadata.setdefault("camtest", {})
    about["status"] = "interrupted" if lost else record.last.get("status", "running")
    about["reason"] = LOST_REASON if lost else record.reason
    for cell in notebook.cells:
        if lost and cell.metadata.get("camtest", {}).get("status") == "running":
            _mark(cell, "interrupted")
    return notebook


class _Replay:
    """Applies the entries of a record to a notebook."""

    def __init__(self, notebook: NotebookNode) -> None:
        self._notebook = notebook
        self._clear: set[int] = set()
        self._displays: dict[str, list[NotebookNode]] = {}

    def take(self, entry: Entry) -> None:
        match entry["kind"]:
            case "cell":
                cell = self._notebook.cells[entry["cell"]]
                _mark(cell, entry["status"], entry)
            case "output":
                self._output(entry)
            case "clear" if entry.get("wait"):
                self._clear.add(entry["cell"])
            case "clear":
                self._notebook.cells[entry["cell"]].outputs = []
            case "update":
                new = entry["output"]
                for output in self._displays.get(entry["display_id"], ()):
                    output["data"], output["metadata"] = new["data"], new["metadata"]

    def _output(self, entry: Entry) -> None:
        cell = self._notebook.cells[entry["cell"]]
        if entry["cell"] in self._clear:
            self._clear.discard(entry["cell"])
            cell.outputs = []
        output: NotebookNode = nbformat.from_dict(entry["output"])  # type: ignore[no-untyped-call]
        cell.outputs.append(output)
        if "execution_count" in output:
            cell.execution_count = output.execution_count
        if entry.get("display_id"):
            self._displays.setdefault(entry["display_id"], []).append(output)


def _mark(cell: NotebookNode, status: str, entry: Entry | None = None) -> None:
    cell.metadata.setdefault("camtest", {})["status"] = status
    papermill: dict[str, Any] = cell.metadata.setdefault("papermill", {})
    papermill["status"] = _PAPERMILL_STATUS.get(status, "failed")
    papermill["exception"] = papermill["status"] == "failed"
    if entry is not None:
        key = "start_time" if status == "running" else "end_time"
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(entry["t"]))
        papermill[key] = f"{stamp}.{int(entry['t'] % 1 * 1e6):06d}+00:00"
        papermill["duration"] = entry.get("duration")


def recover_lost_runs(folder: Path | None = None) -> list[RunRecord]:
    """Writes the notebooks of runs whose process was killed, and ends their records; returns those runs.

    The notebook goes to where the run was saving it and, once the observation is sealed, into that as a supplement.
    """
    recovered = []
    for run in list_runs(folder):
        if run.ended and run.last.get("recovered") != "in-part":
            continue
        if run.alive:
            continue
        with suppress(BlockingIOError):  # somebody else is at it
            _recover(run)
            recovered.append(run)
    return recovered


def _recover(run: RunRecord) -> None:
    descriptor = os.open(run.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        notebook = notebook_of(run, lost=True)
        output = run.header.get("output")
        if output and not run.ended:
            try:
                write_notebook(notebook, output)
            except OSError as exc:
                LOGGER.error("the notebook of %s could not be written: %s", run.run_id, exc)
        whole = _supplement(run, notebook)
        end = {"t": time.time(), "kind": "end", "status": "interrupted", "reason": LOST_REASON}
        end["recovered"] = "whole" if whole else "in-part"
        if whole or not run.ended:
            os.write(descriptor, b"\n" + to_json_bytes(end) + b"\n")  # the last line of the dead may be torn
            announce(run.path.parent, run.run_id, "interrupted", LOST_REASON, ended=True)
            LOGGER.warning(
                "Run %s: %s; its notebook is in %s", run.run_id, LOST_REASON, output or "the archive"
            )
    finally:
        os.close(descriptor)


def _supplement(run: RunRecord, notebook: NotebookNode) -> bool:
    """Adds the notebook to the sealed observation; returns False when it has to be tried again later."""
    obsid = run.header.get("obsid")
    if not obsid:
        return True
    try:
        with services.configuration_manager(timeout=5.0) as manager:
            found = manager.find_observation(run_id=run.run_id)
        if found is None:
            return True
        if not found.get("status"):
            return False
        with services.storage_manager() as storage:
            storage.add_supplement(
                obsid=obsid, name=f"{run.header['name']}_recovered.ipynb", data=notebook_bytes(notebook)
            )
    except (ConnectionError, TimeoutError, OSError, ObservationError, StorageError, LookupError) as exc:
        LOGGER.warning("the notebook of %s is not in its observation yet: %s", run.run_id, exc)
        return False
    return True
