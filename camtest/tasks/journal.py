"""The record of what was run: who, when, which call, where, how it ended. One file, only ever appended to.

Each run has two lines of JSON: `begin` before anything happens, `end` after it. A begin without an end is a run whose
end is not known. With `--cmd-log` there is also the command log of the original: code that can be executed again.
"""

from __future__ import annotations

import json
import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camtest.core.observation import current_obsid
from camtest.core.values import to_json_bytes
from camtest.run.journal import runs_location
from camtest.tasks.ansi import strip_ansi
from camtest.tasks.calls import TaskCall
from camtest.tasks.running import Outcome
from egse.clock import system_clock
from egse.confman import ObservationError
from egse.context import command_origin
from egse.files import make_folder
from egse.system import format_datetime

LOGGER = logging.getLogger(__name__)

FILE = "tasks.jsonl"
OUTPUT = 20_000
"""So much of the end of the output is kept [characters]."""


@dataclass(frozen=True)
class RunRecord:
    """A run under way.

    Attributes:
        run_id: its id.
        started: on the monotonic clock [s].
    """

    run_id: str
    started: float


class TaskJournal:
    """Writes the record.

    Args:
        command_log: folder of the command log, None for none.
        folder: of the journal; that of the records of runs when None.
    """

    def __init__(self, command_log: Path | None = None, folder: Path | None = None) -> None:
        self.path = (folder or runs_location()) / FILE
        self._command_log = command_log

    def begin(self, call: TaskCall, mode: str) -> RunRecord:
        """Writes that a task is about to run."""
        run_id = uuid.uuid4().hex[:12]
        self._write(
            kind="begin",
            run_id=run_id,
            who=command_origin(),
            task=f"{call.task.module}.{call.task.name}",
            call=call.shown,
            mode=mode,
            obsid=_obsid(),
        )
        self._log_command(f"# <-- {format_datetime()}\n{call.shown}\n")
        return RunRecord(run_id, system_clock().monotonic())

    def end(self, run: RunRecord, outcome: Outcome, output: str) -> None:
        """Writes how it ended."""
        took = system_clock().monotonic() - run.started
        self._write(
            kind="end",
            run_id=run.run_id,
            status=outcome.status,
            error=outcome.error,
            result=outcome.result[:1000],
            duration=round(took, 3),
            output=strip_ansi(output)[-OUTPUT:],
        )
        error = f"# ERROR: {outcome.error}\n" if outcome.error else ""
        self._log_command(f"{error}# --> duration: {took:.6f}s\n\n")

    def runs(self) -> Iterator[dict[str, Any]]:
        """Returns the runs of this machine, each with what its two lines say; `status` is "running" without an end."""
        found: dict[str, dict[str, Any]] = {}
        with suppress(FileNotFoundError), self.path.open() as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # torn by a kill
                run = found.setdefault(entry["run_id"], {"status": "running"})
                run |= {
                    key: value
                    for key, value in entry.items()
                    if key != "kind" and (key != "t" or "t" not in run)
                }
        yield from found.values()

    def _write(self, **entry: Any) -> None:
        _append(self.path, to_json_bytes({"t": format_datetime(), **entry}) + b"\n")

    def _log_command(self, text: str) -> None:
        if self._command_log is not None:
            _append(self._command_log / f"{format_datetime()[:10]}-cmd-log.txt", text.encode())


def _append(path: Path, data: bytes) -> None:
    """Appends in one write, so that several panels can share a file; a disk that is full loses the line, never the run."""
    try:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.write(descriptor, data)
        finally:
            os.close(descriptor)
    except OSError as exc:
        LOGGER.error("a line of %s is lost: %s", path, exc)


def _obsid() -> str:
    try:
        return current_obsid() or ""
    except (ObservationError, OSError):
        return ""
