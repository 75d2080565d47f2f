"""Scheduled tasks of a control server (section 7.5 of the manual): functions that its event loop calls between commands."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger(__name__)

LONG_TASK = 1.0
"""A scheduled task that takes longer is complained about [s]."""


@dataclass
class _Task:
    function: Callable[[], Any]
    due: float
    when: Callable[[], bool] | None


class Schedule:
    """What a server has to do later.

    Args:
        owner: name of the server, for messages.

    Attributes:
        tasks: those that wait; empty most of the time, which the event loop looks at.
    """

    def __init__(self, owner: str) -> None:
        self.tasks: list[_Task] = []
        self._owner = owner
        self._lock = threading.Lock()

    def add(
        self, function: Callable[[], Any], after: float = 0.0, when: Callable[[], bool] | None = None
    ) -> None:
        """Adds a task; may be called from any thread. Arguments as for `ControlServer.schedule_task`."""
        with self._lock:
            self.tasks.append(_Task(function, time.monotonic() + after, when))

    def run(self) -> None:
        """Calls what is due."""
        now = time.monotonic()
        with self._lock:
            due = [task for task in self.tasks if task.due <= now]
            self.tasks = [task for task in self.tasks if task.due > now]
        for task in due:
            try:
                self._call(task)
            except Exception:  # it must not end the server
                logger.exception("%s: the scheduled task %s failed", self._owner, name_of(task.function))

    def _call(self, task: _Task) -> None:
        if task.when is not None and not task.when():
            with self._lock:
                self.tasks.append(task)
            return
        started = time.monotonic()
        result = task.function()
        if result is not None:
            logger.info("scheduled task %s: %s", name_of(task.function), result)
        if (duration := time.monotonic() - started) > LONG_TASK:
            name = name_of(task.function)
            logger.warning("scheduled task %s kept commands waiting for %.1f s", name, duration)


def name_of(function: Callable[[], Any]) -> str:
    """Returns a name for messages, also of a `functools.partial`."""
    bare = getattr(function, "func", function)
    return getattr(bare, "__qualname__", repr(bare))
