"""Mistakes in the definition of a command, found when the interface class is defined (section 6.6.2 of the manual).

Every message names class and method and the argument of the decorator that is wrong.
"""

from __future__ import annotations

import inspect
import re
import string
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from egse.parameter import CommandError

if TYPE_CHECKING:
    from egse.command import CommandDefinition

DEVICE_COMMAND_TYPES = ("read", "write", "transaction", "query")

CALLBACKS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("process_cmd_string", (), 1),
    ("process_response", ("response",), 0),
    ("process_kwargs", (), 1),
    ("pre_cmd", ("transport", "function_name", "cmd_string", "args", "kwargs"), 0),
    ("post_cmd", ("transport", "response"), 0),
)
"""How the functions of a definition are called: keyword arguments and number of positional ones."""


def command_label(function: Callable[..., Any]) -> str:
    """Returns `Class.method` for messages."""
    return function.__qualname__.rpartition("<locals>.")[2]


def placeholders(text: str, use_format: bool) -> list[str]:
    """Returns the names that a command string fills in, in order, each once.

    Raises:
        ValueError: when the text is no valid template or format string, or a field has no name.
    """
    if not use_format:
        template = string.Template(text)
        if not template.is_valid():
            raise ValueError("a `$` that starts no placeholder is written `$$`")
        return template.get_identifiers()
    fields = [name for _, name, _, _ in string.Formatter().parse(text) if name is not None]
    names = [re.split(r"[.\[]", name)[0] for name in fields]
    if any(not name.isidentifier() for name in names):
        raise ValueError("every `{...}` needs the name of a parameter")
    return list(dict.fromkeys(names))


def check_parameters(function: Callable[..., Any]) -> None:
    """Refuses parameters that cannot travel by name.

    Raises:
        CommandError: when `self` is missing, or there is a positional-only parameter or `*args`.
    """
    where = command_label(function)
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].name != "self":
        raise CommandError(f"{where}: a command is a method, its first parameter must be `self`")
    for parameter in parameters[1:]:
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            raise CommandError(
                f"{where}: `{parameter}` cannot travel by name, give every parameter a name of its own"
            )


def check_definition(definition: CommandDefinition) -> None:
    """Checks a command with a command string.

    Raises:
        CommandError: when the type is unknown, the command string does not fit the parameters, or a callback cannot be
            called as described.
    """
    where = command_label(definition.function)
    if definition.cmd_type not in DEVICE_COMMAND_TYPES:
        raise CommandError(
            f"{where}: cmd_type must be one of {', '.join(DEVICE_COMMAND_TYPES)}, got {definition.cmd_type!r}"
        )
    check_parameters(definition.function)
    used = _check_command_string(where, definition)
    for argument, keywords, positional in CALLBACKS:
        callback = getattr(definition, argument)
        if callback is not None:
            _check_callback(where, argument, callback, keywords, positional)
    _check_all_used(where, definition, used)


def _check_command_string(where: str, definition: CommandDefinition) -> list[str]:
    if not isinstance(definition.cmd_string, str):
        raise CommandError(f"{where}: cmd_string must be text, got {definition.cmd_string!r}")
    try:
        used = placeholders(definition.cmd_string, definition.use_format)
    except ValueError as exc:
        raise CommandError(f"{where}: cmd_string {definition.cmd_string!r} is not valid: {exc}") from exc
    unknown = set(used) - set(definition.signature.parameters)
    if unknown:
        raise CommandError(
            f"{where}: cmd_string {definition.cmd_string!r} uses {', '.join(sorted(unknown))}, "
            f"which is no parameter of {definition.name}{definition.signature}"
        )
    return used


def _check_all_used(where: str, definition: CommandDefinition, used: list[str]) -> None:
    """Refuses a parameter that would be dropped without a word; only `pre_cmd` sees arguments besides the string."""
    dropped = [name for name in definition.signature.parameters if name not in used]
    if dropped and definition.pre_cmd is None:
        raise CommandError(
            f"{where}: cmd_string {definition.cmd_string!r} does not use {', '.join(dropped)}, which the device would "
            "never get"
        )


def _check_callback(
    where: str, argument: str, callback: Any, keywords: tuple[str, ...], positional: int
) -> None:
    if not callable(callback):
        raise CommandError(f"{where}: {argument} must be callable, got {callback!r}")
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):
        return  # built-in functions without a signature
    try:
        signature.bind(*([""] * positional), **dict.fromkeys(keywords, ""))
    except TypeError as exc:
        expected = ", ".join([*["text"] * positional, *(f"{name}=" for name in keywords)])
        raise CommandError(f"{where}: {argument} must accept ({expected}): {exc}") from exc
