"""The record of a run on local disk: what it is, its states, its cells and their outputs, each written as it happens.

One file per run, one JSON object per line, only ever appended to, whoever started the run (`camtest run`, papermill, a
batch, the queue, a task). What costs time is the length of the new output, never that of the notebook. A line survives
the death of its writer at once, so the notebook of a run that was killed can be made from it up to the last output
(`camtest.run.recovery`), and anybody may look at a running procedure from the start (`camtest attach`).

    {"kind": "run", "run_id": ..., "notebook": ..., "obsid": ..., "cells": [...]}    first line
    {"kind": "state", "status": "running", "reason": "", "obsid": ...}               every change of state
    {"kind": "cell", "cell": 3, "number": 2, "status": "running", ...}               start and end of a cell
    {"kind": "output", "cell": 3, "output": {...}}                                   as in a notebook file
    {"kind": "clear", "cell": 3, "wait": false}  {"kind": "update", "display_id": ..., "output": {...}}
    {"kind": "end", "status": "done", ...}                                           last line

The writer holds a lock on the file, which goes with the process: so the others see whether it is alive. State changes of
all runs are also appended to `states.jsonl` beside it, to which any process can subscribe by reading on.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camtest.core.spool import spool_location
from camtest.core.values import to_json_bytes
from egse.files import create_file, make_folder, read_tail

LOGGER = logging.getLogger(__name__)

RUNS_LOCATION_VARIABLE = "CAMTEST_RUNS_LOCATION"
"""Folder of the records of runs, queue and batches, on a local disk."""
SUFFIX = ".run.jsonl"
STATES_FILE = "states.jsonl"
LONGEST_STATES_FILE = 5_000_000
"""A file of state changes longer than this [bytes] is put aside (`.1`)."""
POLL_INTERVAL = 0.1
"""How often a viewer looks for new lines [s]."""
KEPT_BYTES = 2_000_000_000
"""Records of runs that have ended are kept up to this size together [bytes]; the newest stay."""

KEPT_RUNS = 500
"""At most so many of them are kept."""

Entry = dict[str, Any]


def runs_location() -> Path:
    """Returns the folder of the records; it is made when it does not exist.

    `CAMTEST_RUNS_LOCATION` if set, else `runs` beside the spool of events.

    Raises:
        OSError: when it cannot be made.
    """
    chosen = os.environ.get(RUNS_LOCATION_VARIABLE)
    folder = Path(chosen) if chosen else spool_location().parent / "runs"
    make_folder(folder)
    return folder


class RunJournal:
    """Appends to the record of one run; made by whoever executes it.

    Args:
        run_id: id of the run.
        header: what the run is: notebook, parameters, obsid, source, ...; None to go on with a record that is there.
        folder: where; None for `runs_location()`.

    Raises:
        FileExistsError: when there is such a record already.
        FileNotFoundError: when there is none to go on with.
        BlockingIOError: when another process writes it.
    """

    suffix = SUFFIX
    kind = "run"

    def __init__(self, run_id: str, header: Entry | None, folder: Path | None = None) -> None:
        self.run_id = run_id
        self.folder = folder or runs_location()
        self.path = self.folder / f"{run_id}{self.suffix}"
        self._lock = threading.Lock()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = create_file(self.path) if header is not None else os.open(self.path, flags)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            raise
        if header is None:
            os.write(self._descriptor, b"\n")  # the last line of a writer that was killed may be torn
        else:
            self.write(self.kind, run_id=run_id, pid=os.getpid(), **header)

    def write(self, kind: str, **fields: Any) -> None:
        """Appends one line; a disk that is full loses the line, never the run."""
        line = to_json_bytes({"t": time.time(), "kind": kind, **fields}) + b"\n"
        with self._lock:
            if self._descriptor < 0:
                return
            try:
                _write_all(self._descriptor, line)
            except OSError as exc:
                LOGGER.error("a line of %s is lost: %s", self.path, exc)

    def state(self, status: str, reason: str = "", **fields: Any) -> None:
        """Writes a change of state, here and for the subscribers of all runs."""
        self.write("state", status=status, reason=reason, **fields)
        announce(self.folder, self.run_id, status, reason, **fields)

    def end(self, status: str, reason: str = "", **fields: Any) -> None:
        """Writes how the run ended and closes the file; may be called twice."""
        if self._descriptor < 0:
            return
        announce(self.folder, self.run_id, status, reason, ended=True, **fields)
        self.write("end", status=status, reason=reason, **fields)
        self.close()

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1


def _write_all(descriptor: int, data: bytes) -> None:
    """Writes all of it: a full disk takes a part of a line first, which is then ended so that the next one stands alone."""
    view = memoryview(data)
    while view:
        try:
            written = os.write(descriptor, view)
        except OSError:
            if len(view) < len(data):
                with suppress(OSError):
                    os.write(descriptor, b"\n")
            raise
        view = view[written:]


def announce(folder: Path, run_id: str, status: str, reason: str = "", **fields: Any) -> None:
    """Tells the subscribers of all runs that the state of something has changed."""
    path = folder / STATES_FILE
    event = {"t": time.time(), "run_id": run_id, "status": status, "reason": reason, **fields}
    LOGGER.info("Run %s: %s%s", run_id, status, f" ({reason})" if reason else "")
    try:
        if path.exists() and path.stat().st_size > LONGEST_STATES_FILE:
            path.replace(path.with_suffix(".jsonl.1"))
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            os.write(descriptor, to_json_bytes(event) + b"\n")
        finally:
            os.close(descriptor)
    except OSError as exc:
        LOGGER.error("the state of %s could not be announced: %s", run_id, exc)


# Reading --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RunRecord:
    """A run as its record tells it.

    Attributes:
        path: the file.
        header: the first line.
        last: the last change of state or the end; the header when there is none.
    """

    path: Path
    header: Entry
    last: Entry

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.path.name.removesuffix(SUFFIX)

    @property
    def ended(self) -> bool:
        """True when the end was written."""
        return bool(self.last["kind"] == "end")

    @property
    def alive(self) -> bool:
        """True while the process that executes it lives."""
        return is_locked(self.path)

    @property
    def status(self) -> str:
        """Its status; `lost` when its process died and nobody has looked after it yet."""
        status = str(self.last.get("status", "starting"))
        return status if self.ended or self.alive else "lost"

    @property
    def reason(self) -> str:
        """Why it has this status, in a few words."""
        return str(self.last.get("reason", ""))


def is_locked(path: Path) -> bool:
    """Returns True while another process holds the lock of a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def decode(line: bytes) -> Entry | None:
    """Returns the entry of a line, None for a line that was torn."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "kind" in entry else None


def read_record(path: Path) -> RunRecord:
    """Returns what a record tells, without reading the outputs.

    Raises:
        LookupError: when the file holds no run.
    """
    with path.open("rb") as file:
        header = decode(file.readline())
    if header is None or header["kind"] != "run":
        raise LookupError(f"{path} is no record of a run")
    return RunRecord(path, header, _last_state(path) or header)


def _last_state(path: Path) -> Entry | None:
    """Returns the last state or end: near the end of the file, or anywhere before large outputs."""
    size = path.stat().st_size
    length = 65_536
    while True:
        for line in reversed(read_tail(path, length).splitlines()):
            if b'"kind":"state"' in line or b'"kind":"end"' in line:
                entry = decode(line)
                if entry is not None:
                    return entry
        if length >= size:
            return None
        length *= 8


def list_runs(folder: Path | None = None) -> list[RunRecord]:
    """Returns the records of this site on this machine, oldest first."""
    records = []
    for path in sorted((folder or runs_location()).glob(f"*{SUFFIX}")):
        with suppress(LookupError, OSError):
            records.append(read_record(path))
    return records


def find_run(name: str | None, folder: Path | None = None) -> RunRecord:
    """Returns a run by its id, its obsid (any form that ends alike) or a beginning of either; None: the running or newest.

    Raises:
        LookupError: when there is none, or several fit.
    """
    runs = list_runs(folder)
    if not runs:
        raise LookupError("no procedure has been run on this machine yet")
    if name is None:
        return next((run for run in reversed(runs) if not run.ended and run.alive), runs[-1])
    found = [run for run in runs if run.run_id == name or run.header.get("obsid") == name]
    if not found and name.isdigit():
        found = [run for run in runs if str(run.header.get("obsid", "")).endswith(f"_{int(name):05d}")]
    found = found or [run for run in runs if run.run_id.startswith(name)]
    if len(found) == 1:
        return found[0]
    if found:
        raise LookupError(f"{len(found)} runs fit {name!r}: {', '.join(run.run_id for run in found[:5])}")
    raise LookupError(f"there is no run {name!r}; the last one is {runs[-1].run_id}")


def follow(path: Path, *, wait: bool = True, stop: threading.Event | None = None) -> Iterator[Entry]:
    """Yields the entries of a record from the start, then each new one, up to the end of the run.

    Args:
        path: the record.
        wait: go on until the run has ended or its process is dead; False: what is there now.
        stop: ends it early when set.
    """
    pause = stop or threading.Event()
    rest = b""
    with path.open("rb") as file:
        while True:
            alive = is_locked(path)
            while line := file.readline():
                rest += line
                if not rest.endswith(b"\n"):
                    break
                entry, rest = decode(rest), b""
                if entry is None:
                    continue
                yield entry
                if entry["kind"] == "end":
                    return
            if not wait or not alive or pause.wait(POLL_INTERVAL):
                return


def follow_states(folder: Path | None = None, stop: threading.Event | None = None) -> Iterator[Entry]:
    """Returns the changes of state of all runs of this machine from now on: run_id, status, reason, t [s since 1970].

    Args:
        folder: where the records are.
        stop: ends it when set.
    """
    path = (folder or runs_location()) / STATES_FILE
    return _states_after(path, path.stat().st_size if path.exists() else 0, stop or threading.Event())


def _states_after(path: Path, position: int, pause: threading.Event) -> Iterator[Entry]:
    while not pause.wait(POLL_INTERVAL):
        if not path.exists():
            continue
        if path.stat().st_size < position:  # put aside
            position = 0
        with path.open("rb") as file:
            file.seek(position)
            while (line := file.readline()).endswith(b"\n"):
                position = file.tell()
                yield json.loads(line)


def prune(folder: Path | None = None, limit: int = KEPT_BYTES, count: int = KEPT_RUNS) -> None:
    """Removes the oldest records of runs that have ended when there are more than `count`, or more than `limit` bytes."""
    runs = [(run, run.path.stat().st_size) for run in list_runs(folder)]
    total = sum(size for _, size in runs)
    for index, (run, size) in enumerate(runs[:-1]):
        if total <= limit and len(runs) - index <= count:
            return
        if run.ended:
            run.path.unlink(missing_ok=True)
            total -= size
