"""Values of arguments and results as plain data and as text: for events, sequences and the obsid table."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from typing import Any

import msgspec

_LARGEST_ARRAY = 64
_ENCODER_SIMPLE = (str, bool, int, type(None))


def dotted_name(value: Any) -> str:
    """Returns the dotted name of a class, a function, or the class of any other object."""
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"{named.__module__}.{named.__qualname__}"


def plain(value: Any) -> Any:
    """Returns `value` as what JSON knows: complex objects become their dotted class name.

    Enumeration members become their name, small arrays lists, larger arrays a text with shape and type.
    """
    if isinstance(value, enum.Enum):
        return value.name
    if isinstance(value, _ENCODER_SIMPLE):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>" if len(value) > _LARGEST_ARRAY else bytes(value).hex(" ")
    if hasattr(value, "tolist") and hasattr(value, "dtype"):
        return _plain_array(value)
    return dotted_name(value)


def recorded(value: Any) -> Any:
    """Returns `value` as journals and events hold it: as `plain` does, but enumeration members become their value."""
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {str(key): recorded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [recorded(item) for item in value]
    return plain(value)


def _plain_array(array: Any) -> Any:
    """Returns a NumPy scalar or array as plain data, without importing NumPy."""
    if array.size <= _LARGEST_ARRAY:
        return plain(array.tolist())
    shape = "x".join(str(length) for length in array.shape)
    return f"<array {shape} {array.dtype}>"


def as_text(value: Any) -> str:
    """Returns `value` on one line, as a person would write it."""
    data = plain(value)
    return data if isinstance(data, str) else repr(data)


def call_text(name: str, arguments: Mapping[str, Any]) -> str:
    """Returns the call as it stands in `obsid-table.txt`: `name(arg="value", ...)`.

    Every value is text inside double quotes (storage ICD, obsid table); double quotes and line ends inside a value
    are escaped, so that an entry stays one line.
    """
    parts = (f'{key}="{_escaped(as_text(value))}"' for key, value in arguments.items())
    return f"{name}({', '.join(parts)})"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r")


def _hook(value: Any) -> Any:
    return plain(value)


_encoder = msgspec.json.Encoder(enc_hook=_hook)


def to_json_bytes(value: Any) -> bytes:
    """Returns `value` as one line of JSON; objects that JSON does not know are written as `plain` describes them."""
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError):
        return _encoder.encode(plain(value))
