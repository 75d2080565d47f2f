"""The control servers of installed packages by name: their declarations, and which of their commands only ask."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from egse.command import commands_of
from egse.security.roles import Role, role_of

if TYPE_CHECKING:
    from egse.control import ControlServerApp

APP_GROUP = "egse.control_server"


class DryRunError(RuntimeError):
    """Something was asked of a dry run that it cannot answer."""


@cache
def _declared() -> dict[str, EntryPoint]:
    """Returns all declarations by name; looking through all that is installed takes tens of milliseconds."""
    return {entry.name: entry for entry in entry_points(group=APP_GROUP)}


@cache
def find_app(server: str) -> ControlServerApp:
    """Returns the declaration of a control server by its name; looked up once, for each command asks for it.

    Raises:
        DryRunError: when no installed package declares it.
    """
    entry = _declared().get(server)
    if entry is None:
        _declared.cache_clear()  # a package may have been installed since
        entry = _declared().get(server)
    if entry is not None:
        app: ControlServerApp = entry.load()
        return app
    raise DryRunError(
        f"no installed package declares the control server `{server}` (entry point group {APP_GROUP}), so a dry run "
        "has no model for it"
    )


@cache
def is_query(server: str, command: str) -> bool:
    """Returns True when a command of a server only asks; False for one that is not known here."""
    try:
        definition = commands_of(find_app(server).interface).get(command)
    except DryRunError:
        return False
    return definition is not None and role_of(definition) is Role.OBSERVE


@cache
def _enumerations(server: str, command: str) -> dict[str, type[Enum]]:
    """Returns which arguments of a command are members of which enumeration; none for one that is not known here."""
    try:
        definition = commands_of(find_app(server).interface).get(command)
    except DryRunError:
        return {}
    parameters = () if definition is None else definition.parameters
    return {p.name: p.hint for p in parameters if isinstance(p.hint, type) and issubclass(p.hint, Enum)}


def readable(server: str, command: str, arguments: Mapping[str, Any]) -> dict[str, str]:
    """Returns the arguments of a command as text; where it takes an enumeration, the name stands for a recorded value."""
    kinds = _enumerations(server, command) if server else {}
    return {name: _text(kinds.get(name), value) for name, value in arguments.items()}


def _text(kind: type[Enum] | None, value: Any) -> str:
    try:
        return repr(value if kind is None else kind(value).name)
    except ValueError:
        return repr(value)
