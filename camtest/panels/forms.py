"""A command of an interface as a form: a field for each argument with its unit, its range and its default."""

from __future__ import annotations

import ast
import enum
import typing
from html import escape
from typing import Any, Literal

import ipywidgets as widgets

from egse.command import CommandDefinition, CommandError
from egse.parameter import ParameterDefinition
from egse.security.roles import Role, role_of

STOPPING = ("abort", "stop", "safe", "cancel")
"""Commands whose name begins so make safe: nobody is asked before."""
DANGEROUS = frozenset(
    {
        *(
            "reset",
            "quit",
            "exit",
            "clear",
            "homing",
            "home",
            "goto",
            "move",
            "retract",
            "zero",
            "calibrate",
            "selftest",
        ),
        *(
            "power",
            "output",
            "operate",
            "autotune",
            "secondary",
            "lamp",
            "laser",
            "enable",
            "disable",
            "shut",
            "start",
        ),
        *("mode", "register", "recall", "save"),
    }
)
"""Words in names of commands that the operator has to confirm: they move, switch, or forget something."""


def is_query(definition: CommandDefinition) -> bool:
    """Says whether a command only asks."""
    return role_of(definition) is Role.OBSERVE


def is_dangerous(definition: CommandDefinition) -> bool:
    """Says whether the operator has to confirm a command."""
    words = definition.name.lower().split("_")
    if is_query(definition) or words[0] in STOPPING:
        return False
    return bool(DANGEROUS.intersection(words)) or "on" in words or "off" in words


def parse(text: str, parameter: ParameterDefinition, where: str) -> Any:
    """Returns the value that somebody typed, checked against type and range of its parameter.

    Args:
        text: numbers and lists as in Python; for a text parameter just the text.
        parameter: what is wanted.
        where: name of the command, for messages.

    Raises:
        CommandError: when it does not fit.
    """
    value: Any = text
    if parameter.hint is not str:
        try:
            value = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError):
            value = text.strip()
    if parameter.hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    return parameter.check(value, where)


class ArgumentField:
    """One argument: its widget, and the value in it.

    Args:
        parameter: what is wanted.
    """

    def __init__(self, parameter: ParameterDefinition) -> None:
        self.parameter = parameter
        hint = parameter.hint
        default = "" if parameter.required else _shown(parameter.default)
        about = "  ".join(
            filter(
                None, (parameter.unit, str(parameter.limits or ""), f"default {default}" if default else "")
            )
        )
        self._choices = _choices(hint)
        style = {"description_width": "12em"}
        if self._choices:
            initial = next((label for label, v in self._choices.items() if v == parameter.default), None)
            self.widget: Any = widgets.Dropdown(
                options=list(self._choices),
                value=initial or next(iter(self._choices)),
                description=parameter.name,
                style=style,
            )
        elif hint is bool:
            self.widget = widgets.Checkbox(
                value=parameter.default is True, description=parameter.name, style=style
            )
        else:
            self.widget = widgets.Text(
                placeholder=default or "must be given",
                description=parameter.name,
                style=style,
                continuous_update=False,
            )
        note = widgets.HTML(f'<span style="opacity:.75">{escape(about)}</span>')
        self.row = widgets.HBox([self.widget, note])

    def is_left_alone(self) -> bool:
        """True when the default counts."""
        return isinstance(self.widget, widgets.Text) and not self.widget.value and not self.parameter.required

    def value(self, where: str) -> Any:
        """Returns the value; raises `CommandError` when it does not fit."""
        if self._choices:
            return self._choices[self.widget.value]
        if isinstance(self.widget, widgets.Checkbox):
            return self.widget.value
        if not self.widget.value and self.parameter.required:
            raise CommandError(f"{where}: {self.parameter.label} must be given")
        return parse(self.widget.value, self.parameter, where)


def _choices(hint: Any) -> dict[str, Any]:
    if typing.get_origin(hint) is Literal:
        return {str(choice): choice for choice in typing.get_args(hint)}
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return {member.name: member for member in hint}
    return {}


def _shown(value: Any) -> str:
    return value.name if isinstance(value, enum.Enum) else repr(value)


class CommandForm(widgets.VBox):  # type: ignore[misc]
    """The arguments of one command.

    Args:
        definition: the command.
    """

    def __init__(self, definition: CommandDefinition) -> None:
        self.definition = definition
        self.fields = {p.name: ArgumentField(p) for p in definition.parameters}
        doc = escape(definition.doc.strip())
        head = widgets.HTML(
            f'<b>{escape(definition.name)}</b>{escape(str(definition.signature))}<pre style="margin:0;opacity:.85">{doc}</pre>'
        )
        super().__init__([head, *(field.row for field in self.fields.values())])

    def values(self) -> dict[str, Any]:
        """Returns the arguments that were given; raises `CommandError` when one does not fit."""
        name = self.definition.name
        return {key: field.value(name) for key, field in self.fields.items() if not field.is_left_alone()}
