"""Values of arguments out of what an operator types, in the types of the hints; and hints as a person reads them."""

from __future__ import annotations

import ast
import datetime
import enum
import inspect
import types
import typing
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from camtest.run.parameters import convert_text
from camtest.tasks.exec import Directory, FileName, FilePath
from egse.command import CommandError, ParameterDefinition
from egse.parameter import split_annotation

EMPTY = inspect.Parameter.empty
PATHS: tuple[Any, ...] = (FileName, FilePath, Directory)
MOMENTS = (datetime.datetime, datetime.date, datetime.time)
_SEQUENCES: tuple[Any, ...] = (list, tuple, set, frozenset)


class FieldError(ValueError):
    """What was entered does not fit; the text says what is wrong, without the name of the argument."""


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
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, (PurePath, *MOMENTS)):
        return str(value)
    if isinstance(value, str):
        return value if value and value == value.strip() else repr(value)
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
    parameter = inspect.Parameter("value", inspect.Parameter.KEYWORD_ONLY)
    try:
        checked = ParameterDefinition.of(parameter, hint).check(value, "")
    except CommandError as exc:
        text = str(exc).removeprefix(": ").removeprefix("`value`").strip()
        raise FieldError(text.split("] ", 1)[-1] if text.startswith("[") else text) from None
    kind = get_origin(bare(hint)) or bare(hint)
    return kind(checked) if kind in _SEQUENCES and isinstance(checked, list) else checked


def _convert(hint: Any, text: str) -> Any:
    if hint is None or hint is EMPTY or isinstance(hint, str):
        return _unquoted(text)
    if text == "None" and (allows_none(hint) or hint is Any):
        return None
    plain = bare(hint)
    if plain is str:
        return _unquoted(text)
    if is_path(plain):
        return Path(_unquoted(text))
    if plain in MOMENTS:
        return _moment(plain, text)
    kind = get_origin(plain) or plain
    if kind in _SEQUENCES:
        return _sequence(plain, kind, text)
    if kind is dict:
        return _mapping(text)
    if is_enum(plain):
        return text
    if is_union(plain):
        return _first_that_fits(plain, text)
    if plain is Any or not isinstance(plain, type):
        return (
            convert_text(plain, _unquoted(text))
            if get_origin(plain) is Literal
            else _literal(text, _unquoted(text))
        )
    if plain in (int, float, bool):
        return convert_text(plain, text)
    return _literal(text, text)


def _first_that_fits(hint: Any, text: str) -> Any:
    reasons = []
    for member in get_args(hint):
        if member is not type(None):
            try:
                return parse(member, text)
            except FieldError as exc:
                reasons.append(str(exc))
    raise FieldError(" or ".join(dict.fromkeys(reasons)))


def _unquoted(text: str) -> str:
    quoted = len(text) >= 2 and text[0] == text[-1] and text[0] in "'\""
    return str(_literal(text, text[1:-1])) if quoted else text


def _literal(text: str, otherwise: Any) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return otherwise


def _moment(kind: Any, text: str) -> Any:
    try:
        return kind.fromisoformat(text)
    except ValueError:
        example = {"datetime": "2026-11-26 14:30:00", "date": "2026-11-26", "time": "14:30:00"}[kind.__name__]
        raise FieldError(f"expected {kind.__name__} such as {example}, got {text!r}") from None


def _sequence(hint: Any, kind: Any, text: str) -> Any:
    """Returns a list of `[1, 2]`, `(1, 2)` or `1, 2`, each element in its type."""
    found = _literal(text, None)
    if not isinstance(found, (list, tuple, set, frozenset)):
        found = [part.strip() for part in text.strip("[]() ").split(",") if part.strip()]
    else:
        found = list(found)
    return kind(
        [_element(member, element) for member, element in zip(_element_hints(hint, kind, len(found)), found)]
    )


def _element(hint: Any, element: Any) -> Any:
    if not isinstance(element, str):
        return element if hint is Any else check(hint, element)
    return _literal(element, element) if hint is Any else parse(hint, element)


def _element_hints(hint: Any, kind: Any, count: int) -> Sequence[Any]:
    arguments = get_args(hint)
    if not arguments:
        return [Any] * count
    if kind is tuple and arguments[-1:] != (...,):
        if len(arguments) != count:
            raise FieldError(f"expected {len(arguments)} elements, got {count}")
        return list(arguments)
    return [arguments[0]] * count


def _mapping(text: str) -> Any:
    found = _literal(text, None)
    if isinstance(found, dict):
        return found
    if "=" in text or ":" in text:
        pairs = [
            part.replace("=", ":", 1).partition(":") for part in text.strip("{} ").split(",") if part.strip()
        ]
        return {key.strip().strip("'\""): _literal(value.strip(), value.strip()) for key, _, value in pairs}
    raise FieldError(f"expected a dictionary such as {{'a': 1}} or a=1, b=2, got {text!r}")


def kind_of_default(default: Any) -> Any:
    """Returns the hint of an argument that has a default but no hint."""
    if default is EMPTY or default is None:
        return EMPTY
    return typing.cast(Any, type(default))
