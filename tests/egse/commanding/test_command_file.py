"""Command YAML files, the catalogue of a server, and the mistakes that definitions are refused for."""

from __future__ import annotations

import datetime
import enum
import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import pytest

from egse.catalogue import CommandsNotLoadedError, LoadedCommands, definition_of, describe_command
from egse.command import (
    ClientServerCommand,
    CommandError,
    Range,
    Unit,
    commands_of,
    dynamic_command,
    dynamic_interface,
    is_urgent,
    needs_setup,
    urgent,
)
from egse.commandfile import command_file, read_command_file
from egse.deferral import deferred, is_deferred
from egse.mixin import DynamicCommandMixin
from egse.proxy import Proxy
from egse.security.roles import (
    Role,
    always_allowed,
    changes,
    is_under_control,
    needs_control,
    observe,
    role_of,
)
from egse.yamlfile import YAMLFileError

C = TypeVar("C", bound=Callable[..., Any])

FILE = """
Commands:
    goto:
        description: Moves an axis.
        cmd:         '{axis} {position:.2f}'
        arguments:
            axis:     {type: int, range: [1, 3], default: 1}
            position: {type: float, range: [-180, null], unit: deg, default: 0.0}
    old_style:
        cmd: '{} {}'
    select:
        cmd: '{side}'
        arguments: {side: {choices: [E, F]}}
    stop:
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "device.yaml"
    path.write_text(text)
    return path


def test_file_gives_definitions(tmp_path: Path) -> None:
    commands = {n: ClientServerCommand(d) for n, d in read_command_file(written(tmp_path, FILE)).items()}
    assert list(commands) == ["goto", "old_style", "select", "stop"]
    assert commands["goto"].definition.doc == "Moves an axis."
    assert commands["goto"].get_cmd_string(2) == "2 0.00"
    assert commands["old_style"].get_cmd_string("a", arg2=3) == "a 3"
    assert commands["stop"].get_cmd_string() == ""
    for name, arguments, message in (
        ("goto", (0,), r"`axis` must be in \[1, 3\], got 0"),
        ("goto", (1, -200), r"`position` \[deg\] must be in \[-180, \+inf\] deg"),
        ("goto", ("x",), "`axis` expected a whole number"),
        ("old_style", (1,), "old_style needs `arg2`"),
        ("select", ("G",), "expected one of 'E', 'F', got 'G'"),
        ("stop", (1,), "stop takes at most 0 arguments"),
    ):
        with pytest.raises(CommandError, match=message):
            commands[name].validate_arguments(*arguments)


def test_file_completes_the_interface(tmp_path: Path) -> None:
    text = """
Commands:
    goto: {description: From the file., cmd: '{axis} {position}', arguments: {axis: {type: int, range: [1, 3]}}}
    stop: {description: Stops.}
