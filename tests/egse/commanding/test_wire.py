"""Messages on the wire: round trips, and any bytes give a message or a WireError."""

import contextlib
import datetime
import errno
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egse.context import CommandContext
from egse.execution import plain_result
from egse.response import Failure, RemoteError, describe_error, register_error, restore_error
from egse.wire import Reply, Request, WireError, decode_reply, decode_request, decode_value, encode


def test_request_and_reply_round_trip() -> None:
    arguments = {"x": 1.5, "when": None, "b": b"\x00\xff"}
    context = CommandContext("me@here:1", "00012", "", "bb")
    request = decode_request(encode(Request("a-1", "move", msgspec.Raw(encode(arguments)), 7.5, context)))
    assert (request.id, request.name, request.deadline, request.context) == ("a-1", "move", 7.5, context)
    assert decode_value(bytes(request.args)) == arguments
    reply = Reply("a-1", "i", {"t": [1, 2], "u": "°C"})
    assert decode_reply(encode(reply)) == reply


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=">u2").reshape(3, 4),
        np.zeros((0, 5)),
        np.array(3.0),
        np.array(["a", "bc"]),
        np.arange(10)[::2],
    ],
)
def test_arrays_keep_type_shape_and_values(array: np.ndarray) -> None:
    back = decode_value(encode({"image": array}))["image"]
    assert back.dtype == array.dtype
    assert back.shape == array.shape
    assert (back == array).all()


def test_plain_values_that_are_not_json() -> None:
    now = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
    assert decode_value(encode([np.float32(0.5), Path("a/b"), now])) == [0.5, "a/b", now]


@pytest.mark.parametrize("value", [object(), np.array([object()]), 2**70, lambda: 1])
def test_what_cannot_travel_is_named(value: object) -> None:
    with pytest.raises(WireError):
        encode({"v": value})


@given(st.binary(max_size=300))
def test_any_bytes_give_a_message_or_a_wire_error(data: bytes) -> None:
    for decode in (decode_request, decode_reply, decode_value):
        with contextlib.suppress(WireError):
            decode(data)


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_mutated_array_never_escapes(position: int, byte: int) -> None:
    data = bytearray(encode(np.arange(6, dtype="<i4").reshape(2, 3)))
    data[position % len(data)] = byte
    try:
        value = decode_value(bytes(data))
    except WireError:
        return
    assert not isinstance(value, np.ndarray) or not value.dtype.hasobject


@pytest.mark.parametrize("dtype", ["(1,2)", "i4,i4", "O", "V8", "f8; import os", "", "{", "<i99999999999"])
def test_only_plain_numbers_and_text_are_arrays(dtype: str) -> None:
    header = msgspec.msgpack.encode((dtype, (1,)))
    body = len(header).to_bytes(2, "big") + header + bytes(8)
    with pytest.raises(WireError):
        decode_value(msgspec.msgpack.encode(msgspec.msgpack.Ext(1, body)))


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(WireError):
        decode_value(b"\x91" * 100_000 + b"\x00")


@register_error
class LampError(Exception):
    """For the test."""


def test_errors_come_back_as_themselves_with_the_traceback() -> None:
    try:
        try:
            _ = 1 / 0
        except ZeroDivisionError as exc:
            raise LampError("no light") from exc
    except LampError as exc:
        info = decode_reply(encode(Reply("1", "i", None, describe_error(exc)))).error
    assert info is not None
    restored = restore_error(info)
    assert type(restored) is LampError
    assert str(restored) == "no light"
    assert info.causes == ["ZeroDivisionError: division by zero"]
    assert "1 / 0" in restored.__notes__[0]
    assert "no light" in restored.__notes__[0]


def test_unknown_error_types_are_named() -> None:
    class Private(Exception):
        pass

    restored = restore_error(describe_error(Private("hidden")))
    assert type(restored) is RemoteError
    assert "Private: hidden" in str(restored)
    assert type(restore_error(describe_error(KeyError("k")))) is KeyError


def test_system_errors_keep_their_number() -> None:
    for exc in (
        OSError(errno.ENOSPC, "No space left on device"),
        FileNotFoundError(errno.ENOENT, "no such", "x"),
    ):
        info = decode_reply(encode(Reply("1", "i", None, describe_error(exc)))).error
        assert info is not None
        restored = restore_error(info)
        assert type(restored) is type(exc)
        assert isinstance(restored, OSError)
        assert restored.errno == exc.errno
        assert str(restored) == str(exc)
    without = restore_error(describe_error(OSError("odd")))
    assert isinstance(without, OSError)
    assert without.errno is None


def test_an_error_of_an_older_server_has_no_number() -> None:
    old = msgspec.msgpack.encode(["1", "i", None, ["OSError", "odd", "", []]])
    info = decode_reply(old).error
    assert info is not None
    assert info.errno is None


def test_a_failure_with_a_text_or_a_class_for_its_cause_is_an_error_with_both_texts() -> None:
    with pytest.raises(RuntimeError, match=r"^move: the axis is blocked$"):
        plain_result(Failure("move", "the axis is blocked"))
    with pytest.raises(RuntimeError, match=r"move: .*ValueError"):
        plain_result(Failure("move", ValueError))  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=r"^move$"):
        plain_result(Failure("move"))
    with pytest.raises(LookupError, match="axis 4"):
        plain_result(Failure("move", LookupError("axis 4")))
