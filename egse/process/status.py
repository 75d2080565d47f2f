"""What a process costs: times, memory and processor use, as told by `get_process_status` of every control server."""

from __future__ import annotations

import os
import uuid
from typing import Any

import psutil

from egse.clock import Clock, system_clock
from egse.system import format_datetime


class ProcessStatus:
    """The state of one process, by default of the one that asks.

    Args:
        delay: the delay between two updates [ms], as the control server has configured it; only passed on.
        pid: the process; this one by default.
        clock: the host's clock by default.

    Raises:
        ProcessLookupError: when there is no such process.
    """

    def __init__(self, delay: float = 1000, pid: int | None = None, clock: Clock | None = None) -> None:
        self.delay = delay
        self._clock = clock or system_clock()
        try:
            self._process = psutil.Process(pid if pid is not None else os.getpid())
            self._started = self._process.create_time()
        except psutil.NoSuchProcess as exc:
            raise ProcessLookupError(f"there is no process {pid}") from exc
        self._uuid = uuid.uuid1()
        self._values: dict[str, Any] = {}
        self.update()

    @property
    def uuid(self) -> uuid.UUID:
        """The identity of this incarnation of the process, made when the object was."""
        return self._uuid

    def update(self) -> ProcessStatus:
        """Measures again.

        Returns:
            The object itself, so that one can write `status.update().as_dict()`.

        Raises:
            ProcessLookupError: when the process has ended meanwhile.
        """
        try:
            with self._process.oneshot():
                times = self._process.cpu_times()
                memory = self._process.memory_full_info()
                percent = self._process.cpu_percent()
        except psutil.NoSuchProcess as exc:
            raise ProcessLookupError(f"process {self._process.pid} has ended") from exc
        self._values = {
            "timestamp": format_datetime(),
            "delay": self.delay,
            "PID": self._process.pid,
            "Up": self._clock.now() - self._started,
            "UUID": self._uuid,
            "RSS": memory.rss,
            "USS": memory.uss,
            "CPU User": times.user,
            "CPU System": times.system,
            "CPU count": psutil.cpu_count(),
            "CPU%": percent,
        }
        return self

    def as_dict(self) -> dict[str, Any]:
        """Returns the values of the last update.

        Returns:
            `timestamp` (UTC), `delay` [ms], `PID`, `Up` (since its start, [s]), `UUID`, `RSS` and `USS` (resident
            and unique memory, [bytes]), `CPU User` and `CPU System` [s], `CPU count`, `CPU%` (since the update
            before; one fully used processor is 100).
        """
        return dict(self._values)
