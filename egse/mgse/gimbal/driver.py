"""Driver of the gimbal: Controller, Simulator, Proxy and how they are made."""

from __future__ import annotations

from egse.instrument import InstrumentController, NetworkInterface, Simulated, Wire, maker
from egse.mgse.gimbal.interface import GimbalInterface
from egse.mgse.gimbal.model import PORT, GimbalModel
from egse.proxy import DynamicProxy

SETTINGS = "GIMBAL Control Server"


class GimbalEthernetInterface(NetworkInterface):
    """The network port of the gimbal."""

    wire = Wire(SETTINGS, PORT)


class GimbalController(InstrumentController, GimbalInterface):
    """Talks to the gimbal."""

    network = GimbalEthernetInterface
    identity = ("GIMBAL",)
    proxy_class = "egse.mgse.gimbal.driver:GimbalProxy"

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return ",SIM" in self.info().upper()


class GimbalSimulator(Simulated, GimbalController):
    """The driver joined with a model of the gimbal in the same process; replaces the Controller."""

    model_type = GimbalModel


class GimbalProxy(DynamicProxy, GimbalInterface):
    """Client of the gimbal's control server."""

    settings_name = SETTINGS
    server_name = "gimbal_cs"


make_controller = maker(GimbalController, GimbalSimulator)
