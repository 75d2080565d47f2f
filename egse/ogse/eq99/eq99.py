"""Driver of the Energetiq EQ-99 lamp: Controller, Simulator, Proxy and how they are made.

The manager of the lamp is a serial line on USB: `DEVICE_RESOURCE: serial:/dev/ttyUSB1?baud=38400` in the settings; the simulator is
on TCP.
"""

from __future__ import annotations

from egse.instrument import InstrumentController, NetworkInterface, Simulated, Wire, maker
from egse.ogse.eq99.interface import LampEQ99Interface
from egse.ogse.eq99.model import PORT, LampEQ99Model
from egse.proxy import DynamicProxy

SETTINGS = "EQ99 Control Server"


class LampEQ99EthernetInterface(NetworkInterface):
    """The network port of the simulator."""

    wire = Wire(SETTINGS, PORT, command_end=b"\r\n", reply_end=b"\r\n")


class LampEQ99Controller(InstrumentController, LampEQ99Interface):
    """Talks to the manager of a lamp."""

    network = LampEQ99EthernetInterface
    identity = ("Energetiq",)
    proxy_class = "egse.ogse.eq99.eq99:LampEQ99Proxy"

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return " SIM" in self.get_id().upper()


class LampEQ99Simulator(Simulated, LampEQ99Controller):
    """The driver joined with a model of the lamp in the same process; replaces the Controller."""

    model_type = LampEQ99Model


class LampEQ99Proxy(DynamicProxy, LampEQ99Interface):
    """Client of the lamp's control server."""

    settings_name = SETTINGS
    server_name = "eq99_cs"


make_controller = maker(LampEQ99Controller, LampEQ99Simulator)
