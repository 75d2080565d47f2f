"""Driver of the TCS EGSE: Controller, Simulator, Proxy, and the telemetry port beside them."""

from __future__ import annotations

from typing import Any

from egse.clock import Clock, system_clock
from egse.declaration import ServerContext
from egse.device import DeviceTimeoutError, DeviceTransport
from egse.instrument import InstrumentController, NetworkInterface, Simulated, Wire, maker
from egse.proxy import DynamicProxy
from egse.settings import Settings
from egse.simulator import DeviceModel
from egse.tcs.interface import TCSInterface
from egse.tcs.messages import ETX, TMItem, burst
from egse.tcs.model import PORT, TCSModel
from egse.tcs.stream import TELEMETRY_PORT, TCSTelemetryModel

SETTINGS = "TCS Control Server"
TELEMETRY_SETTINGS = "TCS-HK Control Server"
CHANNELS = 3
"""Number of channels when the settings name none (`CHANNELS`: 2 or 3)."""


def number_of_channels() -> int:
    """Returns how many channels the TCS EGSE of this site has."""
    return int(Settings.load(SETTINGS).get("CHANNELS", CHANNELS))


class TCSEthernetInterface(NetworkInterface):
    """The commanding port of the TCS EGSE."""

    wire = Wire(SETTINGS, PORT, command_end=ETX, reply_end=ETX)


class TCSTelemetry(NetworkInterface):
    """The telemetry port of the TCS EGSE, which tells about once a second what has changed; nothing is sent to it.

    Args:
        hostname, port: of the TCS EGSE; from the settings when None.
        timeout: for connecting and for each burst [s].
    """

    wire = Wire(TELEMETRY_SETTINGS, TELEMETRY_PORT, command_end=ETX, reply_end=ETX)

    def read_items(self) -> list[TMItem]:
        """Returns the next burst: all items the first time, then those whose value has changed."""
        return burst(self.read())

    def __enter__(self) -> TCSTelemetry:
        self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect()


class TCSController(InstrumentController, TCSInterface):
    """Talks to the TCS EGSE.

    Args:
        hostname, port: of its commanding port; from the settings when None.
        telemetry_port: of its telemetry port on the same host; from the settings when None.
        transport: how to reach the commanding port instead.
        unit: not used, there is one.
    """

    network = TCSEthernetInterface

    def __init__(
        self,
        hostname: str | None = None,
        port: int | None = None,
        *,
        telemetry_port: int | None = None,
        transport: DeviceTransport | None = None,
        unit: Any = None,
    ) -> None:
        super().__init__(hostname, port, transport=transport, unit=unit)
        self.telemetry_port = telemetry_port

    def is_simulator(self) -> bool:
        """Returns False; the TCS EGSE does not tell."""
        return False

    def get_data(self) -> dict[str, Any]:
        """Reads the first burst of the telemetry port."""
        hostname = getattr(self.transport, "hostname", None)
        with TCSTelemetry(hostname, self.telemetry_port) as telemetry:
            return values_of(telemetry.read_items())


class TCSSimulator(Simulated, TCSController):
    """The driver joined with a model of the TCS EGSE in the same process; replaces the Controller."""

    model_type = TCSModel

    def __init__(
        self,
        clock: Clock | None = None,
        seed: int = 0,
        *,
        model: DeviceModel | None = None,
        unit: Any = None,
    ) -> None:
        clock = clock or system_clock()
        tcs = model or TCSModel(seed, channels=number_of_channels(), start=clock.now())
        super().__init__(clock, seed, model=tcs, unit=unit)

    def get_data(self) -> dict[str, Any]:
        """Reads the first burst of the telemetry of the model."""
        with self.transport.lock:
            now = self.transport.clock.monotonic()  # type: ignore[attr-defined]
            self.model.step(now)
            first = TCSTelemetryModel(self.model).stream()(now)
            if not first:
                raise DeviceTimeoutError("the telemetry port of the TCS EGSE keeps silent")
            return values_of(burst(first))


def values_of(items: list[TMItem]) -> dict[str, Any]:
    """Returns the values of items by name."""
    return {item.name: item.value for item in items}


class TCSProxy(DynamicProxy, TCSInterface):
    """Client of the TCS control server."""

    settings_name = SETTINGS
    server_name = "tcs_cs"


_make = maker(TCSController, TCSSimulator)


def make_controller(context: ServerContext) -> TCSController:
    """Returns the Controller for a control server or a dry run; a dry run finds the TCS EGSE in remote mode.

    That is how the system state INITIALIZED has it (operations reference, section 4).
    """
    controller: TCSController = _make(context)
    if context.dry_run:
        context.shared["tcs"].remote = True
    return controller
