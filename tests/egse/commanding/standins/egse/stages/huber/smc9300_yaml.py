"""Stand-in for the HUBER stages, older scheme of section 6.6.1: a command YAML file and methods of the Controller."""

from typing import Any

from egse.command import ClientServerCommand, commands_of, dynamic_interface
from egse.commandfile import command_file
from egse.control import ControlServerApp, ServerContext
from egse.device import TCPTransport
from egse.proxy import Proxy
from egse.settings import Settings


@command_file("smc9300.yaml")
class HuberSMC9300Interface:
    @dynamic_interface
    def get_current_position(self, axis) -> float:
        """Returns the current position for this axis as a float."""
        raise NotImplementedError

    @dynamic_interface
    def get_slit_id(self) -> str:
        raise NotImplementedError


cmd_q_pos = ClientServerCommand(commands_of(HuberSMC9300Interface)["get_current_position"])


class HuberEthernet:
    """Low-level device interface."""

    def __init__(self) -> None:
        port = Settings.load("HUBER Control Server").DEVICE_PORT
        self.transport = TCPTransport("127.0.0.1", port, timeout=2.0, command_terminator=b"\r\n")

    def get_response(self, cmd_string: str) -> str:
        return self.transport.query(cmd_string).decode().rstrip()


class HuberSMC9300Controller(HuberSMC9300Interface):
    def __init__(self) -> None:
        self.huber = HuberEthernet()

    def get_current_position(self, axis) -> float:
        cmd_string = cmd_q_pos.get_cmd_string(axis)
        answer = self.huber.get_response(cmd_string)
        return float(answer[2:-1])

    def move_axis(self, axis: int, position: float) -> str:
        return self.huber.get_response(f"goto{axis}:{position}")

    def get_slit_id(self) -> str:
        return "big rotation stage"

    def handle_event(self, event: Any) -> str:
        return f"event {event} handled"


class HuberSMC9300Proxy(Proxy, HuberSMC9300Interface):
    settings_name = "HUBER Control Server"
    server_name = "smc9300_cs"


class PlainHuberProxy(Proxy):
    """Declares nothing: every command comes from the control server, but for one of its own."""

    settings_name = "HUBER Control Server"
    server_name = "smc9300_cs"

    def get_slit_id(self) -> str:
        return "my own"


def make_controller(context: ServerContext) -> HuberSMC9300Controller:
    return HuberSMC9300Controller()


APP = ControlServerApp(
    name="smc9300_cs",
    settings="HUBER Control Server",
    title="HUBER stages",
    interface=HuberSMC9300Interface,
    controller=make_controller,
)
