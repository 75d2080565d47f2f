"""Values of arguments out of what an operator types, in the types of the hints; and hints as a person reads them."""

from __future__ import annotations

import ast
import collections.abc
import datetime
import enum
import functools
import inspect
import operator
import types
import typing
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from camtest.run.parameters import convert_text
from camtest.tasks.brackets import FieldError, halves, inside, split
from camtest.tasks.exec import Directory, FileName, FilePath
from egse.command import CommandError, ParameterDefinition
from egse.parameter import split_annotation

EMPTY = inspect.Parameter.empty
PATHS: tuple[Any, ...] = (FileName, FilePath, Directory)
MOMENTS = (datetime.datetime, datetime.date, datetime.time)
_SEQUENCES: tuple[Any, ...] = (list, tuple, set, frozenset)
_CONTAINERS: dict[Any, Any] = {
    collections.abc.Sequence: list,
    collections.abc.MutableSequence: list,
    collections.abc.Iterable: list,
    collections.abc.Collection: list,
    collections.abc.Set: frozenset,
    collections.abc.MutableSet: set,
    collections.abc.Mapping: dict,
    collections.abc.MutableMapping: dict,
}
"""What is made for a hint that only says what can be done with it."""
_LITERALS = ("typing.Any", "builtins.object", "builtins.type", "builtins.slice", "numpy.ndarray")
"""Classes whose values are typed as Python writes them: calling them with a text makes something else."""


def bare(hint: Any) -> Any:
    """Returns a hint without unit, range and `None`."""
    hint = split_annotation(hint)[2]
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    members = [member for member in get_args(hint) if member is not type(None)]
    if get_origin(hint) in (Union, types.UnionType) and len(members) == 1:
        return bare(members[0])
    return hint


def is_union(hint: Any) -> bool:
    """Returns True for a union of more types than one and None."""
    return get_origin(hint) in (Union, types.UnionType)


def allows_none(hint: Any) -> bool:
    """Returns True when a hint allows None."""
    hint = split_annotation(hint)[2]
    return hint is type(None) or (
        get_origin(hint) in (Union, types.UnionType) and any(allows_none(member) for member in get_args(hint))
    )


def is_path(hint: Any) -> bool:
    """Returns True for paths of files and folders."""
    hint = bare(hint)
    return hint in PATHS or (isinstance(hint, type) and issubclass(hint, PurePath))


def is_enum(hint: Any) -> bool:
    """Returns True for an enumeration."""
    return isinstance(hint, type) and issubclass(hint, enum.Enum)


def describe(hint: Any) -> str:
    """Returns a hint as it stands in grey behind a field: type, unit, range."""
    unit, limits, _ = _metadata(hint)
    return "  ".join(filter(None, [f"[{_name(hint)}]", unit, "" if limits is None else str(limits)]))


def _metadata(hint: Any) -> tuple[str, Any, Any]:
    unit, limits, rest = split_annotation(hint)
    for member in get_args(rest) if get_origin(rest) in (Union, types.UnionType) else ():
        inner_unit, inner_limits, _ = split_annotation(member)
        unit, limits = unit or inner_unit, limits or inner_limits
    return unit, limits, rest


def _name(hint: Any) -> str:
    if hint is None or hint is EMPTY or hint is Any:
        return "any"
    hint = split_annotation(hint)[2]
    if get_origin(hint) is Literal:
        return "choice"
    if get_origin(hint) in (Union, types.UnionType):
        return " | ".join("None" if member is type(None) else _name(member) for member in get_args(hint))
    if get_origin(hint) is not None and get_args(hint):
        inner = ", ".join("..." if member is ... else _name(member) for member in get_args(hint))
        return f"{getattr(get_origin(hint), '__name__', hint)}[{inner}]"
    if isinstance(hint, str):
        return hint
    return str(getattr(hint, "__name__", hint))


def text_of(value: Any) -> str:
    """Returns a value as an operator would type it."""
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, str) and not isinstance(value, enum.Enum):
        return value if value and value == value.strip() else repr(value)
    return _inner_text(value)


def _inner_text(value: Any) -> str:
    """Returns a value as it is typed among others: texts in quotes."""
    if isinstance(value, enum.Enum):
        return str(value.value if value.name is None else value.name)
    if isinstance(value, PurePath):
        return repr(str(value))
    if isinstance(value, datetime.timedelta):
        return f"{value.total_seconds()}"
    if isinstance(value, MOMENTS):
        return str(value)
    if type(value) in (list, tuple, set, frozenset):
        opening, closing = "[]" if isinstance(value, list) else "()" if isinstance(value, tuple) else "{}"
        return f"{opening}{', '.join(map(_inner_text, value))}{closing}"
    if type(value) is dict:
        return f"{{{', '.join(f'{_inner_text(k)}: {_inner_text(v)}' for k, v in value.items())}}}"
    return repr(value)


