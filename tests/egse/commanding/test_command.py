"""Definitions of commands: what is refused at definition, and how calls are bound and checked."""

import enum
import inspect
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
import numpy as np
import pytest

from egse.command import (
    CommandError,
    Range,
    Unit,
    commands_of,
    dynamic_command,
    dynamic_interface,
)
from egse.device import DeviceTransport
from egse.mixin import DynamicCommandMixin
from egse.wire import decode_value, encode


class Edge(enum.Enum):
    UP = 1
    DOWN = 2


def add_newline(text: str) -> str:
    return text + "\r\n"


def decode_float(response: bytes) -> float:
    return float(response.decode().strip().rstrip(";").split(":")[1])


class StageInterface:
    @dynamic_command(
        cmd_type="query",
        cmd_string="?p${axis}",
        process_cmd_string=add_newline,
        process_response=decode_float,
    )
    def get_current_position(self, axis: int) -> Annotated[float, Unit("deg")]:
        """Returns the current position of this axis."""

    @dynamic_command(cmd_type="write", cmd_string="goto{axis}:{position:.3f}", use_format=True)
    def goto(self, axis: int, position: Annotated[float, Range(-180, 180), Unit("deg")]) -> None:
        """Moves an axis."""

    @dynamic_command(cmd_type="write", cmd_string="CREATE ${name} ${options}")
    def create(self, name: str, **options: Any) -> None:
        """Creates something."""

    @dynamic_interface
    def configure(
        self,
        side: Literal["E", "F", "BOTH"],
        edge: Edge = Edge.UP,
        order: list[int] | None = None,
        enable: bool = False,
    ) -> dict[str, Any]:
        """Configures."""


class Wire(DeviceTransport):
    """Remembers what was written and answers with what it was given."""

    def __init__(self, *replies: bytes) -> None:
        super().__init__()
        self.sent: list[Any] = []
        self.replies = list(replies)

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def is_connected(self) -> bool:
        return True

    def write(self, command: bytes | str) -> None:
        self.sent.append(command)

    def read(self) -> bytes:
        return self.replies.pop(0)


class StageController(StageInterface, DynamicCommandMixin):
    def __init__(self, transport: DeviceTransport) -> None:
        self.transport = transport

    def configure(self, side: str, edge: Edge = Edge.UP, order: Any = None, enable: bool = False) -> Any:
        return {"side": side, "edge": edge, "order": order, "enable": enable}


def test_query_fills_template_processes_and_decodes() -> None:
    wire = Wire(b"1:3.25;\r\n")
    assert StageController(wire).get_current_position(1) == 3.25
    assert wire.sent == ["?p1\r\n"]


def test_format_string_and_keyword_expansion() -> None:
    wire = Wire()
    stage = StageController(wire)
    stage.goto(axis=2, position=1.5)
    stage.create("SENS", default=4, type="PT100")
    assert wire.sent == ["goto2:1.500", "CREATE SENS default=4 type=PT100"]


def test_pre_and_post_command_get_the_transport() -> None:
    seen: dict[str, Any] = {}

    def before(transport: Any, function_name: str, cmd_string: str, args: Any, kwargs: Any) -> None:
        seen.update(name=function_name, cmd=cmd_string, args=args)

    def after(transport: Any, response: Any) -> Any:
        return (response, transport.query("STATUS?"))

    class Interface:
        @dynamic_command(cmd_type="transaction", cmd_string="GO ${n}", pre_cmd=before, post_cmd=after)
        def go(self, n: int) -> Any:
            """Goes."""

    class Controller(Interface, DynamicCommandMixin):
        def __init__(self, transport: DeviceTransport) -> None:
            self.transport = transport

    assert Controller(Wire(b"OK", b"IDLE")).go(3) == (b"OK", b"IDLE")
    assert seen == {"name": "go", "cmd": "GO 3", "args": (3,)}


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((), {"axis": 1}, "needs `position` [deg]"),
        ((1, 200.0), {}, "must be in [-180, 180] deg, got 200.0"),
        ((1, "far"), {}, "expected a number, got 'far'"),
        ((1.5, 2.0), {}, "`axis` expected a whole number"),
        ((1, 2.0, 3), {}, "takes at most 2 arguments"),
        ((1, 2.0), {"axis": 1}, "given twice"),
        ((1,), {"positon": 3.0, "position": 1.0}, "no parameter `positon`. Did you mean `position`?"),
    ],
)
def test_wrong_arguments_are_refused_with_advice(
    args: tuple[Any, ...], kwargs: dict[str, Any], message: str
) -> None:
    wire = Wire()
    with pytest.raises(CommandError) as caught:
        StageController(wire).goto(*args, **kwargs)
    assert message in str(caught.value)
    assert wire.sent == []


