"""Messages between proxies and control servers: tagged plain data in msgpack, nothing executable.

`encode` and `decode_*` are pure functions between bytes and messages. Any bytes at all give a message or a
`WireError`, within the limits on size; numpy arrays travel as an extension type that holds element type, shape and
raw bytes.
"""

from __future__ import annotations

import re
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from egse.context import CommandContext
from egse.response import ErrorInfo

if TYPE_CHECKING:
    import numpy as np

T = TypeVar("T")

SCHEMA = 2
MAX_MESSAGE_SIZE = 256 * 1024 * 1024
"""Largest message that a socket accepts [bytes]; a full two-sided CCD frame has 42 MB."""

_NDARRAY = 1
_NDARRAY_KINDS = "biufcSU"
_NDARRAY_DTYPE = re.compile(r"[<>|=][biufcSU][0-9]{1,9}")


class WireError(ValueError):
    """Bytes that are no valid message, or a value that cannot travel."""


class Request(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A command on its way to a control server.

    Attributes:
        id: unique over all clients, ever.
        name: name of the command.
        args: all arguments by name, a map; still encoded in a request that was received. In one that is sent, anything
            that is encoded as a map will do.
        deadline: Unix time [s] after which the command must not be started any more; 0 for none.
        context: who asks, and in which circumstances.
        session: the operator session that holds control, empty when the client does not (see `egse.authority`).
        epoch: under which grant of control the command is sent.
        schema: version of this layout.
    """

    id: str
    name: str
    args: msgspec.Raw
    deadline: float = 0.0
    context: CommandContext = CommandContext()
    session: str = ""
    epoch: int = 0
    schema: int = SCHEMA


class Reply(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The answer to a `Request`.

    Attributes:
        id: that of the request.
        incarnation: which life of the server answers; it changes at every start.
        value: the command's result when `error` is None.
        error: what went wrong, None on success.
        text: a message for a person.
    """

    id: str
    incarnation: str
    value: Any = None
    error: ErrorInfo | None = None
    text: str = ""
    schema: int = SCHEMA


def _encode_extra(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        if isinstance(value, numpy.ndarray):
            return _encode_array(value)
        if isinstance(value, numpy.generic):
            return value.item()
    if isinstance(value, PurePath):
        return str(value)
    raise WireError(
        f"a value of type {type(value).__module__}.{type(value).__qualname__} cannot travel to or from a server"
    )


def _encode_array(array: np.ndarray[Any, Any]) -> msgspec.msgpack.Ext:
    if array.dtype.kind not in _NDARRAY_KINDS:
        raise WireError(f"an array of {array.dtype} cannot travel; use numbers, text or bytes")
    header = msgspec.msgpack.encode((array.dtype.str, array.shape))
    return msgspec.msgpack.Ext(_NDARRAY, len(header).to_bytes(2, "big") + header + array.tobytes())


def _decode_extension(code: int, data: memoryview) -> Any:
    if code != _NDARRAY:
        raise WireError(f"unknown extension type {code}")
    import numpy

    size = int.from_bytes(data[:2], "big")
    kind, shape = msgspec.msgpack.decode(data[2 : 2 + size], type=tuple[str, tuple[int, ...]])
    if not _NDARRAY_DTYPE.fullmatch(kind):
        raise WireError(f"arrays of {kind!r} are not accepted")
    dtype = numpy.dtype(kind)
    return numpy.frombuffer(data[2 + size :], dtype=dtype).reshape(shape).copy()


def make_decoder(kind: type[T]) -> msgspec.msgpack.Decoder[T]:
    """Returns a decoder for messages of one type, with arrays inside."""
    return msgspec.msgpack.Decoder(kind, ext_hook=_decode_extension)


_encoder = msgspec.msgpack.Encoder(enc_hook=_encode_extra)
_requests = make_decoder(Request)
_replies = make_decoder(Reply)
_values: msgspec.msgpack.Decoder[Any] = make_decoder(object)

encode_bare = _encoder.encode
"""The encoder itself, for what is known to be able to travel; its errors are those of `encode` before they are told well."""
decode_reply_bare = _replies.decode
"""The decoder of replies itself, which raises `DECODING_ERRORS`."""

decode_request_bare = _requests.decode
"""The decoder of requests itself, which raises `DECODING_ERRORS`."""

DECODING_ERRORS = (msgspec.MsgspecError, ValueError, TypeError, RecursionError, OverflowError, MemoryError)


def encode(message: Any) -> bytes:
    """Encodes a message or a plain value.

    Raises:
        WireError: when it holds something that cannot travel.
    """
    try:
        return _encoder.encode(message)
    except WireError:
        raise
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as exc:
        raise WireError(f"cannot be sent: {exc}") from exc


def decode_request(data: bytes) -> Request:
    """Decodes a request; raises `WireError` for anything else."""
    try:
        return _requests.decode(data)
    except DECODING_ERRORS as exc:
        raise WireError(f"not a request: {exc}") from exc


def decode_reply(data: bytes) -> Reply:
    """Decodes a reply; raises `WireError` for anything else."""
    try:
        return _replies.decode(data)
    except DECODING_ERRORS as exc:
        raise WireError(f"not a reply: {exc}") from exc


def decode_value(data: bytes) -> Any:
    """Decodes a plain value (monitoring messages); raises `WireError` for bytes that are none."""
    try:
        return _values.decode(data)
    except DECODING_ERRORS as exc:
        raise WireError(f"not a message: {exc}") from exc
