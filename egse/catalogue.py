"""The command catalogue of a control server: commands as plain data, and a Proxy's commands made of such data.

`describe_command` is what a server tells about a command, `definition_of` makes the same definition of it again.
Command YAML files (`egse.commandfile`) have the same entries for their arguments.
"""

from __future__ import annotations

import inspect
import logging
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from egse.advice import did_you_mean
from egse.command import (
    ClientServerCommand,
    CommandDefinition,
    CommandError,
    Range,
    Unit,
    command_method,
)
from egse.parameter import ParameterDefinition

logger = logging.getLogger(__name__)

QUICK_LOOK = 0.5
"""How long a Proxy that loads its commands waits for its control server when it is made [s]."""

TYPES: dict[str, Any] = {
    "float": float,
    "int": int,
    "bool": bool,
    "str": str,
    "list": list,
    "dict": dict,
    "any": Any,
}
"""Types of arguments in catalogues and command files; anything else is checked by the server only."""


class CommandsNotLoadedError(NotImplementedError, AttributeError):
    """A command was called that its Proxy has not loaded from the control server (section 6.2 of the manual)."""


def describe_command(definition: CommandDefinition) -> dict[str, Any]:
    """Returns a command as plain data: name, type, signature, documentation, parameters with units and ranges."""
    return {
        "name": definition.name,
        "type": definition.cmd_type,
        "signature": f"{definition.name}{definition.signature}",
        "doc": definition.doc,
        "parameters": [describe_parameter(p, definition.signature) for p in definition.parameters],
        "extra_arguments": definition.extra_arguments or "",
        "unit": definition.returns.unit,
        "needs_setup": definition.needs_setup,
    }


def describe_parameter(parameter: ParameterDefinition, signature: inspect.Signature) -> dict[str, Any]:
    """Returns a parameter as plain data; `default` is there only when it is plain itself."""
    limits = parameter.limits
    entry = {
        "name": parameter.name,
        "type": _type_name(parameter.hint),
        "unit": parameter.unit,
        "range": str(limits or ""),
        "limits": [limits.minimum, limits.maximum] if limits else None,
        "required": parameter.required,
        "keyword": signature.parameters[parameter.name].kind is inspect.Parameter.KEYWORD_ONLY,
    }
    if get_origin(parameter.hint) is Literal:
        entry["choices"] = list(get_args(parameter.hint))
    default = getattr(parameter.default, "value", parameter.default)  # an enumeration travels by value
    if not parameter.required and _is_plain(default):
        entry["default"] = default
    return entry


def _type_name(hint: Any) -> str:
    bare = get_origin(hint) or hint
    return next((name for name, kind in TYPES.items() if kind is bare), "any")


def _is_plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    return value is None or type(value) in (bool, int, float, str)


def parameter_of(entry: Mapping[str, Any]) -> inspect.Parameter:
    """Makes a parameter of its entry.

    Args:
        entry: `name`; optional `type`, `unit`, `limits` ([minimum, maximum], None leaves an end open), `choices`,
            `default`, `keyword`.

    Raises:
        CommandError: when the entry makes no sense.
    """
    name = entry["name"]
    hint = TYPES.get(entry.get("type", "any"))
    if hint is None:
        raise CommandError(f"`{name}`: no type {entry['type']!r}.{did_you_mean(str(entry['type']), TYPES)}")
    if entry.get("choices"):
        hint = Literal[tuple(entry["choices"])]
    if entry.get("unit"):
        hint = Annotated[hint, Unit(str(entry["unit"]))]
    if entry.get("limits"):
        hint = Annotated[hint, _range_of(name, entry["limits"])]
    kind = inspect.Parameter.KEYWORD_ONLY if entry.get("keyword") else inspect.Parameter.POSITIONAL_OR_KEYWORD
    try:
        default = entry.get("default", inspect.Parameter.empty)
        return inspect.Parameter(name, kind, default=default, annotation=hint)
    except ValueError as exc:
        raise CommandError(f"{name!r} cannot be the name of an argument: {exc}") from exc


def _range_of(name: str, limits: Any) -> Range:
    numbers = isinstance(limits, Sequence) and all(
        item is None or (isinstance(item, int | float) and not isinstance(item, bool)) for item in limits
    )
    if not numbers or len(limits) != 2:
        raise CommandError(f"`{name}`: a range is [minimum, maximum], got {limits!r}")
    return Range(*limits)


