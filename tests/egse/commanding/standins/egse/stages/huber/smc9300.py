"""Stand-in for the HUBER stages, new scheme of section 6.6.3: nothing but the interface."""

from egse.command import dynamic_command
from egse.device import DeviceInterface, DeviceTransport
from egse.mixin import DynamicCommandMixin
from egse.proxy import DynamicProxy


def process_cmd_string(text: str) -> str:
    """Appends what ends a command."""
    return text + "\r\n"


def decode_axis_float(response: bytes) -> float:
    """Decodes `<axis>:<float>;`."""
    text = response.decode().rstrip()
    return float(text[2:-1])


class HuberSMC9300Interface(DeviceInterface):
    @dynamic_command(
        cmd_type="query",
        cmd_string="?p${axis}",
        process_cmd_string=process_cmd_string,
        process_response=decode_axis_float,
    )
    def get_current_position(self, axis: int) -> float:
        """Returns the current position for this axis as a float."""
        raise NotImplementedError


class HuberSMC9300Controller(HuberSMC9300Interface, DynamicCommandMixin):
    def __init__(self, transport: DeviceTransport) -> None:
        self.transport = transport

    def is_simulator(self) -> bool:
        return True


class HuberSMC9300Proxy(DynamicProxy, HuberSMC9300Interface):
    settings_name = "HUBER Control Server"
    server_name = "smc9300_cs"
