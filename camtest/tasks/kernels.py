"""Running tasks in a separate kernel: start, restart, interrupt, switch, and a console on it (section 22.6 of the manual).

The kernel listens in a folder of its own that only its owner can enter (ipc), no port is open.
"""

from __future__ import annotations

import os
import queue
import shutil
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from camtest.tasks.calls import TaskCall
from camtest.tasks.console import Console
from camtest.tasks.questions import is_known
from camtest.tasks.running import (
    DONE,
    FAILED,
    INTERRUPTED,
    LOST,
    Outcome,
    RunContext,
    RunnerError,
    search_path,
)
from egse.clock import system_clock

START = 60.0
"""Longest time for a kernel to answer for the first time [s]."""
PATIENCE = 5.0
"""Longest time for a thread to notice that its kernel has gone [s]."""
_TICK = 0.2
FALLBACKS = ("camtest", "python3")


def kernel_names() -> list[str]:
    """Returns the kernels that are installed, those of the project first."""
    from jupyter_client.kernelspec import KernelSpecManager

    found = sorted(KernelSpecManager().find_kernel_specs())
    return [name for name in FALLBACKS if name in found] + [name for name in found if name not in FALLBACKS]


def known_kernel(name: str) -> str:
    """Returns the kernel of this name, or the one that is taken in its place."""
    names = kernel_names()
    return name if name in names else next((other for other in FALLBACKS if other in names), "python3")


def end_of_thread() -> None:
    """Closes the event loop that jupyter_client has made for this thread, at the end of a thread of the panel's own."""
    from jupyter_core.utils import ensure_event_loop

    loop = ensure_event_loop()
    if threading.current_thread() is not threading.main_thread() and not loop.is_running():
        loop.close()


class KernelRunner:
    """Runs tasks in a kernel that it starts at the first need.

    Args:
        name: of the kernelspec.
        console: is told when the kernel starts and ends.
    """

    where = "kernel"

    def __init__(self, name: str, console: Console) -> None:
        self.name = known_kernel(name)
        self._console = console
        self._manager: Any = None
        self._client: Any = None
        self._folder: Path | None = None
        self._busy = threading.Lock()
        self._lock = threading.Lock()
        self._closed = False
        self._count = 0
        if self.name != name:
            console.write(f"----- There is no kernel '{name}' here, '{self.name}' is taken\n")

    @property
    def connection_file(self) -> str:
        """The file with which other programs reach the kernel; empty while there is none."""
        manager = self._manager
        return "" if manager is None else str(manager.connection_file)

    @property
    def is_running(self) -> bool:
        """True when the kernel was started and lives."""
        manager = self._manager
        return manager is not None and bool(manager.is_alive())

    def start(self) -> None:
        """Starts the kernel when it does not run.

        Raises:
            RunnerError: when it does not start.
        """
        with self._lock:
            if self._closed:
                raise RunnerError("the panel is closed")
            if self.is_running:
                return
            self._end()
            try:
                self._start()
            except (OSError, RuntimeError, LookupError) as exc:
                self._end()
                raise RunnerError(f"the kernel '{self.name}' does not start: {exc}") from exc

    def _start(self) -> None:
        from jupyter_client.manager import KernelManager

        self._folder = Path(tempfile.mkdtemp(prefix="camtest-kernel-"))
        manager = KernelManager(kernel_name=self.name, transport="ipc")
        manager.connection_file = str(self._folder / "kernel.json")
        manager.ip = str(self._folder / "ipc")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(search_path())}
        self._manager = manager
        manager.start_kernel(env=environment)
        client = manager.blocking_client()
        self._client = client
        client.start_channels()
        client.wait_for_ready(timeout=START)
        info = client.kernel_info(reply=True, timeout=START)["content"]
        self._console.write(f"----- Kernel '{self.name}' is running\n{info.get('banner', '').strip()}\n")
        if not os.environ.get("PYTHONSTARTUP"):
            self._console.write("PYTHONSTARTUP is not set: no start-up file was executed\n")
        self._count = 0

    def run(self, call: TaskCall, context: RunContext) -> Outcome:
        """Runs a task in the kernel; see `Runner`."""
        self.start()
        return self._execute(_kernel_code(call), context, call.task.input_request)

    def type_in(self, code: str, context: RunContext) -> Outcome:
        """Executes what was typed on the console of the kernel.

        Raises:
            RunnerError: when the kernel does not start.
        """
        self.start()
        self._count += 1
        shown = code.replace("\n", "\n   ...: ")
        context.console.write(f"In [{self._count}]: {shown}\n")
        return self._execute(code, context)

    def _execute(self, code: str, context: RunContext, yes_no: Sequence[str] = ()) -> Outcome:
        with self._busy:
            client = self._client
            execution = _Execution(client.execute(code, allow_stdin=True), context, yes_no)
            alive_at = system_clock().monotonic()
            while execution.outcome is None or not execution.is_idle:
                with suppress(queue.Empty):
                    execution.take(client.get_iopub_msg(timeout=_TICK))
                for channel in ("shell", "stdin"):
                    self._drain(client, channel, execution)
                now = system_clock().monotonic()
                if now - alive_at > 1.0:
                    alive_at = now
                    if self._client is not client or not self.is_running:
                        context.console.write("----- the kernel has died, or was restarted\n", error=True)
                        return Outcome(LOST, "the kernel has died, or was restarted")
            return execution.outcome

    def _drain(self, client: Any, channel: str, execution: _Execution) -> None:
        while True:
            try:
                message = getattr(client, f"get_{channel}_msg")(timeout=0)
            except queue.Empty:
                return
            if message["parent_header"].get("msg_id") != execution.msg_id:
                continue
            if channel == "shell":
                execution.reply(message["content"])
            elif message["msg_type"] == "input_request":
                self._answer(client, message["content"], execution)

    def _answer(self, client: Any, content: dict[str, Any], execution: _Execution) -> None:
        prompt, context = str(content["prompt"]), execution.context
        answer = context.desk.ask(
            prompt,
            password=bool(content.get("password")),
            given_up=context.stopped,
            yes_no=is_known(prompt, execution.yes_no),
        )
        if answer is None:
            self.interrupt()
            return
        context.console.write(f"{prompt}{'' if content.get('password') else answer}\n")
        client.input(answer)

    def interrupt(self) -> None:
        """Raises KeyboardInterrupt in the kernel."""
        manager = self._manager
        if manager is not None and manager.is_alive():
            manager.interrupt_kernel()

    def restart(self, name: str = "") -> None:
        """Starts the kernel anew, or another one: its variables are gone.

        Args:
            name: of another kernelspec; the same when empty.

        Raises:
            RunnerError: when it does not start.
        """
        with self._lock:
            self._end()
            self.name = known_kernel(name or self.name)
        self.start()

    def close(self) -> None:
        """Ends the kernel."""
        with self._lock:
            self._closed = True
            self._end()

    def _end(self) -> None:
        manager, client, folder = self._manager, self._client, self._folder
        self._manager = self._client = self._folder = None
        if manager is not None and manager.has_kernel:
            manager.shutdown_kernel(now=True)
        # its sockets belong to the thread that reads them until that has noticed
        if client is not None and self._busy.acquire(timeout=PATIENCE):
            try:
                client.stop_channels()
                client.context.destroy(linger=0)
            finally:
                self._busy.release()
        if manager is not None:
            manager.cleanup_resources(restart=False)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


