"""The quick way to check arguments: those of simple types are checked by the decoder while they are read.

It knows only calls that give every argument, and types that travel as themselves. Plain numbers are checked even before
they are encoded. Whatever is not accepted is looked at again by `egse.parameter`, which also knows how to normalise a value
and to say what is wrong with it.
"""

from __future__ import annotations

import enum
import math
import types
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from egse.parameter import ParameterDefinition, Range
from egse.wire import make_decoder


class ArgumentCodec(NamedTuple):
    """Encodes and checks the complete arguments of one command.

    Attributes:
        make: makes a struct of all arguments in order; encoded it is a map by name. Nothing is checked.
        decode: makes such a struct of a map by name, and checks names, types and ranges.
        names: of the parameters, in order.
        numbers: type and range of each parameter; None when one of them is no plain number.
    """

    make: Callable[..., Any]
    decode: Callable[[bytes | msgspec.Raw], Any]
    names: tuple[str, ...]
    numbers: tuple[tuple[type, Any, Any], ...] | None

    def numbers_of(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Returns the struct of a call with plain numbers that all fit; None for any other."""
        numbers = self.numbers
        if numbers is None or len(args) + len(kwargs) != len(numbers):
            return None
        if kwargs:
            args = (*args, *map(kwargs.get, self.names[len(args) :]))
        for value, (kind, low, high) in zip(args, numbers, strict=False):
            if type(value) is not kind or not low <= value <= high:
                return None
        return self.make(*args)


def argument_codec(name: str, parameters: Sequence[ParameterDefinition]) -> ArgumentCodec | None:
    """Returns the codec for the arguments of a command; None when a parameter has a type that it cannot check.

    Args:
        name: of the command.
        parameters: all of them.
    """
    try:
        fields = [(parameter.name, _wire_type(parameter.hint, parameter.limits)) for parameter in parameters]
        struct = msgspec.defstruct(f"{name}_arguments", fields, forbid_unknown_fields=True, gc=False)
        names = tuple(parameter.name for parameter in parameters)
        return ArgumentCodec(struct, make_decoder(struct).decode, names, _plain_numbers(parameters))
    except (_UnknownTypeError, TypeError):
        return None


_NUMBERS: dict[Any, tuple[float, float]] = {
    float: (-math.inf, math.inf),
    int: (-(1 << 63), (1 << 64) - 1),
    bool: (False, True),
}
"""The plain numbers, and what of them can travel."""


def _plain_numbers(parameters: Sequence[ParameterDefinition]) -> tuple[tuple[type, float, float], ...] | None:
    found = []
    for parameter in parameters:
        if parameter.hint not in _NUMBERS:
            return None
        low, high = _NUMBERS[parameter.hint]
        limits = parameter.limits
        if limits is not None and limits.minimum is not None:
            low = max(low, limits.minimum)
        if limits is not None and limits.maximum is not None:
            high = min(high, limits.maximum)
        found.append((parameter.hint, low, high))
    return tuple(found)


class _UnknownTypeError(Exception):
    """A type that the decoder cannot check in the way that `egse.parameter` does."""


def _wire_type(hint: Any, limits: Range | None) -> Any:
    if hint is float:
        return Union[_bounded(int, limits), _bounded(float, limits)]  # noqa: UP007  (made at run time)
    if hint is int:
        return _bounded(int, limits)
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        members = [member for member in arguments if member is not types.NoneType]
        if len(members) == 1:
            return Union[_wire_type(members[0], limits), None]  # noqa: UP007
    if limits is not None:
        raise _UnknownTypeError
    if hint in (bool, str) or origin is Literal or _is_enumeration(hint):
        return hint
    if origin is list and len(arguments) == 1 and get_origin(arguments[0]) is not typing.Annotated:
        return list[_wire_type(arguments[0], None)]  # type: ignore[misc]
    raise _UnknownTypeError


def _is_enumeration(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, enum.Enum) and not issubclass(hint, enum.Flag)


def _bounded(kind: type, limits: Range | None) -> Any:
    if limits is None:
        return kind
    bounds: dict[str, Any] = {}
    if limits.minimum is not None:
        bounds["ge"] = math.ceil(limits.minimum) if kind is int else float(limits.minimum)
    if limits.maximum is not None:
        bounds["le"] = math.floor(limits.maximum) if kind is int else float(limits.maximum)
    return Annotated[kind, msgspec.Meta(**bounds)] if bounds else kind
