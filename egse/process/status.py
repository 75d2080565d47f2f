"""What a process costs: times, memory and processor use, as told by `get_process_status` of every control server."""

from __future__ import annotations

import os
import threading
import uuid
from typing import Any

import psutil

from egse.clock import Clock, system_clock
from egse.metrics.figures import Figure
from egse.system import format_datetime

CALM = 1.0
"""USS and CPU% are measured at most this often [s]: the system looks through all memory for the one (about 1 ms), and counts
processor time in steps of 10 ms for the other."""


class ProcessStatus:
    """The state of one process, by default of the one that asks.

    May be used by several threads, as often as they like: none shortens the time over which another's CPU% is measured.

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
        self._cpus = psutil.cpu_count()
        self._lock = threading.Lock()
        self._measured = self._busy = self._percent = 0.0
        self._uss = 0
        self._values: dict[str, Any] = {}
        self.update()

    @property
    def uuid(self) -> uuid.UUID:
        """The identity of this incarnation of the process, made when the object was."""
        return self._uuid

    def update(self) -> ProcessStatus:
        """Measures again, USS and CPU% if that was not done in the last second.

        Returns:
            The object itself, so that one can write `status.update().as_dict()`.

        Raises:
            ProcessLookupError: when the process has ended meanwhile.
        """
        try:
            with self._lock, self._process.oneshot():
                self._measure()
        except psutil.NoSuchProcess as exc:
            raise ProcessLookupError(f"process {self._process.pid} has ended") from exc
        return self

    def _measure(self) -> None:
        times, memory = self._process.cpu_times(), self._process.memory_info()
        up = self._clock.now() - self._started
        self._measure_calmly(times.user + times.system, up)
        self._values = {
            "timestamp": format_datetime(),
            "delay": self.delay,
            "PID": self._process.pid,
            "Up": up,
            "UUID": self._uuid,
            "RSS": memory.rss,
            "USS": self._uss,
            "CPU User": times.user,
            "CPU System": times.system,
            "CPU count": self._cpus,
            "CPU%": self._percent,
        }

    def _measure_calmly(self, busy: float, up: float) -> None:
        """Measures USS and CPU% unless that was just done.

        Args:
            busy: processor time since the start of the process [s].
            up: time since then [s]: the first CPU% is that of its life so far.
        """
        now = self._clock.monotonic()
        passed = now - self._measured if self._values else up
        if self._values and passed < CALM:
            return
        self._uss = self._process.memory_full_info().uss
        self._percent = round(100.0 * (busy - self._busy) / passed, 1) if passed > 0.0 else 0.0
        self._measured, self._busy = now, busy

    def as_dict(self) -> dict[str, Any]:
        """Returns the values of the last update.

        Returns:
            `timestamp` (UTC), `delay` [ms], `PID`, `Up` (since its start, [s]), `UUID`, `RSS` and `USS` (resident
            and unique memory, [bytes]), `CPU User` and `CPU System` [s], `CPU count`, `CPU%` (of the last second or more,
            at first since the start of the process; one fully used processor is 100).
        """
        return dict(self._values)

    def figures(self) -> list[Figure]:
        """Returns the values of the last update as metrics for Prometheus, which wants bytes, seconds and ratios."""
        values = self._values
        return [
            Figure.of("egse_process_uptime_seconds", "Time since the start of the process", values["Up"]),
            Figure.of("egse_process_resident_memory_bytes", "Memory of the process (RSS)", values["RSS"]),
            Figure.of(
                "egse_process_unique_memory_bytes",
                "Memory that only this process uses, free when it ends (USS)",
                values["USS"],
            ),
            Figure.of(
                "egse_process_cpu_seconds_total",
                "Processor time of the process",
                values["CPU User"] + values["CPU System"],
                "counter",
            ),
            Figure.of(
                "egse_process_cpu_ratio",
                "Share of one processor that the process uses now; 1 is all of it",
                values["CPU%"] / 100.0,
            ),
        ]
