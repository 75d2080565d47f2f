"""The arguments panel: one row for each argument of a task, and all that is wrong at once."""

from __future__ import annotations

import inspect
import keyword
from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets as widgets

from camtest.tasks.calls import TaskCall, is_code
from camtest.tasks.catalogue import Task
from camtest.tasks.fields import Field, FieldError, asks_author, make_field
from camtest.tasks.types import VariableName
from camtest.tasks.values import EMPTY, describe, parse

LABEL = "12em"
VAR_POSITIONAL, VAR_KEYWORD = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD
POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


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
            hint, default = hint_of(parameter), default_of(parameter)
            field = make_field(hint, default, name, task.file_filters.get(name, ()))
            self.fields[name] = field
            shown = type(default) if hint is EMPTY and default is not EMPTY and default is not None else hint
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
        values: dict[str, Any] = {}
        errors: list[str] = []
        for name, field in self.fields.items():
            try:
                values[name] = field.value()
            except FieldError as exc:
                errors.append(f"{name}: {exc}")
        return _call_of(self.task, values, errors)


def takes_long(task: Task) -> bool:
    """Returns True when functions of its author are called to make the form of a task, which may take long."""
    return any(asks_author(hint_of(parameter)) for parameter in task.signature.parameters.values())


def hint_of(parameter: inspect.Parameter) -> Any:
    """Returns the type hint of an argument: a list for `*names: str`, a dictionary for `**more: float`."""
    hint = parameter.annotation
    if parameter.kind is VAR_POSITIONAL:
        return list if hint is EMPTY else list[hint]  # type: ignore[valid-type]
    if parameter.kind is VAR_KEYWORD:
        return dict if hint is EMPTY else dict[str, hint]  # type: ignore[valid-type]
    return hint


def default_of(parameter: inspect.Parameter) -> Any:
    """Returns the default of an argument; `*names` and `**more` may be empty."""
    if parameter.kind is VAR_POSITIONAL:
        return []
    return {} if parameter.kind is VAR_KEYWORD else parameter.default


def _call_of(task: Task, values: dict[str, Any], errors: list[str]) -> TaskCall:
    """Returns the call of a task with values by name of the argument, `*names` and `**more` among them.

    Raises:
        FormError: when there are errors, or values cannot be passed together.
    """
    parameters = task.signature.parameters
    more = next((name for name, p in parameters.items() if p.kind is VAR_KEYWORD), "")
    errors = errors + [f"{more}: {text}" for text in _misnamed(task, values.get(more, {}))]
    if errors:
        raise FormError(errors)
    return TaskCall(task, *_arranged(parameters, values))


def _misnamed(task: Task, more: dict[str, Any]) -> list[str]:
    """Returns what is wrong with the names of arguments that go to `**more`."""
    by_name = [name for name, p in task.signature.parameters.items() if p.kind in BY_NAME]
    wrong = [f"there is an argument `{name}` already" for name in more if name in by_name]
    names = [name for name in more if not str(name).isidentifier() or keyword.iskeyword(str(name))]
    return wrong + [f"{name!r} is no name of an argument" for name in names]


def _arranged(
    parameters: Mapping[str, inspect.Parameter], values: dict[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Returns positional arguments and arguments by name; what stands before values of `*names` goes by position."""
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    rest = [name for name, p in parameters.items() if p.kind is VAR_POSITIONAL and values.get(name)]
    positional = POSITIONAL if rest else POSITIONAL[:1]
    for name, value in values.items():
        parameter = parameters[name]
        if parameter.kind is VAR_POSITIONAL:
            args += value
        elif parameter.kind is VAR_KEYWORD:
            kwargs |= value
        elif parameter.kind in positional:
            args.append(value)
        elif value is not parameter.default or is_code(value):
            kwargs[name] = value  # a default that cannot be written as code is left to the function
    return args, kwargs


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
    values: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if name in given:
            try:
                values[name] = _read(parameter, given[name])
            except FieldError as exc:
                errors.append(f"{name}: {exc}")
        elif isinstance(parameter.annotation, VariableName):
            values[name] = make_field(parameter.annotation).value()
        elif (default := default_of(parameter)) is not EMPTY:
            values[name] = default
        else:
            errors.append(f"{name}: must be given")
    return _call_of(task, values, errors)


def _read(parameter: inspect.Parameter, value: Any) -> Any:
    hint = hint_of(parameter)
    if isinstance(value, str):
        return parse(hint, value)
    return value
