"""Recurring tasks: functions whose text is shown in the status bar, called about once a second, each in its own thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from camtest.tasks.catalogue import RecurringTask

LOGGER = logging.getLogger(__name__)

PERIOD = 1.0
"""Time between the end of a call and the next one [s]."""
PATIENCE = 2.0


class RecurringTasks:
    """Calls recurring tasks.

    Args:
        tasks: which.

    Attributes:
        texts: what each said last.
    """

    def __init__(self, tasks: Sequence[RecurringTask]) -> None:
        self._tasks = list(tasks)
        self.texts = [""] * len(self._tasks)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._repeat, args=(i,), name=f"recurring-{task.name}", daemon=True)
            for i, task in enumerate(self._tasks)
        ]
        for thread in self._threads:
            thread.start()

    def _repeat(self, index: int) -> None:
        task, problem = self._tasks[index], ""
        while not self._stop.is_set():
            try:
                text = task.function()
                self.texts[index] = "" if text is None else str(text)
                problem = ""
            except Exception as exc:  # written by the author of the tasks: shown, and logged when it is new
                said = f"{task.name}: {type(exc).__name__}: {exc}"
                self.texts[index] = said
                if said != problem:
                    LOGGER.warning("a recurring task fails: %s", said, exc_info=True)
                problem = said
            self._stop.wait(PERIOD)

    def text(self, *, permanent: bool) -> str:
        """Returns what stands at the right (permanent) or the left of the status bar."""
        return "  ".join(
            text for task, text in zip(self._tasks, self.texts) if text and task.permanent is permanent
        )

    def close(self) -> None:
        """Ends the calls; one that hangs is left behind."""
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
