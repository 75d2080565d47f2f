"""Mistakes in the definition of a command, found when the interface class is defined (section 6.6.2 of the manual).

Every message names class and method and the argument that is wrong, of the decorator or of the method. What depends on
the annotations (ranges, defaults, formats) is checked together with them: at definition when their names are known by
then, otherwise when the class of a Controller is defined, or at the first use.
"""

from __future__ import annotations

import enum
import inspect
import math
import re
import string
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, wraps
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

from egse.advice import did_you_mean
from egse.parameter import CommandError, ParameterDefinition, Range, Unit

if TYPE_CHECKING:
    from egse.command import CommandDefinition

D = TypeVar("D", bound=Callable[..., Any])

DEVICE_COMMAND_TYPES = ("read", "write", "transaction", "query")

CALLBACKS: tuple[tuple[str, tuple[str, ...], int], ...] = (
    ("process_cmd_string", (), 1),
    ("process_response", ("response",), 0),
    ("process_kwargs", (), 1),
    ("pre_cmd", ("transport", "function_name", "cmd_string", "args", "kwargs"), 0),
    ("post_cmd", ("transport", "response"), 0),
)
"""How the functions of a definition are called: keyword arguments and number of positional ones."""


_FILL_ERRORS = (ValueError, TypeError, AttributeError, LookupError, ArithmeticError)
"""What `str.format` raises for a value that does not fit its field."""


def command_label(function: Any) -> str:
    """Returns `Class.method` for messages, also for a property or a static method."""
    function = getattr(function, "fget", None) or getattr(function, "__func__", None) or function
    return str(getattr(function, "__qualname__", repr(function))).rpartition("<locals>.")[2]


# Decorators used in the wrong way ----------------------------------------------------------------------------------


def names_mistakes(decorator: D) -> D:
    """Lets a wrong call of a decorator raise CommandError where the method is known, so that the message names it."""

    @wraps(decorator)
    def called(*args: Any, **kwargs: Any) -> Any:
        try:
            return decorator(*args, **kwargs)
        except TypeError:
            problem = _misuse(decorator, args, kwargs)
            if not problem:
                raise

        def refuse(function: Any) -> Any:
            raise CommandError(f"{command_label(function)}: {problem}")

        # A function that stands alone is what `@dynamic_command` without parentheses decorates.
        return refuse(args[0]) if len(args) == 1 and callable(args[0]) else refuse

    return called  # type: ignore[return-value]


