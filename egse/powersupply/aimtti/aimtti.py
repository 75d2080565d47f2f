"""Driver of Aim-TTi bench supplies: Controller, Simulator, Proxy and how they are made; several units, each with a server."""

from __future__ import annotations

from egse.instrument import InstrumentController, NetworkInterface, Simulated, UnitProxy, Wire, maker
from egse.powersupply.aimtti.interface import AimTTiInterface
from egse.powersupply.aimtti.model import PORT, AimTTiModel

SETTINGS, SERVER = "AIMTTI {unit} Control Server", "aimtti{unit}_cs"
UNITS = (1, 2)


class AimTTiEthernetInterface(NetworkInterface):
    """The network port of a unit."""

    wire = Wire(SETTINGS, PORT, reply_end=b"\r\n")


class AimTTiController(InstrumentController, AimTTiInterface):
    """Talks to one bench supply: `AimTTiController(unit=2)`."""

    network = AimTTiEthernetInterface
    identity = ("THURLBY THANDAR",)

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return self.get_id()[2].upper().startswith("SIM")

    def outputs(self) -> range:
        """Returns the numbers of the outputs, from the name of the model: QMT has three, QMD and D two, others one."""
        model = self.get_id()[1].upper().removesuffix("-P").removesuffix("-P(G)")
        return range(1, 4 if model.endswith("T") else 3 if model.endswith(("D", "TP")) else 2)


class AimTTiSimulator(Simulated, AimTTiController):
    """The driver joined with a model of a unit in the same process; replaces the Controller."""

    model_type = AimTTiModel


class AimTTiProxy(UnitProxy, AimTTiInterface):
    """Client of the control server of one unit: `AimTTiProxy(2)`."""

    units = UNITS
    settings_pattern, server_pattern = SETTINGS, SERVER


make_controller = maker(AimTTiController, AimTTiSimulator)
