"""Driver of the OGSE: Controller, Simulator, Proxy and how they are made."""

from __future__ import annotations

from egse.clock import Clock, system_clock
from egse.declaration import ServerContext
from egse.device import DeviceTransport, TCPTransport
from egse.deviceprotocol import device_address
from egse.mixin import DynamicCommandMixin
from egse.ogse.interface import OGSEInterface
from egse.ogse.model import PORT, OGSEModel
from egse.proxy import DynamicProxy
from egse.simulator import MemoryTransport

SETTINGS = "OGSE Control Server"


class OGSEEthernetInterface(TCPTransport):
    """The network port of the OGSE, which greets with a banner and takes one client at a time.

    Args:
        hostname, port: of the OGSE; from the settings when None.
        timeout: for connecting and for each reply [s].
    """

    def __init__(self, hostname: str | None = None, port: int | None = None, *, timeout: float = 5.0) -> None:
        address = device_address(SETTINGS, hostname, port, default_port=PORT)
        super().__init__(*address, timeout=timeout, banner=True)


class OGSEController(OGSEInterface, DynamicCommandMixin):
    """Talks to the OGSE.

    Args:
        hostname, port: of the OGSE; from the settings when None.
        transport: how to reach it instead; for a model in the same process.
    """

    def __init__(
        self,
        hostname: str | None = None,
        port: int | None = None,
        *,
        transport: DeviceTransport | None = None,
    ) -> None:
        self.transport = transport or OGSEEthernetInterface(hostname, port)

    def is_simulator(self) -> bool:
        """Returns True when the version says so."""
        return "sim" in self.version()

    def quit(self) -> None:
        """Says goodbye and disconnects."""
        if self.transport.is_connected():
            with self.transport.lock:
                self.transport.write("quit")
                self.transport.disconnect()

    def exit(self) -> None:
        """Same as `quit`."""
        self.quit()


class OGSESimulator(OGSEController):
    """The driver joined with a model of the OGSE in the same process; replaces the Controller.

    Args:
        clock: time of the model; the host's by default.
        seed: of noise and durations.
    """

    def __init__(self, clock: Clock | None = None, seed: int = 0) -> None:
        self.model = OGSEModel(seed)
        super().__init__(transport=MemoryTransport(self.model, clock or system_clock(), banner=True))


class OGSEProxy(DynamicProxy, OGSEInterface):
    """Client of the OGSE control server."""

    settings_name = SETTINGS
    server_name = "ogse_cs"


def make_controller(context: ServerContext) -> OGSEController:
    """Returns the Controller for a control server or a dry run.

    With the simulator the model lives in this process; it is put into `context.shared["ogse"]`.
    """
    if not context.simulator:
        return OGSEController(context.settings.get("DEVICE_HOSTNAME"), context.settings.get("DEVICE_PORT"))
    simulator = OGSESimulator(context.clock, context.seed)
    context.shared["ogse"] = simulator.model
    return simulator
