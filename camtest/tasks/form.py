"""The arguments panel: one row for each argument of a task, and all that is wrong at once."""

from __future__ import annotations

import inspect
from html import escape
from typing import Any

import ipywidgets as widgets

from camtest.tasks.calls import TaskCall, is_code
from camtest.tasks.catalogue import Task
from camtest.tasks.fields import Field, FieldError, make_field
from camtest.tasks.types import VariableName
from camtest.tasks.values import EMPTY, describe, parse

LABEL = "12em"
VAR_POSITIONAL, VAR_KEYWORD = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


class FormError(ValueError):
    """Arguments are wrong; `errors` has a line for each."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def entry_of(field: Field) -> Any:
    """Returns the widget of a field into which its value is entered."""
    return getattr(field, "text", None) or field.widget


def labelled_row(name: str, about: str, field: Field) -> Any:
    """Returns a row of a form: a label that belongs to its field, also for screen readers, the field, and what it is.

    Args:
        name: of the argument.
        about: stands in grey behind the field.
        field: the field.
    """
    note = widgets.HTML(f'<span style="opacity:.65">{escape(about)}</span>')
    labelled = entry_of(field)
    if isinstance(labelled, (widgets.Text, widgets.Dropdown)):
        labelled.description = name
        labelled.style.description_width = LABEL
        labelled.layout = widgets.Layout(width="36em")
        return widgets.HBox([field.widget, note])
    label = widgets.Label(name, layout=widgets.Layout(width=LABEL))
    if isinstance(labelled, widgets.Checkbox):
        labelled.description = name
        label.value = ""
    return widgets.HBox([label, field.widget, note])


class ArgumentsForm:
    """A form for the arguments of a task.

    Args:
        task: which.

    Attributes:
        fields: the field of each argument, by name.
        widget: all rows.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.fields: dict[str, Field] = {}
        rows = []
        for name, parameter in task.signature.parameters.items():
            hint, default = parameter.annotation, parameter.default
            if parameter.kind in (VAR_POSITIONAL, VAR_KEYWORD):
                hint, default = (list, []) if parameter.kind is VAR_POSITIONAL else (dict, {})
            field = make_field(hint, default, name, task.file_filters.get(name, ()))
            self.fields[name] = field
            shown = type(default) if hint is EMPTY and default not in (EMPTY, None) else hint
            rows.append(labelled_row(name, describe(shown), field))
        self.widget: Any = widgets.VBox(rows)

    def fill(self, **texts: Any) -> None:
        """Puts values into fields, as an operator would type them or tick them.

        Args:
            texts: by name of the argument.

        Raises:
            LookupError: when there is no such argument.
        """
        for name, text in texts.items():
            entry_of(self.fields[name]).value = text

    def call(self) -> TaskCall:
        """Returns the task with what is in the form.

        Raises:
            FormError: when something is wrong; it tells all of it.
        """
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        errors: list[str] = []
        for name, parameter in self.task.signature.parameters.items():
            try:
                value = self.fields[name].value()
            except FieldError as exc:
                errors.append(f"{name}: {exc}")
                continue
            if parameter.kind is VAR_POSITIONAL:
                args += value
            elif parameter.kind is VAR_KEYWORD:
                kwargs |= value
            elif parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                args.append(value)
            elif value is not parameter.default or is_code(value):
                kwargs[name] = value  # a default that cannot be written as code is left to the function
        if errors:
            raise FormError(errors)
        return TaskCall(self.task, args, kwargs)


def immediate_call(task: Task) -> TaskCall:
    """Returns the call of a task that runs at once: with variables of the kernel and defaults.

    Raises:
        FormError: when an argument has neither.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    errors: list[str] = []
    for name, parameter in task.signature.parameters.items():
        if isinstance(parameter.annotation, VariableName):
            value = make_field(parameter.annotation).value()
            if parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                args.append(value)
            else:
                kwargs[name] = value
        elif parameter.default is EMPTY and parameter.kind not in (VAR_POSITIONAL, VAR_KEYWORD):
            errors.append(f"{name}: a task that runs at once cannot have an argument without a default")
    if errors:
        raise FormError(errors)
    return TaskCall(task, args, kwargs)


def call_with(task: Task, given: dict[str, Any]) -> TaskCall:
    """Returns a task with arguments that were given as values or texts; for the command line and for notebooks.

    Args:
        task: which.
        given: arguments by name.

    Raises:
        FormError: when an argument is unknown, missing or does not fit; it tells all of it.
    """
    parameters = task.signature.parameters
    errors = [f"{name}: there is no such argument" for name in given if name not in parameters]
    kwargs: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if name in given:
            value = given[name]
            try:
                kwargs[name] = parse(parameter.annotation, value) if isinstance(value, str) else value
            except FieldError as exc:
                errors.append(f"{name}: {exc}")
        elif isinstance(parameter.annotation, VariableName):
            kwargs[name] = make_field(parameter.annotation).value()
        elif parameter.default is not EMPTY:
            if is_code(parameter.default):
                kwargs[name] = parameter.default
        elif parameter.kind not in (VAR_POSITIONAL, VAR_KEYWORD):
            errors.append(f"{name}: must be given")
    if errors:
        raise FormError(errors)
    return TaskCall(task, (), kwargs)
