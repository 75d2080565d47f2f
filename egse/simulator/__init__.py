"""Simulated devices: models without I/O, a TCP shell that speaks the device's protocol, and a memory transport.

A device package writes a `DeviceModel` and one `SimulatorApp`; everything between bytes and the model is here.
"""

from egse.simulator.app import SimulatorApp
from egse.simulator.faults import LINE_FAULTS, LineFaults
from egse.simulator.framing import Framer, LineFramer
from egse.simulator.memory import MemoryTransport
from egse.simulator.model import DeviceModel, FaultError, HangUpError, LateReply
from egse.simulator.server import Busy, SimulatorServer, serve_together
from egse.simulator.session import Session

__all__ = [
    "LINE_FAULTS",
    "Busy",
    "DeviceModel",
    "FaultError",
    "Framer",
    "HangUpError",
    "LateReply",
    "LineFaults",
    "LineFramer",
    "MemoryTransport",
    "Session",
    "SimulatorApp",
    "SimulatorServer",
    "serve_together",
]
