"""Driver of Aim-TTi bench supplies: Controller, Simulator, Proxy and how they are made; several units, each with a server."""

from __future__ import annotations

from typing import Any

from egse.command import CommandDefinition
from egse.instrument import InstrumentController, NetworkInterface, Simulated, UnitProxy, Wire, maker
from egse.powersupply.aimtti.interface import AimTTiInterface
from egse.powersupply.aimtti.messages import AimTTiError
from egse.powersupply.aimtti.model import PORT, AimTTiModel

SETTINGS, SERVER = "AIMTTI {unit} Control Server", "aimtti{unit}_cs"
UNITS = (1, 2)
MOST_OUTPUTS = 3


class AimTTiEthernetInterface(NetworkInterface):
    """The network port of a unit."""

    wire = Wire(SETTINGS, PORT, reply_end=b"\r\n")


class AimTTiController(InstrumentController, AimTTiInterface):
    """Talks to one bench supply: `AimTTiController(unit=2)`."""

    network = AimTTiEthernetInterface
    identity = ("THURLBY THANDAR",)

    _count = MOST_OUTPUTS

    def identify(self) -> str:
        """Asks the supply what it is; the name of its model tells how many outputs it has."""
        answer = super().identify()
        model = f"{answer},".split(",")[1].strip().upper().removesuffix("(G)").removesuffix("-P")
        self._count = 3 if model.endswith("T") else 2 if model.endswith(("D", "TP")) else 1
        return answer

    def _run_command(
        self,
        definition: CommandDefinition,
        arguments: dict[str, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        channel = arguments.get("channel", 1)
        if channel > self._count:  # it would not answer
            raise AimTTiError(f"this supply has {self._count} outputs, there is no output {channel}")
        return super()._run_command(definition, arguments, args, kwargs)

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return self.get_id()[2].upper().startswith("SIM")

    def outputs(self) -> range:
        """Returns the numbers of the outputs."""
        self.connect()
        return range(1, self._count + 1)


class AimTTiSimulator(Simulated, AimTTiController):
    """The driver joined with a model of a unit in the same process; replaces the Controller."""

    model_type = AimTTiModel


class AimTTiProxy(UnitProxy, AimTTiInterface):
    """Client of the control server of one unit: `AimTTiProxy(2)`."""

    units = UNITS
    settings_pattern, server_pattern = SETTINGS, SERVER


make_controller = maker(AimTTiController, AimTTiSimulator)
