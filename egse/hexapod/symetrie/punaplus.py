"""The PUNA hexapod with an Alpha+ controller: driver, simulator, proxy."""

from __future__ import annotations

from typing import Any

from egse.hexapod.symetrie.alphaplus import AlphaPlusController, AlphaPlusInterface, AlphaPlusProxy
from egse.hexapod.symetrie.alphaplus_model import PunaPlusModel
from egse.hexapod.symetrie.controller import hexapod_maker
from egse.hexapod.symetrie.shell import PORT, AlphaPlusTelnetInterface, ShellWire
from egse.instrument import Simulated

SETTINGS = "PUNA PLUS Control Server"


class PunaPlusInterface(AlphaPlusInterface):
    """All commands of a PUNA with an Alpha+ controller."""


class PunaPlusTelnetInterface(AlphaPlusTelnetInterface):
    """The network port of its controller."""

    wire = ShellWire(SETTINGS, PORT)


class PunaPlusController(AlphaPlusController, PunaPlusInterface):
    """Talks to a PUNA with an Alpha+ controller.

    Args:
        hostname, port: of the controller; from the settings when None.
        transport: how to reach it instead.
    """

    network = PunaPlusTelnetInterface
    proxy_class = "egse.hexapod.symetrie.punaplus:PunaPlusProxy"


class PunaPlusSimulator(Simulated, PunaPlusController):
    """The driver joined with a model of the hexapod in the same process; replaces the Controller."""

    model_type = PunaPlusModel


class PunaPlusProxy(AlphaPlusProxy, PunaPlusInterface):
    """Client of the control server of a PUNA with an Alpha+ controller."""

    settings_name = SETTINGS
    server_name = "puna_plus_cs"


make_controller: Any = hexapod_maker(PunaPlusController, PunaPlusSimulator)
