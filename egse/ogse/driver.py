"""Driver of the OGSE: Controller, Simulator, Proxy and how they are made."""

from __future__ import annotations

from egse.instrument import InstrumentController, NetworkInterface, Simulated, Wire, maker
from egse.ogse.interface import OGSEInterface
from egse.ogse.model import PORT, OGSEModel
from egse.proxy import DynamicProxy

SETTINGS = "OGSE Control Server"


class OGSEEthernetInterface(NetworkInterface):
    """The network port of the OGSE, which greets with a banner and takes one client at a time."""

    wire = Wire(SETTINGS, PORT, banner=True)


class OGSEController(InstrumentController, OGSEInterface):
    """Talks to the OGSE."""

    network = OGSEEthernetInterface

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


class OGSESimulator(Simulated, OGSEController):
    """The driver joined with a model of the OGSE in the same process; replaces the Controller."""

    model_type = OGSEModel


class OGSEProxy(DynamicProxy, OGSEInterface):
    """Client of the OGSE control server."""

    settings_name = SETTINGS
    server_name = "ogse_cs"


make_controller = maker(OGSEController, OGSESimulator)
