"""The definition of a command, written once on the interface class of its device.

A method decorated with `dynamic_command` or `dynamic_interface` carries a `CommandDefinition`: its parameters with
types, units and ranges, its documentation, and how it travels to the instrument. The Proxy (client), the Controller
(server), the dry run, panels and documentation all derive from that one definition; a call on any of them ends in
`_execute_command(definition, arguments)` of the class that carries the interface.
"""

from __future__ import annotations

import inspect
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, wraps
from typing import Any, Literal, ParamSpec, TypeVar

import msgspec

from egse.advice import did_you_mean
from egse.command_check import (
    check_annotations,
    check_definition,
    check_method,
    checked_parameters,
    fill_problem,
    names_mistakes,
    resolved_hints,
)
from egse.parameter import CommandError, ParameterDefinition, Range, Unit, split_annotation
from egse.typedargs import ArgumentCodec, argument_codec
from egse.wire import DECODING_ERRORS, WireError, decode_value, encode

__all__ = [
    "ClientServerCommand",
    "CommandDefinition",
    "CommandError",
    "ParameterDefinition",
    "Range",
    "Unit",
    "command_method",
    "commands_of",
    "dynamic_command",
    "dynamic_interface",
    "needs_setup",
    "split_annotation",
    "urgent",
]

P = ParamSpec("P")
R = TypeVar("R")