def make_function(
    name: str,
    doc: str,
    parameters: Sequence[inspect.Parameter],
    returns: Any = Any,
    owner: str = "",
) -> Callable[..., Any]:
    """Returns a function with this name, documentation and signature, for a `CommandDefinition`; it is never executed.

    Raises:
        CommandError: when the parameters cannot stand in this order.
    """

    def declaration(self: Any, *args: Any, **kwargs: Any) -> Any:
        raise CommandError(f"{name} is a declaration only")

    self_parameter = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    try:
        signature = inspect.Signature([self_parameter, *parameters], return_annotation=returns)
    except ValueError as exc:
        raise CommandError(f"{name}: {exc}") from exc
    declaration.__name__ = name
    declaration.__qualname__ = f"{owner}.{name}" if owner else name
    declaration.__doc__ = doc
    declaration.__signature__ = signature  # type: ignore[attr-defined]
    declaration.__annotations__ = {
        p.name: Any if p.annotation is inspect.Parameter.empty else p.annotation for p in parameters
    } | {"return": returns}
    return declaration


def definition_of(entry: Mapping[str, Any], owner: str = "") -> CommandDefinition:
    """Makes the definition of a command of what a server tells about it.

    Args:
        entry: as from `describe_command`.
        owner: name of the class that gets the command, for messages.
    """
    parameters = [parameter_of(item) for item in entry["parameters"]]
    if entry.get("extra_arguments"):
        parameters.append(inspect.Parameter(entry["extra_arguments"], inspect.Parameter.VAR_KEYWORD))
    returns: Any = Annotated[Any, Unit(entry["unit"])] if entry.get("unit") else Any
    return CommandDefinition(
        make_function(entry["name"], entry.get("doc", ""), parameters, returns, owner), "call"
    )


class LoadedCommands:
    """The part of a Proxy that gets commands from its control server (sections 6.2 and 6.6.1 of the manual)."""

    _commands: Mapping[str, ClientServerCommand] = types.MappingProxyType({})
    commands_loaded = False
    """True once `load_commands` has succeeded."""
    loads_at_start: ClassVar[bool] = True
    """False for a class that has its commands from an interface."""

    def __init_subclass__(cls, *, is_base: bool = False, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.loads_at_start and not is_base:
            # Not here for all: a class with `__getattr__` pays for it at every attribute, also at those that it has.
            cls.__getattr__ = _missing  # type: ignore[attr-defined]

    def _fetch_catalogue(self) -> list[dict[str, Any]]:
        """Asks the control server for its command catalogue."""
        return []

    def _where(self) -> str:
        """Returns the endpoint of the control server, for messages."""
        return "its endpoint"

    def _is_reachable(self, timeout: float) -> bool:
        """Returns True when the control server accepts a connection within `timeout` [s]."""
        return False

    def _load_if_reachable(self) -> None:
        """Loads the commands, or logs that there are none (sections 6.2 and 6.6.2 of the manual)."""
        try:
            if self._is_reachable(QUICK_LOOK):
                self.load_commands()
                return
        except (OSError, KeyError) as exc:
            logger.debug("%s: %s", type(self).__name__, exc)
        logger.warning(
            "%s could not connect to its control server at %s. No commands have been loaded.",
            type(self).__name__,
            self._where(),
        )

    def load_commands(self) -> list[str]:
        """Asks the control server for its commands and adds those that the class does not declare.

        A method that the class defines itself is never replaced; a warning is logged instead.

        Returns:
            The names of the commands that were added.

        Raises:
            ConnectionError: when the control server is not there; commands loaded before stay.
        """
        entries = self._fetch_catalogue()
        owner = type(self).__name__
        commands: dict[str, ClientServerCommand] = {}
        for entry in entries:
            name = entry["name"]
            attribute = getattr(type(self), name, None)
            if name.startswith("_") or (name in vars(self) and name not in self._commands):
                continue
            if attribute is None:
                commands[name] = ClientServerCommand(definition_of(entry, owner))
            elif not hasattr(attribute, "__command__"):
                logger.warning(
                    "%s.%s is defined by the class and not replaced by the command of the control server",
                    owner,
                    name,
                )
        for name in self._commands:
            self.__dict__.pop(name, None)
        self._commands = commands
        self._carry_commands()
        self.commands_loaded = True
        return list(commands)

    def _carry_commands(self) -> None:
        """Makes the loaded commands methods of this object; a copy has to do it again."""
        for name, command in self._commands.items():
            self.__dict__[name] = types.MethodType(command_method(command.definition), self)

    def _require_loaded(self, name: str) -> None:
        if not self.commands_loaded:
            raise CommandsNotLoadedError(
                f"{type(self).__name__}.{name}: the commands of the control server at {self._where()} have not been "
                "loaded; call load_commands() when it is running"
            )

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._commands})


def _missing(self: LoadedCommands, name: str) -> Any:
    """Says what to do about a command that is not there; the `__getattr__` of classes that load their commands."""
    if not name.startswith("_"):
        self._require_loaded(name)
    hint = "" if name.startswith("_") else did_you_mean(name, self._commands)
    raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}.{hint}", name=name, obj=self)
