"""Running a task in the notebook's own kernel: in a thread of its own, so that neither cells nor panels wait for it.

What this thread prints, shows and asks goes to the panel; other threads and cells are not touched. An interrupt arrives
at the next Python instruction of the task: a call that waits outside of Python ends first.
"""

from __future__ import annotations

import asyncio
import ctypes
import io
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any

from camtest.core.prompts import questions_through
from camtest.core.waiting import on_progress
from camtest.tasks.calls import TaskCall, resolved, store_result
from camtest.tasks.child import figures_in, picture_of
from camtest.tasks.console import Console
from camtest.tasks.failures import tell_failure
from camtest.tasks.loading import note_task
from camtest.tasks.printing import print_result
from camtest.tasks.questions import is_known
from camtest.tasks.running import DONE, FAILED, INTERRUPTED, Outcome, RunContext, show_waits_in, thread_input

BREATH = 0.2
"""How soon an interrupt reaches a task that awaits something [s]."""


class OwnKernelRunner:
    """Runs tasks in this process.

    Args:
        namespace: gets the results, and has the variables that tasks want; that of the notebook as a rule.
    """

    where = "kernel"

    def __init__(self, namespace: MutableMapping[str, Any]) -> None:
        self.namespace = namespace
        self._thread: int | None = None
        self._lock = threading.Lock()

    def run(self, call: TaskCall, context: RunContext) -> Outcome:
        """Runs a task in this thread; see `Runner`."""
        with self._lock:
            self._thread = threading.get_ident()
        try:
            texts = call.task.input_request
            with output_to(context.console), asking(context, texts), _waits(context):
                return self._run(call, context)
        except KeyboardInterrupt as exc:  # it came late
            return Outcome(INTERRUPTED, _named(exc))
        finally:
            with self._lock:
                self._thread = None

    def _run(self, call: TaskCall, context: RunContext) -> Outcome:
        try:
            args, kwargs = resolved(call, self.namespace)
            note_task(call.task.module, call.shown)
            result = call.task.function(*args, **kwargs)
            if call.task.is_coroutine:
                result = asyncio.run(_heeding_interrupts(result))
            _show_figures(context.console)
            for figure in figures_in(result):
                context.console.show(picture_of(figure))
            store_result(call.task.capture, result, self.namespace)  # type: ignore[arg-type]
            show_result(result, context.console)
        except KeyboardInterrupt as exc:
            context.console.write("KeyboardInterrupt\n", error=True)
            return Outcome(INTERRUPTED, _named(exc))
        except (Exception, SystemExit) as exc:  # the one place where errors of tasks become data
            context.console.write(tell_failure(exc), error=True)
            return Outcome(FAILED, _named(exc))
        return Outcome(DONE, result="" if result is None else repr(result)[:1000])

    def interrupt(self) -> None:
        """Raises KeyboardInterrupt in the running task."""
        with self._lock:
            if self._thread is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(self._thread), ctypes.py_object(KeyboardInterrupt)
                )

    def close(self) -> None:
        """Interrupts what is running."""
        self.interrupt()


