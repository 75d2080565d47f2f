"""Tasks run in this kernel, in a separate one, as a script and as an app: with real kernels and processes.

What they did is seen by files that they write, by the journal, and in their consoles.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from camtest.core.prompts import confirm
from camtest.tasks.calls import TaskCall
from camtest.tasks.catalogue import Task, read_catalogue
from camtest.tasks.exec import exec_ui
from camtest.tasks.form import call_with
from camtest.tasks.running import RunnerError
from camtest.tasks.session import OWN_KERNEL, BusyError, Run, TaskSession
from egse.clock import system_clock

LONGEST = 120.0
"""Nothing here takes so long [s]."""

PACKAGE = """\
import os, sys, threading
from pathlib import Path
from gui_executor.exec import exec_ui
from gui_executor.utypes import VariableName

@exec_ui()
def who(where: Path, times: int = 2):
    where.write_text(str(os.getpid()))
    print("\\x1b[31mred\\x1b[0m text")
    print("to stderr", file=sys.stderr)
    return {"times": times * 2}

@exec_ui(capture_response=("a", "*_"))
def several():
    return 1, 2, 3

@exec_ui()
def use(a: VariableName("a")):
    return f"a is {a}"

@exec_ui()
def fails():
    raise ValueError("the door is open")

@exec_ui(input_request=("Go on [Y/n]",))
def asks(where: Path):
    answer = input("Go on [Y/n] ")
    where.write_text(answer)
    return answer

@exec_ui()
def waits(where: Path):
    try:
        where.write_text("waiting")
        for _ in range(3000):
            threading.Event().wait(0.02)
    finally:
        where.write_text("ended")

@exec_ui(allow_kernel_interrupt=True)
def emergency(where: Path):
    where.write_text("emergency")

@exec_ui()
async def adds(where: Path, one: int = 1):
    import asyncio
    where.write_text("begun")
    try:
        await asyncio.sleep(0.1 if one else 60)
    finally:
        where.write_text(str(os.getpid()))
    return one + 1

@exec_ui()
def plots():
    import matplotlib.pyplot as plt
    plt.plot([1, 2, 3])
    plt.show()
