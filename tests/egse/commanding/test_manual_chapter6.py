"""The examples of chapter 6 of the developer manual, on stand-ins with the manual's names and real control servers."""

from __future__ import annotations

import importlib.util
import inspect
import logging
from pathlib import Path
from types import MethodType
from typing import Any

import pytest

from egse.command import (
    ClientServerCommand,
    CommandError,
    commands_of,
    dynamic_command,
    dynamic_interface,
)
from egse.device import DeviceTransport
from egse.mixin import DynamicCommandMixin
from egse.setup import Setup
from egse.yamlfile import parse_yaml

SPEC = importlib.util.spec_from_file_location("manual_lab", Path(__file__).with_name("manual_lab.py"))
assert SPEC is not None
assert SPEC.loader is not None
manual_lab: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(manual_lab)
lab = manual_lab.lab

PUNA = "egse.hexapod.symetrie.puna"
HUBER_YAML = "egse.stages.huber.smc9300_yaml"


def excerpt(text: str) -> Setup:
    """Makes a Setup of an excerpt as the manual prints them, without the root key."""
    return Setup(parse_yaml(text))


# -- 6.1.1 identical devices ---------------------------------------------------------------------------------------


@pytest.fixture
def hexapods(lab: Any) -> Any:
    """The hexapod 1A with its control server's settings, and the addresses of all hexapods."""
    device = lab.device("PUNA Control Server", manual_lab.Puna())
    lab.set(
        "PUNA Hexapod Controllers",
        H_1A={"HOSTNAME": "127.0.0.1", "PORT": device.port, "TYPE": "ALPHA"},
        H_1B={"HOSTNAME": "127.0.0.1", "PORT": 9, "TYPE": "ALPHA_PLUS"},
        H_2A={"HOSTNAME": "127.0.0.1", "PORT": 9, "TYPE": "BETA"},
    )
    return device


def test_class_in_a_setup_makes_the_proxy(lab: Any, hexapods: Any) -> None:
    setup = excerpt("gse:\n  hexapod:\n    device: class//egse.hexapod.symetrie.PunaProxy\n")
    lab.start_server(PUNA)
    with setup.gse.hexapod.device as puna:
        assert type(puna).__name__ == "PunaProxy"
        puna.homing()
    assert hexapods.received == ["HOMING"]


def test_device_args_are_passed_to_the_class(lab: Any) -> None:
    lab.set("PSU2 Control Server", PROTOCOL="tcp", HOSTNAME="localhost", COMMANDING_PORT=30010)
    setup = excerpt(
        "gse:\n  aeu:\n    psu2:\n      device: class//egse.aeu.aeu.PSUProxy\n      device_args: [2]\n"
    )
    psu = setup.gse.aeu.psu2.device
    assert psu.name == "PSU2"
    assert psu.get_endpoint() == "tcp://127.0.0.1:30010"


FACTORY_SETUP = """
gse:
    hexapod:
        device: factory//egse.hexapod.symetrie.ControllerFactory
        device_args:
            device_name: PUNA Hexapod
            device_id: 1A
"""


def test_factory_follows_its_device_args(hexapods: Any) -> None:
    setup = excerpt(FACTORY_SETUP)
    setup.gse.hexapod.device_args.direct = True
    puna = setup.gse.hexapod.device
    assert type(puna).__name__ == "PunaController"
    with puna:
        puna.homing()
    assert hexapods.received == ["HOMING"]
    setup.gse.hexapod.device_args.device_id = "1B"
    assert type(setup.gse.hexapod.device).__name__ == "PunaPlusController"
    setup.gse.hexapod.device_args.device_id = "2A"
    with pytest.raises(ValueError, match=r"Unknown controller_type \(BETA\) for PUNA Hexapod at H_2A"):
        _ = setup.gse.hexapod.device


def test_factory_gives_the_proxy_unless_direct(lab: Any, hexapods: Any) -> None:
    setup = excerpt(FACTORY_SETUP)
    lab.start_server(PUNA)
    with setup.gse.hexapod.device as puna:
        assert type(puna).__name__ == "PunaProxy"
        puna.homing()
        with puna.get_service_proxy() as srv:
            assert srv.get_server_status()["counters"]["commands"] == 1  # it went through the control server
    setup.gse.hexapod.device_args.device_id = "1B"
    with pytest.raises(TypeError, match=r"PunaPlusController does not name its Proxy.*`direct: true`"):
        _ = setup.gse.hexapod.device


def test_factory_with_other_devices(hexapods: Any) -> None:
    setup = excerpt(FACTORY_SETUP)
    setup.gse.hexapod.device_args.device_name = "Zonda"
    assert type(setup.gse.hexapod.device).__name__ == "ZondaController"
    setup.gse.hexapod.device_args.device_name = "JORAN"
    with pytest.raises(ValueError, match="Unknown device name: JORAN"):
        _ = setup.gse.hexapod.device