def parse(hint: Any, text: str) -> Any:
    """Returns the value that a text stands for, in the type of a hint, checked against its range.

    Args:
        hint: type, with `Annotated` units and ranges.
        text: what was typed, not empty.

    Raises:
        FieldError: when it does not fit.
    """
    value = _convert(hint, text.strip())
    return check(hint, value)


def check(hint: Any, value: Any) -> Any:
    """Returns a value normalised to the type of a hint.

    Raises:
        FieldError: when it does not have the type or is out of range.
    """
    if hint is None or hint is EMPTY or is_path(hint) or bare(hint) in MOMENTS or isinstance(hint, str):
        return value
    if isinstance(value, (*_SEQUENCES, dict)):
        return value  # each element was checked when it was read
    parameter = inspect.Parameter("value", inspect.Parameter.KEYWORD_ONLY)
    try:
        checked = ParameterDefinition.of(parameter, hint).check(value, "")
    except CommandError as exc:
        text = str(exc).removeprefix(": ").removeprefix("`value`").strip()
        raise FieldError(text.split("] ", 1)[-1] if text.startswith("[") else text) from None
    return checked


def _convert(hint: Any, text: str) -> Any:
    if hint is None or hint is EMPTY or isinstance(hint, str):
        return unquoted(text)
    if text == "None" and (allows_none(hint) or hint is Any):
        return None
    plain = bare(hint)
    kind = container_of(plain)
    if kind in _SEQUENCES:
        return _sequence(plain, kind, text)
    if kind is dict:
        return _mapping(plain, text)
    if is_union(plain):
        return _first_that_fits(plain, text)
    if get_origin(plain) is Literal:
        return convert_text(plain, unquoted(text))
    return _single(plain, text)


def container_of(plain: Any) -> Any:
    """Returns list, tuple, set, frozenset or dict for a hint of one; else its class or the hint itself."""
    kind = get_origin(plain) or plain
    if isinstance(kind, type):
        return dict if issubclass(kind, dict) else _CONTAINERS.get(kind, kind)
    return kind


def _single(plain: Any, text: str) -> Any:
    """Returns a value that is no container."""
    if plain is str:
        return unquoted(text)
    if is_path(plain):
        return Path(unquoted(text))
    if plain in MOMENTS:
        return _moment(plain, text)
    if is_enum(plain):
        return _member(plain, unquoted(text))
    if plain in (int, float, bool):
        return convert_text(plain, text)
    if hasattr(plain, "__supertype__"):
        return parse(plain.__supertype__, text)
    if is_made_of_text(plain):
        return _made_by(plain, text)
    return literal(text, unquoted(text))


def is_made_of_text(plain: Any) -> bool:
    """Returns True for a class, or a function, that is called with the text to make a value."""
    if isinstance(plain, type):
        abstract = inspect.isabstract(plain) or getattr(plain, "_is_protocol", False)
        return not abstract and f"{plain.__module__}.{plain.__qualname__}" not in _LITERALS
    return inspect.isroutine(plain) or isinstance(plain, functools.partial)


def _made_by(maker: Any, text: str) -> Any:
    found = literal(text, text)
    if isinstance(maker, type) and not isinstance(found, str) and isinstance(found, maker):
        return found
    try:
        if maker is bytes:
            return unquoted(text).encode()
        if maker is datetime.timedelta:
            return _duration(text)
        return maker(unquoted(text))
    except (ValueError, TypeError, ArithmeticError, LookupError) as exc:
        name = getattr(maker, "__name__", str(maker))
        raise FieldError(f"{text!r} is no {name}: {exc or type(exc).__name__}") from None


def _duration(text: str) -> datetime.timedelta:
    """Returns a time of `90` seconds, or `0:01:30`."""
    seconds = 0.0
    numbers = text.removeprefix("-").split(":")
    for number in numbers:
        seconds = seconds * 60 + float(number)
    if len(numbers) > 3 or any(number.strip().startswith("-") for number in numbers):
        raise ValueError("expected seconds, or hours:minutes:seconds")
    return datetime.timedelta(seconds=-seconds if text.startswith("-") else seconds)


