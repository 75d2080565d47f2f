"""The parameters of a procedure as a form: `procedure_form("procedures/bias_read_noise.ipynb")` in a notebook.

The form is made from what the notebook declares: choices become a list, ranges are shown, units stand behind. *Check* tells
all that is wrong at once; *Dry run* shows what would be commanded; *Add to the queue* lines the procedure up, so that it
runs outside of this browser. The form itself commands nothing.
"""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any, Literal

import ipywidgets as widgets

from camtest.run.notebooks import read_notebook
from camtest.run.parameters import NotebookParameter, ParameterError, check_parameters, notebook_parameters


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
        self.fields = {name: _Field(p) for name, p in notebook_parameters(self._notebook).items()}
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
        title = widgets.HTML(f"<b>{self.path.stem}</b>")
        rows = [field.row for field in self.fields.values()]
        super().__init__([title, *rows, widgets.HBox(buttons), self.message, self.output])

    def values(self) -> dict[str, Any]:
        """Returns the values that differ from the defaults, in the types that the notebook declares."""
        return {name: field.value() for name, field in self.fields.items() if field.changed()}

    def check(self) -> bool:
        """Shows everything that is wrong; returns True when nothing is."""
        try:
            check_parameters(self._notebook, self.values(), self.path.name)
        except ParameterError as exc:
            items = "".join(f"<li>{_escaped(error)}</li>" for error in exc.errors)
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
            self.message.value = f'<span style="color:#b00020">{_escaped(exc.message)}</span>'
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


class _Field:
    """One parameter: its widget, and the value in it."""

    def __init__(self, parameter: NotebookParameter) -> None:
        self.parameter = parameter
        hint = parameter.definition.hint
        default = "" if parameter.required else parameter.default
        if typing.get_origin(hint) is Literal:
            choices = [repr(choice) for choice in typing.get_args(hint)]
            self.widget: Any = widgets.Dropdown(
                options=choices, value=default if default in choices else choices[0]
            )
        elif hint is bool:
            self.widget = widgets.Checkbox(value=default == "True", indent=False)
        else:
            self.widget = widgets.Text(
                value=default, placeholder="must be given" if parameter.required else ""
            )
        self._default = self.widget.value
        limits = parameter.definition.limits
        about = [parameter.definition.unit, "" if limits is None else str(limits), parameter.help]
        label = widgets.Label(parameter.name, layout=widgets.Layout(width="12em"))
        note = widgets.HTML(f'<span style="opacity:.7">{_escaped("  ".join(filter(None, about)))}</span>')
        self.row = widgets.HBox([label, self.widget, note])

    def changed(self) -> bool:
        """True when the operator has given another value than the default."""
        if self.parameter.required:
            return self.widget.value != "" or isinstance(self.widget, (widgets.Dropdown, widgets.Checkbox))
        return bool(self.widget.value != self._default)

    def value(self) -> Any:
        """Returns the value in the type of the parameter; the text itself when it fits none."""
        value = self.widget.value
        if isinstance(value, bool):
            return value
        hint = self.parameter.definition.hint
        if isinstance(self.widget, widgets.Dropdown):
            return next(choice for choice in typing.get_args(hint) if repr(choice) == value)
        text = str(value).strip()
        quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "'\""
        return self.parameter.convert(text[1:-1] if quoted else text)


def _escaped(text: str) -> str:
    import html

    return html.escape(text)


def procedure_form(path: str | Path) -> ProcedureForm:
    """Returns the parameters of a procedure as a form, to be shown as the last line of a cell.

    Args:
        path: the notebook.
    """
    return ProcedureForm(path)