"""


@pytest.fixture
def make_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., TaskSession]]:
    folder = tmp_path / "packages" / "runmodes"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "tasks.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(str(folder.parent))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    sessions: list[TaskSession] = []
    before = set(threading.enumerate())

    def make(kernel: str = OWN_KERNEL, **options: Any) -> TaskSession:
        sessions.append(TaskSession(read_catalogue(["runmodes"]), kernel, **options))
        return sessions[-1]

    yield make
    for session in sessions:
        session.close()
    import sys

    for name in [name for name in sys.modules if name.startswith("runmodes")]:
        del sys.modules[name]
    left = {thread.name for thread in threading.enumerate() if thread not in before}
    assert not {name for name in left if name.startswith("task")}
    assert not [p for p in psutil.Process().children(recursive=True) if "camtest" in " ".join(p.cmdline())]


def start(session: TaskSession, name: str, mode: str = "kernel", **arguments: Any) -> Run:
    return session.start(call_with(session.catalogue.find(name), arguments), mode)


def finish(run: Run) -> Run:
    assert run.over.wait(LONGEST), run.console.text
    assert run.outcome is not None
    return run


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = system_clock().monotonic() + LONGEST
    while not (value := condition()):
        assert system_clock().monotonic() < deadline, f"{what} did not happen"
        system_clock().sleep(0.01)
    return value


def begun(path: Path) -> bool:
    """The task has written its first word, so that it is where an interrupt finds it."""
    return path.exists() and path.read_text() != ""


def answer(session: TaskSession, text: str, prompt: str) -> None:
    question = until(lambda: session.desk.current, "a question")
    assert prompt in question.prompt
    question.give(text)


def test_in_this_kernel(make_session: Callable[..., TaskSession], tmp_path: Path, capsys: Any) -> None:
    session = make_session(command_log=tmp_path)
    run = finish(start(session, "who", where=tmp_path / "pid"))
    assert (tmp_path / "pid").read_text() == str(os.getpid())
    assert session.namespace["response"] == {"times": 4}
    head, *_ = text = run.console.text.split("\n")
    assert head == "----- Running script 'who' in kernel"
    assert text[1] == "The code snippet:"
    assert text[2] == text[4] == " " + "─" * 78
    assert text[3] == f"  response = who(where=Path('{tmp_path}/pid'), times=2)"
    assert text[5:] == [
        "",
        "red text",
        "to stderr",
        "{'times': 4}",
        "----- function 'who' execution finished.",
        "",
    ]
    assert "#d03a31" in run.console.html()
    assert capsys.readouterr().out == ""

    finish(start(session, "several"))
    assert session.namespace["a"] == 1
    assert finish(start(session, "use")).outcome.result == "'a is 1'"  # type: ignore[union-attr]
    failed = finish(start(session, "fails"))
    assert failed.outcome.status == "failed"  # type: ignore[union-attr]
    assert 'raise ValueError("the door is open")' in failed.console.text
    assert "camtest/tasks/" not in failed.console.text
    assert "----- function 'fails' execution finished (failed)." in failed.console.text

    lines = [json.loads(line) for line in session.journal.path.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["begin", "end"] * 4
    assert lines[0]["task"] == "runmodes.tasks.who"
    assert "@" in lines[0]["who"]
    assert lines[0]["mode"] == f"kernel:{OWN_KERNEL}"
    assert (lines[-1]["status"], lines[-1]["error"]) == ("failed", "ValueError: the door is open")
    assert [entry["status"] for entry in session.journal.runs()] == ["done", "done", "done", "failed"]
    (log,) = tmp_path.glob("*-cmd-log.txt")
    assert "response = fails()\n# ERROR: ValueError: the door is open\n# --> duration: " in log.read_text()
    assert session.journal.path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(
    ("kernel", "mode"), [(OWN_KERNEL, "kernel"), ("python3", "kernel"), (OWN_KERNEL, "script")]
)
def test_a_coroutine_is_awaited(
    make_session: Callable[..., TaskSession], tmp_path: Path, kernel: str, mode: str
) -> None:
    session = make_session(kernel)
    run = finish(start(session, "adds", mode, where=tmp_path / "pid", one=4))
    assert run.outcome is not None
    assert run.outcome.status == "done", run.console.text
    assert "\n5\n----- function 'adds' execution finished." in run.console.text
    assert "response = await adds(where=Path(" in run.console.text
    here = (tmp_path / "pid").read_text() == str(os.getpid())
    assert here == ((kernel, mode) == (OWN_KERNEL, "kernel"))


def test_a_coroutine_that_sleeps_can_be_interrupted(
    make_session: Callable[..., TaskSession], tmp_path: Path
) -> None:
    session = make_session()
    run = start(session, "adds", where=tmp_path / "pid", one=0)
    until(lambda: begun(tmp_path / "pid"), "the beginning")
    session.interrupt()
    assert finish(run).outcome.status == "interrupted"  # type: ignore[union-attr]
    assert (tmp_path / "pid").read_text() == str(os.getpid()), "its `finally` has run"


def test_a_task_that_is_said_to_have_ended_is_in_nobodys_way(
    make_session: Callable[..., TaskSession], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who sees it end presses the next button at once, however slow the disk is that keeps the record."""
    session = make_session()
    end = session.journal.end

    def slow(*arguments: Any) -> None:
        threading.Event().wait(0.5)
        end(*arguments)

    monkeypatch.setattr(session.journal, "end", slow)
    for _ in range(2):
        ends = session.console.text.count("'several' execution finished")
        run = start(session, "several")
        until(lambda ends=ends: session.console.text.count("'several' execution finished") > ends, "its end")
    finish(run)
    assert [*session.journal.runs()][-1]["output"].endswith("----- function 'several' execution finished.\n")


def test_questions_and_interrupts_in_this_kernel(
    make_session: Callable[..., TaskSession], tmp_path: Path
) -> None:
    session = make_session()
    run = start(session, "asks", where=tmp_path / "answer")
    with pytest.raises(BusyError, match="'asks' is still running: wait for its end, or interrupt it"):
        start(session, "several")
    answer(session, "y", "Go on [Y/n]")
    finish(run)
    assert (tmp_path / "answer").read_text() == "y"

    def agree() -> bool:
        return confirm("Is the door closed?", default=False)

    marked = exec_ui()(agree)
    run = session.start(TaskCall(Task(marked, __name__, "agree")))
    answer(session, "yes", "Is the door closed? [y/N]")
    finish(run)
    assert session.namespace["response"] is True

    run = start(session, "waits", where=tmp_path / "state")
    until(lambda: begun(tmp_path / "state"), "the beginning")
    urgent = start(session, "emergency", where=tmp_path / "emergency")  # interrupts the other one
    finish(urgent)
    assert run.outcome is not None
    assert run.outcome.status == "interrupted"
    assert (tmp_path / "state").read_text() == "ended"
    assert (tmp_path / "emergency").exists()

    run = start(session, "asks", where=tmp_path / "never")
    until(lambda: session.desk.current, "a question")
    session.interrupt()
    assert finish(run).outcome.status == "interrupted"  # type: ignore[union-attr]
    assert not (tmp_path / "never").exists()