def _member(kind: Any, text: str) -> Any:
    """Returns a member of an enumeration by name or value, flags such as `R|W` too; the text when there is none."""
    names = [part.strip().removeprefix(f"{kind.__name__}.") for part in text.split("|")]
    if all(name in kind.__members__ for name in names) and (len(names) == 1 or issubclass(kind, enum.Flag)):
        return functools.reduce(operator.or_, [kind[name] for name in names[1:]], kind[names[0]])
    found = member_by_value(kind, text)
    if found is None:
        found = member_by_value(kind, literal(text, text))
    return text if found is None else found


def member_by_value(kind: Any, value: Any) -> Any:
    """Returns the member of an enumeration that has a value, None when there is none."""
    with suppress(ValueError, TypeError, KeyError):
        return kind(value)
    return None


def fitting(hint: Any, default: Any) -> Any:
    """Returns a default that was written in another type, such as text, in that of its hint; as it is where that cannot be."""
    plain = bare(hint)
    if plain is float and type(default) is int:
        return float(default)
    if not isinstance(default, str) or plain in (None, EMPTY, Any, str) or isinstance(hint, str):
        return default
    if is_union(plain) or get_origin(plain) is Literal or is_enum(plain):
        return default
    try:
        return parse(hint, default)
    except FieldError:
        return default


def _first_that_fits(hint: Any, text: str) -> Any:
    reasons = []
    for member in get_args(hint):
        if member is not type(None):
            try:
                return parse(member, text)
            except FieldError as exc:
                reasons.append(str(exc))
    raise FieldError(" or ".join(dict.fromkeys(reasons)))


def unquoted(text: str) -> str:
    """Returns a text without the quotes around it."""
    quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "'\""
    return str(literal(text, text[1:-1])) if quoted else text


def literal(text: str, otherwise: Any) -> Any:
    """Returns the value of a text that is a literal of Python, else something else."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return otherwise


def _moment(kind: Any, text: str) -> Any:
    try:
        return kind.fromisoformat(unquoted(text))
    except ValueError:
        example = {"datetime": "2026-11-26 14:30:00", "date": "2026-11-26", "time": "14:30:00"}[kind.__name__]
        raise FieldError(f"expected {kind.__name__} such as {example}, got {text!r}") from None


def _sequence(hint: Any, kind: Any, text: str) -> Any:
    """Returns a list of `[1, 2]`, `(1, 2)` or `1, 2`, each element in its type."""
    texts = split(inside(text, kind.__name__))
    return kind([_element(member, one) for member, one in zip(_element_hints(hint, kind, len(texts)), texts)])


def _element(hint: Any, text: str) -> Any:
    """Returns an element of a list or a dictionary; a list in a list has brackets."""
    plain = bare(hint)
    kind = container_of(plain)
    if (kind in _SEQUENCES or kind is dict) and inside(text, kind.__name__) == text:
        raise FieldError(f"expected a {kind.__name__} in brackets, got {text!r}")
    return parse(hint, unquoted(text) if plain in (int, float, bool) else text)


def _element_hints(hint: Any, kind: Any, count: int) -> Sequence[Any]:
    arguments = get_args(hint)
    if not arguments:
        return [Any] * count
    if kind is tuple and arguments[-1:] != (...,):
        if len(arguments) != count:
            raise FieldError(f"expected {len(arguments)} elements, got {count}")
        return list(arguments)
    return [arguments[0]] * count


def _mapping(hint: Any, text: str) -> Any:
    """Returns a dictionary of `{'a': 1}` or `a=1, b=2`, keys and values in their types."""
    inner = inside(text, "dict")
    of_key, of_value = get_args(hint) or (Any if inner != text else EMPTY, Any)
    found: dict[Any, Any] = {}
    for part in split(inner):
        left, right = halves(part)
        if not left or not right:
            raise FieldError(f"expected a dictionary such as {{'a': 1}} or a=1, b=2, got {part!r}")
        key = _element(of_key, left)
        if key in found:
            raise FieldError(f"{left} is there twice")
        try:
            found[key] = _element(of_value, right)
        except FieldError as exc:
            raise FieldError(f"{left}: {exc}") from None
    return found


def kind_of_default(default: Any) -> Any:
    """Returns the hint of an argument that has a default but no hint."""
    if default is EMPTY or default is None:
        return EMPTY
    if callable(default) or isinstance(default, types.ModuleType):
        return Any
    return typing.cast(Any, type(default))
