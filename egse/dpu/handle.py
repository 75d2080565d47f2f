"""The DPU control server's hold on its DPU Processor: starts it, restarts it, asks it, listens to it."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from egse.clock import Clock, RealClock
from egse.dpu.errors import DPUProcessorError
from egse.dpu.processor import ProcessorConfig
from egse.dpu.queues import (
    COMMAND,
    PRIORITY,
    QueueEvent,
    QueueReply,
    QueueRequest,
    ServerQueues,
    queue_endpoints,
)
from egse.response import restore_error

LOGGER = logging.getLogger(__name__)

MakeConfig = Callable[[dict[str, str]], ProcessorConfig]
OnEvent = Callable[[str, dict[str, Any]], None]

_FIRST_DELAY, _LONGEST_DELAY = 0.1, 5.0
_STEADY = 30.0


@dataclass(frozen=True)
class _Pending:
    name: str
    future: Future[Any]
    timeout: float
    deadline: float


class ProcessorHandle:
    """Runs one DPU Processor as a child process and keeps it running.

    Args:
        make_config: makes the configuration, given the endpoints of the queues.
        on_event: called, in the handle's thread, with name and values of every event of the processor; also `started` whenever
            a processor is ready, and `tick` when nothing came for 0.1 s.
        clock: for the delays between restarts.

    Attributes:
        restarts: how often the processor was started again.
    """

    def __init__(self, make_config: MakeConfig, on_event: OnEvent, clock: Clock | None = None) -> None:
        self.restarts = 0
        self._make_config = make_config
        self._on_event = on_event
        self._clock = clock or RealClock()
        self._folder = Path(tempfile.mkdtemp(prefix="dpu-"))
        self._endpoints = queue_endpoints(self._folder)
        self._queues = ServerQueues(self._endpoints)
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._delay = _FIRST_DELAY
        self._pending: dict[int, _Pending] = {}
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dpu-processor-handle", daemon=True)

    @property
    def pid(self) -> int | None:
        """Process id of the processor, None while there is none."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start(self) -> None:
        """Starts the processor and the thread that looks after it; does not wait until it is ready."""
        self._spawn()
        self._thread.start()

    def wait_ready(self, timeout: float) -> bool:
        """Returns True once the processor serves its queues, False when it does not within `timeout` [s]."""
        return self._ready.wait(timeout)

    def stop(self, timeout: float = 4.0) -> None:
        """Ends the processor: SIGTERM, and SIGKILL when it does not end within `timeout` [s]."""
        self._stop.set()
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                LOGGER.error(
                    "the DPU Processor did not end in time and is killed; its spool will be recovered"
                )
                process.kill()
                process.wait()
        if self._thread.is_alive():
            self._thread.join(2.0)
        self._fail_pending("the DPU control server ends")
        self._queues.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- asking ---------------------------------------------------------------------------------------------------

    def query(self, name: str, arguments: dict[str, Any] | None = None, timeout: float = 2.0) -> Any:
        """Asks the processor through the priority queue, which never waits for the FEE.

        Raises:
            DPUProcessorError: when it is not there, or dies.
            TimeoutError: when no answer came within `timeout` [s].
        """
        future = self.request(PRIORITY, next(self._ids), name, arguments or {}, timeout)
        return self._wait(future, name, timeout)

    def notify(self, name: str, arguments: dict[str, Any]) -> None:
        """Tells the processor something through the priority queue, without waiting for its answer."""
        try:
            self._queues.send(PRIORITY, QueueRequest(next(self._ids), name, arguments))
        except ConnectionError as exc:
            LOGGER.error("%s was not delivered: %s", name, exc)

    def new_number(self) -> int:
        """Returns a number for a `request`."""
        return next(self._ids)

    def request(
        self, queue: str, number: int, name: str, arguments: dict[str, Any], timeout: float
    ) -> Future[Any]:
        """Puts something on a queue and returns the future of its answer.

        Args:
            queue: PRIORITY for questions, COMMAND for what goes to the FEE in the next slot.
            number: from `new_number`; the processor's events about it carry it.
            name: the question, one of `egse.dpu.operations.OPERATIONS`, or `egse.dpu.queues.BATCH`.
            arguments: by name.
            timeout: after this time [s] the future ends with a TimeoutError; a command may still be sent.

        Returns:
            A future that ends with what the processor answers, or a DPUProcessorError when it dies before.

        Raises:
            DPUProcessorError: when it is not there; nothing was sent.
        """
        if not self._ready.is_set():
            raise DPUProcessorError(
                "the DPU Processor is not running (it is being started again); nothing was sent"
            )
        pending = _Pending(name, Future(), timeout, self._clock.monotonic() + timeout * self._clock.speed)
        with self._lock:
            self._pending[number] = pending
        try:
            self._queues.send(queue, QueueRequest(number, name, arguments))
        except ConnectionError:
            with self._lock:
                self._pending.pop(number, None)
            raise
        return pending.future

    def command(self, name: str, arguments: dict[str, Any], timeout: float) -> Any:
        """Has a command sent to the FEE in the next slot and returns when it is acknowledged; see `request`.

        Raises:
            DPUProcessorError: when the processor is not there, or dies (then the outcome is unknown).
            TimeoutError: when it was not sent within `timeout`; it may still be.
            Exception: what the processor reports.
        """
        return self._wait(self.request(COMMAND, next(self._ids), name, arguments, timeout), name, timeout)

    def _wait(self, future: Future[Any], name: str, timeout: float) -> Any:
        try:
            return future.result(timeout)
        except TimeoutError as exc:
            if future.done():
                raise
            raise _overdue(name, timeout) from exc

    # -- the thread that looks after the processor ----------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._receive()
                self._expire()
                self._look_after()
            except Exception:
                LOGGER.exception("an error while looking after the DPU Processor")

    def _receive(self) -> None:
        try:
            message = self._queues.receive(0.1)
        except msgspec.MsgspecError as exc:
            LOGGER.error("a damaged message of the DPU Processor was dropped: %s", exc)
            return
        if message is None:
            self._on_event("tick", {})
        if isinstance(message, QueueEvent):
            if message.name == "ready":
                if message.values["pid"] == self.pid:
                    self._ready.set()
                    self._on_event("started", message.values)
                return
            self._on_event(message.name, message.values)
        elif isinstance(message, QueueReply):
            self._resolve(message)

    def _resolve(self, reply: QueueReply) -> None:
        with self._lock:
            pending = self._pending.pop(reply.id, None)
        if pending is None:
            return  # its time was over
        future = pending.future
        if reply.error is not None:
            future.set_exception(restore_error(reply.error))
        else:
            future.set_result(reply.value)

    def _expire(self) -> None:
        now = self._clock.monotonic()
        with self._lock:
            late = [number for number, pending in self._pending.items() if now > pending.deadline]
            expired = [self._pending.pop(number) for number in late]
        for pending in expired:
            pending.future.set_exception(_overdue(pending.name, pending.timeout))

    def _look_after(self) -> None:
        process = self._process
        if process is None or process.poll() is None or self._stop.is_set():
            return
        self._ready.clear()
        LOGGER.error("the DPU Processor (process %d) ended with code %s", process.pid, process.returncode)
        self._fail_pending(
            "the DPU Processor died before it answered: it is unknown whether the command was sent"
        )
        if self._clock.monotonic() - self._started_at > _STEADY:
            self._delay = _FIRST_DELAY
        self._stop.wait(self._delay)
        self._delay = min(2 * self._delay, _LONGEST_DELAY)
        if not self._stop.is_set():
            self.restarts += 1
            self._spawn()

    def _fail_pending(self, reason: str) -> None:
        with self._lock:
            pending, self._pending = self._pending, {}
        for entry in pending.values():
            entry.future.set_exception(DPUProcessorError(reason))

    def _spawn(self) -> None:
        config = msgspec.structs.replace(self._make_config(self._endpoints), parent=os.getpid())
        command = [sys.executable, "-m", "egse.dpu.processor", msgspec.json.encode(config).decode()]
        self._started_at = self._clock.monotonic()
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        LOGGER.info("DPU Processor started as process %d", self._process.pid)


def _overdue(name: str, timeout: float) -> TimeoutError:
    return TimeoutError(f"{name}: the DPU Processor did not answer within {timeout:g} s")