class _Execution:
    """What comes back of one execution; `yes_no` are texts by which questions are known."""

    def __init__(self, msg_id: str, context: RunContext, yes_no: Sequence[str]) -> None:
        self.msg_id = msg_id
        self.yes_no = yes_no
        self.context = context
        self.is_idle = False
        self.outcome: Outcome | None = None
        self._result = ""

    def take(self, message: dict[str, Any]) -> None:
        """Takes a message of the output."""
        if message["parent_header"].get("msg_id") != self.msg_id:
            return
        content, console = message["content"], self.context.console
        match message["msg_type"]:
            case "stream":
                console.write(content["text"], error=content["name"] == "stderr")
            case "display_data" | "update_display_data" as kind:
                name = str(content.get("transient", {}).get("display_id", ""))
                console.show(content["data"], name, update=kind == "update_display_data")
            case "execute_result":
                self._result = str(content["data"].get("text/plain", ""))
                console.show(content["data"])
            case "error":
                console.write("\n".join(content["traceback"]) + "\n", error=True)
            case "status":
                self.is_idle = content["execution_state"] == "idle"

    def reply(self, content: dict[str, Any]) -> None:
        """Takes the answer to the request."""
        if content["status"] == "ok":
            self.outcome = Outcome(DONE, result=self._result)
        elif content.get("ename") == "KeyboardInterrupt":
            self.outcome = Outcome(INTERRUPTED, "KeyboardInterrupt")
        else:
            self.outcome = Outcome(FAILED, f"{content.get('ename', 'aborted')}: {content.get('evalue', '')}")


def _kernel_code(call: TaskCall) -> str:
    """Returns what the kernel executes: the code as shown, with the module loaded as here, and the result printed."""
    names = [name.strip().lstrip("*") for name in call.task.capture.split(",") if name.strip()]
    shown = names[0] if len(names) == 1 and "," not in call.task.capture else f"({', '.join(names)},)"
    return (
        "from camtest.tasks.child import show_returned\n"
        "from camtest.tasks.loading import begin_task\n"
        "from camtest.tasks.printing import print_result as end_task\n"
        f"begin_task({call.task.module!r}, {call.shown!r}, {call.variables!r}, globals())\n"
        f"{call.code}show_returned({shown})\nend_task({shown})"
    )
