"""Forms whose choices take long: an emergency action does not wait for them, and they appear when they are ready."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from camtest.tasks.gui import TasksGUI
from egse.clock import system_clock

TASKS = """\
import threading
from gui_executor.exec import exec_ui
from gui_executor.utypes import Callback

release, asked = threading.Event(), threading.Semaphore(0)

def slow():
    asked.release()
    if not release.wait(60.0):
        raise TimeoutError("nobody answers")
    return ["a", "b"]


@exec_ui()
def pick(choice: Callback(slow)):
    return choice

@exec_ui()
def count(n: int = 1):
    return n

@exec_ui(immediate_run=True, allow_kernel_interrupt=True)
def emergency_stop():
    print("stopped")
"""


def until(condition: Any, what: str) -> Any:
    deadline = system_clock().monotonic() + 20.0
    while not (value := condition()):
        assert system_clock().monotonic() < deadline, f"{what} did not happen"
        system_clock().sleep(0.01)
    return value


class Panel:
    """The GUI of the tasks above, and the module that holds them."""

    def __init__(self, gui: TasksGUI, module: Any) -> None:
        self.gui = gui
        self.module = module

    def press(self, name: str) -> None:
        """Clicks a task."""
        next(b.button for b in self.gui.buttons.buttons if b.task.name == name).click()

    def wait_for_question(self) -> None:
        """Returns when the slow function was called."""
        assert self.module.asked.acquire(timeout=20.0)

    def wait_for_form(self, name: str) -> Any:
        """Returns the form of a task when it is shown."""
        shown = self.gui.arguments
        return until(
            lambda: shown.form and shown.form.task.name == name and shown.form, f"the form of {name}"
        )


@pytest.fixture
def panel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Panel]:
    (tmp_path / "slowtasks").mkdir()
    (tmp_path / "slowtasks/__init__.py").touch()
    (tmp_path / "slowtasks/tasks.py").write_text(TASKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(threading.enumerate())
    gui = TasksGUI("slowtasks", namespace={})
    module = importlib.import_module("slowtasks.tasks")
    yield Panel(gui, module)
    module.release.set()
    gui.close()
    assert gui.errors == []
    assert not [thread for thread in threading.enumerate() if thread not in before]
    for name in ("slowtasks", "slowtasks.tasks"):
        del sys.modules[name]


def test_an_emergency_stop_does_not_wait_for_choices(panel: Panel) -> None:
    panel.press("pick")
    panel.wait_for_question()
    panel.press("emergency_stop")
    run = until(lambda: panel.gui.session.runs and panel.gui.session.runs[0], "the stop")
    assert run.over.wait(20.0)
    assert "stopped" in run.console.text
    assert "'pick': asking for the choices ..." in panel.gui.asking.value
    assert panel.gui.arguments.form is None
    panel.module.release.set()
    form = panel.wait_for_form("pick")
    assert form.call().kwargs == {"choice": "a"}
    assert panel.gui.asking.value == ""


def test_an_emergency_stop_does_not_wait_for_another_action(panel: Panel) -> None:
    panel.gui.want(panel.module.slow)
    panel.wait_for_question()
    panel.press("emergency_stop")
    run = until(lambda: panel.gui.session.runs and panel.gui.session.runs[0], "the stop")
    assert run.over.wait(20.0)


def test_a_form_that_comes_too_late_is_dropped(panel: Panel) -> None:
    panel.press("pick")
    panel.wait_for_question()
    panel.press("count")
    panel.wait_for_form("count")
    assert panel.gui.asking.value == ""
    panel.module.release.set()
    until(lambda: not panel.gui._besides, "the answer")
    panel.gui.want(panel.module.asked.release)  # what was queued before is done when this is
    panel.wait_for_question()
    assert panel.gui.arguments.form is not None
    assert panel.gui.arguments.form.task.name == "count"


def test_a_form_of_before_is_closed_while_choices_are_asked(panel: Panel) -> None:
    panel.press("count")
    panel.wait_for_form("count")
    panel.press("pick")
    panel.wait_for_question()
    until(lambda: panel.gui.arguments.form is None, "closing")
    panel.gui.arguments.run_button.click()
    panel.module.release.set()
    panel.wait_for_form("pick")
    assert panel.gui.session.runs == []


def test_a_task_is_asked_again_after_it_was_left(panel: Panel) -> None:
    for name in ("pick", "count", "pick"):
        panel.press(name)
    panel.wait_for_question()
    panel.wait_for_question()
    panel.module.release.set()
    form = panel.wait_for_form("pick")
    until(lambda: not panel.gui._besides, "both answers")
    panel.gui.want(panel.module.asked.release)
    panel.wait_for_question()
    assert panel.gui.arguments.form is form
