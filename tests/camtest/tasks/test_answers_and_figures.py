"""How questions of tasks are answered with buttons, and figures that tasks return: in all run modes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from camtest.core.prompts import NO, YES, _Asked
from camtest.tasks.catalogue import read_catalogue
from camtest.tasks.child import figures_in
from camtest.tasks.form import call_with
from camtest.tasks.questions import Question, is_known
from camtest.tasks.session import OWN_KERNEL, Run, TaskSession
from egse.clock import system_clock

LONGEST = 120.0
"""Nothing here takes so long [s]."""

TASKS = """\
from gui_executor.exec import exec_ui

@exec_ui(input_request=("Ready to switch on",))
def ready():
    return input("Ready to switch on? ")

@exec_ui()
def agree():
    answer = input("Yes or no [Y/n] ")
    return "go" if answer == "Y" else "stop"

@exec_ui()
def speed():
    return input("Speed (mm/s): ")

def _figure():
    from matplotlib.figure import Figure
    figure = Figure()
    figure.add_subplot().plot([1, 2])
    return figure

@exec_ui()
def one_figure():
    return _figure()

@exec_ui()
def some_figures():
    return 3, [_figure(), "text"], _figure()

@exec_ui()
def a_pyplot_figure():
    import matplotlib.pyplot as plt
    figure = plt.figure()
    plt.show()
    return figure
"""


@pytest.fixture
def tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "packages" / "answering").mkdir(parents=True)
    (tmp_path / "packages" / "answering" / "__init__.py").touch()
    (tmp_path / "packages" / "answering" / "tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    yield
    for name in [name for name in sys.modules if name.startswith("answering")]:
        del sys.modules[name]


@pytest.fixture
def session(tasks: None) -> Iterator[TaskSession]:
    """A session with the kernel of this process."""
    made = TaskSession(read_catalogue(["answering"]), OWN_KERNEL)
    yield made
    made.close()


@pytest.fixture
def separate(tasks: None) -> Iterator[TaskSession]:
    """A session with a kernel of its own."""
    made = TaskSession(read_catalogue(["answering"]), "python3")
    yield made
    made.close()


def start(session: TaskSession, name: str, mode: str = "kernel") -> Run:
    return session.start(call_with(session.catalogue.find(name), {}), mode)


def finish(run: Run) -> Run:
    assert run.over.wait(LONGEST), run.console.text
    assert run.outcome is not None
    assert run.outcome.status == "done", run.console.text
    return run


def answered(session: TaskSession, name: str, mode: str, label: str) -> str:
    """Runs a task, presses a button (or types the label) and returns the result as text."""
    run = start(session, name, mode)
    deadline = system_clock().monotonic() + LONGEST
    while (question := session.desk.current) is None:
        assert not run.over.is_set(), run.console.text
        assert system_clock().monotonic() < deadline
        system_clock().sleep(0.01)
    question.give(dict(question.choices).get(label, label))
    outcome = finish(run).outcome
    assert outcome is not None
    return outcome.result


def pictures(run: Run) -> int:
    return run.console.html().count("data:image/png;base64")


def test_buttons_answer_as_those_of_the_original() -> None:
    assert dict(Question("Go on? (y/n)").choices) == {"Yes": "Y", "No": "N"}
    for prompt in ("Speed (mm/s): ", "Ratio (a/b)", "Which file (c:/d or e)? "):
        assert Question(prompt).choices == ()
    assert Question("Which? [a/b]: ").choices == (("a", "a"), ("b", "b"))
    assert is_known("\x1b[1mReady\x1b[0m to go?", ["Ready to"])
    assert not is_known("Ready?", ["Ready to", ""])
    asked = _Asked("Sure?", (YES, NO), None, None)
    assert [asked.understood(text) for text in ("Y", "y", "N", "n")] == [YES, YES, NO, NO]


@pytest.mark.parametrize("mode", ["kernel", "script", "app"])
def test_answers(session: TaskSession, mode: str) -> None:
    assert answered(session, "ready", mode, "Yes") == "'Y'"
    assert answered(session, "ready", mode, "No") == "'N'"
    assert answered(session, "agree", mode, "Yes") == "'go'"
    assert answered(session, "speed", mode, "12") == "'12'"


@pytest.mark.parametrize("mode", ["kernel", "app"])
def test_returned_figures(session: TaskSession, mode: str) -> None:
    before = pictures(start_and_finish(session, "one_figure", mode))
    assert before == 1
    after = start_and_finish(session, "some_figures", mode)
    assert pictures(after) == (before + 2 if mode == "kernel" else 2)  # apps have consoles of their own


def start_and_finish(session: TaskSession, name: str, mode: str) -> Run:
    return finish(start(session, name, mode))


def test_a_figure_of_pyplot_is_shown_once(session: TaskSession) -> None:
    assert pictures(start_and_finish(session, "a_pyplot_figure", "app")) == 1


def test_in_a_separate_kernel(separate: TaskSession) -> None:
    run = start(separate, "ready")
    deadline = system_clock().monotonic() + LONGEST
    while (question := separate.desk.current) is None:
        assert system_clock().monotonic() < deadline
        system_clock().sleep(0.01)
    assert question.choices == (("Yes", "Y"), ("No", "N"))
    question.give("Y")
    finish(run)
    assert "Ready to switch on? Y\n" in run.console.text
    assert pictures(start_and_finish(separate, "some_figures", "kernel")) == 2


def test_only_figures_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    endless: list[object] = []
    endless.append(endless)
    assert figures_in(endless) == []
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    assert figures_in([os, threading]) == []
