"""The quick way to check arguments: those of simple types are checked by msgspec, in one call.

It knows only calls that give every argument, and types that travel as themselves. Whatever it does not accept is looked
at again by `egse.parameter`, which also knows how to normalise a value and to say what is wrong with it.
"""

from __future__ import annotations

import enum
import math
import sys
import types
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

import msgspec

from egse.parameter import ParameterDefinition, Range
from egse.wire import make_decoder


class ArgumentCodec(NamedTuple):
    """Checks the complete arguments of one command.

    Attributes:
        struct: holds all arguments in order; encoded it is a map by name.
        names: of the parameters, in order.
        decode: makes such a struct of a map by name, and checks names, types and ranges.
    """

    struct: type[Any]
    names: tuple[str, ...]
    decode: Callable[[bytes | msgspec.Raw], Any]


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
        return ArgumentCodec(struct, names, make_decoder(struct).decode)
    except (_UnknownTypeError, TypeError):
        return None


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
    # What does not fit into 64 bits cannot travel; between 2**63 and 2**64 the slower way decides.
    lowest, highest = (
        (-(1 << 63), (1 << 63) - 1) if kind is int else (-sys.float_info.max, sys.float_info.max)
    )
    if limits is None:
        return Annotated[kind, msgspec.Meta(ge=lowest, le=highest)] if kind is int else kind
    if limits.minimum is not None and limits.minimum > -math.inf:
        lowest = max(lowest, math.ceil(limits.minimum)) if kind is int else float(limits.minimum)
    if limits.maximum is not None and limits.maximum < math.inf:
        highest = min(highest, math.floor(limits.maximum)) if kind is int else float(limits.maximum)
    return Annotated[kind, msgspec.Meta(ge=lowest, le=highest)]