def test_types_are_normalised() -> None:
    definition = commands_of(StageInterface)["configure"]
    bound = definition.bind((), {"side": "E", "edge": "DOWN", "order": (np.int64(1), 2), "enable": np.True_})
    assert bound == {"side": "E", "edge": Edge.DOWN, "order": [1, 2], "enable": True}
    with pytest.raises(CommandError, match="expected one of 'E', 'F', 'BOTH'"):
        definition.bind(("G",), {})
    with pytest.raises(CommandError, match="expected True or False"):
        definition.bind(("E",), {"enable": 1})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cmd_type": "ask", "cmd_string": "X"}, "cmd_type must be one of read, write"),
        ({"cmd_type": "query", "cmd_string": "?${axes}"}, "uses axes, which is no parameter"),
        ({"cmd_type": "query", "cmd_string": "?{axes}", "use_format": True}, "uses axes"),
        (
            {"cmd_type": "query", "cmd_string": "?", "process_response": lambda x: x},
            "process_response must accept",
        ),
        ({"cmd_type": "query", "cmd_string": "?", "pre_cmd": lambda transport: None}, "pre_cmd must accept"),
        ({"cmd_type": "query", "cmd_string": "?", "process_cmd_string": lambda: ""}, "process_cmd_string"),
    ],
)
def test_mistakes_in_a_definition_fail_at_definition(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(CommandError) as caught:

        class Wrong:
            @dynamic_command(**arguments)
            def get_it(self, axis: int) -> float:
                """Gets."""

    assert message in str(caught.value)
    assert "get_it" in str(caught.value)


def test_controller_must_implement_declared_commands() -> None:
    with pytest.raises(CommandError, match="must implement configure"):

        class Half(StageInterface, DynamicCommandMixin):
            pass


def test_signature_and_documentation_are_kept() -> None:
    assert str(inspect.signature(StageController.goto)).startswith("(self, axis: int, position:")
    assert StageInterface.goto.__doc__ == "Moves an axis."


def test_ranges_inside_other_types_hold_too() -> None:
    class Interface:
        @dynamic_interface
        def read_out(
            self,
            order: list[Annotated[int, Range(1, 4)]],
            dump: Annotated[int, Range(0, 9), Unit("row")] | None,
        ) -> None:
            """Reads CCDs."""

    command = commands_of(Interface)["read_out"]
    assert command.bind(([1, 4], None), {}) == {"order": [1, 4], "dump": None}
    with pytest.raises(CommandError, match=r"`order` must be in \[1, 4\], got \[0, 1\]"):
        command.bind(([0, 1], 3), {})
    with pytest.raises(CommandError, match=r"`dump` must be in \[0, 9\] row, got 10"):
        command.bind(([1], 10), {})


def declared(axis: Any, default: Any = inspect.Parameter.empty) -> type:
    """Returns an interface with a command whose parameter `axis` has this annotation and default."""

    def home(self, axis):  # type: ignore[no-untyped-def]
        """Moves home."""

    home.__qualname__ = "Stage.home"
    home.__annotations__ = {"axis": axis, "return": None}
    home.__defaults__ = None if default is inspect.Parameter.empty else (default,)
    return type("Stage", (), {"home": dynamic_interface(home)})


@pytest.mark.parametrize(
    ("axis", "default", "message"),
    [
        (
            Annotated[float, Range(0, 10), Unit("mm")],
            11,
            r"the default of `axis` [mm] must be in [0, 10] mm, got 11",
        ),
        (float, "far", "the default of `axis` expected a number, got 'far'"),
        ("Annotated[int, Range(1, 3)]", 0, "the default of `axis` must be in [1, 3], got 0"),
        (Literal["E", "F"], "G", "the default of `axis` expected one of 'E', 'F', got 'G'"),
        (tuple[float, float], (1.0,), "the default of `axis` expected 2 elements, not 1"),
        (Annotated[str, Range(0, 1)], None, "the annotation of `axis` has a range, [0, 1], but is no number"),
        (Annotated[list[int], Range(0, 1)], None, "has a range, [0, 1], but is no number"),
        (list[Annotated[Edge, Range(0, 1)]], None, "has a range, [0, 1], but is no number"),
        (Annotated[float | str, Range(0, 1)], None, "has a range, [0, 1], but is no number"),
        (
            Annotated[float, Range],
            None,
            "the annotation of `axis` holds the class Range, it must be Range(...)",
        ),
        (list[Annotated[float, Unit]], None, "holds the class Unit, it must be Unit(...)"),
        (Range(0, 1), None, "is Range(minimum=0, maximum=1), not a type"),
        ("Annotated[float, Range(10, 0)]", None, "the annotation of `axis` has the empty range [10, 0]"),
        ("Annotated[float, Range(0, 1, 2)]", None, "(Annotated[float, Range(0, 1, 2)]) cannot be read: "),
        ("float[", None, "the annotation of `axis` (float[) cannot be read: "),
    ],
)
def test_annotations_and_defaults_that_make_no_sense(axis: Any, default: Any, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        declared(axis, default)
    assert str(caught.value).startswith("Stage.home: ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("axis", "default", "bound"),
    [
        (float, None, None),
        (Annotated[int, Range(1, 3)], None, None),
        (Edge, "DOWN", Edge.DOWN),
        (tuple[float, float], [1, 2], (1, 2)),
        (Annotated[float | None, Range(0, 1)], 1, 1),
        (Annotated[Literal[1, 2], Range(1, 2)], 2, 2),
        (Annotated[np.ndarray, Unit("adu")], 2, 2),
    ],
)
def test_defaults_that_fit(axis: Any, default: Any, bound: Any) -> None:
    assert commands_of(declared(axis, default))["home"].bind((), {}) == {"axis": bound}


class Point(msgspec.Struct):
    x: float
    y: float = 0.0


@dataclass
class Window:
    rows: list[int]
    side: Literal["E", "F"] = "E"


@dataclass
class Image:
    pixels: np.ndarray


@dataclass
class Unclear:
    rows: list[int] | set[int]


NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("axis", "given", "bound"),
    [
        (Sequence[float], (1, 2.5), [1, 2.5]),
        (Sequence[int], np.arange(3), [0, 1, 2]),
        (Iterable[Edge], ["UP"], [Edge.UP]),
        (set[int], [1, 2, 2], {1, 2}),
        (frozenset[str], {"a"}, frozenset("a")),
        (Mapping[str, float], {"a": 1}, {"a": 1}),
        (Path, "data/x.csv", Path("data/x.csv")),
        (datetime, NOON, NOON),
        (datetime, "2026-01-02T12:00:00+00:00", NOON),
        (Point, Point(1.0), Point(1.0)),
        (list[Point], [{"x": 1, "y": 2}], [Point(1.0, 2.0)]),
        (Window, {"rows": [1]}, Window([1])),
        (Unclear, "anything", "anything"),
    ],
)
def test_what_fits_after_a_journey_too(axis: Any, given: Any, bound: Any) -> None:
    home = commands_of(declared(axis))["home"]
    assert home.bind((given,), {}) == {"axis": bound}
    (arrived,) = decode_value(encode(home.bind((given,), {}))).values()
    assert home.bind((arrived,), {}) == {"axis": bound}


def test_a_structure_with_an_array_comes_back_as_one() -> None:
    home = commands_of(declared(Image))["home"]
    (arrived,) = decode_value(encode(home.bind((Image(np.arange(3)),), {}))).values()
    image = home.bind((arrived,), {})["axis"]
    assert isinstance(image, Image)
    assert image.pixels.tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("axis", "given", "message"),
    [
        (Sequence[float], [1, "two"], "expected a number"),
        (Sequence[str], "text", "expected a list"),
        (set[int], [1.5], "expected a whole number"),
        (set[Any], [[]], "expected a set"),
        (Mapping[str, float], {"a": "b"}, "expected a number"),
        (Path, 3, "expected a path"),
        (datetime, "noon", "expected date and time"),
        (Point, {"y": 1}, "expected Point (Object missing required field `x`)"),
        (Window, {"rows": [1], "side": "G"}, "expected Window (Invalid enum value 'G'"),
        (Window, 3, "expected Window ("),
    ],
)
def test_what_does_not_fit(axis: Any, given: Any, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        commands_of(declared(axis))["home"].bind((given,), {})
    assert str(caught.value).startswith("home: `axis` ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (10, 0, "the annotation of `axis` has the empty range [10, 0]"),
        (math.nan, 1, "has the empty range [nan, 1]"),
        (math.inf, None, "has the empty range [inf, +inf]"),
        (None, -math.inf, "has the empty range [-inf, -inf]"),
        ("a", 0, "has Range(minimum='a', maximum=0), whose ends must be numbers"),
    ],
)
def test_ranges_that_hold_nothing(low: Any, high: Any, message: str) -> None:
    for annotation in (Annotated[float, Range(low, high)], list[Annotated[int, Range(low, high)]]):
        with pytest.raises(CommandError) as caught:
            declared(annotation)
        assert str(caught.value).startswith("Stage.home: ")
        assert message in str(caught.value)


