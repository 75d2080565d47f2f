"""The ZONDA hexapod: driver, simulator, proxy."""

from __future__ import annotations

from egse.hexapod.symetrie.alphaplus import AlphaPlusProxy
from egse.hexapod.symetrie.alphaplus_model import ZondaModel
from egse.hexapod.symetrie.big import BigController, BigInterface
from egse.hexapod.symetrie.controller import hexapod_maker
from egse.hexapod.symetrie.shell import PORT, AlphaPlusTelnetInterface, ShellWire
from egse.instrument import Simulated

SETTINGS = "ZONDA Control Server"


class ZondaInterface(BigInterface):
    """All commands of a ZONDA."""


class ZondaTelnetInterface(AlphaPlusTelnetInterface):
    """The network port of its controller."""

    wire = ShellWire(SETTINGS, PORT)


class ZondaController(BigController, ZondaInterface):
    """Talks to a ZONDA.

    Args:
        hostname, port: of the controller; from the settings when None.
        transport: how to reach it instead.
    """

    network = ZondaTelnetInterface
    proxy_class = "egse.hexapod.symetrie.zonda:ZondaProxy"


class ZondaSimulator(Simulated, ZondaController):
    """The driver joined with a model of the hexapod in the same process; replaces the Controller."""

    model_type = ZondaModel


class ZondaProxy(AlphaPlusProxy, ZondaInterface):
    """Client of the control server of a ZONDA."""

    settings_name = SETTINGS
    server_name = "zonda_cs"


make_controller = hexapod_maker(ZondaController, ZondaSimulator)