"""

    @command_file(written(tmp_path, text))
    class Interface:
        @dynamic_interface
        def goto(self, axis, position: Annotated[float, Unit("mm")] = 1.0, *, fast: bool = False) -> str:  # type: ignore[no-untyped-def]
            raise NotImplementedError

        @dynamic_interface
        def wait(self) -> None:
            """Is not in the file."""

    commands = commands_of(Interface)
    assert list(commands) == ["goto", "wait", "stop"]
    assert commands["goto"].doc == "From the file."
    assert commands["goto"].bind((2,), {}) == {"axis": 2, "position": 1.0, "fast": False}
    assert commands["goto"].command_string({"axis": 2, "position": 1.0}) == "2 1.0"
    with pytest.raises(CommandError, match=r"`axis` must be in \[1, 3\]"):
        commands["goto"].bind((4,), {})
    assert inspect.getdoc(Interface.stop) == "Stops."  # type: ignore[attr-defined]


@pytest.mark.parametrize("above", [True, False])
def test_decorators_of_the_interface_stay(tmp_path: Path, above: bool) -> None:
    def marked(*marks: Any) -> Callable[[C], C]:
        def decorate(method: Any) -> Any:
            for mark in marks if above else (dynamic_interface, *marks):
                method = mark(method)
            return dynamic_interface(method) if above else method

        return decorate

    @command_file(written(tmp_path, "Commands: {halt: , look: , turn: , aim: , serve: , plain: }"))
    class Interface:
        @marked(urgent, always_allowed)
        def halt(self) -> None: ...

        @marked(observe)
        def look(self) -> None: ...

        @marked(deferred, changes, observe)
        def turn(self) -> None: ...

        @marked(needs_setup)
        def aim(self) -> None: ...

        @marked(needs_control)
        def serve(self) -> None: ...

        @dynamic_interface
        def plain(self) -> None: ...

    commands = commands_of(Interface)
    assert commands["halt"].cmd_string == ""
    assert commands["halt"].use_format, "it is not the definition of the file"
    assert [name for name in commands if is_urgent(Interface, name)] == ["halt"]
    assert [name for name in commands if is_deferred(Interface, name)] == ["turn"]
    assert [name for name, command in commands.items() if command.needs_setup] == ["aim"]
    observing = [name for name, command in commands.items() if role_of(command) is Role.OBSERVE]
    assert observing == ["look"]
    under_control = {
        name: (is_under_control(command, device=True), is_under_control(command, device=False))
        for name, command in commands.items()
    }
    assert under_control["halt"] == (False, False)
    assert under_control["serve"] == (True, True)
    assert under_control["plain"] == (True, False)


def test_what_file_and_interface_both_say_is_refused(tmp_path: Path) -> None:
    class Untyped:
        @dynamic_interface
        def goto(self, axis, position=0.0):  # type: ignore[no-untyped-def]
            """Moves."""

    with pytest.raises(CommandError, match="the default of `axis` belongs on the interface"):
        command_file(written(tmp_path, FILE))(Untyped)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Command: {}", "a command file has a mapping `Commands`"),
        ("Commands: {}\nComands: {}", "unknown key 'Comands'. Did you mean `Commands`"),
        ("Commands: {go-to: {}}", "go-to: this cannot be the name of a command"),
        ("Commands: {goto: {cmds: ''}}", "goto: unknown key 'cmds'. Did you mean `cmd`"),
        ("Commands: {goto: {cmd: 3}}", "goto: cmd must be text in quotes, got 3"),
        ("Commands: {goto: '{axis}'}", "goto: expected a mapping"),
        ("Commands: {goto: {cmd: '{axis'}}", "goto: expected '}'"),
        ("Commands: {goto: {cmd: '?p${axis}'}}", "goto: `.{axis}` belongs to a template"),
        (
            "Commands: {goto: {cmd: '{a:s}', arguments: {a: {type: int}}}}",
            "goto: goto: cmd_string '{a:s}' cannot fill in `a`, for example 1",
        ),
        (
            "Commands: {goto: {cmd: '{a}', arguments: {a: {type: int, range: [1, 3], default: 4}}}}",
            r"goto: the default of `a` must be in \[1, 3\], got 4",
        ),
        (
            "Commands: {goto: {cmd: '{a}', arguments: {a: {range: [3, 1]}}}}",
            r"`a` has the empty range \[3, 1\]",
        ),
        ("Commands: {goto: {cmd: '{0}'}}", "goto: every `{...}` needs the name of a parameter"),
        ("Commands: {goto: {cmd: '{class}'}}", "goto: 'class' cannot be the name of an argument"),
        ("Commands: {goto: {response: print}}", "response must be handle_device_method, got 'print'"),
        ("Commands: {goto: {device_method: 'a b'}}", "device_method must be the name of a method"),
        ("Commands: {goto: {arguments: {axis: {}}}}", "`axis` is no argument of cmd"),
        ("Commands: {goto: {cmd: '{a}', arguments: {a: {type: real}}}}", "`a`: no type 'real'"),
        ("Commands: {goto: {cmd: '{a}', arguments: {a: {range: [1]}}}}", r"a range is \[minimum, maximum\]"),
        (
            "Commands: {goto: {cmd: '{a}', arguments: {a: {units: m}}}}",
            "unknown key 'units'. Did you mean `unit`",
        ),
        ("Commands: {goto: {cmd: '{a} {b}', arguments: {a: {default: 1}}}}", "goto: .*default"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(CommandError, match=message) as caught:
        read_command_file(path)
    assert str(path) in str(caught.value)


def test_no_yaml_at_all(tmp_path: Path) -> None:
    with pytest.raises(YAMLFileError, match="line 2"):
        read_command_file(written(tmp_path, "Commands: ["))
    with pytest.raises(FileNotFoundError):
        read_command_file(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Commands: {measure: {}}", "measure: already defined by @dynamic_command, remove it from the file"),
        ("Commands: {move: {cmd: '{axis}'}}", "move: cmd does not have `speed` of move"),
        ("Commands: {move: {cmd: '{axis} {speed} {far}'}}", "`far` is no argument of move"),
        ("Commands: {move: {arguments: {speed: {type: int}}}}", "`speed` is annotated on the interface"),
        ("Commands: {helper: {}}", "helper: Interface.helper exists and is no command"),
    ],
)
def test_file_and_interface_that_disagree(tmp_path: Path, text: str, message: str) -> None:
    class Interface:
        @dynamic_command(cmd_type="query", cmd_string="?")
        def measure(self) -> bytes:
            """Measures."""

        @dynamic_interface
        def move(self, axis, speed: float):  # type: ignore[no-untyped-def]
            """Moves."""

        def helper(self) -> None:
            """No command."""

    with pytest.raises(CommandError, match=message):
        command_file(written(tmp_path, text))(Interface)


def test_device_method_of_another_name(tmp_path: Path) -> None:
    path = written(tmp_path, "Commands: {goto: {cmd: '{axis}', device_method: drive}}")

    @command_file(path)
    class Interface:
        pass

    class Controller(Interface, DynamicCommandMixin):
        def drive(self, axis: int) -> str:
            return f"driving {axis}"

    controller: Any = Controller()
    assert controller.goto(2) == "driving 2"
    with pytest.raises(CommandError, match="Lazy must implement drive"):

        class Lazy(Interface, DynamicCommandMixin):
            pass


class Colour(enum.Enum):
    RED = "red"


class LampInterface:
    @dynamic_interface
    def shine(
        self,
        level: Annotated[float, Range(0, 10), Unit("V")],
        side: Literal["E", "F"] = "E",
        *,
        colour: Colour = Colour.RED,
        steps: list[int] | None = None,
        **extra: Any,
    ) -> Annotated[float, Unit("W")]:
        """Shines."""


def test_catalogue_gives_the_same_definition_again() -> None:
    original = commands_of(LampInterface)["shine"]
    entry = describe_command(original)
    again = definition_of(entry, "LampProxy")
    assert (again.doc, again.returns.unit, again.extra_arguments) == ("Shines.", "W", "extra")
    call: dict[str, Any] = {"level": 3, "side": "F", "speed": 2}
    assert again.bind((), call) == {"level": 3, "side": "F", "colour": "red", "steps": None, "speed": 2}
    assert original.bind((), again.bind((), call))["colour"] is Colour.RED
    for wrong in ({"level": 11}, {"level": 1, "side": "G"}, {}):
        with pytest.raises(CommandError) as here:
            original.bind((), dict(wrong))
        with pytest.raises(CommandError) as there:
            again.bind((), dict(wrong))
        assert str(here.value).split(":")[0] == str(there.value).split(":")[0]


def test_loaded_commands_never_take_private_names() -> None:
    class Client(LoadedCommands):
        def _fetch_catalogue(self) -> list[dict[str, Any]]:
            return [{"name": "__setstate__", "parameters": []}, {"name": "go", "parameters": []}]

        def _execute_command(self, definition: Any, args: Any, kwargs: Any) -> str:
            return str(definition.name)

    client: Any = Client()
    assert not hasattr(client, "go")
    with pytest.raises(CommandsNotLoadedError, match=r"Client.go: .*call load_commands\(\)"):
        client.go()
    assert client.load_commands() == ["go"]
    assert client.go() == "go"
    assert "go" in dir(client)
    with pytest.raises(AttributeError):
        _ = client.__setstate__


def test_loaded_commands_of_a_copy_are_its_own() -> None:
    class Lab(Proxy):
        def _fetch_catalogue(self) -> list[dict[str, Any]]:
            return [{"name": "go", "parameters": []}, {"name": "timeout", "parameters": []}]

        def _execute_command(self, definition: Any, args: Any, kwargs: Any) -> float:
            return self.timeout

    lab: Any = Lab(endpoint="tcp://127.0.0.1:1", timeout=10.0)
    assert lab.load_commands() == ["go"]  # the proxy has a `timeout` of its own
    assert (lab.go(), lab.with_timeout(3.0).go(), lab.go()) == (10.0, 3.0, 10.0)
    lab.disconnect_cs()


def refused(**arguments: Any) -> str:
    with pytest.raises(CommandError) as caught:

        class Stage:
            @dynamic_command(**arguments)
            def get_it(self, axis: int, **options: Any) -> float:
                """Gets."""

    text = str(caught.value)
    assert text.startswith("Stage.get_it: ")
    return text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cmd_type": "Query"}, "cmd_type must be one of read, write, transaction, query, got 'Query'"),
        ({"cmd_type": "query", "cmd_string": 3}, "cmd_string must be text, got 3"),
        ({"cmd_type": "query", "cmd_string": "$"}, "cmd_string '$' is not valid"),
        ({"cmd_type": "query", "cmd_string": "{axis", "use_format": True}, "cmd_string '{axis' is not valid"),
        ({"cmd_type": "query", "cmd_string": "{}", "use_format": True}, "needs the name of a parameter"),
        ({"cmd_type": "query", "cmd_string": "?${axes}"}, "cmd_string '?${axes}' uses axes"),
        ({"cmd_type": "write", "cmd_string": "?${axis}"}, "does not use options"),
        ({"cmd_type": "write", "cmd_string": "X", "post_cmd": 3}, "post_cmd must be callable, got 3"),
        (
            {"cmd_type": "write", "cmd_string": "X", "process_kwargs": lambda: ""},
            "process_kwargs must accept (text)",
        ),
        (
            {"cmd_type": "write", "cmd_string": "X", "post_cmd": lambda transport: 1},
            "post_cmd must accept (transport=, response=)",
        ),
    ],
)
def test_mistakes_at_definition_name_class_method_and_argument(
    arguments: dict[str, Any], message: str
) -> None:
    assert message in refused(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cmd_type": "query"}, "cmd_string is missing, a command of type query sends one"),
        ({"cmd_type": "transaction"}, "cmd_string is missing"),
        ({"cmd_type": "write"}, "cmd_string is missing"),
        ({"cmd_type": "read", "cmd_string": "?${axis} ${options}"}, "is never sent, a command of type read"),
        (
            {"cmd_type": "read", "process_cmd_string": str.strip},
            "process_cmd_string has no cmd_string to process",
        ),
        (
            {"cmd_type": "write", "cmd_string": "${axis} ${options}", "process_response": lambda response: 1},
            "process_response is never called, a command of type write has no response",
        ),
        (
            {"cmd_type": "query", "cmd_string": "${axis} ${options}", "process_response": int},
            "process_response=int does not accept response=; write a function that does",
        ),
        (
            {
                "cmd_type": "query",
                "cmd_string": "${axis} ${options}",
                "process_response": functools.partial(str),
            },
            "does not accept response=",
        ),
        (
            {"cmd_type": "query", "cmd_string": "?", "post_cmd": dict},
            "post_cmd=dict does not accept transport=",
        ),
        ({"cmd_type": "query", "cmd_string": "?{axis}{options}"}, "a format string needs use_format=True"),
        ({"cmd_str": "?", "cmd_type": "query"}, "has no argument `cmd_str`. Did you mean `cmd_string`?"),
        ({"cmd_string": "?"}, "@dynamic_command needs cmd_type=..."),
    ],
)
def test_arguments_that_would_be_dropped_are_refused(arguments: dict[str, Any], message: str) -> None:
    assert message in refused(**arguments)


def test_what_a_read_may_have() -> None:
    def ask(transport: Any, cmd_string: str, **_: Any) -> None:
        transport.write(cmd_string)

    class Stage:
        @dynamic_command(cmd_type="read", cmd_string="?${axis}", pre_cmd=ask, process_cmd_string=str)
        def get_it(self, axis: int) -> bytes:
            """The function before the command sends."""

    assert commands_of(Stage)["get_it"].command_string({"axis": 1}) == "?1"


def test_process_kwargs_needs_kwargs() -> None:
    with pytest.raises(CommandError, match=r"Stage.set_it: process_kwargs is never called, set_it"):

        class Stage:
            @dynamic_command(cmd_type="write", cmd_string="${axis}", process_kwargs=str)
            def set_it(self, axis: int) -> None:
                """Sets."""


def test_decorators_used_in_the_wrong_way_name_the_method() -> None:
    def get_it(self: Any) -> float:
        return 0.0

    command: Any = dynamic_command
    interface: Any = dynamic_interface
    cases: tuple[tuple[Callable[[], Any], str], ...] = (
        (
            lambda: command(get_it),
            r"get_it: @dynamic_command needs parentheses .*@dynamic_command\(cmd_type=..., ",
        ),
        (
            lambda: command("query", "?")(get_it),
            "get_it: @dynamic_command needs parentheses with its arguments by",
        ),
        (lambda: interface()(get_it), "get_it: @dynamic_interface is written without parentheses"),
        (lambda: interface(cmd_type="query")(get_it), "get_it: @dynamic_interface is written without"),
        (lambda: interface(property(get_it)), "get_it: a command is a method, not a property"),
        (lambda: interface(staticmethod(get_it)), "get_it: a command is a method, not a staticmethod"),
        (lambda: command(cmd_type="write", cmd_string="X")(property(get_it)), "get_it: .* not a property"),
        (lambda: interface(interface(get_it)), "get_it: is declared as a command twice"),
    )
    for wrong, message in cases:
        with pytest.raises(CommandError, match=message):
            wrong()


@pytest.mark.parametrize(
    ("cmd_string", "message"),
    [
        ("{x:{wid}.3f} {axis} {mode} {text}", "uses wid, which is no parameter"),
        ("{x:{axis:{axis}}}", "is not valid: the format of `axis` stands in a format itself"),
        ("{axis!z}", "is not valid: `!z` is no conversion of `axis`, there are !r, !s and !a"),
        ("?p${axis}", "`${axis}` belongs to a template, in a format string it is `{axis}`"),
        ("{axis:0.4q}", "cannot fill in `axis`, for example 1, as {axis:0.4q}: "),
        ("{axis:>5s}", "cannot fill in `axis`, for example 1, as {axis:>5s}: "),
        ("{axis.name}", "cannot fill in `axis`, for example 1, as {axis.name}: "),
        ("{x:d}", "cannot fill in `x`, for example 1.5, as {x:d}: "),
        ("{x:{axis}s}", "cannot fill in `x`, for example 1.5, as {x:{axis}s}: "),
        ("{text:.2f}", "cannot fill in `text`, for example 'A', as {text:.2f}: "),
        ("{mode:d}", "cannot fill in `mode`, for example <Colour.RED: 'red'>, as {mode:d}: "),
        ("{mode.value:d}", "cannot fill in `mode`"),
        ("{flag:s}", "cannot fill in `flag`, for example True, as {flag:s}: "),
        ("{level:.1f}", "cannot fill in `level`, for example 'OPEN', as {level:.1f}: "),
        ("{options:.1f}", "cannot fill in `options`, for example 'A', as {options:.1f}: "),
    ],
)
def test_formats_are_tried_with_values_of_the_annotated_types(cmd_string: str, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        declared_with(cmd_string)
    assert str(caught.value).startswith("Stage.set_it: ")
    assert message in str(caught.value)


def declared_with(cmd_string: str) -> Any:
    class Stage:
        @dynamic_command(cmd_type="write", cmd_string=cmd_string, use_format=True, pre_cmd=lambda **_: None)
        def set_it(
            self,
            axis: Annotated[int, Range(1, 3)] = 1,
            x: float = None,  # type: ignore[assignment]  # noqa: RUF013
            mode: Colour = Colour.RED,
            text: str = "",
            flag: bool = False,
            level: float | Literal["OPEN"] | None = None,
            anything: Any = None,
            **options: Any,
        ) -> None:
            """Sets."""

    return commands_of(Stage)["set_it"]


@pytest.mark.parametrize(
    ("cmd_string", "arguments", "text"),
    [
        ("{x:0{axis}.{axis}f}", {"axis": 3, "x": 1.5}, "1.500"),
        ("{x:{text}}", {"x": 1.5, "text": "+.1f"}, "+1.5"),
        ("{text[3]} {anything:%Y}", {"text": "ABCD", "anything": datetime.date(2031, 1, 2)}, "D 2031"),
        ("{mode.value:>4}|{mode!s}", {"mode": Colour.RED}, " red|Colour.RED"),
        ("$ {{${{{axis}}}", {"axis": 2}, "$ {${2}"),
        ("{flag:d}{level}", {"flag": True, "level": "OPEN"}, "1OPEN"),
    ],
)
def test_formats_that_are_right(cmd_string: str, arguments: dict[str, Any], text: str) -> None:
    assert declared_with(cmd_string).command_string(arguments) == text


def test_a_value_that_cannot_be_filled_in_is_named() -> None:
    command = declared_with("{axis} {anything:.2f} {level:}")
    with pytest.raises(
        CommandError, match=r"set_it: `anything` cannot be written as \{anything:.2f\}: .*, got 'a'"
    ):
        command.command_string({"axis": 1, "anything": "a", "level": 1.0})
    with pytest.raises(CommandError, match=r"set_it: `x` cannot be written as \{x:.1f\}: .*, got None"):
        declared_with("{x:.1f}").command_string(declared_with("{x:.1f}").bind((), {}))


def test_dollar_signs_can_be_written() -> None:
    class Stage:
        @dynamic_command(cmd_type="write", cmd_string="$$axis=${axis}")
        def set_it(self, axis: int) -> None:
            """Sets."""

    assert commands_of(Stage)["set_it"].command_string({"axis": 1}) == "$axis=1"


@pytest.mark.parametrize("decorate", [dynamic_interface, dynamic_command(cmd_type="write", cmd_string="X")])
def test_parameters_that_cannot_travel(decorate: Any) -> None:
    def many(self: Any, *axes: int) -> None: ...
    def positional(self: Any, axis: int, /) -> None: ...
    def static(axis: int) -> None: ...

    for function, message in (
        (many, r"many: `\*axes: int` cannot travel by name"),
        (positional, "positional: `axis: int` cannot travel by name"),
        (static, "static: a command is a method, its first parameter must be `self`"),
    ):
        function.__annotations__ = inspect.get_annotations(function, eval_str=True)
        with pytest.raises(CommandError, match=message):
            decorate(function)