# -- 6.2 the Proxy loads its commands ------------------------------------------------------------------------------


@pytest.fixture
def huber_device(lab: Any) -> Any:
    return lab.device("HUBER Control Server", manual_lab.Huber())


def test_proxy_without_its_server_warns_and_loads_later(
    lab: Any, huber_device: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from egse.stages.huber.smc9300_yaml import HuberSMC9300Proxy, PlainHuberProxy

    with caplog.at_level(logging.WARNING):
        huber = HuberSMC9300Proxy()
    endpoint = huber.get_endpoint()
    assert caplog.messages == [
        f"HuberSMC9300Proxy could not connect to its control server at {endpoint}. No commands have been loaded."
    ]
    with pytest.raises(
        NotImplementedError, match=rf"{endpoint} have not been loaded; call load_commands\(\)"
    ):
        huber.get_current_position(1)
    plain = PlainHuberProxy()
    with pytest.raises(NotImplementedError, match=r"PlainHuberProxy\.goto"):
        plain.goto(1, 2.0)
    with pytest.raises(ConnectionError, match="no control server answers"):
        huber.load_commands()

    lab.start_server(HUBER_YAML)
    assert huber.load_commands() == []  # all of them are declared
    assert huber.get_current_position(1) == 12.5
    assert sorted(plain.load_commands()) == ["get_current_position", "goto", "handle_event"]
    assert plain.goto(1, 2.0) == "moving"
    assert plain.get_current_position(axis=1) == 2.0
    for proxy in (huber, plain):
        proxy.close()


def test_proxy_made_after_its_server_has_its_commands(lab: Any, huber_device: Any) -> None:
    from egse.stages.huber.smc9300_yaml import PlainHuberProxy

    lab.start_server(HUBER_YAML)
    with PlainHuberProxy() as huber:
        assert {"get_current_position", "goto", "handle_event"} <= set(dir(huber))
        assert str(inspect.signature(huber.goto)).startswith("(axis: typing.Annotated[int, Range(")
        assert inspect.getdoc(huber.goto) == "Moves an axis to a position."
        assert huber.with_timeout(1.0).get_current_position(1) == 12.5
        assert huber.handle_event("new_setup") == "event new_setup handled"
        with pytest.raises(AttributeError, match=r"no attribute .got.\. Did you mean .goto."):
            huber.got(1, 2.0)
        with pytest.raises(CommandError, match=r"goto: `axis` must be in \[1, 3\], got 4"):
            huber.goto(4, 2.0)
    assert huber_device.received == ["?p1"]


def test_static_overrides_are_kept_with_a_warning(
    lab: Any, huber_device: Any, caplog: pytest.LogCaptureFixture
) -> None:
    from egse.stages.huber.smc9300_yaml import PlainHuberProxy

    lab.start_server(HUBER_YAML)
    with caplog.at_level(logging.WARNING), PlainHuberProxy() as huber:
        assert huber.get_slit_id() == "my own"
    assert caplog.messages == [
        "PlainHuberProxy.get_slit_id is defined by the class and not replaced by the command of the control server"
    ]


# -- 6.3 Protocol, 6.4 Services ------------------------------------------------------------------------------------


def test_protocol_quit_ends_its_thread(lab: Any, hexapods: Any) -> None:
    process = lab.start_server(PUNA)
    process.terminate()
    assert process.wait(30) == 0
    (written,) = (lab.folder / "data").rglob("thread-ended.txt")
    assert written.read_text() == "cleanly"


def test_services_of_the_hexapod(lab: Any, hexapods: Any) -> None:
    from egse.hexapod.symetrie.puna import PunaProxy

    process = lab.start_server(PUNA)
    with PunaProxy() as puna, puna.get_service_proxy() as srv:
        status = srv.get_process_status()
        assert status["PID"] == process.pid
        assert set(status) >= {
            "timestamp", "delay", "Up", "UUID", "RSS", "USS", "CPU User", "CPU System", "CPU count", "CPU%",
        }  # fmt: skip
        assert 0 < srv.set_hk_frequency(100) <= 5.0  # never closer than 200 ms
        assert 0 < srv.set_monitoring_frequency(0.5) <= 0.5


# -- 6.5 Response, Failure, Success --------------------------------------------------------------------------------


def test_responses() -> None:
    from egse.control import Failure, Message, Response, Success

    success = Success("the position", return_code=12.5)
    failure = Failure("the command failed", ValueError("axis 4"))
    assert all(issubclass(kind, Response) for kind in (Success, Failure, Message))
    assert success.successful
    assert success.successful() is True
    assert success.return_code == 12.5
    assert not failure.successful
    assert failure.successful() is False
    assert isinstance(failure.cause, ValueError)
    assert str(failure) == "the command failed: axis 4"
    assert Message("busy").successful
    assert str(Message("busy")) == "busy"


# -- 6.6.1 dynamic interface ---------------------------------------------------------------------------------------


def test_dynamic_interface_marks_the_method(lab: Any, huber_device: Any) -> None:
    from egse.stages.huber.smc9300_yaml import HuberSMC9300Controller, HuberSMC9300Interface

    assert hasattr(HuberSMC9300Interface.get_current_position, "__dynamic_interface")
    assert hasattr(HuberSMC9300Interface.goto, "__dynamic_interface")  # from the command file
    assert not hasattr(HuberSMC9300Controller.get_current_position, "__dynamic_interface")


def test_commands_are_attached_as_methods() -> None:
    """The manual's `_add_commands`, on a class that takes commands by hand."""

    class Bench:
        @dynamic_interface
        def get_speed(self, axis: int) -> float:
            """Returns the speed."""

        @dynamic_interface
        def stop(self) -> None:
            """Stops."""

    class BenchProxy(Bench):
        def __init__(self) -> None:
            self._commands = {name: ClientServerCommand(d) for name, d in commands_of(Bench).items()}
            self.sent: list[Any] = []

        def stop(self) -> None:
            self.sent.append("own stop")

        def _execute_command(self, definition: Any, args: Any, kwargs: Any) -> Any:
            self.sent.append((definition.name, definition.bind(args, kwargs)))

        def _add_commands(self) -> None:
            for key in self._commands:
                if hasattr(self, key):
                    attribute = getattr(self, key)
                    if isinstance(attribute, MethodType) and not hasattr(attribute, "__dynamic_interface"):
                        continue
                    command = self._commands[key]
                    new_method = MethodType(command.client_call, self)
                    setattr(self, key, new_method)

    proxy = BenchProxy()
    proxy._add_commands()
    proxy.get_speed(2)
    proxy.stop()
    assert proxy.sent == [("get_speed", {"axis": 2}), "own stop"]


def test_client_call_and_server_call(lab: Any, huber_device: Any) -> None:
    from egse.stages.huber.smc9300_yaml import (
        HuberSMC9300Controller,
        HuberSMC9300Interface,
        HuberSMC9300Proxy,
    )

    commands = {name: ClientServerCommand(d) for name, d in commands_of(HuberSMC9300Interface).items()}
    position, goto = commands["get_current_position"], commands["goto"]
    assert position.get_name() == "get_current_position"
    assert goto.get_device_method_name() == "move_axis"
    assert goto.get_cmd_string(1, position=2.5) == "1 2.5"
    goto.validate_arguments(1, 2.5)
    with pytest.raises(CommandError, match=r"goto needs `position` \[deg\]"):
        goto.validate_arguments(1)

    lab.start_server(HUBER_YAML)
    with HuberSMC9300Proxy() as huber:
        assert position.client_call(huber, 1) == 12.5
        with pytest.raises(CommandError, match="`axis` expected a whole number"):
            position.client_call(huber, "one")
    controller = HuberSMC9300Controller()

    class Protocol:
        """Stands for the Protocol of the server, which holds the Controller."""

    protocol: Any = Protocol()
    protocol.controller = controller
    assert goto.server_call(protocol, 2, 30.0) == "moving"
    assert position.server_call(protocol, axis=2) == 30.0
    assert controller.goto(2, 31.0) == "moving"  # the alias of `move_axis`
    with pytest.raises(CommandError, match=r"must be in \[-180, 180\] deg"):
        goto.server_call(protocol, 2, 300.0)
    assert huber_device.received == ["?p1", "goto2:30.0", "?p2", "goto2:31.0"]
    controller.huber.transport.disconnect()


# -- 6.6.2 and 6.6.3 dynamic command -------------------------------------------------------------------------------


class Wire(DeviceTransport):
    """Remembers what was written, answers with what it was given."""

    def __init__(self, *replies: bytes) -> None:
        super().__init__()
        self.calls: list[Any] = []
        self.replies = list(replies)

    def connect(self) -> None: ...
    def disconnect(self) -> None: ...
    def is_connected(self) -> bool:
        return True

    def write(self, command: bytes | str) -> None:
        self.calls.append(command)

    def read(self) -> bytes:
        self.calls.append("(read)")
        return self.replies.pop(0)


def test_huber_with_dynamic_command(lab: Any) -> None:
    from egse.stages.huber.smc9300 import HuberSMC9300Controller, HuberSMC9300Interface, decode_axis_float

    assert decode_axis_float(response=b"1:12.5;\r\n") == 12.5
    wire = Wire(b"1:12.5;\r\n")
    assert HuberSMC9300Controller(wire).get_current_position(1) == 12.5
    assert wire.calls == ["?p1\r\n", "(read)"]
    assert (
        HuberSMC9300Interface.get_current_position.__doc__
        == "Returns the current position for this axis as a float."
    )


def test_proxy_with_dynamic_commands_needs_no_loading(lab: Any, huber_device: Any) -> None:
    from egse.stages.huber.smc9300 import HuberSMC9300Proxy

    huber = HuberSMC9300Proxy(timeout=5.0)
    with pytest.raises(ConnectionError, match="smc9300_cs start"):
        huber.with_timeout(0.2).get_current_position(1)
    lab.start_server(HUBER_YAML)  # the same commands, whichever way they were declared
    assert huber.get_current_position(1) == 12.5
    assert sorted(huber.load_commands()) == ["get_slit_id", "goto", "handle_event"]
    assert huber.get_slit_id() == "big rotation stage"
    huber.close()


def note_pre(transport: Any, function_name: str, cmd_string: str, args: Any, kwargs: Any) -> None:
    transport.write(f"# {function_name} {cmd_string} {args} {kwargs}")


def add_status(transport: Any, response: Any) -> Any:
    return response, transport.query("STATUS?")


def upper_kwargs(extra: dict[str, Any]) -> str:
    return ",".join(f"{key.upper()}:{value}" for key, value in extra.items())


class SensorInterface:
    @dynamic_command(cmd_type="write", cmd_string="CREATE:SENS:TEMP ${name} ${type} default=${default}")
    def create_template(self, name: str, type: str, default: float = 0.0) -> None:
        """Creates a sensor."""

    @dynamic_command(
        cmd_type="write",
        cmd_string="CREATE:SENS:TEMP {name} {type} default={default:0.4f}",
        use_format=True,
    )
    def create_format(self, name: str, type: str, default: float = 0.0) -> None:
        """Creates a sensor."""

    @dynamic_command(cmd_type="write", cmd_string="SET ${name} ${options}")
    def configure(self, name: str, **options: Any) -> None:
        """Sets options."""

    @dynamic_command(cmd_type="write", cmd_string="SET ${options}", process_kwargs=upper_kwargs)
    def configure_all(self, **options: Any) -> None:
        """Sets options."""

    @dynamic_command(cmd_type="read", process_response=lambda response: response.decode())
    def get_message(self) -> str:
        """Reads what the device has to say."""

    @dynamic_command(cmd_type="transaction", cmd_string="RESET")
    def reset(self) -> bytes:
        """Resets."""

    @dynamic_command(
        cmd_type="query",
        cmd_string="T? ${n}",
        process_cmd_string=lambda text: text + ";",
        process_response=lambda response: float(response),
        pre_cmd=note_pre,
        post_cmd=add_status,
    )
    def get_temperature(self, n: int, unit: str = "K") -> Any:
        """Measures."""


class SensorController(SensorInterface, DynamicCommandMixin):
    def __init__(self, *replies: bytes) -> None:
        self.wire = Wire(*replies)
        self.transport = self.wire


def test_template_and_format_strings() -> None:
    sensors = SensorController()
    sensors.create_template("T1", "PT100", default=4.2)
    sensors.create_format("T1", "PT100", default=4.2)
    assert sensors.wire.calls == [
        "CREATE:SENS:TEMP T1 PT100 default=4.2",
        "CREATE:SENS:TEMP T1 PT100 default=4.2000",
    ]


def test_keyword_expansion() -> None:
    sensors = SensorController()
    sensors.configure("T1", gain=2, mode="fast")
    sensors.configure("T1")
    sensors.configure_all(gain=2, mode="fast")
    assert sensors.wire.calls == ["SET T1 gain=2 mode=fast", "SET T1 ", "SET GAIN:2,MODE:fast"]


def test_read_and_transaction() -> None:
    sensors = SensorController(b"hello", b"done")
    assert sensors.get_message() == "hello"
    assert sensors.reset() == b"done"
    assert sensors.wire.calls == ["(read)", "RESET", "(read)"]


def test_pre_and_post_processing() -> None:
    sensors = SensorController(b"12.5", b"IDLE")
    assert sensors.get_temperature(3, unit="C") == (12.5, b"IDLE")
    assert sensors.wire.calls == [
        "# get_temperature T? 3; (3,) {'unit': 'C'}",
        "T? 3;",
        "(read)",
        "STATUS?",
        "(read)",
    ]
