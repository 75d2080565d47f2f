"""A run without a terminal: it outlives the session that started it, and anybody may follow its record."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress

from camtest.run.journal import SUFFIX, RunRecord, read_record, runs_location
from egse.process.launcher import last_lines

LOOK_INTERVAL = 0.25
"""How often the record of a run that starts is looked for [s]."""
NEWEST = 5
"""It is among so many of the newest: ids of runs begin with their time."""


class NotStartedError(RuntimeError):
    """A run in the background ended before it began.

    Attributes:
        exit_code: of its process.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def start_in_background(arguments: Sequence[str]) -> RunRecord:
    """Starts `camtest ARGUMENTS` in a session of its own and waits for the record of its run.

    Args:
        arguments: `["run", "procedure.ipynb", "-p", "n", "2"]`.

    Returns:
        The record of the run, which goes on.

    Raises:
        NotStartedError: when it ended before a run began, with what it said.
    """
    folder = runs_location()
    log = folder / "background.log"
    start = log.stat().st_size if log.exists() else 0
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", "from camtest.cli import main; main()", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    pause = threading.Event()
    while True:
        ended = process.poll() is not None
        for path in sorted(folder.glob(f"*{SUFFIX}"))[-NEWEST:]:
            with suppress(LookupError, OSError):  # just being made
                record = read_record(path)
                if record.header.get("pid") == process.pid:
                    return record
        if ended:
            said = last_lines(log, start)
            text = f"nothing was started (exit code {process.returncode}):\n{said}"
            raise NotStartedError(text, process.returncode)
        pause.wait(LOOK_INTERVAL)
