"""The definition of a command, written once on the interface class of its device.

A method decorated with `dynamic_command` or `dynamic_interface` carries a `CommandDefinition`: its parameters with
types, units and ranges, its documentation, and how it travels to the instrument. The Proxy (client), the Controller
(server), the dry run, panels and documentation all derive from that one definition; a call on any of them ends in
`_execute_command(definition, arguments)` of the class that carries the interface.
"""

from __future__ import annotations

import enum
import inspect
import re
import string
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, wraps
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin

from egse.advice import did_you_mean

P = ParamSpec("P")
R = TypeVar("R")

CommandType = Literal["read", "write", "transaction", "query", "call"]
DEVICE_COMMAND_TYPES = ("read", "write", "transaction", "query")
DEFINITION_ATTRIBUTE = "__command__"


class CommandError(ValueError):
    """A command was defined or called in a way that cannot work; nothing has been sent."""


@dataclass(frozen=True, slots=True)
class Unit:
    """Unit of a parameter or result, as text that `astropy.units` understands where possible ("deg", "K", "V")."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Range:
    """Allowed range of a number, both ends included; None leaves an end open."""

    minimum: float | None = None
    maximum: float | None = None

    def __contains__(self, value: float) -> bool:
        return (self.minimum is None or value >= self.minimum) and (
            self.maximum is None or value <= self.maximum
        )

    def __str__(self) -> str:
        low = "-inf" if self.minimum is None else f"{self.minimum:g}"
        high = "+inf" if self.maximum is None else f"{self.maximum:g}"
        return f"[{low}, {high}]"


Check = Callable[[Any], Any]


class _Refused(Exception):
    """Carries the reason why a value does not fit, without the parameter's name."""


def _check_float(value: Any) -> Any:
    if isinstance(value, float):
        return value
    if isinstance(value, bool) or not hasattr(value, "__float__"):
        raise _Refused("expected a number")
    return value if isinstance(value, int) else float(value)


def _check_int(value: Any) -> Any:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise _Refused("expected a whole number")
    return value if type(value) is int else value.__index__()


def _check_bool(value: Any) -> Any:
    if value is True or value is False:
        return value
    if type(value).__module__ == "numpy" and type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise _Refused("expected True or False")


def _check_str(value: Any) -> Any:
    if isinstance(value, str):
        return value
    raise _Refused("expected text")


_SIMPLE_CHECKS: dict[Any, Check] = {
    float: _check_float,
    int: _check_int,
    bool: _check_bool,
    str: _check_str,
}


def _check_literal(choices: tuple[Any, ...]) -> Check:
    def check(value: Any) -> Any:
        if value not in choices:
            raise _Refused("expected one of " + ", ".join(map(repr, choices)))
        return value

    return check


def _check_enum(kind: type[enum.Enum]) -> Check:
    def check(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        try:
            return kind(value)
        except ValueError:
            pass
        if isinstance(value, str) and value in kind.__members__:
            return kind[value]
        members = ", ".join(f"{kind.__name__}.{name}" for name in kind.__members__)
        raise _Refused(f"expected one of {members}")

    return check


def _check_list(item: Check | None, kind: str) -> Check:
    def check(value: Any) -> Any:
        if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__len__"):
            raise _Refused(f"expected a {kind}")
        values = list(value)
        return values if item is None else [item(element) for element in values]

    return check


def _check_mapping(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise _Refused("expected a dictionary")
    return value


def _check_union(checks: list[Check | None], optional: bool) -> Check | None:
    if any(check is None for check in checks):
        return None

    def check(value: Any) -> Any:
        if value is None and optional:
            return None
        reasons = []
        for candidate in checks:
            try:
                return candidate(value)  # type: ignore[misc]
            except _Refused as exc:
                reasons.append(str(exc))
        raise _Refused(" or ".join(dict.fromkeys(reasons)))

    return check


def _check_for(hint: Any) -> Check | None:
    """Returns the function that checks (and normalises) a value of this type hint, None when anything goes."""
    if hint in _SIMPLE_CHECKS:
        return _SIMPLE_CHECKS[hint]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return _check_literal(args)
    if origin in (Union, types.UnionType):
        members = [a for a in args if a is not type(None)]
        return _check_union([_check_for(member) for member in members], len(members) < len(args))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return _check_enum(hint)
    if hint in (list, tuple) or origin in (list, tuple):
        item = _check_for(args[0]) if args and origin is list else None
        return _check_list(item, "list")
    if hint is dict or origin is dict:
        return _check_mapping
    if origin is typing.Annotated:
        return _check_for(args[0])
    return None


def _ranged(check: Check | None, limits: Range) -> Check:
    def ranged(value: Any) -> Any:
        if check is not None:
            value = check(value)
        if value is not None and value not in limits:
            raise _Refused(f"must be in {limits}")
        return value

    return ranged


@dataclass(frozen=True)
class ParameterDefinition:
    """One parameter of a command or building block: name, type, unit, range and default."""

    name: str
    hint: Any = Any
    unit: str = ""
    limits: Range | None = None
    default: Any = inspect.Parameter.empty
    _check: Check | None = field(default=None, repr=False, compare=False)

    @classmethod
    def of(cls, parameter: inspect.Parameter, hint: Any) -> ParameterDefinition:
        """Reads name, type, unit, range and default off a parameter with its resolved type hint."""
        unit, limits, bare = split_annotation(hint)
        check = _check_for(bare)
        if limits is not None:
            check = _ranged(check, limits)
        return cls(parameter.name, bare, unit, limits, parameter.default, check)

    @property
    def required(self) -> bool:
        """True when the parameter has no default."""
        return self.default is inspect.Parameter.empty

    @property
    def label(self) -> str:
        """The name with its unit: "`temperature` [degC]"."""
        return f"`{self.name}` [{self.unit}]" if self.unit else f"`{self.name}`"

    def check(self, value: Any, where: str) -> Any:
        """Returns the value, normalised to the parameter's type.

        Raises:
            CommandError: when the value does not have the type or is out of range; `where` names the command.
        """
        if self._check is None:
            return value
        try:
            return self._check(value)
        except _Refused as exc:
            unit = f" {self.unit}" if self.unit else ""
            raise CommandError(f"{where}: {self.label} {exc}{unit}, got {value!r}") from None


def split_annotation(hint: Any) -> tuple[str, Range | None, Any]:
    """Splits `Annotated[float, Range(0, 10), Unit("deg")]` into unit, range and bare type."""
    unit, limits = "", None
    if get_origin(hint) is typing.Annotated:
        bare, *extras = get_args(hint)
        for extra in extras:
            if isinstance(extra, Unit):
                unit = extra.name
            elif isinstance(extra, Range):
                limits = extra
        return unit, limits, bare
    return unit, limits, hint


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
