"""The parameters of a procedure as a form: `procedure_form("procedures/bias_read_noise.ipynb")` in a notebook.

The form is made from what the notebook declares: choices become a list, ranges are shown, units stand behind. *Check* tells
all that is wrong at once; *Dry run* shows what would be commanded; *Add to the queue* lines the procedure up, so that it
runs outside of this browser. The form itself commands nothing.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from camtest.run.notebooks import read_notebook
from camtest.run.parameters import NotebookParameter, ParameterError, check_parameters, notebook_parameters
from camtest.tasks.fields import Field, FieldError, TextField, make_field
from camtest.tasks.form import entry_of, labelled_row
from camtest.tasks.values import EMPTY, parse


class ProcedureForm(widgets.VBox):  # type: ignore[misc]
    """A form for the parameters of a notebook.

    Args:
        path: the notebook.

    Raises:
        FileNotFoundError, ValueError: when there is no such notebook.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).resolve()
        self._notebook = read_notebook(self.path)
        self.parameters = notebook_parameters(self._notebook)
        self.fields = {
            name: make_field(p.definition.hint, _default_of(p), name) for name, p in self.parameters.items()
        }
        self._at_start = {name: _entered(field) for name, field in self.fields.items()}
        self.message = widgets.HTML()
        self.output = widgets.Output()
        buttons = []
        for text, action in (
            ("Check", self.check),
            ("Dry run", self.dry_run),
            ("Add to the queue", self.enqueue),
        ):
            button = widgets.Button(description=text)
            button.on_click(lambda _, action=action: action())
            buttons.append(button)
        title = widgets.HTML(f"<b>{escape(self.path.stem)}</b>")
        rows = [
            labelled_row(name, _about(self.parameters[name]), field) for name, field in self.fields.items()
        ]
        super().__init__([title, *rows, widgets.HBox(buttons), self.message, self.output])

    def fill(self, **entries: Any) -> None:
        """Puts values into fields, as an operator would type them or tick them.

        Args:
            entries: by name of the parameter.
        """
        for name, entry in entries.items():
            entry_of(self.fields[name]).value = entry

    def values(self) -> dict[str, Any]:
        """Returns the values that differ from the defaults, in the types that the notebook declares."""
        return {name: self._value(name) for name in self.fields if self._is_given(name)}

    def _is_given(self, name: str) -> bool:
        field = self.fields[name]
        required = self.parameters[name].required and not isinstance(field, TextField)
        return required or _entered(field) != self._at_start[name]

    def _value(self, name: str) -> Any:
        field = self.fields[name]
        try:
            return field.value()
        except FieldError:  # `check` tells what is wrong with it
            return self.parameters[name].convert(str(_entered(field)).strip())

    def check(self) -> bool:
        """Shows everything that is wrong; returns True when nothing is."""
        try:
            check_parameters(self._notebook, self.values(), self.path.name)
        except ParameterError as exc:
            items = "".join(f"<li>{escape(error)}</li>" for error in exc.errors)
            self.message.value = f'<ul style="color:#b00020">{items}</ul>'
            return False
        self.message.value = '<span style="color:#1a6e3c">All parameters are good.</span>'
        return True

    def dry_run(self) -> None:
        """Shows what the procedure would command; nothing reaches a device."""
        if not self.check():
            return
        from camtest.run.dryrun import DryRunFailedError, dry_run_notebook

        self.output.clear_output()
        try:
            sequence = dry_run_notebook(self.path, self.values())
        except DryRunFailedError as exc:
            self.message.value = f'<span style="color:#b00020">{escape(exc.message)}</span>'
            sequence = exc.sequence
        self.output.append_stdout(str(sequence))

    def enqueue(self) -> None:
        """Puts the procedure into the queue and starts its worker."""
        if not self.check():
            return
        from camtest.run.queue import Queue
        from camtest.run.worker import start_worker

        queue = Queue()
        number = queue.add(self.path, self.values())
        state = queue.state()
        if state.status == "running":
            start_worker(queue, Path("runs"))
        waits = "" if state.status == "running" else f"; the queue is {state.status}"
        self.message.value = f"{number} in the queue{waits}. Follow it with <code>camtest attach</code>."


def _entered(field: Field) -> Any:
    return entry_of(field).value


def _default_of(parameter: NotebookParameter) -> Any:
    return EMPTY if parameter.required else parse(parameter.definition.hint, parameter.default)


def _about(parameter: NotebookParameter) -> str:
    limits = parameter.definition.limits
    return "  ".join(filter(None, (parameter.definition.unit, str(limits or ""), parameter.help)))


def procedure_form(path: str | Path) -> ProcedureForm:
    """Returns the parameters of a procedure as a form, to be shown as the last line of a cell.

    Args:
        path: the notebook.
    """
    return ProcedureForm(path)
