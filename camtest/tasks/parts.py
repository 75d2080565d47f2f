"""The parts of the Tasks GUI. Buttons only say what is wanted, to a function that queues it; nothing here waits."""

from __future__ import annotations

import base64
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from camtest.tasks.catalogue import Catalogue, Group, Task
from camtest.tasks.console import Console
from camtest.tasks.exec import APP, KERNEL, SCRIPT
from camtest.tasks.form import ArgumentsForm
from camtest.tasks.questions import Question
from camtest.tasks.session import Run

PER_ROW = 4
"""Task buttons in a row."""
BAD, GOOD = "#b00020", "#1a6e3c"
IMMEDIATE, CAUTION = "#175a9e", "#b34700"
"""Text of the buttons of tasks that run at once, and buttons that answer a question: readable on what is around (WCAG 1.4.3)."""
MODE_LABELS = (("Run in kernel", KERNEL), ("Run in GUI App", APP), ("Run as script", SCRIPT))
HIDDEN, SHOWN = "none", ""

Act = Callable[..., None]
"""Queues what a button wants: a function and its arguments."""


def hide(widget: Any, hidden: bool = True) -> None:
    """Hides or shows a widget; nothing is sent when it is so already."""
    wanted = HIDDEN if hidden else SHOWN
    if (widget.layout.display or SHOWN) != wanted:
        widget.layout.display = wanted


def set_value(widget: Any, value: Any) -> None:
    """Sets the value of a widget; nothing is sent when it has it already."""
    if widget.value != value:
        widget.value = value


def on_enter(text: Any, action: Callable[[], None]) -> None:
    """Has `action` called when Enter is pressed in a text field."""
    text.on_msg(lambda _, content, buffers: action() if content.get("event") == "submit" else None)


def picture(path: Path, size: int = 30) -> Any:
    """Returns an icon as a widget."""
    kind = "image/svg+xml" if path.suffix.lower() == ".svg" else "image/png"
    data = base64.b64encode(path.read_bytes()).decode()
    return widgets.HTML(f'<img alt="" width="{size}" height="{size}" src="data:{kind};base64,{data}">')


class TaskButton:
    """The button of a task, with its icon."""

    def __init__(self, task: Task, act: Callable[[Task], None]) -> None:
        self.task = task
        self.button = widgets.Button(
            description=task.title,
            tooltip=task.tooltip,
            icon="" if task.icons else "tasks",
            layout=widgets.Layout(width="auto", min_width="13em"),
        )
        if task.immediate:
            self.button.style.text_color = IMMEDIATE
        self.button.on_click(lambda _: act(task))
        self._icons = [picture(path) for path in task.icons[:2]]
        self.widget = widgets.HBox([*self._icons[:1], self.button]) if self._icons else self.button

    def select(self, selected: bool) -> None:
        """Shows whether the arguments of this task are shown."""
        style = "primary" if selected else ""
        if self.button.button_style != style:
            self.button.button_style = style
        if len(self._icons) == 2:
            self.widget.children = (self._icons[int(selected)], self.button)


class TaskButtons:
    """All tabs with their groups of buttons."""

    def __init__(self, catalogue: Catalogue, act: Callable[[Task], None]) -> None:
        self.buttons: list[TaskButton] = []
        self._act = act
        pages = [self._page(tab.groups) for tab in catalogue.tabs]
        if len(pages) == 1:
            self.widget: Any = pages[0]
        else:
            self.widget = widgets.Tab(children=pages, titles=[tab.title for tab in catalogue.tabs])

    def _page(self, groups: tuple[Group, ...]) -> Any:
        return widgets.VBox([self._group(group) for group in groups])

    def _group(self, group: Group) -> Any:
        title = widgets.HTML(f"<b>{escape(group.title)}</b>")
        if group.problem:
            text = f"this group cannot be loaded: {group.problem}"
            return widgets.VBox([title, widgets.HTML(f'<span style="color:{BAD}">{escape(text)}</span>')])
        buttons = [TaskButton(task, self._act) for task in group.tasks]
        self.buttons += buttons
        rows = [
            widgets.HBox([button.widget for button in buttons[i : i + PER_ROW]])
            for i in range(0, len(buttons), PER_ROW)
        ]
        return widgets.VBox([title, *rows], layout=widgets.Layout(margin="0 0 0.6em 0"))

    def select(self, task: Task | None) -> None:
        """Marks the button of a task."""
        for button in self.buttons:
            button.select(button.task is task)


