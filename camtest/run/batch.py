"""Runs a plan: in order, with retries, and so that it can be resumed where it stopped, whatever stopped it.

Procedures that command hardware run strictly one after the other. Dry runs and analysis run beside them on pooled
kernels; a procedure waits for the dry runs that stand before it in the plan. Everything is in the record of the batch
(`<id>.batch.jsonl`, beside those of the runs) before the next thing begins.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec

from camtest.core.handle import new_run_id
from camtest.run.attempts import NOT_STARTED, Attempt, attempt_analysis, attempt_dry_run, attempt_run
from camtest.run.interrupts import Interrupts
from camtest.run.journal import Entry, RunJournal, follow, runs_location
from camtest.run.lost import UnknownEndError, how_it_ended
from camtest.run.manager import Reporter
from camtest.run.plan import Item, Plan, resolved
from camtest.run.pool import KernelPool

BATCH_SUFFIX = ".batch.jsonl"
BatchStatus = Literal["running", "done", "failed", "stopped", "interrupted"]
EXIT_CODES: dict[str, int] = {"done": 0, "failed": 1, "stopped": 1, "interrupted": 130}
WAITING_INTERVAL = 0.2
"""How often a batch that waits for pooled kernels looks for signals [s]."""


class BatchError(RuntimeError):
    """A batch cannot be started or resumed."""


class BatchJournal(RunJournal):
    """The record of a batch."""

    suffix = BATCH_SUFFIX
    kind = "batch"


@dataclass
class BatchState:
    """A batch as its record tells it.

    Attributes:
        batch_id: its id.
        title: of the plan.
        plan: path of the plan.
        items: its runs, in order.
        attempts: those of each item, by number; one that has begun and not ended is `interrupted`.
        skipped: numbers of the items that an operator left out.
        estimates: what the dry runs before say of each item, by number.
        output_dir: folder of executed notebooks and report.
        status: of the batch.
    """

    batch_id: str
    title: str
    plan: str
    items: list[Item]
    output_dir: Path
    attempts: dict[int, list[Attempt]] = field(default_factory=dict)
    skipped: set[int] = field(default_factory=set)
    estimates: dict[int, Attempt] = field(default_factory=dict)
    status: str = "running"
    start: float = 0.0

    def status_of(self, item: Item) -> str:
        """Returns how an item went: a status, `skipped` or `not-run`."""
        if item.number in self.skipped:
            return "skipped"
        attempts = self.attempts.get(item.number)
        return attempts[-1].status if attempts else "not-run"

    def obsid_of(self, name: str) -> str:
        """Returns the obsid of the last run of a step that is done.

        Raises:
            LookupError: when there is none.
        """
        for item in reversed(self.items):
            attempts = self.attempts.get(item.number)
            if item.name == name and attempts and attempts[-1].status == "done" and attempts[-1].obsid:
                return attempts[-1].obsid
        raise LookupError(f"step {name} has no observation that is done")

    def open_items(self) -> list[Item]:
        """Returns the items from which to go on: those never run, interrupted, or at which the batch stopped."""
        return [item for item in self.items if self._is_open(item)]

    def _is_open(self, item: Item) -> bool:
        status = self.status_of(item)
        return status in ("not-run", "interrupted", NOT_STARTED) or (
            item.stops and status not in ("done", "skipped")
        )


def read_batch(batch_id: str | None = None, folder: Path | None = None) -> BatchState:
    """Returns a batch from its record; the newest without an id.

    Raises:
        BatchError: when there is no such batch.
    """
    where = folder or runs_location()
    paths = sorted(where.glob(f"{batch_id or ''}*{BATCH_SUFFIX}"))
    if not paths:
        raise BatchError(
            f"there is no batch {batch_id!r}" if batch_id else "no batch has been run on this machine"
        )
    entries = list(follow(paths[-1], wait=False))
    header = entries[0]
    state = BatchState(
        batch_id=header["run_id"],
        title=header["title"],
        plan=header["plan"],
        items=msgspec.convert(header["items"], list[Item]),
        output_dir=Path(header["output_dir"]),
        start=header["t"],
    )
    for entry in entries[1:]:
        _apply(state, entry)
    return state


def _apply(state: BatchState, entry: Entry) -> None:
    match entry["kind"]:
        case "state" | "end":
            state.status = entry["status"]
        case "estimate":
            state.estimates[entry["item"]] = msgspec.convert(entry["attempt"], Attempt)
        case "skip":
            state.skipped.add(entry["item"])
        case "begin":
            lost = Attempt(status="interrupted", reason="the batch was killed in it", start=entry["t"])
            state.attempts.setdefault(entry["item"], []).append(lost)
        case "started":
            state.attempts[entry["item"]][-1].obsid = entry["obsid"]
        case "finished":
            state.attempts[entry["item"]][-1] = msgspec.convert(entry["attempt"], Attempt)


def start_batch(plan: Plan, items: list[Item], path: Path, output_dir: Path) -> Batch:
    """Makes a new batch and its record; `Batch.run` runs it."""
    batch_id = new_run_id()
    output_dir.mkdir(parents=True, exist_ok=True)
    header = {
        "title": plan.title or path.stem,
        "plan": str(path.resolve()),
        "output_dir": str(output_dir.resolve()),
        "items": msgspec.to_builtins(items),
    }
    return Batch(read_back(BatchJournal(batch_id, header)))


def read_back(journal: BatchJournal) -> tuple[BatchState, BatchJournal]:
    """Returns the state that a record has, with the record open for more."""
    return read_batch(journal.run_id, journal.folder), journal


def resume_batch(batch_id: str | None = None) -> Batch:
    """Opens the record of a batch to go on with it.

    Raises:
        BatchError: when there is none, it runs, nothing is left to do, or nobody knows how the run ended that was under
            way when it was killed.
    """
    state = read_batch(batch_id)
    if not state.open_items():
        raise BatchError(f"batch {state.batch_id} is complete ({state.status}), nothing is left to do")
    try:
        journal = BatchJournal(state.batch_id, None)
    except BlockingIOError:
        raise BatchError(f"batch {state.batch_id} is running") from None
    batch = Batch((state, journal))
    try:
        batch.settle()
    except UnknownEndError as exc:
        journal.close()
        raise BatchError(f"batch {state.batch_id} cannot go on yet, {exc}; try again") from exc
    return batch


class Batch:
    """A batch that this process runs.

    Args:
        opened: its state and its record.
    """

    def __init__(self, opened: tuple[BatchState, BatchJournal]) -> None:
        self.state, self._journal = opened
        self.on_item: Callable[[Item, Attempt | None], None] = lambda item, attempt: None
        self.on_start: Callable[[str], None] = lambda obsid: None
        self.on_change: Callable[[BatchState], None] = lambda state: None
        self.report: Reporter | None = None

    def skip(self, number: int) -> None:
        """Leaves an item out."""
        self._record("skip", item=number)

    def settle(self) -> None:
        """Finds out how runs ended whose end the batch did not live to write down.

        Raises:
            UnknownEndError: when that is not known yet.
        """
        for item in self.state.items:
            attempts = self.state.attempts.get(item.number) or []
            if item.mode != "run" or not attempts or attempts[-1].end:
                continue
            about = {"source": "batch", "batch": self.state.batch_id, "item": item.number}
            ended = how_it_ended(attempts[-1], about, [attempt.obsid for attempt in attempts[:-1]])
            if ended.end:
                self._finish(item, ended)

    def estimate(self, pool: KernelPool) -> float:
        """Dry-runs all items that would command hardware; returns the time that they take together [s].

        Raises:
            BatchError: when a dry run fails; all of them are told.
        """
        todo = [item for item in self.state.open_items() if item.mode == "run"]
        futures = {item.number: pool.submit(_dry_runner(item, self._estimable(item))) for item in todo}
        for number, future in futures.items():
            self._record("estimate", item=number, attempt=msgspec.to_builtins(future.result()))
        failed = [item for item in todo if self.state.estimates[item.number].status != "done"]
        if failed:
            reasons = (f"{item.label}: {self.state.estimates[item.number].reason}" for item in failed)
            raise BatchError("the dry run fails, nothing was started:\n  - " + "\n  - ".join(reasons))
        return sum(self.state.estimates[item.number].duration or 0.0 for item in todo)

    @staticmethod
    def _estimable(item: Item) -> dict[str, Any]:
        return resolved(item.parameters, lambda name: "SITE_00000_00000")

    def run(self, pool: KernelPool) -> BatchState:
        """Runs what is open, in order; returns how it went."""
        self._change("running")
        with Interrupts() as interrupts:
            pending: dict[Future[Attempt], Item] = {}
            status: BatchStatus = "done"
            for item in self.state.open_items():
                status = self._run_item(item, pool, pending, interrupts)
                if status != "done":
                    break
            status = self._settle(pending, pending.values(), interrupts, pool) if status == "done" else status
            for future in pending:
                future.cancel()
            if pending and status != "done":
                wait([future for future in pending if not future.cancelled()])
                self._collect(pending)
        if status == "done" and any(
            self.state.status_of(i) not in ("done", "skipped") for i in self.state.items
        ):
            status = "failed"
        self._change(status)
        self._journal.close()
        return self.state

    def _run_item(
        self, item: Item, pool: KernelPool, pending: dict[Future[Attempt], Item], interrupts: Interrupts
    ) -> BatchStatus:
        """Runs one item, or lets it run beside the others; returns `done` when the batch goes on."""
        needed = [other for other in pending.values() if other.mode == "dry-run" or _refers(item, other)]
        if item.mode == "run" or _has_references(item):
            status = self._settle(pending, needed, interrupts, pool)
            if status != "done":
                return status
        if interrupts.reason is not None:
            return "interrupted"
        try:
            parameters = resolved(item.parameters, self.state.obsid_of)
        except LookupError as exc:
            self._begin(item)
            return self._judge(
                item, Attempt(status=NOT_STARTED, reason=str(exc), start=time.time(), end=time.time())
            )
        if item.mode == "run":
            return self._judge(item, self._run_with_retries(item, parameters, interrupts))
        self._begin(item)
        work = (
            _dry_runner(item, parameters)
            if item.mode == "dry-run"
            else _analyst(item, parameters, self.state)
        )
        pending[pool.submit(work)] = item
        return "done"

    def _run_with_retries(self, item: Item, parameters: dict[str, Any], interrupts: Interrupts) -> Attempt:
        for left in range(item.retries, -1, -1):
            continued = next(
                (a.obsid for a in reversed(self.state.attempts.get(item.number, [])) if a.obsid), ""
            )
            self._begin(item)
            about = {"source": "batch", "batch": self.state.batch_id, "item": item.number}
            attempt = attempt_run(
                item,
                parameters,
                self.state.output_dir,
                about=about | ({"continues": continued} if continued else {}),
                report=self.report,
                on_start=lambda obsid: self._started(item, obsid),
                stopping=lambda: interrupts.reason,
            )
            if attempt.status == "done" or attempt.by_hand or not left or interrupts.reason is not None:
                return attempt
            self._finish(item, attempt)
        raise AssertionError("the last attempt returns")

    def _judge(self, item: Item, attempt: Attempt) -> BatchStatus:
        self._finish(item, attempt)
        if attempt.status == "interrupted" and attempt.by_hand:
            return "interrupted"
        return "stopped" if item.stops and attempt.status != "done" else "done"

    def _settle(
        self,
        pending: dict[Future[Attempt], Item],
        needed: Iterable[Item],
        interrupts: Interrupts,
        pool: KernelPool,
    ) -> BatchStatus:
        """Waits for pooled runs that are needed; takes those that have ended besides."""
        numbers = {item.number for item in needed}
        while True:
            status = self._collect(pending)
            if status != "done":
                return status
            waiting = [future for future, item in pending.items() if item.number in numbers]
            if not waiting:
                return "done"
            if interrupts.reason is not None:
                pool.kill()
                return "interrupted"
            wait(waiting, timeout=WAITING_INTERVAL)

    def _collect(self, pending: dict[Future[Attempt], Item]) -> BatchStatus:
        status: BatchStatus = "done"
        for future in [future for future in pending if future.done()]:
            item = pending.pop(future)
            if not future.cancelled() and self._judge(item, future.result()) == "stopped":
                status = "stopped"
        return status

    # The record -------------------------------------------------------------------------------------------------------

    def _begin(self, item: Item) -> None:
        self._record("begin", item=item.number)
        self.on_item(item, None)

    def _started(self, item: Item, obsid: str) -> None:
        self._record("started", item=item.number, obsid=obsid)
        self.on_start(obsid)

    def _finish(self, item: Item, attempt: Attempt) -> None:
        self._record("finished", item=item.number, attempt=msgspec.to_builtins(attempt))
        self.on_item(item, attempt)
        self.on_change(self.state)

    def _change(self, status: BatchStatus) -> None:
        self._journal.state(status)
        self.state.status = status
        self.on_change(self.state)

    def _record(self, kind: str, **fields: Any) -> None:
        self._journal.write(kind, **fields)
        _apply(self.state, {"kind": kind, "t": time.time(), **fields})


def _has_references(item: Item) -> bool:
    return any(isinstance(value, str) and value.startswith("$") for value in item.parameters.values())


def _refers(item: Item, other: Item) -> bool:
    return f"${other.name}.obsid" in [v for v in item.parameters.values() if isinstance(v, str)]


def _dry_runner(item: Item, parameters: dict[str, Any]) -> Callable[[Any], Attempt]:
    return lambda kernel: attempt_dry_run(item, parameters, kernel)


def _analyst(item: Item, parameters: dict[str, Any], state: BatchState) -> Callable[[Any], Attempt]:
    return lambda kernel: attempt_analysis(item, parameters, state.output_dir, kernel)
