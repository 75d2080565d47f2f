"""The TCS EGSE (thermal control of TOU and FEE): driver, simulator, control server, telemetry process."""

from egse.tcs.driver import (
    TCSController,
    TCSEthernetInterface,
    TCSProxy,
    TCSSimulator,
    TCSTelemetry,
)
from egse.tcs.interface import ClosedLoopMode, OperatingMode, TCSInterface
from egse.tcs.messages import TCSError, TMItem
from egse.tcs.model import TCSModel
from egse.tcs.stream import TCSTelemetryModel

__all__ = [
    "ClosedLoopMode",
    "OperatingMode",
    "TCSController",
    "TCSError",
    "TCSEthernetInterface",
    "TCSInterface",
    "TCSModel",
    "TCSProxy",
    "TCSSimulator",
    "TCSTelemetry",
    "TCSTelemetryModel",
    "TMItem",
]