CommandType = Literal["read", "write", "transaction", "query", "call"]
DEFINITION_ATTRIBUTE = "__command__"
_PLAIN_RESULTS = (Any, None, type(None), float, int, str, bool, bytes, dict, list)
INTERFACE_MARKER = "__dynamic_interface"
"""Attribute of every method that `dynamic_interface` decorated (section 6.6.1 of the manual)."""


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
        description: documentation, for a method that has none of its own.
        device_method: the Controller's method that implements a command of type call; empty when it has the
            command's name. The `cmd_string` of a call is text for the Controller, see `ClientServerCommand`.
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
    description: str = ""
    device_method: str = ""

    @cached_property
    def name(self) -> str:
        """The name of the command."""
        return self.function.__name__

    @property
    def doc(self) -> str:
        """The documentation of the command, as written on the interface."""
        return inspect.getdoc(self.function) or self.description

    @cached_property
    def full_signature(self) -> inspect.Signature:
        """The signature with `self`."""
        return inspect.signature(self.function)

    @cached_property
    def signature(self) -> inspect.Signature:
        """The signature without `self`."""
        full = self.full_signature
        return full.replace(parameters=list(full.parameters.values())[1:])

    @cached_property
    def hints(self) -> dict[str, Any]:
        """Resolved type hints, with units and ranges; key "return" for the result."""
        return resolved_hints(self.function)

    @cached_property
    def parameters(self) -> tuple[ParameterDefinition, ...]:
        """The named parameters in order (`**kwargs` is not among them), checked for mistakes in the definition."""
        return checked_parameters(self)

    @cached_property
    def returns(self) -> ParameterDefinition:
        """Type and unit of the result."""
        unit, limits, bare = split_annotation(self.hints.get("return", Any))
        return ParameterDefinition("return", bare, unit, limits)

    @cached_property
    def converts_result(self) -> bool:
        """True when the result has a type of its own (enumeration, struct, tuple), made from what came by wire."""
        hint = self.returns.hint
        return hint not in _PLAIN_RESULTS and "numpy" not in getattr(hint, "__module__", "") + repr(hint)

    @cached_property
    def needs_setup(self) -> bool:
        """True when the meaning of the command depends on the Setup, see `needs_setup`."""
        return bool(getattr(self.function, NEEDS_SETUP_ATTRIBUTE, False))

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

    @cached_property
    def codec(self) -> ArgumentCodec | None:
        """The quick way to check the arguments; None when it cannot check all of them."""
        return None if self.extra_arguments else argument_codec(self.name, self.parameters)

    def pack(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Returns all arguments by name, checked as by `bind`, as a `Request` takes them: encoded, or about to be.

        Raises:
            CommandError: when an argument is missing, unknown, of the wrong type or out of range.
            WireError: when one cannot travel.
        """
        codec = self.codec
        if codec is not None and len(args) + len(kwargs) == len(codec.names):
            named = kwargs
            if args:
                named = dict(zip(codec.names, args))
                if kwargs:
                    named.update(kwargs)
            try:
                return msgspec.convert(named, codec.struct)
            except DECODING_ERRORS:
                pass  # to be normalised, or wrong: the slower way tells
        return msgspec.Raw(encode(self.bind(args, kwargs)))

    def unpack(self, packed: bytes | msgspec.Raw) -> dict[str, Any]:
        """Returns all arguments by name out of a `Request`, defaults filled in, types and ranges checked.

        Raises:
            CommandError: when they do not fit, or are no arguments at all.
        """
        if self.codec is not None:
            try:
                return msgspec.structs.asdict(self.codec.decode(packed))
            except DECODING_ERRORS:
                pass  # the slower way tells what is wrong
        try:
            arguments = decode_value(bytes(packed))
        except WireError as exc:
            raise CommandError(f"{self.name}: the arguments are unreadable ({exc})") from exc
        if not isinstance(arguments, dict) or not all(type(name) is str for name in arguments):
            raise CommandError(f"{self.name}: the arguments must be a map by name, got {arguments!r}")
        return self.bind((), arguments)

    def _take_extra(self, kwargs: dict[str, Any], bound: dict[str, Any]) -> None:
        unknown = [key for key in kwargs if key not in bound]
        if self.extra_arguments is None:
            hint = did_you_mean(unknown[0], [p.name for p in self.parameters])
            raise CommandError(f"{self.name} has no parameter `{unknown[0]}`.{hint}")
        bound.update({key: kwargs[key] for key in unknown})

    def command_string(self, arguments: Mapping[str, Any]) -> str:
        """Returns the command string with the arguments filled in and processed, ready for the transport.

        Raises:
            CommandError: when an argument cannot be written in the format that the command string gives it.
        """
        values = dict(arguments)
        if self.extra_arguments is not None:
            names = {p.name for p in self.parameters}
            extra = {key: values.pop(key) for key in list(values) if key not in names}
            expand = self.process_kwargs or _expand_kwargs
            values[self.extra_arguments] = expand(extra)
        if self.use_format:
            try:
                text = self.cmd_string.format(**values)
            except Exception as exc:  # a value may bring a format of its own
                raise CommandError(f"{self.name}: {fill_problem(self.cmd_string, values)}") from exc
        else:
            text = string.Template(self.cmd_string).substitute(values)
        return self.process_cmd_string(text) if self.process_cmd_string else text


def _expand_kwargs(extra: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in extra.items())


@names_mistakes
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
        pre_cmd: called before sending with `transport=, function_name=, cmd_string=, args=, kwargs=`; what it returns
            is not used. `args` and `kwargs` are those of the call of the Controller: a control server passes all
            arguments by name, defaults included.
        post_cmd: called after the command with `transport=, response=`; its result is the command's result.

    Raises:
        CommandError: at definition, when the type is unknown, the command string is missing or not valid, a placeholder
            has no parameter or a parameter no placeholder, an argument has no meaning for the type, or a callback cannot
            be called as described; then or as soon as annotations can be read, when one makes no sense, a default does
            not fit it, or it does not fit the command string.
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
        check_method(definition)
        check_definition(definition)
        check_annotations(definition)
        return command_method(definition)

    return decorate


@names_mistakes
def dynamic_interface(function: Callable[P, R]) -> Callable[P, R]:
    """Declares a command that the Controller implements as a plain method (section 6.6.1 of the manual).

    The body of the method is its docstring; `raise NotImplementedError` may follow, it is never executed.

    Raises:
        CommandError: at definition, when it is no method, or a parameter cannot travel by name; then or as soon as
            annotations can be read, when one makes no sense or a default does not fit it.
    """
    definition = CommandDefinition(function, "call")
    check_method(definition)
    check_annotations(definition)
    method: Callable[P, R] = command_method(definition)
    setattr(method, INTERFACE_MARKER, True)
    return method


def command_method(definition: CommandDefinition) -> Callable[..., Any]:
    """Returns the method that an interface class carries for a command.

    A call on a Proxy or on a Controller with `DynamicCommandMixin` ends in their `_execute_command`. A Controller
    without the mixin has methods of its own; only a command with another `device_method` comes by here, and one that it
    does not implement.
    """

    @wraps(definition.function)
    def command(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            execute = self._execute_command
        except AttributeError:
            raise NotImplementedError(
                f"{type(self).__name__}.{definition.name}: the class is neither a Proxy nor has DynamicCommandMixin, and "
                "does not implement this command"
            ) from None
        return execute(definition, args, kwargs)

    @wraps(definition.function)
    def alias(self: Any, *args: Any, **kwargs: Any) -> Any:
        if hasattr(self, "_execute_command"):
            return self._execute_command(definition, args, kwargs)
        return getattr(self, definition.device_method)(*args, **kwargs)

    method = alias if definition.device_method not in ("", definition.name) else command
    setattr(method, DEFINITION_ATTRIBUTE, definition)
    return method


class ClientServerCommand:
    """A command with its client and its server side, as in section 6.6.1 of the manual.

    It is a view of the command's definition and has no rules of its own.

    Args:
        definition: the command.
    """

    def __init__(self, definition: CommandDefinition) -> None:
        self.definition = definition

    def __repr__(self) -> str:
        return f"<ClientServerCommand {self.get_name()}{self.definition.signature}>"

    def get_name(self) -> str:
        """Returns the name of the command."""
        return self.definition.name

    def get_device_method_name(self) -> str:
        """Returns the name of the Controller's method."""
        return self.definition.device_method or self.definition.name

    def get_cmd_string(self, *args: Any, **kwargs: Any) -> str:
        """Returns the command string with the arguments filled in.

        Raises:
            CommandError: when the arguments do not fit.
        """
        return self.definition.command_string(self.definition.bind(args, kwargs))

    def validate_arguments(self, *args: Any, **kwargs: Any) -> None:
        """Checks number, names, types and ranges of arguments.

        Raises:
            CommandError: when the arguments do not fit; the text says which and why.
        """
        self.definition.bind(args, kwargs)

    def client_call(self, other: Any, *args: Any, **kwargs: Any) -> Any:
        """Sends the command from a client.

        Args:
            other: the Proxy.
            *args: positional arguments of the command.
            **kwargs: arguments by name.

        Returns:
            The result of the command.

        Raises:
            CommandError: when the arguments do not fit; nothing was sent.
            Exception: what the Proxy raises for a missing server or the server for a failed command.
        """
        return other._execute_command(self.definition, args, kwargs)

    def server_call(self, other: Any, *args: Any, **kwargs: Any) -> Any:
        """Executes the command in a server.

        Args:
            other: the Protocol, or the Controller itself.
            *args: positional arguments of the command.
            **kwargs: arguments by name.

        Returns:
            What the Controller's method returns.

        Raises:
            CommandError: when the arguments do not fit; the Controller was not called.
        """
        arguments = self.definition.bind(args, kwargs)
        controller = getattr(other, "controller", other)
        return getattr(controller, self.get_device_method_name())(**arguments)


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
NEEDS_SETUP_ATTRIBUTE = "__needs_setup__"


def urgent(function: Callable[P, R]) -> Callable[P, R]:
    """Lets a command overtake those that wait at its server: for `stop` and its like; stands above the declaration."""
    setattr(function, URGENT_ATTRIBUTE, True)
    return function


def is_urgent(interface: type, name: str) -> bool:
    """Returns True when the interface declares the command as urgent."""
    return any(getattr(vars(base).get(name), URGENT_ATTRIBUTE, False) for base in interface.__mro__)


def needs_setup(function: Callable[P, R]) -> Callable[P, R]:
    """Marks a command whose meaning depends on the Setup: it is refused when it was issued under another Setup than the
    one that its server knows to be loaded (`egse.setupwatch`); stands above the declaration."""
    definition = getattr(function, DEFINITION_ATTRIBUTE, None)
    setattr(function if definition is None else definition.function, NEEDS_SETUP_ATTRIBUTE, True)
    return function
