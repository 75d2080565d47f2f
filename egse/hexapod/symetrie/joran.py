"""The JORAN hexapod: driver, simulator, proxy."""

from __future__ import annotations

from egse.hexapod.symetrie.alphaplus import AlphaPlusProxy
from egse.hexapod.symetrie.alphaplus_model import JoranModel
from egse.hexapod.symetrie.big import BigController, BigInterface
from egse.hexapod.symetrie.controller import hexapod_maker
from egse.hexapod.symetrie.shell import PORT, AlphaPlusTelnetInterface, ShellWire
from egse.instrument import Simulated

SETTINGS = "JORAN Control Server"


class JoranInterface(BigInterface):
    """All commands of a JORAN."""


class JoranTelnetInterface(AlphaPlusTelnetInterface):
    """The network port of its controller."""

    wire = ShellWire(SETTINGS, PORT)


class JoranController(BigController, JoranInterface):
    """Talks to a JORAN.

    Args:
        hostname, port: of the controller; from the settings when None.
        transport: how to reach it instead.
    """

    network = JoranTelnetInterface
    proxy_class = "egse.hexapod.symetrie.joran:JoranProxy"


class JoranSimulator(Simulated, JoranController):
    """The driver joined with a model of the hexapod in the same process; replaces the Controller."""

    model_type = JoranModel


class JoranProxy(AlphaPlusProxy, JoranInterface):
    """Client of the control server of a JORAN."""

    settings_name = SETTINGS
    server_name = "joran_cs"


make_controller = hexapod_maker(JoranController, JoranSimulator)