def _misuse(decorator: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """Returns what is wrong with the call of a decorator, an empty text when it fits."""
    name, signature = decorator.__name__, inspect.signature(decorator)
    try:
        signature.bind(*args, **kwargs)
    except TypeError:
        pass
    else:
        return ""
    known = [p.name for p in signature.parameters.values() if p.kind is inspect.Parameter.KEYWORD_ONLY]
    if not known:
        return f"@{name} is written without parentheses"
    if args:
        return (
            f"@{name} needs parentheses with its arguments by name: @{name}({known[0]}=..., {known[1]}=...)"
        )
    unknown = [key for key in kwargs if key not in known]
    if unknown:
        return f"@{name} has no argument `{unknown[0]}`.{did_you_mean(unknown[0], known)}"
    return f"@{name} needs {known[0]}=..."


def check_method(definition: CommandDefinition) -> None:
    """Refuses what is no method, or has parameters that cannot travel by name.

    Raises:
        CommandError: when it is no function or already a command, when `self` is missing, or there is a positional-only
            parameter or `*args`.
    """
    function, where = definition.function, command_label(definition.function)
    if not inspect.isfunction(function):
        raise CommandError(f"{where}: a command is a method, not a {type(function).__name__}")
    if hasattr(function, "__command__"):
        raise CommandError(f"{where}: is declared as a command twice")
    parameters = list(definition.full_signature.parameters.values())
    if not parameters or parameters[0].name != "self":
        raise CommandError(f"{where}: a command is a method, its first parameter must be `self`")
    for parameter in parameters[1:]:
        if parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
            raise CommandError(
                f"{where}: `{parameter}` cannot travel by name, give every parameter a name of its own"
            )


# The arguments of `dynamic_command` --------------------------------------------------------------------------------


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
    used = _check_command_string(where, definition)
    for argument, keywords, positional in CALLBACKS:
        callback = getattr(definition, argument)
        if callback is not None:
            _check_callback(where, argument, callback, keywords, positional)
    _check_nothing_dropped(where, definition)
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


def _check_nothing_dropped(where: str, definition: CommandDefinition) -> None:
    """Refuses an argument that the type of the command has no use for."""
    cmd_type, cmd_string = definition.cmd_type, definition.cmd_string
    if cmd_type == "read":
        if cmd_string and definition.pre_cmd is None:
            raise CommandError(
                f"{where}: cmd_string {cmd_string!r} is never sent, a command of type read reads only; use query"
            )
        if definition.process_cmd_string is not None and not cmd_string:
            raise CommandError(f"{where}: process_cmd_string has no cmd_string to process")
    elif not cmd_string:
        raise CommandError(f"{where}: cmd_string is missing, a command of type {cmd_type} sends one")
    if cmd_type == "write" and definition.process_response is not None:
        raise CommandError(
            f"{where}: process_response is never called, a command of type write has no response; use transaction"
        )
    if definition.process_kwargs is not None and definition.extra_arguments is None:
        raise CommandError(
            f"{where}: process_kwargs is never called, {definition.name}{definition.signature} has no **kwargs"
        )


def _check_all_used(where: str, definition: CommandDefinition, used: list[str]) -> None:
    """Refuses a parameter that would be dropped without a word; only `pre_cmd` sees arguments besides the string."""
    dropped = [name for name in definition.signature.parameters if name not in used]
    if dropped and definition.pre_cmd is None:
        forgotten = not definition.use_format and any(
            f"{{{name}" in definition.cmd_string for name in dropped
        )
        raise CommandError(
            f"{where}: cmd_string {definition.cmd_string!r} does not use {', '.join(dropped)}, which the device would "
            "never get" + ("; a format string needs use_format=True" if forgotten else "")
        )


def _check_callback(
    where: str, argument: str, callback: Any, keywords: tuple[str, ...], positional: int
) -> None:
    if not callable(callback):
        raise CommandError(f"{where}: {argument} must be callable, got {callback!r}")
    try:
        signature = inspect.signature(callback)
    except (TypeError, ValueError):  # a class or function that is built in
        if keywords:
            raise CommandError(
                f"{where}: {argument}={getattr(callback, '__name__', callback)} does not accept "
                f"{', '.join(f'{name}=' for name in keywords)}; write a function that does"
            ) from None
        return
    try:
        signature.bind(*([""] * positional), **dict.fromkeys(keywords, ""))
    except TypeError as exc:
        expected = ", ".join([*["text"] * positional, *(f"{name}=" for name in keywords)])
        raise CommandError(f"{where}: {argument} must accept ({expected}): {exc}") from exc


# Placeholders ------------------------------------------------------------------------------------------------------


class _Field(NamedTuple):
    """A `{...}` of a format string: as it is written, the parameter it fills in, and those in its format."""

    text: str
    name: str
    inner: tuple[str, ...]


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
    return list(dict.fromkeys(name for field in _fields(text) for name in (field.name, *field.inner)))


def _fields(text: str, *, nested: bool = False) -> Iterator[_Field]:
    for before, path, spec, conversion in string.Formatter().parse(text):
        if path is None:
            continue
        name = re.split(r"[.\[]", path)[0]
        if not name.isidentifier():
            raise ValueError("every `{...}` needs the name of a parameter")
        if before.endswith("$"):
            raise ValueError(f"`${{{path}}}` belongs to a template, in a format string it is `{{{path}}}`")
        if conversion not in (None, "r", "s", "a"):
            raise ValueError(f"`!{conversion}` is no conversion of `{name}`, there are !r, !s and !a")
        inner = tuple(field.name for field in _fields(spec, nested=True)) if spec else ()
        if inner and nested:
            raise ValueError(f"the format of `{name}` stands in a format itself")
        written = f"{{{path}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}}}"
        yield _Field(written, name, inner)


def fill_problem(cmd_string: str, values: Mapping[str, Any]) -> str:
    """Returns which argument cannot be filled into a format string, and why."""
    for field in _fields(cmd_string):
        try:
            field.text.format(**values)
        except _FILL_ERRORS as exc:
            return f"`{field.name}` cannot be written as {field.text}: {exc}, got {values.get(field.name)!r}"
    return f"cmd_string {cmd_string!r} cannot be filled in"


def _check_fields(
    where: str, definition: CommandDefinition, parameters: tuple[ParameterDefinition, ...]
) -> None:
    """Tries every field of a format string with values of the types that are annotated."""
    samples = {parameter.name: _samples(parameter.hint, parameter.limits) for parameter in parameters}
    if definition.extra_arguments is not None and definition.process_kwargs is None:
        samples[definition.extra_arguments] = ("A",)
    for field in _fields(definition.cmd_string):
        inner = {name: samples.get(name, ())[:1] for name in field.inner}
        if any(not values or isinstance(values[0], str) for values in inner.values()):
            continue  # a text may be any format
        for sample in samples.get(field.name, ()):
            values = {name: first for name, (first,) in inner.items()} | {field.name: sample}
            try:
                field.text.format(**values)
            except LookupError:
                continue  # `{text[3]}`: that depends on the value
            except _FILL_ERRORS as exc:
                raise CommandError(
                    f"{where}: cmd_string {definition.cmd_string!r} cannot fill in `{field.name}`, for example "
                    f"{sample!r}, as {field.text}: {exc}"
                ) from exc


def _samples(hint: Any, limits: Range | None) -> tuple[Any, ...]:
    """Returns a value of each type that a hint allows, as it is filled in; none for types that are not known here."""
    simple = {bool: True, float: 1.5, str: "A"}
    if hint is int:
        ends = (limits.minimum, limits.maximum) if limits else (None, None)
        low, high = ends
        return (
            1
            if limits is None or 1 in limits
            else math.ceil(low)
            if low is not None
            else math.floor(high or 0),
        )
    if hint in simple:
        return (simple[hint],)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return tuple(hint)[:1]
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return args
    if origin is typing.Annotated:
        return _samples(args[0], next((extra for extra in args[1:] if isinstance(extra, Range)), limits))
    if origin in (Union, types.UnionType):
        return tuple(value for arg in args if arg is not types.NoneType for value in _samples(arg, limits))
    return ()


# Annotations and defaults ------------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _compiled(annotation: str) -> types.CodeType:
    """Compiles an annotation once: the same few stand at many commands."""
    return compile(annotation.strip(), "<annotation>", "eval")


def resolved_hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Returns the type hints of a command with units and ranges, as `typing.get_type_hints` does, but quicker.

    Raises:
        CommandError: naming the argument, when one makes no sense or holds a name that is not known (yet).
    """
    names = inspect.unwrap(function).__globals__
    values: dict[str, Any] = {}
    for name, annotation in function.__annotations__.items():
        try:
            value = annotation
            if isinstance(annotation, str):
                value = eval(_compiled(annotation), names)  # noqa: S307  (source of the interface)
            evaluated = types.SimpleNamespace(__annotations__={name: value})
            values |= typing.get_type_hints(evaluated, names, include_extras=True)
        except Exception as exc:
            what = "the result" if name == "return" else f"`{name}`"
            raise CommandError(
                f"{command_label(function)}: the annotation of {what} ({annotation}) cannot be read: {exc}"
            ) from exc
    return values


def check_annotations(definition: CommandDefinition) -> None:
    """Checks annotations, defaults and formats, unless an annotation holds a name that is not known yet.

    Raises:
        CommandError: as `checked_parameters`.
    """
    if not definition.signature.parameters:
        return
    try:
        _ = definition.hints
    except CommandError as exc:
        if isinstance(exc.__cause__, NameError | AttributeError):
            return
        raise
    _ = definition.parameters


def checked_parameters(definition: CommandDefinition) -> tuple[ParameterDefinition, ...]:
    """Returns the named parameters of a command in order (`**kwargs` is not among them).

    Raises:
        CommandError: when an annotation makes no sense, a default does not fit it, or neither does its place in a format
            string.
    """
    where, hints = command_label(definition.function), definition.hints
    parameters = tuple(
        _checked_parameter(where, parameter, hints.get(parameter.name, Any))
        for parameter in definition.signature.parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    )
    if definition.use_format:
        _check_fields(where, definition, parameters)
    return parameters


def _checked_parameter(where: str, parameter: inspect.Parameter, hint: Any) -> ParameterDefinition:
    _check_hint(f"{where}: the annotation of `{parameter.name}`", hint)
    found = ParameterDefinition.of(parameter, hint)
    if found.required or found.default is None:  # None is the usual "not given", whatever the annotation
        return found
    try:
        default = found.check(found.default, where)
    except CommandError as exc:
        raise CommandError(f"{where}: the default of {str(exc).removeprefix(f'{where}: ')}") from None
    return found if default is found.default else replace(found, default=default)


def _check_hint(where: str, hint: Any) -> None:
    if type(hint) is type or hint is Any:
        return
    if isinstance(hint, Range | Unit | tuple | list | dict | str | int | float):
        raise CommandError(
            f"{where} is {hint!r}, not a type; units and ranges stand in Annotated[float, ...]"
        )
    origin, args = get_origin(hint), get_args(hint)
    if origin is Literal:
        return
    if origin is typing.Annotated:
        for extra in args[1:]:
            if extra is Range or extra is Unit:
                raise CommandError(
                    f"{where} holds the class {extra.__name__}, it must be {extra.__name__}(...)"
                )
            if isinstance(extra, Range):
                _check_range(where, extra, args[0])
        args = args[:1]
    for arg in args:
        if arg is not ... and not isinstance(arg, list):  # Callable[[...], ...]
            _check_hint(where, arg)


def _check_range(where: str, limits: Range, hint: Any) -> None:
    low = -math.inf if limits.minimum is None else limits.minimum
    high = math.inf if limits.maximum is None else limits.maximum
    try:
        possible = low <= high and low < math.inf and high > -math.inf
    except TypeError:
        raise CommandError(f"{where} has {limits!r}, whose ends must be numbers") from None
    if not possible:
        raise CommandError(f"{where} has the empty range {limits}")
    if not _can_be_number(hint):
        raise CommandError(f"{where} has a range, {limits}, but is no number")


def _can_be_number(hint: Any) -> bool:
    origin, args = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return all(_can_be_number(arg) for arg in args if arg is not types.NoneType)
    if origin is Literal:
        return all(isinstance(arg, int | float) for arg in args)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return issubclass(hint, int | float)
    return not {hint, origin} & {str, bytes, bool, list, tuple, dict}
