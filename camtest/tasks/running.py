"""What runs a task: a kernel (this one or another), or a process. Here is what they have in common."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from camtest.tasks.calls import TaskCall
from camtest.tasks.console import Console
from camtest.tasks.questions import QuestionDesk

DONE, FAILED, INTERRUPTED, LOST = "done", "failed", "interrupted", "lost"
"""How a task ends; lost: its kernel or process died."""


class RunnerError(RuntimeError):
    """A kernel or a process cannot be started, or cannot do this."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        status: done, failed, interrupted or lost.
        error: type and text of what was raised; empty when all went well.
        result: the result as text; empty when there is none.
    """

    status: str
    error: str = ""
    result: str = ""


@dataclass
class RunContext:
    """What a run writes to, and asks through.

    Attributes:
        console: takes the output.
        desk: takes questions.
        stopped: set when the run shall end.
        progress: is told how far a long wait is: text, part (0 to 1) or None.
    """

    console: Console
    desk: QuestionDesk
    stopped: threading.Event = field(default_factory=threading.Event)
    progress: Callable[[str, float | None], None] = lambda text, part: None


class Runner(Protocol):
    """Runs tasks, one at a time; `run` is called in a thread of its own, everything else from any thread."""

    @property
    def where(self) -> str:
        """What stands in the console: kernel, GUI App, script."""

    def run(self, call: TaskCall, context: RunContext) -> Outcome:
        """Runs a task to its end.

        Raises:
            RunnerError: when it cannot be started.
        """

    def interrupt(self) -> None:
        """Raises KeyboardInterrupt in the running task."""

    def close(self) -> None:
        """Ends everything that belongs to it."""


def search_path() -> list[str]:
    """Returns the folders in which this process finds modules, for processes that it starts."""
    return [
        str(Path(path).absolute())
        for path in sys.path
        if not path.endswith((".zip", "site-packages", "lib-dynload"))
    ]


def show_waits_in(context: RunContext) -> Callable[[Any], None]:
    """Returns what shows long waits of building blocks in the panel, see `camtest.core.waiting.on_progress`."""

    def show(waiting: Any) -> None:
        part = min(1.0, waiting.elapsed / waiting.timeout) if waiting.timeout else None
        context.progress("" if waiting.over else str(waiting), None if waiting.over else part)

    return show


@contextlib.contextmanager
def thread_input(read: Callable[[str], str]) -> Any:
    """While the block runs, `input` of this thread is answered by `read`; other threads are not touched."""
    import builtins

    before, thread = builtins.input, threading.get_ident()

    def dispatching(prompt: object = "") -> str:
        return read(str(prompt)) if threading.get_ident() == thread else before(prompt)

    builtins.input = dispatching
    try:
        yield
    finally:
        if builtins.input is dispatching:
            builtins.input = before
