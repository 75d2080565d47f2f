"""Driver of the Thorlabs PM100A and PM100D: Controller, Simulator, Proxy and how they are made.

The instrument is on USB: `DEVICE_RESOURCE: visa:USB0::0x1313::0x8079::SERIAL::INSTR` in the settings (0x8078 for a PM100D); the
simulator is on TCP.
"""

from __future__ import annotations

from typing import Any, Literal

from egse.declaration import ServerContext
from egse.device import OwnConnectionError
from egse.instrument import InstrumentController, NetworkInterface, Simulated, Wire, maker
from egse.powermeter.thorlabs.interface import ThorlabsPM100Interface
from egse.powermeter.thorlabs.messages import PM, PM100ConnectionError
from egse.powermeter.thorlabs.model import PORT, ThorlabsPM100Model
from egse.proxy import DynamicProxy

SETTINGS = "PM100A Control Server"


class ThorlabsPM100EthernetInterface(NetworkInterface):
    """The network port of the simulator."""

    wire = Wire(SETTINGS, PORT)


class ThorlabsPM100Controller(OwnConnectionError, InstrumentController, ThorlabsPM100Interface):
    """Talks to a power meter."""

    network = ThorlabsPM100EthernetInterface
    connection_error = PM100ConnectionError
    identity = ("Thorlabs", "PM100")
    proxy_class = "egse.powermeter.thorlabs.pm100a:ThorlabsPM100Proxy"

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return ",SIM" in self.info().upper()

    def set_range(self, range: Literal["up", "down"] | None = None, auto: bool = False) -> None:
        with self.transport.lock:
            if range is not None:
                largest = self.get_range()["range"] * (10.0 if range == "up" else 0.1)
                low, high = self._limits()
                self._set(f"SENS:POW:RANG:UPP {min(max(largest, low), high):.6E}")
            self._set(f"SENS:POW:RANG:AUTO {int(auto)}")

    def set_zero(self, zero: bool) -> None:
        self._set(f"SENS:CORR:COLL:ZERO:{'INIT' if zero else 'ABOR'}")

    def _limits(self) -> tuple[float, float]:
        query = PM.with_check("SENS:POW:RANG:UPP? MIN;:SENS:POW:RANG:UPP? MAX")
        low, high = PM.answered(lambda text: [float(word) for word in text.split(";")])(
            self.transport.query(query)
        )
        return low, high

    def _set(self, command: str) -> None:
        PM.done(self.transport.query(PM.with_check(command)))


class ThorlabsPM100Simulator(Simulated, ThorlabsPM100Controller):
    """The driver joined with a model of the instrument in the same process; replaces the Controller."""

    model_type = ThorlabsPM100Model


class ThorlabsPM100Proxy(DynamicProxy, ThorlabsPM100Interface):
    """Client of the power meter's control server."""

    settings_name = SETTINGS
    server_name = "pm100a_cs"


_make = maker(ThorlabsPM100Controller, ThorlabsPM100Simulator)


def make_controller(context: ServerContext) -> Any:
    """Returns the Controller; a simulated meter sees the other simulated devices of a dry run."""
    controller = _make(context)
    if context.simulator:
        controller.model.others = context.shared
    return controller
