"""Parameters of commands and building blocks: type, unit, range, and the check of a value against them."""

from __future__ import annotations

import collections.abc
import datetime
import enum
import inspect
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass
from pathlib import Path, PurePath
from typing import Any, Literal, Union, get_args, get_origin

import msgspec

from egse.response import register_error


@register_error
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
    """Allowed range of a number, both ends included; None (or an infinity) leaves an end open.

    Infinities and "not a number" are in no range.
    """

    minimum: float | None = None
    maximum: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and -math.inf < value < math.inf
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


def _check_bytes(value: Any) -> Any:
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    raise _Refused("expected bytes")


def _check_path(value: Any) -> Any:
    if isinstance(value, str | PurePath):
        return Path(value)
    raise _Refused("expected a path")


def _check_datetime(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return value
    try:
        return datetime.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise _Refused("expected date and time, as datetime or in the form of ISO 8601") from None


_SIMPLE_CHECKS: dict[Any, Check] = {
    float: _check_float,
    int: _check_int,
    bool: _check_bool,
    str: _check_str,
    bytes: _check_bytes,
    Path: _check_path,
    PurePath: _check_path,
    datetime.datetime: _check_datetime,
}
_LISTS = (list, collections.abc.Sequence, collections.abc.Collection, collections.abc.Iterable)
_DICTIONARIES = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_SETS = {set: set, frozenset: frozenset, collections.abc.Set: frozenset, collections.abc.MutableSet: set}


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


def _elements(value: Any) -> list[Any]:
    if isinstance(value, (str, bytes, bytearray, memoryview, Mapping)) or not hasattr(value, "__len__"):
        raise _Refused("expected a list")
    try:
        return list(value)
    except TypeError:  # an array without dimensions
        raise _Refused("expected a list") from None


def _check_list(item: Check | None) -> Check:
    def check(value: Any) -> Any:
        values = _elements(value)
        return values if item is None else [item(element) for element in values]

    return check


def _check_tuple(args: tuple[Any, ...]) -> Check:
    """Checks a tuple: of any length (`tuple`, `tuple[float, ...]`) or with a type for each place."""
    if not args or (len(args) == 2 and args[1] is ...):
        items = _check_list(_check_for(args[0]) if args else None)
        return lambda value: tuple(items(value))
    checks = [_check_for(arg) for arg in args]

    def check(value: Any) -> Any:
        values = _elements(value)
        if len(values) != len(checks):
            raise _Refused(f"expected {len(checks)} elements, not {len(values)}")
        return tuple(v if item is None else item(v) for v, item in zip(values, checks, strict=True))

    return check


def _check_set(kind: type[Any], item: Check | None) -> Check:
    items = _check_list(item)

    def check(value: Any) -> Any:
        try:
            return kind(items(value))
        except TypeError:
            raise _Refused("expected a set, whose elements can be told apart") from None

    return check


def _check_structure(kind: type[Any]) -> Check | None:
    """Checks a dataclass or a structure of msgspec, which travels as a map; None for one with fields of unknown types."""
    try:
        msgspec.convert({}, kind)
    except msgspec.ValidationError:
        pass
    except (TypeError, NameError):
        return None

    def check(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as exc:
            raise _Refused(f"expected {kind.__name__} ({exc})") from None

    return check


def _check_mapping(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise _Refused("expected a dictionary")
    return value


def _check_dict(args: tuple[Any, ...]) -> Check:
    key, item = [_check_for(arg) for arg in args] if len(args) == 2 else (None, None)
    if key is None and item is None:
        return _check_mapping

    def check(value: Any) -> Any:
        return {
            (k if key is None else key(k)): (v if item is None else item(v))
            for k, v in _check_mapping(value).items()
        }

    return check


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
    kind = origin or hint
    if kind in _LISTS:
        return _check_list(_check_for(args[0]) if args else None)
    if kind in _SETS:
        return _check_set(_SETS[kind], _check_for(args[0]) if args else None)
    if kind is tuple:
        return _check_tuple(args)
    if kind in _DICTIONARIES:
        return _check_dict(args)
    if isinstance(kind, type) and (is_dataclass(kind) or issubclass(kind, msgspec.Struct)):
        return _check_structure(kind)
    if origin is typing.Annotated:
        unit, limits, bare = split_annotation(hint)
        return _check_for(bare) if limits is None else _ranged(_check_for(bare), limits, unit)
    return None


def _ranged(check: Check | None, limits: Range, unit: str) -> Check:
    allowed = f"{limits} {unit}".rstrip()

    def ranged(value: Any) -> Any:
        if check is not None:
            value = check(value)
        if value is None:
            return value
        try:
            fits = value in limits
        except (TypeError, ValueError):  # text, an array
            raise _Refused(f"must be a number in {allowed}") from None
        if not fits:
            infinite = isinstance(value, float) and math.isinf(value)
            raise _Refused(f"must be finite and in {allowed}" if infinite else f"must be in {allowed}")
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
        return cls(parameter.name, bare, unit, limits, parameter.default, _check_for(hint))

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
            raise CommandError(f"{where}: {self.label} {exc}, got {value!r}") from None


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
