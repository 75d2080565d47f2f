"""Command YAML files, the catalogue of a server, and the mistakes that definitions are refused for."""

from __future__ import annotations

import enum
import inspect
from pathlib import Path
from typing import Annotated, Any, Literal

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
)
from egse.commandfile import command_file, read_command_file
from egse.mixin import DynamicCommandMixin
from egse.proxy import Proxy
from egse.yamlfile import YAMLFileError

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
