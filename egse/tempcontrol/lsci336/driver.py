"""Driver of the LakeShore 336: Controller, Simulator, Proxy and how they are made."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from egse.instrument import InstrumentController, NetworkInterface, Simulated, UnitProxy, Wire, maker
from egse.proxy import DynamicProxy
from egse.tempcontrol.lsci336.interface import LakeShore336Interface
from egse.tempcontrol.lsci336.model import PORT, LakeShore336Model

SETTINGS = "LSCI336 Control Server"
UNITS = (1, 2, 3)
"""Numbers of the instruments where there are several."""
UNIT_SETTINGS = "LSCI336 {unit} Control Server"
UNIT_PORT = PORT + 1
"""TCP port of a unit when the settings name none: simulators of several share a host."""
CHAMBER = 153.15
"""What the units control stands in cold surroundings [K, own proposal: a shroud at -120 degC]."""
MIN_INTERVAL = 0.05
"""Shortest time between two messages [s]: the instrument takes about 20 a second."""


def cold_model(seed: int = 0) -> LakeShore336Model:
    """Returns the model of a unit: its sensors see cold surroundings."""
    return LakeShore336Model(seed, bath=CHAMBER)


class LakeShore336EthernetInterface(NetworkInterface):
    """The instrument's network port."""

    wire = Wire(SETTINGS, PORT, reply_end=b"\r\n", min_interval=MIN_INTERVAL)


class LakeShore336Controller(InstrumentController, LakeShore336Interface):
    """Talks to a LakeShore 336."""

    network: ClassVar[type[NetworkInterface]] = LakeShore336EthernetInterface
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


# -- several of them, as around the thermal enclosure (TEB): each has a number, a settings block and a server of its own


class LakeShore336UnitEthernetInterface(NetworkInterface):
    """The network port of one of several instruments."""

    wire = replace(LakeShore336EthernetInterface.wire, settings=UNIT_SETTINGS, port=UNIT_PORT)


class LakeShore336UnitController(LakeShore336Controller):
    """Talks to one of several LakeShore 336; `unit` says which."""

    network = LakeShore336UnitEthernetInterface


class LakeShore336UnitSimulator(Simulated, LakeShore336UnitController):
    """The driver of one of several instruments, joined with its model in the same process."""

    model_type = cold_model


class LakeShore336UnitProxy(UnitProxy, LakeShore336Interface):
    """Client of the control server of one of several LakeShore 336.

    Args:
        unit: 1 to 3; `device_args: [2]` in the Setup.
        endpoint, timeout: see `egse.proxy.Proxy`.
    """

    units = UNITS
    settings_pattern = UNIT_SETTINGS
    server_pattern = "lsci336_{unit}_cs"


make_unit_controller = maker(LakeShore336UnitController, LakeShore336UnitSimulator)