class ArgumentsPanel:
    """The arguments of the selected task, where it runs, and the buttons close, run, and copy."""

    def __init__(self, run: Act, close: Act, copy: Act) -> None:
        self.form: ArgumentsForm | None = None
        self.title = widgets.HTML()
        self.rows = widgets.VBox()
        self.hint = widgets.HTML()
        self.modes = widgets.RadioButtons(
            options=MODE_LABELS, value=KERNEL, description="where", layout=widgets.Layout(width="auto")
        )
        self.message = widgets.HTML()
        self.run_button = widgets.Button(
            description="run", icon="play", tooltip="run", style={"button_color": GOOD, "text_color": "#fff"}
        )
        self.close_button = widgets.Button(description="close")
        self.copy_button = widgets.Button(description="copy as code", icon="code")
        for button, action in ((self.run_button, run), (self.close_button, close), (self.copy_button, copy)):
            button.on_click(lambda _, action=action: action())
        buttons = widgets.HBox([self.close_button, self.run_button, self.copy_button])
        self.widget = widgets.VBox(
            [self.title, self.rows, self.hint, self.modes, buttons, self.message],
            layout=widgets.Layout(
                display=HIDDEN, border="1px solid #8888", padding="0.5em", margin="0.3em 0"
            ),
        )

    def open(self, form: ArgumentsForm) -> None:
        """Shows the form of a task."""
        self.form = form
        self.title.value = f"arguments for '<b>{escape(form.task.title)}</b>'"
        self.rows.children = [form.widget]
        names = f"<code>{escape(form.task.capture)}</code>"
        self.hint.value = f"<small>The result goes to {names} and takes the place of what is there.</small>"
        self.modes.value = form.task.mode
        self.message.value = ""
        hide(self.widget, False)

    def close(self) -> None:
        """Hides it."""
        self.form = None
        self.rows.children = []
        hide(self.widget)

    def say(self, errors: list[str]) -> None:
        """Shows all that is wrong; nothing when all is well."""
        items = "".join(f"<li>{escape(error)}</li>" for error in errors)
        self.message.value = f'<ul role="alert" style="color:{BAD}">{items}</ul>' if errors else ""


class QuestionPanel:
    """The question that a task asks, and its answer."""

    def __init__(self) -> None:
        self._question: Question | None = None
        self._text = widgets.HTML()
        self._choices = widgets.HBox()
        self.entry = widgets.Text(description="answer", continuous_update=True)
        self._password = widgets.Password(description="answer")
        send = widgets.Button(description="answer", icon="reply")
        send.on_click(lambda _: self.answer(self._entry.value))
        on_enter(self.entry, lambda: self.answer(self.entry.value))
        self._line = widgets.HBox([self.entry, self._password, send])
        self.widget = widgets.VBox(
            [self._text, self._choices, self._line],
            layout=widgets.Layout(
                display=HIDDEN, border="3px solid #b36b00", padding="0.5em", margin="0.3em 0"
            ),
        )

    @property
    def _entry(self) -> Any:
        return self._password if self._question is not None and self._question.password else self.entry

    def show(self, question: Question | None) -> None:
        """Shows a question, or nothing."""
        if question is self._question:
            return
        self._question = question
        if question is None:
            hide(self.widget)
            return
        self._text.value = (
            f'<div role="alertdialog" data-question="open"><b>{escape(question.prompt)}</b></div>'
        )
        self._choices.children = [self._button(label, answer) for label, answer in question.choices]
        self.entry.value = self._password.value = ""
        hide(self.entry, question.password)
        hide(self._password, not question.password)
        hide(self.widget, False)

    def _button(self, label: str, answer: str) -> Any:
        button = widgets.Button(description=label, style={"button_color": CAUTION, "text_color": "#fff"})
        button.on_click(lambda _: self.answer(answer))
        return button

    def answer(self, text: str) -> None:
        """Gives the answer; it only sets an event, so a callback may do it."""
        if self._question is not None:
            self._question.give(text)


class ConsolePanel:
    """The output: the end of it is in view."""

    def __init__(self, console: Console, height: str = "22em") -> None:
        self.console = console
        self._shown = -1
        # laid out from the bottom up, the browser itself keeps the end in view
        self._html = widgets.HTML()
        self.widget = widgets.Box(
            [self._html],
            layout=widgets.Layout(
                height=height, overflow="auto", border="1px solid #8888", padding="0.4em",
                display="flex", flex_flow="column-reverse",
            ),
        )  # fmt: skip
        self.widget.add_class("camtest-console")

    def refresh(self) -> None:
        """Shows what is new."""
        revision = self.console.revision
        if revision != self._shown:
            self._shown = revision
            self._html.value = (
                '<div role="log" aria-live="polite" aria-label="output" tabindex="0">'  # the arrow keys scroll it
                f"{self.console.html()}</div>"
            )


class AppPanel:
    """An app: a task with an output of its own."""

    def __init__(self, run: Run, stop: Act, remove: Act) -> None:
        self.run = run
        self.console = ConsolePanel(run.console, "16em")
        self.state = widgets.HTML()
        self.stop_button = widgets.Button(description="stop", icon="stop")
        self.remove_button = widgets.Button(description="remove", icon="times", disabled=True)
        self.stop_button.on_click(lambda _: stop(run))
        self.remove_button.on_click(lambda _: remove(run))
        head = widgets.HBox([self.state, self.stop_button, self.remove_button])
        self.widget = widgets.VBox([head, self.console.widget])

    def refresh(self) -> None:
        """Shows how it is."""
        outcome = self.run.outcome
        text = f"running for {self.run.elapsed:.0f} s" if outcome is None else outcome.status
        set_value(self.state, f"<b>GUI App: {escape(self.run.title)}</b> ({escape(text)})")
        over = outcome is not None
        if self.stop_button.disabled != over:
            self.stop_button.disabled, self.remove_button.disabled = over, not over
        self.console.refresh()
