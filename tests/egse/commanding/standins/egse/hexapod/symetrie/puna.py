"""Stand-in for the PUNA hexapod: a few commands over TCP."""

import threading
from pathlib import Path
from typing import Annotated, Any

from egse.command import Range, Unit, dynamic_command
from egse.control import ControlServerApp, ServerContext
from egse.device import DeviceInterface, TCPTransport
from egse.env import get_data_storage_location
from egse.hexapod import HexapodError
from egse.mixin import DynamicCommandMixin
from egse.protocol import Protocol
from egse.proxy import DynamicProxy
from egse.settings import Settings

Millimetre = Annotated[float, Range(-50, 50), Unit("mm")]
Degree = Annotated[float, Range(-20, 20), Unit("deg")]


def accepted(response: bytes) -> None:
    text = response.decode().strip()
    if text != "OK":
        raise HexapodError(f"the hexapod refused: {text}")


def numbers(response: bytes) -> list[float]:
    return [float(item) for item in response.decode().split()]


class PunaInterface(DeviceInterface):
    @dynamic_command(cmd_type="transaction", cmd_string="HOMING", process_response=accepted)
    def homing(self) -> None:
        """Looks for the home position."""

    @dynamic_command(
        cmd_type="transaction",
        cmd_string="MOVE {tx:.3f} {ty:.3f} {tz:.3f} {rx:.3f} {ry:.3f} {rz:.3f}",
        use_format=True,
        process_response=accepted,
    )
    def move_absolute(
        self, tx: Millimetre, ty: Millimetre, tz: Millimetre, rx: Degree, ry: Degree, rz: Degree
    ) -> None:
        """Moves the platform to a position."""

    @dynamic_command(cmd_type="query", cmd_string="POS?", process_response=numbers)
    def get_user_positions(self) -> list[float]:
        """Returns tx, ty, tz [mm] and rx, ry, rz [deg]."""

    @dynamic_command(cmd_type="query", cmd_string="SPEED?", process_response=numbers)
    def get_speed(self) -> list[float]:
        """Returns the speeds of translation [mm/s] and rotation [deg/s]."""


class PunaController(PunaInterface, DynamicCommandMixin):
    proxy_class = "egse.hexapod.symetrie.puna:PunaProxy"

    def __init__(self, hostname: str | None = None, port: int | None = None) -> None:
        settings = Settings.load("PUNA Control Server")
        self.transport = TCPTransport(hostname or "127.0.0.1", port or settings.DEVICE_PORT, timeout=2.0)

    def is_simulator(self) -> bool:
        return False


class PunaProxy(DynamicProxy, PunaInterface):
    settings_name = "PUNA Control Server"
    server_name = "puna_cs"


class PunaProtocol(Protocol):
    """Has a thread of its own, as the DPU Protocol of section 6.3, which `quit()` ends."""

    def start(self) -> None:
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self) -> None:
        self.end.wait()
        Path(get_data_storage_location(), "thread-ended.txt").write_text("cleanly")

    def quit(self) -> None:
        self.end.set()
        self.thread.join()


def make_controller(context: ServerContext) -> Any:
    controller = PunaController()
    controller.connect()
    return controller


APP = ControlServerApp(
    name="puna_cs",
    settings="PUNA Control Server",
    title="PUNA Hexapod",
    interface=PunaInterface,
    controller=make_controller,
    protocol=PunaProtocol,
    proxy="egse.hexapod.symetrie.puna:PunaProxy",
)
