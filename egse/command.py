"""The definition of a command, written once on the interface class of its device.

A method decorated with `dynamic_command` or `dynamic_interface` carries a `CommandDefinition`: its parameters with
types, units and ranges, its documentation, and how it travels to the instrument. The Proxy (client), the Controller
(server), the dry run, panels and documentation all derive from that one definition; a call on any of them ends in
`_execute_command(definition, arguments)` of the class that carries the interface.
"""

from __future__ import annotations

import inspect
import re
import string
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, Literal, ParamSpec, TypeVar

from egse.advice import did_you_mean
from egse.parameter import CommandError, ParameterDefinition, Range, Unit, split_annotation

__all__ = [
    "CommandDefinition",
    "CommandError",
    "ParameterDefinition",
    "Range",
    "Unit",
    "commands_of",
    "dynamic_command",
    "dynamic_interface",
    "split_annotation",
]

P = ParamSpec("P")
R = TypeVar("R")

CommandType = Literal["read", "write", "transaction", "query", "call"]
DEVICE_COMMAND_TYPES = ("read", "write", "transaction", "query")
DEFINITION_ATTRIBUTE = "__command__"


@dataclass(frozen=True)
class CommandDefinition:
    """Everything there is to know about one command.

    Attributes:
        name: name of the method.
        cmd_type: read, write, transaction or query for a command with a command string; call for one that the
            Controller implements as a plain method.
        cmd_string: template (`${axis}`) or, with `use_format`, format string (`{axis:.3f}`) of what goes to the device.
        process_cmd_string: makes the filled-in command string ready for sending.
        process_response: decodes the device's answer; called as `process_response(response=...)`.
        process_kwargs: turns `**kwargs` into text; the default is `key=value`, separated by blanks.
        pre_cmd, post_cmd: called before and after with the transport (section 6.6.2 of the manual).
    """

    function: Callable[..., Any]
    cmd_type: CommandType
    cmd_string: str = ""
    use_format: bool = False
    process_cmd_string: Callable[[str], str] | None = None
    process_response: Callable[..., Any] | None = None
    process_kwargs: Callable[[dict[str, Any]], str] | None = None
    pre_cmd: Callable[..., None] | None = None
    post_cmd: Callable[..., Any] | None = None

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def doc(self) -> str:
        """The documentation of the command, as written on the interface."""
        return inspect.getdoc(self.function) or ""

    @cached_property
    def signature(self) -> inspect.Signature:
        """The signature without `self`."""
        full = inspect.signature(self.function)
        return full.replace(parameters=list(full.parameters.values())[1:])

    @cached_property
    def hints(self) -> dict[str, Any]:
        """Resolved type hints, with units and ranges; key "return" for the result."""
        return typing.get_type_hints(self.function, include_extras=True)

    @cached_property
    def parameters(self) -> tuple[ParameterDefinition, ...]:
        """The named parameters in order (`**kwargs` is not among them)."""
        return tuple(
            ParameterDefinition.of(p, self.hints.get(p.name, Any))
            for p in self.signature.parameters.values()
            if p.kind is not inspect.Parameter.VAR_KEYWORD
        )

    @cached_property
    def returns(self) -> ParameterDefinition:
        """Type and unit of the result."""
        unit, limits, bare = split_annotation(self.hints.get("return", Any))
        return ParameterDefinition("return", bare, unit, limits)

    @cached_property
    def extra_arguments(self) -> str | None:
        """The name of the `**kwargs` parameter, None when there is none."""
        for parameter in self.signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                return parameter.name
        return None

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Returns all arguments by name, defaults filled in, types and ranges checked.

        Raises:
            CommandError: when an argument is missing, unknown, of the wrong type or out of range.
        """
        parameters = self.parameters
        if len(args) > len(parameters):
            raise CommandError(
                f"{self.name} takes at most {len(parameters)} arguments, got {len(args)}: {self.name}{self.signature}"
            )
        given = len(args)
        bound: dict[str, Any] = {}
        left = len(kwargs)
        for index, parameter in enumerate(parameters):
            if index < given:
                if parameter.name in kwargs:
                    raise CommandError(f"{self.name}: {parameter.label} was given twice")
                value = args[index]
            elif parameter.name in kwargs:
                value = kwargs[parameter.name]
                left -= 1
            elif parameter.default is not inspect.Parameter.empty:
                bound[parameter.name] = parameter.default
                continue
            else:
                raise CommandError(f"{self.name} needs {parameter.label}: {self.name}{self.signature}")
            bound[parameter.name] = parameter.check(value, self.name)
        if left:
            self._take_extra(kwargs, bound)
        return bound

    def _take_extra(self, kwargs: dict[str, Any], bound: dict[str, Any]) -> None:
        unknown = [key for key in kwargs if key not in bound]
        if self.extra_arguments is None:
            hint = did_you_mean(unknown[0], [p.name for p in self.parameters])
            raise CommandError(f"{self.name} has no parameter `{unknown[0]}`.{hint}")
        bound.update({key: kwargs[key] for key in unknown})

    def command_string(self, arguments: Mapping[str, Any]) -> str:
        """Returns the command string with the arguments filled in and processed, ready for the transport."""
        values = dict(arguments)
        if self.extra_arguments is not None:
            names = {p.name for p in self.parameters}
            extra = {key: values.pop(key) for key in list(values) if key not in names}
            expand = self.process_kwargs or _expand_kwargs
            values[self.extra_arguments] = expand(extra)
        if self.use_format:
            text = self.cmd_string.format(**values)
        else:
            text = string.Template(self.cmd_string).substitute(values)
        return self.process_cmd_string(text) if self.process_cmd_string else text


def _expand_kwargs(extra: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in extra.items())


def dynamic_command(
    *,
    cmd_type: Literal["read", "write", "transaction", "query"],
    cmd_string: str = "",
    use_format: bool = False,
    process_cmd_string: Callable[[str], str] | None = None,
    process_response: Callable[..., Any] | None = None,
    process_kwargs: Callable[[dict[str, Any]], str] | None = None,
    pre_cmd: Callable[..., None] | None = None,
    post_cmd: Callable[..., Any] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declares a device command on an interface class (section 6.6.2 of the manual).

    The body of the method is its docstring: what is executed follows from the arguments here.

    Args:
        cmd_type: `write` sends, `read` reads, `transaction` and `query` send and read the answer.
        cmd_string: what is sent, with `${name}` for each parameter.
        use_format: `cmd_string` is a format string (`{name:0.4f}`) instead of a template.
        process_cmd_string: pure function `text -> text`, applied to the filled-in command string.
        process_response: pure function called with `response=` (bytes); its result is the command's result.
        process_kwargs: makes text of `**kwargs`; default `key=value` separated by blanks.
        pre_cmd: called before sending with `transport=, function_name=, cmd_string=, args=, kwargs=`.
        post_cmd: called after the command with `transport=, response=`; its result is the command's result.

    Raises:
        CommandError: at definition, when the type is unknown, a placeholder has no parameter, or a callback cannot be
            called as described.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        definition = CommandDefinition(
            function,
            cmd_type,
            cmd_string,
            use_format,
            process_cmd_string,
            process_response,
            process_kwargs,
            pre_cmd,
            post_cmd,
        )
        _validate_definition(definition)
        return _carrier(function, definition)

    return decorate


def dynamic_interface(function: Callable[P, R]) -> Callable[P, R]:
    """Declares a command that the Controller implements as a plain method."""
    return _carrier(function, CommandDefinition(function, "call"))


def _carrier(function: Callable[P, R], definition: CommandDefinition) -> Callable[P, R]:
    @wraps(function)
    def command(self: Any, *args: Any, **kwargs: Any) -> Any:
        return self._execute_command(definition, args, kwargs)

    setattr(command, DEFINITION_ATTRIBUTE, definition)
    return command  # type: ignore[return-value]


_TEMPLATE_NAME = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def _placeholders(definition: CommandDefinition) -> set[str]:
    if definition.use_format:
        fields = {name for _, name, _, _ in string.Formatter().parse(definition.cmd_string) if name}
        return {re.split(r"[.\[]", name)[0] for name in fields}
    return {a or b for a, b in _TEMPLATE_NAME.findall(definition.cmd_string)}


def _validate_definition(definition: CommandDefinition) -> None:
    where = f"{definition.function.__qualname__}"
    if definition.cmd_type not in DEVICE_COMMAND_TYPES:
        raise CommandError(
            f"{where}: cmd_type must be one of {', '.join(DEVICE_COMMAND_TYPES)}, got {definition.cmd_type!r}"
        )
    unknown = _placeholders(definition) - set(definition.signature.parameters)
    if unknown:
        raise CommandError(
            f"{where}: cmd_string {definition.cmd_string!r} uses {', '.join(sorted(unknown))}, "
            f"which is no parameter of {definition.name}{definition.signature}"
        )
    for argument, keywords, positional in (
        ("process_cmd_string", (), 1),
        ("process_response", ("response",), 0),
        ("process_kwargs", (), 1),
        ("pre_cmd", ("transport", "function_name", "cmd_string", "args", "kwargs"), 0),
        ("post_cmd", ("transport", "response"), 0),
    ):
        callback = getattr(definition, argument)
        if callback is not None:
            _validate_callback(where, argument, callback, keywords, positional)


def _validate_callback(
    where: str, argument: str, callback: Any, keywords: tuple[str, ...], positional: int
) -> None:
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError) as exc:
        if not callable(callback):
            raise CommandError(f"{where}: {argument} must be callable, got {callback!r}") from exc
        return  # built-in functions without a signature
    try:
        signature.bind(*([""] * positional), **dict.fromkeys(keywords, ""))
    except TypeError as exc:
        expected = ", ".join([*["text"] * positional, *(f"{name}=" for name in keywords)])
        raise CommandError(f"{where}: {argument} must accept ({expected}): {exc}") from exc


def commands_of(interface: type) -> dict[str, CommandDefinition]:
    """Returns the commands of an interface class (or of a class that implements it), by name, base classes first."""
    found: dict[str, CommandDefinition] = {}
    for base in reversed(interface.__mro__):
        for name, member in vars(base).items():
            definition = getattr(member, DEFINITION_ATTRIBUTE, None)
            if isinstance(definition, CommandDefinition):
                found[name] = definition
    return found


URGENT_ATTRIBUTE = "__urgent__"


def urgent(function: Callable[P, R]) -> Callable[P, R]:
    """Lets a command overtake those that wait at its server: for `stop` and its like; stands above the declaration."""
    setattr(function, URGENT_ATTRIBUTE, True)
    return function


def is_urgent(interface: type, name: str) -> bool:
    """Returns True when the interface declares the command as urgent."""
    return any(getattr(vars(base).get(name), URGENT_ATTRIBUTE, False) for base in interface.__mro__)
