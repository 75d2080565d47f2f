"""The public names of the TCS EGSE under the path of the original: `from egse.tcs.tcs import TCSProxy`."""

from egse.tcs import (
    ClosedLoopMode,
    OperatingMode,
    TCSController,
    TCSError,
    TCSInterface,
    TCSProxy,
    TCSSimulator,
    TCSTelemetry,
    TMItem,
)

__all__ = [
    "ClosedLoopMode",
    "OperatingMode",
    "TCSController",
    "TCSError",
    "TCSInterface",
    "TCSProxy",
    "TCSSimulator",
    "TCSTelemetry",
    "TMItem",
]
