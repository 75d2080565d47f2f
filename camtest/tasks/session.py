"""A session of the Tasks GUI without its widgets: which kernel, what is running, what was run. Panels only show it.

Tasks in a kernel run one at a time; a click while one is running is refused, never kept for later: commands to hardware
are not to happen long after they were wanted. Apps run beside. A task with `allow_kernel_interrupt` ends what is running.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import MutableMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from camtest.tasks.brackets import FieldError
from camtest.tasks.calls import NotCodeError, TaskCall, store_result
from camtest.tasks.catalogue import Catalogue
from camtest.tasks.console import Console
from camtest.tasks.exec import APP, KERNEL, MODES, SCRIPT
from camtest.tasks.failures import tell_failure
from camtest.tasks.here import OwnKernelRunner
from camtest.tasks.journal import TaskJournal
from camtest.tasks.kernels import KernelRunner, end_of_thread
from camtest.tasks.process import ProcessRunner
from camtest.tasks.questions import QuestionDesk
from camtest.tasks.running import FAILED, INTERRUPTED, Outcome, RunContext, Runner, RunnerError
from camtest.tasks.values import parse
from egse.clock import system_clock

LOGGER = logging.getLogger(__name__)

OWN_KERNEL = "this notebook"
"""Name of the kernel that the GUI itself lives in."""
PATIENCE = 10.0
"""How long an interrupted task has to end before another one may take its place [s]."""
MODE_NAMES = {KERNEL: "kernel", APP: "GUI App", SCRIPT: "script"}


class BusyError(RuntimeError):
    """A task is running; another one was refused."""


@dataclass
class Run:
    """A task that is running, or has run.

    Attributes:
        number: counts the runs of this session.
        call: what is called.
        mode: kernel, app or script.
        where: for a kernel its name.
        console: takes the output.
        outcome: None while it runs.
    """

    number: int
    call: TaskCall
    mode: str
    where: str
    console: Console
    context: RunContext
    runner: Runner
    started: float
    outcome: Outcome | None = None
    progress: tuple[str, float | None] = ("", None)
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def title(self) -> str:
        """How it is called in the panel."""
        return self.call.task.title

    @property
    def elapsed(self) -> float:
        """How long it has been running [s]."""
        return system_clock().monotonic() - self.started


class TaskSession:
    """Runs tasks and remembers them.

    Args:
        catalogue: the tasks there are.
        kernel: name of a kernelspec, or `OWN_KERNEL`.
        namespace: variables of this process's kernel.
        command_log: folder of the command log.
        save_output: file that gets the output as plain text.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        kernel: str = OWN_KERNEL,
        namespace: MutableMapping[str, Any] | None = None,
        command_log: Path | None = None,
        save_output: Path | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.namespace: MutableMapping[str, Any] = {} if namespace is None else namespace
        self.console = Console(save_output)
        self.desk = QuestionDesk()
        self.journal = TaskJournal(command_log)
        self.runs: list[Run] = []
        self.revision = 0
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._current: Run | None = None
        self._threads: set[threading.Thread] = set()
        self._closed = False
        self._kernel = self._make_kernel(kernel)

    # Kernels -----------------------------------------------------------------------------------------------------

    def _make_kernel(self, name: str) -> OwnKernelRunner | KernelRunner:
        return OwnKernelRunner(self.namespace) if name == OWN_KERNEL else KernelRunner(name, self.console)

    @property
    def kernel_name(self) -> str:
        """The kernel in which tasks run."""
        kernel = self._kernel
        return kernel.name if isinstance(kernel, KernelRunner) else OWN_KERNEL

    @property
    def connection_file(self) -> str:
        """How other programs reach the separate kernel; empty when there is none."""
        kernel = self._kernel
        return kernel.connection_file if isinstance(kernel, KernelRunner) else ""

    def switch_kernel(self, name: str) -> None:
        """Takes another kernel; what runs in the old one ends.

        Raises:
            RunnerError: when it does not start.
        """
        if name == self.kernel_name:
            return
        self._end_current()
        old, self._kernel = self._kernel, self._make_kernel(name)
        old.close()
        self._changed()
        if isinstance(self._kernel, KernelRunner):
            self._kernel.start()
        self._changed()

    def start_kernel(self) -> None:
        """Starts the separate kernel, if tasks run in one.

        Raises:
            RunnerError: when it does not start.
        """
        if isinstance(self._kernel, KernelRunner):
            self._kernel.start()
            self._changed()

    def restart_kernel(self) -> None:
        """Gives tasks a fresh interpreter; the variables of the kernel are gone.

        Raises:
            RunnerError: when it does not start, or is the one of the notebook.
        """
        kernel = self._kernel
        if not isinstance(kernel, KernelRunner):
            raise RunnerError("this is the kernel of the notebook: restart it with the notebook's own button")
        self._end_current()
        self.console.write(f"----- Restarting kernel '{kernel.name}'\n")
        kernel.restart()
        self._changed()

    def interrupt(self) -> None:
        """Interrupts the task that runs in the kernel, or as a script."""
        run = self._current
        if run is not None:
            run.context.stopped.set()
            run.runner.interrupt()

    def _end_current(self) -> None:
        run = self._current
        if run is not None:
            self.interrupt()
            run.over.wait(PATIENCE / 5)

    def type_in(self, code: str) -> None:
        """Executes code on the kernel, as its console does; returns when it is over.

        Raises:
            RunnerError: when the kernel is the one of the notebook, or does not start.
            BusyError: when a task is running.
        """
        kernel = self._kernel
        if not isinstance(kernel, KernelRunner):
            raise RunnerError("this is the kernel of the notebook: type into a cell")
        if self._current is not None:
            raise BusyError(f"'{self._current.title}' is still running")
        kernel.type_in(code, RunContext(self.console, self.desk))
        self._changed()

    # Runs --------------------------------------------------------------------------------------------------------

    @property
    def current(self) -> Run | None:
        """What runs in the kernel or as a script; apps aside."""
        return self._current

    def start(self, call: TaskCall, mode: str | None = None) -> Run:
        """Starts a task and returns at once.

        Args:
            call: the task with its arguments.
            mode: kernel, app or script; that of the task when None.

        Raises:
            BusyError: when a task is running that this one may not interrupt, or that does not end.
            RunnerError: when the panel is closed.
            ValueError: for an unknown mode.
        """
        mode = mode or call.task.mode
        if mode not in MODES:
            raise ValueError(f"{mode!r} is no mode: {', '.join(MODES)}")
        if mode != APP:
            self._make_room(call)
        with self._lock:
            if self._closed:
                raise RunnerError("the panel is closed")
            if mode != APP and self._current is not None:
                raise self._busy(self._current)
            run = self._make_run(call, mode)
            if mode != APP:
                self._current = run
            self.runs.append(run)
            del self.runs[:-50]
            thread = threading.Thread(target=self._run, args=(run,), name=f"task-{run.number}", daemon=True)
            self._threads.add(thread)
            thread.start()
        self._changed()
        return run

    def _make_room(self, call: TaskCall) -> None:
        run = self._current
        if run is None:
            return
        if not call.task.may_interrupt:
            raise self._busy(run)
        self.console.write(f"----- Interrupting '{run.call.task.name}' for '{call.task.name}'\n")
        self.interrupt()
        if not run.over.wait(PATIENCE):
            raise BusyError(
                f"'{run.title}' was interrupted and has not ended; restart the kernel to run something else"
            )

    def _busy(self, run: Run) -> BusyError:
        return BusyError(
            f"'{run.title}' is still running: wait for its end, or interrupt it. Nothing was started."
        )

    def _make_run(self, call: TaskCall, mode: str) -> Run:
        runner: Runner = self._kernel if mode == KERNEL else ProcessRunner(MODE_NAMES[mode])
        console = Console() if mode == APP else self.console
        context = RunContext(console, self.desk)
        where = self.kernel_name if mode == KERNEL else ""
        run = Run(
            next(self._numbers), call, mode, where, console, context, runner, system_clock().monotonic()
        )

        def progress(text: str, part: float | None) -> None:
            run.progress = (text, part)

        context.progress = progress
        return run

    def _run(self, run: Run) -> None:
        console, footer = run.console, ""
        try:
            console.write(run.call.header(MODE_NAMES[run.mode]))
            record = self.journal.begin(run.call, f"{run.mode}:{run.where}" if run.where else run.mode)
            run.outcome = self._outcome(run)
            footer = run.call.footer(run.outcome.status)
            self.journal.end(record, run.outcome, _output_of(run) + footer)
            if run.mode != KERNEL and run.outcome.status == "done":
                self._take_result(run)
        finally:
            with self._lock:
                console.write(footer)  # whoever reads this may start the next one
                if self._current is run:
                    self._current = None
                self._threads.discard(threading.current_thread())
            run.over.set()
            self._changed()
            if isinstance(run.runner, KernelRunner):
                end_of_thread()

    def _outcome(self, run: Run) -> Outcome:
        try:
            outcome = run.runner.run(run.call, run.context)
        except (RunnerError, NotCodeError) as exc:
            run.console.write(f"{exc}\n", error=True)
            return Outcome(FAILED, str(exc))
        except Exception as exc:  # an error of the GUI itself ends this run, and is told in full
            LOGGER.exception("%s could not be run", run.title)
            run.console.write(tell_failure(exc), error=True)
            return Outcome(FAILED, f"{type(exc).__name__}: {exc}")
        if outcome.status == FAILED and run.context.stopped.is_set() and "KeyboardInterrupt" in outcome.error:
            return Outcome(INTERRUPTED, outcome.error)
        return outcome

    def _take_result(self, run: Run) -> None:
        """Puts the result of another process into the variables of this kernel, as far as text can carry it."""
        text = (run.outcome and run.outcome.result) or "None"
        try:
            value = parse(Any, text)
            store_result(run.call.task.capture, value, self.namespace)  # type: ignore[arg-type]
        except (FieldError, ValueError, TypeError) as exc:
            LOGGER.warning("the result of %s is not stored: %s", run.title, exc)

    def _changed(self) -> None:
        self.revision += 1

    def close(self) -> None:
        """Ends everything that was started: tasks, kernels, processes. May be called again."""
        with self._lock:
            self._closed = True
            running = [run for run in self.runs if not run.over.is_set()]
        for run in running:
            run.context.stopped.set()
        self.desk.close()
        for run in running:
            run.runner.close()
        self._kernel.close()
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(PATIENCE)


def _output_of(run: Run) -> str:
    """Returns what a run has left in its console, from its first line on."""
    text = run.console.text
    return text[max(0, text.rfind(f"----- Running script '{run.call.task.name}'")) :]