def test_infinities_are_in_no_range() -> None:
    for limits in (Range(0), Range(0, math.inf), Range()):
        assert math.inf not in limits
        assert math.nan not in limits
        assert 10**400 in limits


def test_a_name_that_is_not_known_at_definition() -> None:
    interface = declared("Annotated[Axis, Unit('mm')]")
    home = commands_of(interface)["home"]
    message = r"Stage.home: the annotation of `axis` \(Annotated\[Axis, .*\) cannot be read: name 'Axis' is not defined"
    with pytest.raises(CommandError, match=message):
        home.bind((1,), {})
    with pytest.raises(CommandError, match=message):

        class Controller(DynamicCommandMixin, interface):  # type: ignore[misc, valid-type]
            def home(self, axis: int) -> None: ...

    globals()["Axis"] = int  # defined further down in the module
    try:
        assert home.bind((1,), {}) == {"axis": 1}
        with pytest.raises(CommandError, match="expected a whole number"):
            home.bind((1.5,), {})
    finally:
        del globals()["Axis"]


def test_a_wrong_default_whose_type_is_known_later() -> None:
    home = commands_of(declared("Later", "far"))["home"]
    globals()["Later"] = float
    try:
        with pytest.raises(CommandError, match=r"Stage.home: the default of `axis` expected a number"):
            home.bind((), {})
    finally:
        del globals()["Later"]


def test_hints_are_those_of_typing() -> None:
    for definition in commands_of(StageInterface).values():
        assert definition.hints == get_type_hints(definition.function, include_extras=True)


def test_old_controller_without_a_method_says_so() -> None:
    class Old(StageInterface):
        def configure(self, side: str, **_: Any) -> Any:  # type: ignore[override]
            return {"side": side}

    old = Old()
    assert old.configure("E") == {"side": "E"}
    with pytest.raises(NotImplementedError, match=r"Old.get_current_position: .*DynamicCommandMixin"):
        old.get_current_position(1)


def test_urgent_is_a_public_name() -> None:
    import egse.command

    assert {"urgent", "needs_setup"} <= set(egse.command.__all__)