def test_in_a_separate_kernel(make_session: Callable[..., TaskSession], tmp_path: Path) -> None:
    session = make_session("no-such-kernel")
    assert session.kernel_name in ("camtest", "python3")
    session.switch_kernel("python3")
    assert "----- Kernel 'python3' is running\nPython 3" in session.console.text
    run = finish(start(session, "who", where=tmp_path / "pid"))
    kernel = int((tmp_path / "pid").read_text())
    assert kernel != os.getpid()
    assert psutil.pid_exists(kernel)
    assert "  response = who(where=" in run.console.text
    assert run.console.text.index("red text") < run.console.text.index("{'times': 4}")
    session.type_in("response['times'] + 1")
    assert "In [1]: response['times'] + 1\n5\n" in session.console.text
    assert "response" not in session.namespace

    missing = finish(start(session, "use"))
    assert missing.outcome.error.startswith(
        "NameError: `a` is not defined in the kernel: run the task that makes it"
    )  # type: ignore[union-attr]
    finish(start(session, "several"))
    assert "a is 1" in finish(start(session, "use")).console.text
    failed = finish(start(session, "fails"))
    assert (failed.outcome.status, failed.outcome.error) == ("failed", "ValueError: the door is open")  # type: ignore[union-attr]

    run = start(session, "asks", where=tmp_path / "answer")
    answer(session, "n", "Go on [Y/n]")
    finish(run)
    assert (tmp_path / "answer").read_text() == "n"
    run = start(session, "waits", where=tmp_path / "state")
    until(lambda: begun(tmp_path / "state"), "the beginning")
    session.interrupt()
    assert finish(run).outcome.status == "interrupted"  # type: ignore[union-attr]
    assert (tmp_path / "state").read_text() == "ended"
    assert "image/png" in str(
        [getattr(i, "data", "") for i in finish(start(session, "plots")).console._items]
    )

    folder = Path(session.connection_file).parent
    assert folder.stat().st_mode & 0o777 == 0o700
    run = start(session, "waits", where=tmp_path / "again")
    until(lambda: begun(tmp_path / "again"), "the beginning")
    psutil.Process(kernel).kill()
    assert finish(run).outcome.status == "lost"  # type: ignore[union-attr]
    session.restart_kernel()
    finish(start(session, "who", where=tmp_path / "pid"))
    assert int((tmp_path / "pid").read_text()) != kernel
    session.close()
    assert not folder.exists()
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))
    with pytest.raises(RunnerError, match="the panel is closed"):
        start(session, "several")


def test_as_a_script_and_as_an_app(make_session: Callable[..., TaskSession], tmp_path: Path) -> None:
    session = make_session()
    app = start(session, "waits", "app", where=tmp_path / "app")
    script = finish(start(session, "who", "script", where=tmp_path / "pid"))
    assert int((tmp_path / "pid").read_text()) != os.getpid()
    assert "----- Running script 'who' in script\n" in script.console.text
    assert "{'times': 4}" in script.console.text
    assert session.namespace["response"] == {"times": 4}
    until(lambda: begun(tmp_path / "app"), "the app")
    assert app.console is not session.console
    assert app.outcome is None  # it goes on while others run

    run = start(session, "asks", "script", where=tmp_path / "answer")
    answer(session, "y", "Go on [Y/n]")
    finish(run)
    assert (tmp_path / "answer").read_text() == "y"
    failed = finish(start(session, "fails", "script"))
    assert (failed.outcome.status, failed.outcome.error) == ("failed", "ValueError: the door is open")  # type: ignore[union-attr]
    assert "runpy" not in failed.console.text
    variable = finish(start(session, "use", "script"))
    assert "variables of the kernel are not there in another process" in variable.console.text
    plot = finish(start(session, "plots", "app"))
    assert "data:image/png;base64" in plot.console.html()

    app.context.stopped.set()
    app.runner.close()
    finish(app)
    assert (tmp_path / "app").read_text() == "ended"
    assert app.outcome.status == "interrupted"


def test_closing_ends_everything(make_session: Callable[..., TaskSession], tmp_path: Path) -> None:
    session = make_session()
    before = set(psutil.Process().children(recursive=True))
    runs = [start(session, "waits", mode, where=tmp_path / mode) for mode in ("app", "script")]
    for run in runs:
        until(lambda run=run: begun(tmp_path / run.mode), "the beginning")
    children = set(psutil.Process().children(recursive=True)) - before
    assert len(children) >= 2
    session.close()
    assert all(run.over.is_set() for run in runs)
    assert not [child for child in children if child.is_running() and child.status() != "zombie"]
    assert {(tmp_path / mode).read_text() for mode in ("app", "script")} == {"ended"}


def test_texts_of_input_request_open_a_dialog(
    make_session: Callable[..., TaskSession], packages: Path, tmp_path: Path
) -> None:
    """A program that the task starts asks by itself: its output ends with a text that the task has named."""
    session = make_session()
    task = (
        "import subprocess, sys\nfrom pathlib import Path\nfrom gui_executor.exec import exec_ui\n"
        "@exec_ui(input_request=('Sure (y/n)',), use_script_app=True)\n"
        "def outer():\n    return subprocess.run(['sh', '-c', 'printf \"Sure (y/n) \"; sleep 0.2; echo said']).returncode\n"
    )
    (tmp_path / "packages" / "runmodes" / "outer.py").write_text(task)
    session.catalogue = read_catalogue(["runmodes"])
    run = start(session, "outer", "script")
    question = until(lambda: session.desk.current or run.over.is_set(), "a question")
    assert question.yes_no
    question.give("y")
    finish(run)
    assert "said" in run.console.text
