"""Arguments checked while they are decoded: the same verdict as the slower check, for any value."""

from __future__ import annotations

import enum
import math
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from egse.command import CommandError, Range, Unit, commands_of, dynamic_interface
from egse.proxy import DynamicProxy
from egse.wire import Reply, Request, WireError, decode_request, encode


class Mode(enum.Enum):
    ON = 1
    OFF = 0


class Interface:
    @dynamic_interface
    def real(self, value: float) -> None: ...

    @dynamic_interface
    def angle(self, value: Annotated[float, Range(-0.5, 10), Unit("deg")]) -> None: ...

    @dynamic_interface
    def number(self, value: int) -> None: ...

    @dynamic_interface
    def axis(self, value: Annotated[int, Range(0.5, 3.7)]) -> None: ...

    @dynamic_interface
    def level(self, value: Annotated[float | None, Range(None, 3)]) -> None: ...

    @dynamic_interface
    def text(self, value: str) -> None: ...

    @dynamic_interface
    def flag(self, value: bool) -> None: ...

    @dynamic_interface
    def side(self, value: Literal["E", "F", "BOTH"]) -> None: ...

    @dynamic_interface
    def mode(self, value: Mode) -> None: ...

    @dynamic_interface
    def order(self, value: list[int]) -> None: ...

    @dynamic_interface
    def positive(self, value: Annotated[float, Range(0, None)]) -> None: ...

    @dynamic_interface
    def below(self, value: Annotated[float, Range(None, 1e300)]) -> None: ...

    @dynamic_interface
    def count(self, value: Annotated[int, Range(-math.inf, math.inf)]) -> None: ...

    @dynamic_interface
    def large(self, value: Annotated[int, Range(0, 2**70)]) -> None: ...

    @dynamic_interface
    def pair(self, value: tuple[float, float]) -> None: ...

    @dynamic_interface
    def route(self, value: tuple[Annotated[int, Range(0, 2)], ...]) -> None: ...

    @dynamic_interface
    def table(self, value: dict[str, float]) -> None: ...

    @dynamic_interface
    def data(self, value: bytes) -> None: ...

    @dynamic_interface
    def anything(self, value: Any) -> None: ...

    @dynamic_interface
    def move(self, x: float, y: Annotated[float, Range(-5, 5)], fast: bool, count: int) -> None: ...

    @dynamic_interface
    def two(self, value: float, other: str = "x") -> None: ...


COMMANDS = commands_of(Interface)


class LabProxy(DynamicProxy, Interface):
    """Keeps what it would send."""

    def __init__(self) -> None:
        super().__init__(endpoint="tcp://127.0.0.1:1")
        self.sent: list[Request] = []

    def _get_channel(self) -> Any:
        return self

    def exchange(self, request: Request, timeout: float) -> Reply:
        self.sent.append(decode_request(encode(request)))
        return Reply(request.id, "")


def sent_by_a_proxy(name: str, *args: Any, **kwargs: Any) -> Any:
    """Returns the arguments that a proxy sends, as its server takes them."""
    proxy = LabProxy()
    getattr(proxy, name)(*args, **kwargs)
    return COMMANDS[name].unpack(proxy.sent[0].args)


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.integers(-1, 11),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(
        ["E", "BOTH", "ON", "", "1", Mode.ON, Mode.OFF, np.float64(0.5), np.int32(2), np.bool_(True), b"E"]
    ),
    st.lists(st.one_of(st.integers(0, 3), st.floats(0, 1), st.text(max_size=1)), max_size=3),
    st.tuples(st.integers(0, 3)),
    st.tuples(st.integers(0, 3), st.floats(0, 1)),
    st.dictionaries(st.text(max_size=1), st.integers(0, 1), max_size=1),
)


def outcome(function: Any) -> Any:
    """Returns what a call gives, or that it is refused."""
    try:
        return function()
    except (CommandError, WireError):
        return "refused"


def same(one: Any, other: Any) -> bool:
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return bool(type(one) is type(other) and one == other)


@settings(deadline=None)
@given(st.sampled_from(sorted(COMMANDS)), VALUES)
@example("angle", math.nan)
@example("axis", 0)
@example("axis", 4)
@example("axis", 2.0)
@example("level", None)
@example("angle", Mode.ON)
@example("order", [Mode.ON])
@example("positive", math.inf)
@example("below", -math.inf)
@example("large", 2**63 - 1)
@example("pair", (1, 0.5))
@example("route", (1, 3))
@example("table", {"a": "1"})
@example("data", bytearray(b"E"))
def test_client_and_server_judge_as_the_slower_check_does(name: str, value: Any) -> None:
    command = COMMANDS[name]
    bound = outcome(lambda: command.bind((value,), {}))
    travelled = outcome(lambda: command.unpack(encode(command.pack((value,), {}))))
    quickly = outcome(lambda: sent_by_a_proxy(name, value))
    assert quickly == travelled or same(quickly["value"], travelled["value"])
    if bound == "refused" or travelled == "refused":
        # What cannot travel at all (an integer of 70 bits) is refused only by the one that sends.
        assert travelled == "refused"
        assert bound == "refused" or outcome(lambda: encode(bound)) == "refused"
        return
    assert travelled.keys() == bound.keys()
    there = command.bind((), msgspec.msgpack.decode(encode(bound), strict=False))
    assert all(same(travelled[key], there[key]) for key in there)


