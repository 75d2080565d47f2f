"""The panel: buttons only queue, all errors are shown at once, questions become dialogs, closing leaves nothing."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbconvert import HTMLExporter

from camtest.tasks.gui import TasksGUI, tasks_gui
from egse.clock import system_clock


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = system_clock().monotonic() + 120.0
    while not (value := condition()):
        assert system_clock().monotonic() < deadline, f"{what} did not happen"
        system_clock().sleep(0.01)
    return value


@pytest.fixture
def make_gui(packages: Path) -> Iterator[Callable[..., TasksGUI]]:
    before = set(threading.enumerate())
    made: list[TasksGUI] = []

    def make(*names: str, **options: Any) -> TasksGUI:
        made.append(tasks_gui(*(names or ("oldstyle",)), namespace={}, **options))
        return made[-1]

    yield make
    for gui in made:
        gui.close()
        assert gui.errors == []
    assert not [thread for thread in threading.enumerate() if thread not in before]


def button(gui: TasksGUI, title: str) -> Any:
    return next(b.button for b in gui.buttons.buttons if b.task.title == title)


def press(gui: TasksGUI, title: str) -> Any:
    """Presses a task button; returns its form when it is open."""
    button(gui, title).click()
    return until(
        lambda: gui.arguments.form and gui.arguments.form.task.title == title and gui.arguments.form, "form"
    )


def test_a_task_from_the_click_to_its_output(make_gui: Callable[..., TasksGUI], tmp_path: Path) -> None:
    gui = make_gui(title="Lamps")
    form = press(gui, "Switch ON")
    assert button(gui, "Switch ON").button_style == "primary"
    assert "response" in gui.arguments.hint.value
    form.fill(power="x")
    gui.arguments.run_button.click()
    until(lambda: "power: expected a number" in gui.arguments.message.value, "the error")
    assert gui.session.runs == []
    form.fill(power="2.5")
    gui.arguments.run_button.click()
    until(lambda: gui.session.namespace.get("response") == 5.0, "the result")
    until(lambda: "RED lamp at 2.5 W for GARDEN" in gui.output._html.value, "the output")
    assert gui.arguments.message.value == ""
    assert "Setup ID = 67" in until(lambda: gui.right.value.replace("<b></b>", ""), "the status")

    gui.arguments.copy_button.click()
    until(lambda: "response = switch_on(power=2.5" in gui.code.value, "the code")
    gui.source_button.value = True
    button(gui, "stop").click()
    until(lambda: "allow_kernel_interrupt=True" in gui.code.value, "the source")
    gui.source_button.value = False
    gui.arguments.close_button.click()
    until(lambda: gui.arguments.form is None, "closing")
    assert button(gui, "Switch ON").button_style == ""


def test_a_question_becomes_a_dialog_and_a_second_task_is_refused(
    make_gui: Callable[..., TasksGUI], tmp_path: Path
) -> None:
    gui = make_gui()
    form = press(gui, "ask_in_a_script")
    form.fill(where=str(tmp_path / "answer"))
    assert gui.arguments.modes.value == "script"
    gui.arguments.modes.value = "kernel"
    gui.arguments.run_button.click()
    until(lambda: gui.question.widget.layout.display != "none", "the dialog")
    assert "ask_in_a_script is running" in until(lambda: gui.busy.value, "the state")
    gui.arguments.run_button.click()
    until(lambda: "is still running" in gui.message.value, "the refusal")
    yes = gui.question._choices.children[0]
    assert yes.description == "Yes"
    yes.click()
    until(lambda: (tmp_path / "answer").exists() and (tmp_path / "answer").read_text() == "Y", "the answer")
    until(lambda: gui.question.widget.layout.display == "none", "the end of the dialog")


def test_an_app_has_an_output_of_its_own(make_gui: Callable[..., TasksGUI], tmp_path: Path) -> None:
    gui = make_gui()
    form = press(gui, "wait_long")
    form.fill(where=str(tmp_path / "state"))
    gui.arguments.modes.value = "app"
    gui.arguments.run_button.click()
    until(lambda: (tmp_path / "state").exists(), "the app")
    (app,) = until(lambda: list(gui._apps.values()), "its panel")
    assert gui.session.current is None
    app.stop_button.click()
    until(lambda: "interrupted" in app.state.value, "its end")
    assert (tmp_path / "state").read_text() == "ended"
    app.remove_button.click()
    until(lambda: not gui.apps.children, "its removal")


def test_without_widgets_it_is_text(make_gui: Callable[..., TasksGUI]) -> None:
    gui = make_gui()
    button(gui, "stop").click()
    until(lambda: gui.session.runs and gui.session.runs[0].over.is_set(), "the run")
    bundle = gui._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "  1 - Lamp\n    Switch ON\n" in bundle["text/plain"]
    assert "  response = stop()  (kernel, done)" in bundle["text/plain"]
    assert "stopped" in bundle["text/html"]


def test_a_special_environment_is_marked(
    make_gui: Callable[..., TasksGUI], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUI_EXECUTOR_ATTENTION_LABEL", "TRAINING <1>")
    monkeypatch.setenv("GUI_EXECUTOR_ATTENTION_COLOR", "red;x:y")
    badge = make_gui().children[0].value
    assert "TRAINING &lt;1&gt;" in badge
    assert "background:#d62828" in badge


def test_a_second_one_takes_the_place_of_the_first(make_gui: Callable[..., TasksGUI]) -> None:
    first = make_gui()
    second = make_gui()
    assert first._stop.is_set()
    assert not second._stop.is_set()


def test_a_panel_that_nobody_holds_ends(packages: Path) -> None:
    before = set(threading.enumerate())
    gui = TasksGUI("oldstyle", namespace={})
    threads = [thread for thread in threading.enumerate() if thread not in before]
    assert {"tasks-act", "tasks-show"} <= {thread.name for thread in threads}
    gui.close()
    ref = weakref.ref(gui)
    del gui
    gc.collect()
    assert not [thread for thread in threads if thread.is_alive()]
    assert ref() is None or ref()._stop.is_set()  # type: ignore[union-attr]


NOTEBOOK = """\
from camtest.tasks import tasks_gui
gui = tasks_gui("oldstyle")
gui
"""
PRESS = """\
button = next(b.button for b in gui.buttons.buttons if b.task.title == "stop")
button.click()
import time
while not (gui.session.runs and gui.session.runs[-1].over.is_set()):
    time.sleep(0.01)
"""


def test_a_saved_notebook_tells_what_was_run(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output of the first cell has what a task printed that was run after it, with nbclient as with papermill."""
    monkeypatch.setenv("PYTHONPATH", str(packages))
    cells = [nbformat.v4.new_code_cell(source) for source in (NOTEBOOK, PRESS)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, kernel_name="python3", timeout=120).execute()
    texts = [output.data.get("text/html", "") for output in notebook.cells[0].outputs if "data" in output]
    static = "".join(text for text in texts if "camtest-static" in text)
    assert "response = stop()  (kernel, done)" in static
    assert "stopped" in static
    assert '<details class="camtest-static" open' in static, "no browser shows the widget: it is all there is"
    plain = [output.data.get("text/plain", "") for output in notebook.cells[0].outputs if "data" in output]
    assert any("response = stop()  (kernel, done)" in text for text in plain)
    page, _ = HTMLExporter().from_notebook_node(notebook)
    assert "response = stop()  (kernel, done)" in page
