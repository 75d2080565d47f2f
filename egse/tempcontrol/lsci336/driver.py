"""Driver of the LakeShore 336: Controller, Simulator, Proxy and how they are made."""

from __future__ import annotations

from egse.instrument import InstrumentController, NetworkInterface, Simulated, Wire, maker
from egse.proxy import DynamicProxy
from egse.tempcontrol.lsci336.interface import LakeShore336Interface
from egse.tempcontrol.lsci336.model import PORT, LakeShore336Model

SETTINGS = "LSCI336 Control Server"
MIN_INTERVAL = 0.05
"""Shortest time between two messages [s]: the instrument takes about 20 a second."""


class LakeShore336EthernetInterface(NetworkInterface):
    """The instrument's network port."""

    wire = Wire(SETTINGS, PORT, reply_end=b"\r\n", min_interval=MIN_INTERVAL)


class LakeShore336Controller(InstrumentController, LakeShore336Interface):
    """Talks to a LakeShore 336."""

    network = LakeShore336EthernetInterface
    identity = ("LSCI",)

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return "SIM" in self.info()[2].upper()


class LakeShore336Simulator(Simulated, LakeShore336Controller):
    """The driver joined with a model of the instrument in the same process; replaces the Controller."""

    model_type = LakeShore336Model


class LakeShore336Proxy(DynamicProxy, LakeShore336Interface):
    """Client of the LakeShore 336 control server."""

    settings_name = SETTINGS
    server_name = "lsci336_cs"


make_controller = maker(LakeShore336Controller, LakeShore336Simulator)