@pytest.mark.parametrize(
    ("args", "kwargs", "bound"),
    [
        ((1.0,), {}, {"value": 1.0, "other": "x"}),
        ((), {"value": 1.0}, {"value": 1.0, "other": "x"}),
        ((1.0,), {"other": "y"}, {"value": 1.0, "other": "y"}),
        ((), {"other": "y", "value": 2}, {"value": 2, "other": "y"}),
    ],
)
def test_every_way_of_giving_arguments(args: Any, kwargs: Any, bound: Any) -> None:
    assert COMMANDS["two"].unpack(encode(COMMANDS["two"].pack(args, kwargs))) == bound


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((1.0, -5.0, True, 3), {}),
        ((1.0,), {"count": 3, "fast": True, "y": -5.0}),
        ((), {"count": 3, "fast": True, "y": -5.0, "x": 1.0}),
        ((1, -5), {"fast": True, "count": 3}),
    ],
)
def test_plain_numbers_in_every_order(args: Any, kwargs: Any) -> None:
    bound = {"x": 1.0, "y": -5.0, "fast": True, "count": 3}
    assert COMMANDS["move"].unpack(encode(COMMANDS["move"].pack(args, kwargs))) == bound
    assert sent_by_a_proxy("move", *args, **kwargs) == bound


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((1.0, 5.1, True, 3), {}, r"`y` .*\[-5, 5\]"),
        ((1.0, math.nan, True, 3), {}, "`y`"),
        ((1.0, 2.0, True), {"y": 3.0}, "`y` was given twice"),
        ((1.0, 2.0, 1, 3), {}, "`fast`"),
        ((1.0, 2.0, True, 3.5), {}, "`count`"),
        ((), {"x": 1.0, "y": 2.0, "fast": True, "cnt": 3}, "needs `count`"),
    ],
)
def test_plain_numbers_that_do_not_fit(args: Any, kwargs: Any, text: str) -> None:
    with pytest.raises(CommandError, match=text):
        COMMANDS["move"].pack(args, kwargs)
    with pytest.raises(CommandError, match=text):
        sent_by_a_proxy("move", *args, **kwargs)


@pytest.mark.parametrize(
    ("args", "kwargs", "text"),
    [
        ((), {}, "two needs `value`"),
        ((1.0, "a", "b"), {}, "at most 2 arguments"),
        ((1.0,), {"value": 2.0}, "given twice"),
        ((1.0,), {"othr": "y"}, "no parameter `othr`.*other"),
        (("one",), {}, "`value` expected a number"),
    ],
)
def test_what_is_wrong_is_said(args: Any, kwargs: Any, text: str) -> None:
    with pytest.raises(CommandError, match=text):
        COMMANDS["two"].pack(args, kwargs)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("positive", math.inf, r"`value` must be finite and in \[0, \+inf\], got inf"),
        ("below", -math.inf, "`value` must be finite"),
        ("pair", (1.0, 2.0, 3.0), "`value` expected 2 elements, not 3"),
        ("pair", ("a", "b"), "`value` expected a number"),
        ("pair", "ab", "`value` expected a list"),
        ("pair", np.float64(1.0), "`value` expected a list"),
        ("route", (1, 3), r"`value` must be in \[0, 2\]"),
        ("table", {"a": "b"}, "`value` expected a number"),
        ("table", {1: 2.0}, "`value` expected text"),
        ("table", [1.0], "`value` expected a dictionary"),
        ("data", "text", "`value` expected bytes"),
    ],
)
def test_items_lengths_and_bytes(name: str, value: Any, text: str) -> None:
    with pytest.raises(CommandError, match=text):
        COMMANDS[name].bind((value,), {})
    with pytest.raises(CommandError, match=text):
        sent_by_a_proxy(name, value)


def test_containers_arrive_as_declared() -> None:
    assert sent_by_a_proxy("pair", [1, np.float64(2.5)]) == {"value": (1, 2.5)}
    assert sent_by_a_proxy("route", (0, 1, 2)) == {"value": (0, 1, 2)}
    assert sent_by_a_proxy("table", {"a": np.float32(0.5)}) == {"value": {"a": 0.5}}
    assert sent_by_a_proxy("data", memoryview(b"\0E")) == {"value": b"\0E"}


@pytest.mark.parametrize(
    "packed", [b"\x01", b"\xc1", b"", b"\x81\x01\x02", encode({"value": 1.0, "more": 2})]
)
def test_a_server_refuses_what_is_no_arguments(packed: bytes) -> None:
    with pytest.raises(CommandError):
        COMMANDS["real"].unpack(packed)
