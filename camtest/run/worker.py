"""The worker of the queue: `python -m camtest.run.worker OUTPUT_DIR`; started by `camtest queue add` and `resume`."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from pathlib import Path

from camtest.core.logs import log_as
from camtest.run.attempts import NOT_STARTED, Attempt, attempt_analysis, attempt_dry_run, attempt_run
from camtest.run.interrupts import Interrupts
from camtest.run.plan import Item
from camtest.run.pool import KernelPool, WarmKernel
from camtest.run.queue import Queue
from egse.files import make_folder

LOGGER = logging.getLogger(__name__)

LOOK_INTERVAL = 0.5
"""How often a worker that waits looks into the queue [s]."""
START_PATIENCE = 20.0
"""How long the start of a worker is waited for [s]."""


def start_worker(queue: Queue, output_dir: Path) -> bool:
    """Starts the worker in the background unless one lives; returns True when it was started.

    Raises:
        RuntimeError: when it ended at once.
    """
    if queue.state().worker:
        return False
    make_folder(output_dir)
    log = queue.folder / "queue.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "camtest.run.worker", str(output_dir.resolve())],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    deadline = time.monotonic() + START_PATIENCE
    pause = threading.Event()
    while not queue.state().worker and time.monotonic() < deadline:
        if process.poll() is not None:
            if process.returncode == 0:  # it has done everything already, or another was faster
                return True
            raise RuntimeError(f"the worker of the queue ended with code {process.returncode}: see {log}")
        pause.wait(0.05)
    return True


def work(queue: Queue, output_dir: Path) -> None:
    """Runs the queue until it is empty or stopped, or a signal comes."""
    with queue.working() as mine:
        if not mine:
            return
        for number in queue.settle():
            LOGGER.error(
                "Item %s of the queue was interrupted: its worker was killed; the queue is paused", number
            )
        with Interrupts() as interrupts, KernelPool() as pool:
            pending: dict[Future[Attempt], Item] = {}
            while interrupts.reason is None:
                _collect(queue, pending)
                item = queue.take()
                if item is None:
                    state = queue.state()
                    if state.status == "stopped" or (
                        state.status == "running" and not state.waiting and not pending
                    ):
                        break
                    wait(pending, timeout=LOOK_INTERVAL) if pending else threading.Event().wait(LOOK_INTERVAL)
                elif item.mode == "run":
                    _run(queue, item, output_dir, interrupts)
                else:
                    pending[pool.submit(_pooled(item, output_dir))] = item
            if interrupts.reason is not None:
                pool.kill()
            wait(pending)
            _collect(queue, pending)


def _run(queue: Queue, item: Item, output_dir: Path, interrupts: Interrupts) -> None:
    about = {"source": "queue", "item": item.number}

    def stopping() -> str | None:
        return interrupts.reason or (None if queue.state().status == "running" else "the queue was stopped")

    # Another observation may run for hours: the queue waits for its turn.
    attempt = attempt_run(
        item, item.parameters, output_dir, about=about, stopping=stopping, patience=float("inf")
    )
    if attempt.status == NOT_STARTED and stopping() is not None:
        queue.put_back(item.number)
        return
    queue.finish(item.number, attempt)
    if attempt.status != "done":
        why = f"item {item.number} ({item.name}) {attempt.status}: {attempt.reason}"
        queue.set_status("paused", why)
    if attempt.status == "interrupted" and attempt.by_hand:
        interrupts.stop(attempt.reason)


def _pooled(item: Item, output_dir: Path) -> Callable[[WarmKernel], Attempt]:
    if item.mode == "dry-run":
        return lambda kernel: attempt_dry_run(item, item.parameters, kernel)
    return lambda kernel: attempt_analysis(item, item.parameters, output_dir, kernel)


def _collect(queue: Queue, pending: dict[Future[Attempt], Item]) -> None:
    for future in [future for future in pending if future.done()]:
        queue.finish(pending.pop(future).number, future.result())


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    log_as("camtest_queue")
    work(Queue(), Path(sys.argv[1]))