async def _heeding_interrupts(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Awaits a coroutine; an interrupt arrives at a Python instruction, so that there has to be one now and then."""
    task = asyncio.ensure_future(coroutine)
    while not task.done():
        await asyncio.wait([task], timeout=BREATH)
    return task.result()


def _named(exc: BaseException) -> str:
    return f"{type(exc).__name__}: {exc}".rstrip(": ")


def show_result(result: Any, console: Console) -> None:
    """Shows a result as rich prints it; None is not shown."""
    text = io.StringIO()
    print_result(result, text)
    console.write(text.getvalue())


# Output ----------------------------------------------------------------------------------------------------------------


class _ThreadStream(io.TextIOBase):
    """Takes what one thread writes; the rest goes where it went before."""

    def __init__(self, before: Any, write: Callable[[str], None]) -> None:
        self.before = before
        self._write = write
        self._thread = threading.get_ident()

    def write(self, text: str) -> int:
        if threading.get_ident() == self._thread:
            self._write(text)
            return len(text)
        return int(self.before.write(text) or 0)

    def flush(self) -> None:
        if threading.get_ident() != self._thread:
            self.before.flush()

    def isatty(self) -> bool:
        return False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.before, name)


@contextmanager
def output_to(console: Console) -> Iterator[None]:
    """While the block runs, what this thread prints and displays goes to a console."""
    streams = {
        "stdout": _ThreadStream(sys.stdout, console.write),
        "stderr": _ThreadStream(sys.stderr, lambda text: console.write(text, error=True)),
    }
    for name, stream in streams.items():
        setattr(sys, name, stream)
    publisher: Any = getattr(_shell(), "display_pub", None)
    hook = _display_hook(console)
    if hasattr(publisher, "register_hook"):
        publisher.register_hook(hook)  # hooks are those of a thread
    try:
        yield
    finally:
        if hasattr(publisher, "unregister_hook"):
            publisher.unregister_hook(hook)
        for name, stream in streams.items():
            _take_out(name, stream)


_routing = threading.Lock()


def _take_out(name: str, stream: _ThreadStream) -> None:
    """Removes a stream from the chain, wherever it is in it by now."""
    with _routing:
        current = getattr(sys, name)
        if current is stream:
            setattr(sys, name, stream.before)
            return
        while isinstance(current, _ThreadStream):
            if current.before is stream:
                current.before = stream.before
                return
            current = current.before


def _display_hook(console: Console) -> Callable[[dict[str, Any]], dict[str, Any] | None]:
    def hook(message: dict[str, Any]) -> dict[str, Any] | None:
        kind, content = message["header"]["msg_type"], message["content"]
        if kind not in ("display_data", "update_display_data"):
            return None if kind == "clear_output" else message
        name = str(content.get("transient", {}).get("display_id", ""))
        console.show(content["data"], name, update=kind == "update_display_data")
        return None

    return hook


def _shell() -> Any:
    from IPython import get_ipython

    return get_ipython()


def _show_figures(console: Console) -> None:
    """Shows and closes the figures that the task has left open (inline and non-interactive back ends)."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None or "inline" not in str(sys.modules["matplotlib"].get_backend()).lower():
        return
    show_figures(pyplot, console)


def show_figures(pyplot: Any, console: Console) -> None:
    """Shows all figures as pictures, and closes them."""
    for number in pyplot.get_fignums():
        console.show(picture_of(pyplot.figure(number), number))
        pyplot.close(number)


# Questions and waits ---------------------------------------------------------------------------------------------------


@contextmanager
def asking(context: RunContext, yes_no: Sequence[str] = ()) -> Iterator[None]:
    """While the block runs, questions of this thread are asked in the panel.

    Args:
        context: where they are asked.
        yes_no: texts of prompts that are answered with yes or no.
    """

    def read(prompt: str, given_up: threading.Event | None = None, known: bool = False) -> str | None:
        answer = context.desk.ask(prompt, given_up=given_up or context.stopped, yes_no=known)
        if answer is None and context.stopped.is_set():
            raise KeyboardInterrupt
        context.console.write(f"{prompt}{'' if answer is None else answer}\n")
        return answer

    def read_input(prompt: str) -> str:
        return read(prompt, known=is_known(prompt, yes_no)) or ""

    with thread_input(read_input), questions_through(read):
        yield


@contextmanager
def _waits(context: RunContext) -> Iterator[None]:
    """While the block runs, long waits of building blocks in this thread show in the panel."""
    thread, show = threading.get_ident(), show_waits_in(context)
    _shows[thread] = show
    on_progress(_dispatch)
    try:
        yield
    finally:
        _shows.pop(thread, None)
        context.progress("", None)


_shows: dict[int, Callable[[Any], None]] = {}


def _dispatch(waiting: Any) -> None:
    show = _shows.get(threading.get_ident())
    if show is not None:
        show(waiting)
