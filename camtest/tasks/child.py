"""The process in which a task runs as a script or as an app: `python -m camtest.tasks.child SCRIPT MODULE CALL CAPTURE`.

Output goes to stdout and stderr as ever. Beside it, descriptor 3 carries lines of JSON: questions, pictures, long waits,
the result. stdin brings the answers; its end means that the panel has gone, and ends the script.
"""

from __future__ import annotations

import base64
import builtins
import io
import json
import os
import queue
import runpy
import signal
import sys
import threading
import traceback
from typing import Any

CHANNEL = 3
PATIENCE = 4.0
"""After the panel has gone the script has so long to end by itself [s]."""
BACKEND = "module://camtest.tasks.figures"


class Channel:
    """The way to the panel."""

    def __init__(self, descriptor: int = CHANNEL) -> None:
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._lock = threading.Lock()

    def send(self, event: str, **fields: Any) -> None:
        """Sends an event; a panel that has gone is no error."""
        line = json.dumps({"event": event, **fields}, default=repr).encode() + b"\n"
        try:
            with self._lock:
                self._file.write(line)
        except OSError:
            pass


class Answers:
    """What comes in from the panel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._lines: queue.Queue[str] = queue.Queue()
        self._asking = threading.Lock()
        threading.Thread(target=self._read, name="answers", daemon=True).start()

    def _read(self) -> None:
        for line in sys.stdin:
            self._lines.put(line.rstrip("\n"))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        threading.Event().wait(PATIENCE)
        os._exit(130)

    def ask(self, prompt: object = "") -> str:
        """Takes the place of `input`."""
        sys.stdout.flush()
        with self._asking:
            self._channel.send("question", prompt=str(prompt))
            answered = False
            try:
                text = self._take()
                answered = True
            finally:
                if not answered:
                    self._channel.send("withdrawn")
        print(f"{prompt}{text}", flush=True)  # noqa: T201 (as a terminal shows it)
        return text

    def _take(self) -> str:
        while True:
            try:
                return self._lines.get(timeout=0.2)  # so that an interrupt arrives
            except queue.Empty:
                continue


def picture_of(figure: Any, number: int | None = None) -> dict[str, str]:
    """Returns a figure as a picture, by MIME type."""
    data = io.BytesIO()
    figure.savefig(data, format="png", bbox_inches="tight")
    text = "<figure>" if number is None else f"<figure {number}>"
    return {"image/png": base64.b64encode(data.getvalue()).decode(), "text/plain": text}


def figures_in(result: object, depth: int = 2) -> list[Any]:
    """Returns the figures in a result that `pyplot` has not made and does not show.

    Args:
        result: a figure, or a list or tuple with figures among others.
        depth: how many lists may be within each other.
    """
    matplotlib = sys.modules.get("matplotlib.figure")
    if matplotlib is None:
        return []
    if isinstance(result, matplotlib.Figure):
        return [] if hasattr(result, "number") else [result]
    if isinstance(result, (list, tuple)) and depth:
        return [figure for part in result for figure in figures_in(part, depth - 1)]
    return []


def show_returned(result: object) -> None:
    """Displays the figures in a result, in the kernel that has run a task."""
    for figure in figures_in(result):
        from IPython.display import display

        display(picture_of(figure), raw=True)  # type: ignore[no-untyped-call]


class Figures:
    """What `matplotlib` shows in this process, see `camtest.tasks.figures`."""

    channel: Channel | None = None

    @classmethod
    def show(cls, figure: Any, number: int | None = None) -> None:
        """Sends a figure as a picture."""
        if cls.channel is not None:
            cls.channel.send("display", data=picture_of(figure, number))


def main() -> int:
    """Runs the script; returns the exit code."""
    script, module, call, capture = sys.argv[1:5]
    signal.signal(signal.SIGTERM, _terminate)
    channel = Channel()
    Figures.channel = channel
    answers = Answers(channel)
    builtins.input = answers.ask
    try:
        _run(script, module, call, capture, channel)
    except KeyboardInterrupt:
        traceback.print_exc(limit=-1)
        channel.send("end", status="interrupted", error="KeyboardInterrupt")
        return 130
    except SystemExit as exc:
        status = "done" if exc.code in (None, 0) else "failed"
        channel.send("end", status=status, error="" if status == "done" else f"SystemExit: {exc.code}")
        return 0 if status == "done" else 1
    except BaseException as exc:  # whatever the task raises is told
        from camtest.tasks.failures import tell_failure

        print(tell_failure(exc), file=sys.stderr, end="")  # noqa: T201
        channel.send("end", status="failed", error=f"{type(exc).__name__}: {exc}")
        return 1
    finally:
        sys.stdout.flush()
    return 0


def _terminate(*_: object) -> None:
    raise KeyboardInterrupt


def _run(script: str, module: str, call: str, capture: str, channel: Channel) -> None:
    from camtest.tasks.loading import begin_task
    from camtest.tasks.printing import print_result

    begin_task(module, call)
    _follow_waits(channel)
    found = runpy.run_path(script, run_name="__main__")
    names = [name.strip().lstrip("*") for name in capture.split(",") if name.strip()]
    values = [found.get(name) for name in names]
    result = values[0] if len(names) == 1 and "," not in capture else tuple(values)
    print_result(result)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        pyplot.show()
    for figure in figures_in(result):
        Figures.show(figure)
    channel.send("end", status="done", result=None if result is None else repr(result))


def _follow_waits(channel: Channel) -> None:
    """Tells the panel of long waits of building blocks, if the module of the task can have any."""
    waiting = sys.modules.get("camtest.core.waiting")
    if waiting is None:
        return

    def show(wait: Any) -> None:
        part = min(1.0, wait.elapsed / wait.timeout) if wait.timeout else None
        channel.send("progress", text="" if wait.over else str(wait), part=None if wait.over else part)

    waiting.on_progress(show)


if __name__ == "__main__":
    from camtest.tasks import child  # the one that others import too: figures must find the same channel

    sys.exit(child.main())
