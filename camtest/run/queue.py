"""The queue: procedures that operators line up while others run; a worker runs them strictly one after the other.

The queue is a file of operations (`queue.jsonl`, beside the records of the runs), each appended under a lock and on disk
before the command that made it returns; what the queue is follows from them. Operators add, move, pause, resume and stop at
any time. The worker is a process of its own, which outlives the terminal that started it; it ends when the queue is empty or
stopped. When it is killed, its item counts as interrupted, and the queue pauses until an operator has looked.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from camtest.core.values import to_json_bytes
from camtest.run.attempts import Attempt
from camtest.run.journal import Entry, announce, is_locked, runs_location
from camtest.run.lost import UnknownEndError, how_it_ended
from camtest.run.notebooks import read_notebook
from camtest.run.parameters import check_parameters
from camtest.run.plan import Item, Mode
from egse.context import command_origin

QUEUE_FILE = "queue.jsonl"
LOCK_FILE = "queue.lock"
WORKER_FILE = "queue.worker"
QueueStatus = Literal["running", "paused", "stopped"]


class QueueError(RuntimeError):
    """An operation on the queue that makes no sense now."""


@dataclass
class QueueItem:
    """A procedure in the queue.

    Attributes:
        item: what to run; its number is its name in the queue.
        by: who added it.
        added: when [s since 1970].
        status: `waiting`, `running`, or how it ended.
        begun: when the worker took it [s since 1970].
        attempt: how it went, None before.
    """

    item: Item
    by: str
    added: float
    status: str = "waiting"
    begun: float = 0.0
    attempt: Attempt | None = None


@dataclass
class QueueState:
    """The queue as its operations tell it.

    Attributes:
        status: `running` when items are started, `paused` or `stopped` when not.
        reason: why it is paused or stopped.
        by: who did that.
        waiting: numbers of items, in order.
        items: all items by number, those that have ended included.
        worker: True while a worker lives.
    """

    status: QueueStatus = "running"
    reason: str = ""
    by: str = ""
    waiting: list[int] = field(default_factory=list)
    items: dict[int, QueueItem] = field(default_factory=dict)
    worker: bool = False

    @property
    def running(self) -> QueueItem | None:
        """The item that runs now."""
        return next((entry for entry in self.items.values() if entry.status == "running"), None)


class Queue:
    """The queue of this site on this machine.

    Args:
        folder: where; None for `runs_location()`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or runs_location()
        self.path = self.folder / QUEUE_FILE

    def state(self) -> QueueState:
        """Returns what the queue is now."""
        state = QueueState(worker=is_locked(self.folder / WORKER_FILE))
        if self.path.exists():
            for line in self.path.read_bytes().splitlines():
                try:
                    _apply(state, json.loads(line))
                except (ValueError, KeyError):  # a torn line: its operation was never acknowledged
                    continue
        return state

    # Operators --------------------------------------------------------------------------------------------------------

    def add(
        self,
        notebook: str | Path,
        parameters: dict[str, Any],
        *,
        mode: Mode = "run",
        description: str = "",
        cell_timeout: float | None = None,
        first: bool = False,
    ) -> int:
        """Puts a procedure at the end of the queue, or before all others; returns its number.

        Raises:
            ParameterError: when parameters do not fit; nothing was added.
            FileNotFoundError, ValueError: when there is no such notebook.
        """
        path = Path(notebook).resolve()
        check_parameters(read_notebook(path), parameters, path.name)
        with self._exclusive() as state:
            number = max(state.items, default=0) + 1
            item = Item(
                number=number,
                name=path.stem,
                notebook=str(path),
                mode=mode,
                parameters=parameters,
                description=description,
                cell_timeout=cell_timeout,
            )
            self._append("add", item=msgspec.to_builtins(item), first=first)
        announce(self.folder, f"queue-{number}", "waiting", notebook=path.stem)
        return number

    def move(self, number: int, position: int) -> None:
        """Moves a waiting item.

        Args:
            number: of the item.
            position: where, 1 for the next one.

        Raises:
            QueueError: when it does not wait.
        """
        with self._exclusive() as state:
            self._require_waiting(state, number)
            self._append("move", number=number, position=position)

    def remove(self, number: int) -> None:
        """Takes a waiting item out.

        Raises:
            QueueError: when it does not wait.
        """
        with self._exclusive() as state:
            self._require_waiting(state, number)
            self._append("remove", number=number)

    def set_status(self, status: QueueStatus, reason: str = "") -> None:
        """Lets the queue run, pause (the worker waits), or stop (the worker ends); what runs now goes on to its end."""
        with self._exclusive():
            self._append("status", status=status, reason=reason)
        announce(self.folder, "queue", status, reason)

    @staticmethod
    def _require_waiting(state: QueueState, number: int) -> None:
        if number not in state.waiting:
            entry = state.items.get(number)
            what = "there is no such item" if entry is None else f"it is {entry.status}"
            raise QueueError(f"{number} does not wait in the queue: {what}")

    # The worker -------------------------------------------------------------------------------------------------------

    def take(self) -> Item | None:
        """Takes the next item to run it; None when there is none, or the queue is paused or stopped."""
        with self._exclusive() as state:
            if state.status != "running" or not state.waiting:
                return None
            number = state.waiting[0]
            self._append("begin", number=number)
            return state.items[number].item

    def finish(self, number: int, attempt: Attempt) -> None:
        """Notes how an item went."""
        with self._exclusive():
            self._append("end", number=number, attempt=msgspec.to_builtins(attempt))
        announce(
            self.folder, f"queue-{number}", attempt.status, attempt.reason, ended=True, obsid=attempt.obsid
        )

    def put_back(self, number: int) -> None:
        """Lets an item that could not start wait again, before all others."""
        with self._exclusive():
            self._append("return", number=number)

    def settle(self) -> list[int]:
        """Ends items whose worker was killed, and pauses the queue for an operator to look; returns their numbers."""
        lost = [number for number, entry in self.state().items.items() if entry.status == "running"]
        attempts = {number: self._lost_attempt(number) for number in lost}
        with self._exclusive():
            for number, attempt in attempts.items():
                self._append("end", number=number, attempt=msgspec.to_builtins(attempt))
            if lost:
                reason = f"the worker was killed while item {lost[-1]} ran"
                self._append("status", status="paused", reason=reason)
        return lost

    def _lost_attempt(self, number: int) -> Attempt:
        """Returns how an item ended whose worker was killed, as far as that can be found out."""
        entry = self.state().items[number]
        lost = Attempt(status="interrupted", reason="the worker of the queue was killed", start=entry.begun)
        if entry.item.mode == "run":
            try:
                lost = how_it_ended(lost, {"source": "queue", "item": number})
            except UnknownEndError as exc:
                lost = msgspec.structs.replace(lost, reason=f"{lost.reason}; {exc}")
        return lost if lost.end else msgspec.structs.replace(lost, end=time.time())

    @contextmanager
    def working(self) -> Iterator[bool]:
        """Holds the place of the worker; yields False when another process has it."""
        descriptor = os.open(self.folder / WORKER_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(descriptor)

    @contextmanager
    def _exclusive(self) -> Iterator[QueueState]:
        """Gives the state, which nobody else changes meanwhile."""
        descriptor = os.open(self.folder / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield self.state()
        finally:
            os.close(descriptor)

    def _append(self, operation: str, **fields: Any) -> None:
        line = (
            to_json_bytes({"t": time.time(), "operation": operation, "by": command_origin(), **fields})
            + b"\n"
        )
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # after a torn line
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _apply(state: QueueState, entry: Entry) -> None:
    match entry["operation"]:
        case "add":
            item = msgspec.convert(entry["item"], Item)
            state.items[item.number] = QueueItem(item, entry["by"], entry["t"])
            state.waiting.insert(0 if entry["first"] else len(state.waiting), item.number)
        case "move":
            state.waiting.remove(entry["number"])
            state.waiting.insert(max(entry["position"], 1) - 1, entry["number"])
        case "remove":
            state.waiting.remove(entry["number"])
            state.items[entry["number"]].status = "removed"
        case "status":
            state.status, state.reason, state.by = entry["status"], entry["reason"], entry["by"]
        case "begin":
            state.waiting.remove(entry["number"])
            state.items[entry["number"]].status = "running"
            state.items[entry["number"]].begun = entry["t"]
        case "return":
            state.waiting.insert(0, entry["number"])
            state.items[entry["number"]].status = "waiting"
        case "end":
            queued = state.items[entry["number"]]
            queued.attempt = msgspec.convert(entry["attempt"], Attempt)
            queued.status = queued.attempt.status
