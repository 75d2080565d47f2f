"""Running a task as a script, or as an app with its own output: in a process that ends with the task."""

from __future__ import annotations

import codecs
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from camtest.tasks.ansi import strip_ansi
from camtest.tasks.calls import TaskCall
from camtest.tasks.child import BACKEND, CHANNEL
from camtest.tasks.questions import Question, is_known
from camtest.tasks.running import DONE, FAILED, LOST, Outcome, RunContext, RunnerError, search_path

GRACE = 5.0
"""How long a process has to end after SIGTERM [s]."""
_CHUNK = 65536


class ProcessRunner:
    """Runs one task in a process of its own.

    Args:
        where: what stands in the console: "script" or "GUI App".
    """

    def __init__(self, where: str) -> None:
        self.where = where
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def run(self, call: TaskCall, context: RunContext) -> Outcome:
        """Runs a task to its end; see `Runner`."""
        if call.variables:
            raise RunnerError(
                f"{', '.join(call.variables)}: variables of the kernel are not there in another process; run it in the kernel"
            )
        with tempfile.TemporaryDirectory(prefix="camtest-task-") as folder:
            script = Path(folder) / f"{call.task.name}.py"
            script.write_text(call.script)
            reading, writing = os.pipe()
            try:
                self._start(call, script, writing)
            except OSError as exc:
                os.close(reading)
                raise RunnerError(f"the process cannot be started: {exc}") from exc
            finally:
                os.close(writing)
            return _Conversation(self._process, reading, call, context).until_the_end()

    def _start(self, call: TaskCall, script: Path, channel: int) -> None:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(search_path()),
            "PYTHONUNBUFFERED": "1",
            "FORCE_COLOR": "1",
            "COLUMNS": "100",
            "MPLBACKEND": BACKEND,
        }
        program = [sys.executable, "-c", _STARTER, str(channel)]
        with self._lock:
            self._process = subprocess.Popen(
                [*program, str(script), call.task.module, call.shown, call.task.capture],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(channel,),
                start_new_session=True,
            )

    def interrupt(self) -> None:
        """Raises KeyboardInterrupt in the process."""
        self._signal(signal.SIGINT)

    def close(self) -> None:
        """Ends the process: with SIGTERM, and SIGKILL when it does not listen."""
        self._signal(signal.SIGTERM)
        process = self._process
        if process is not None:
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _signal(self, number: int) -> None:
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                self._process.send_signal(number)


_STARTER = (
    f"import os, sys; channel = int(sys.argv.pop(1)); "
    f"(channel != {CHANNEL} and (os.dup2(channel, {CHANNEL}, False), os.close(channel))); "
    "sys.argv[0] = 'camtest.tasks.child'; from camtest.tasks import child; sys.exit(child.main())"
)
"""Puts the channel where the child expects it."""


class _Conversation:
    """What goes to and fro between a process and the panel."""

    def __init__(self, process: Any, channel: int, call: TaskCall, context: RunContext) -> None:
        self._process = process
        self._context = context
        self._patterns = call.task.input_request
        self._asked: Question | None = None
        self._end: dict[str, Any] = {}
        self._answering = threading.Lock()
        self._threads = [
            threading.Thread(target=self._read_output, name="task-output", daemon=True),
            threading.Thread(target=self._read_events, args=(channel,), name="task-events", daemon=True),
        ]

    def until_the_end(self) -> Outcome:
        for thread in self._threads:
            thread.start()
        code = self._process.wait()
        for thread in self._threads:
            thread.join(GRACE)
        self._withdraw()
        with self._answering:
            self._process.stdin.close()
        self._context.progress("", None)
        if self._end:
            return Outcome(self._end["status"], self._end.get("error", ""), self._end.get("result") or "")
        if code == 0:
            return Outcome(DONE)
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return Outcome(LOST if code < 0 else FAILED, f"the process ended with {how}")

    def _read_output(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        stream: IO[bytes] = self._process.stdout
        while data := os.read(stream.fileno(), _CHUNK):
            self._context.console.write(decoder.decode(data))
            self._look_for_question()
        stream.close()

    def _look_for_question(self) -> None:
        """Opens a dialog when the output ends with a text of `input_request`: the task asks in a way of its own."""
        line = strip_ansi(self._context.console.last_line)
        if self._asked is None and is_known(line, self._patterns):
            self._ask(Question(line, yes_no=True))

    def _read_events(self, channel: int) -> None:
        with os.fdopen(channel, "rb") as events:
            for line in events:
                event = json.loads(line)
                match event.pop("event"):
                    case "question":
                        prompt = event["prompt"]
                        self._ask(Question(prompt, yes_no=is_known(prompt, self._patterns)))
                    case "withdrawn":
                        self._withdraw()
                    case "display":
                        self._context.console.show(event["data"])
                    case "progress":
                        self._context.progress(event["text"], event["part"])
                    case "end":
                        self._end = event

    def _ask(self, question: Question) -> None:
        self._asked = question
        threading.Thread(
            target=self._wait_for_answer, args=(question,), name="task-question", daemon=True
        ).start()

    def _wait_for_answer(self, question: Question) -> None:
        self._context.desk.put(question)
        try:
            while not question.over.wait(0.2):
                if self._context.stopped.is_set():
                    question.withdraw()
        finally:
            self._context.desk.remove(question)
            self._asked = None
        if question.answer is None:
            return
        with self._answering:
            if not self._process.stdin.closed:
                self._process.stdin.write(f"{question.answer}\n".encode())
                self._process.stdin.flush()

    def _withdraw(self) -> None:
        asked = self._asked
        if asked is not None:
            asked.withdraw()
