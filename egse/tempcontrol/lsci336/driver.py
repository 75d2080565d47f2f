"""Driver of the LakeShore 336: Controller, Proxy and how they are made."""

from __future__ import annotations

from egse.declaration import ServerContext
from egse.device import DeviceConnectionError, DeviceTransport, TCPTransport
from egse.deviceprotocol import device_address
from egse.mixin import DynamicCommandMixin
from egse.proxy import DynamicProxy
from egse.simulator import MemoryTransport
from egse.tempcontrol.lsci336.interface import LakeShore336Interface
from egse.tempcontrol.lsci336.model import PORT, LakeShore336Model

SETTINGS = "LSCI336 Control Server"
MIN_INTERVAL = 0.05
"""Shortest time between two messages [s]: the instrument takes about 20 a second."""
MANUFACTURER = "LSCI"


class LakeShore336EthernetInterface(TCPTransport):
    """The instrument's network port.

    Args:
        hostname, port: of the instrument; from the settings when None.
        timeout: for connecting and for each reply [s].
    """

    def __init__(self, hostname: str | None = None, port: int | None = None, *, timeout: float = 5.0) -> None:
        super().__init__(
            *device_address(SETTINGS, hostname, port, default_port=PORT),
            timeout=timeout,
            command_terminator=b"\n",
            reply_terminator=b"\r\n",
            min_interval=MIN_INTERVAL,
        )


class LakeShore336Controller(LakeShore336Interface, DynamicCommandMixin):
    """Talks to a LakeShore 336.

    Args:
        hostname, port: of the instrument; from the settings when None.
        transport: how to reach it instead; for a model in the same process.
    """

    def __init__(
        self,
        hostname: str | None = None,
        port: int | None = None,
        *,
        transport: DeviceTransport | None = None,
    ) -> None:
        self.transport = transport or LakeShore336EthernetInterface(hostname, port)

    def connect(self) -> None:
        """Connects and checks that a LakeShore instrument answers.

        Raises:
            DeviceConnectionError: when nothing can be reached, or something else answers.
        """
        self.transport.connect()
        identification = self.transport.query("*IDN?").decode("ascii", errors="replace").strip()
        if not identification.startswith(MANUFACTURER):
            self.transport.disconnect()
            raise DeviceConnectionError(f"expected a LakeShore instrument, but {identification!r} answered")

    def is_simulator(self) -> bool:
        """Returns True when the serial number is that of the simulator."""
        return "SIM" in self.info()[2].upper()


class LakeShore336Proxy(DynamicProxy, LakeShore336Interface):
    """Client of the LakeShore 336 control server."""

    settings_name = SETTINGS
    server_name = "lsci336_cs"


def make_controller(context: ServerContext) -> LakeShore336Controller:
    """Returns the Controller for a control server or a dry run.

    With the simulator the model lives in this process; it is put into `context.shared["lsci336"]`.
    """
    if not context.simulator:
        return LakeShore336Controller(
            context.settings.get("DEVICE_HOSTNAME"), context.settings.get("DEVICE_PORT")
        )
    model = LakeShore336Model(context.seed)
    context.shared["lsci336"] = model
    return LakeShore336Controller(transport=MemoryTransport(model, context.clock, reply_terminator=b"\r\n"))
