"""Definitions of commands: what is refused at definition, and how calls are bound and checked."""

import enum
from typing import Annotated, Any, Literal

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
    import inspect

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
