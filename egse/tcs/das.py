"""`das tcs`: asks the TCS EGSE for its housekeeping, through the control server, and stores each answer in `DAS-TCS`.

The rows have the names of `TCS-HK`, which the telemetry process `tcs_hk` stores at the rhythm of the telemetry port; here they
come at the interval that was asked for, also where no telemetry process runs.
"""

from __future__ import annotations

from typing import Any

from egse.das import Acquisition
from egse.tcs.driver import TCSProxy, number_of_channels
from egse.tcs.interface import TCSInterface
from egse.tcs.items import hk_row, row_items

PATIENCE = 5.0
"""So long an answer of the control server is waited for [s]: it reads a burst of the telemetry port."""


class TCSReadings:
    """Asks for one row after the other.

    Args:
        tcs: the TCS EGSE; through its control server when None.
    """

    def __init__(self, tcs: TCSInterface | None = None) -> None:
        self._tcs: Any = TCSProxy(timeout=PATIENCE) if tcs is None else tcs
        self._channels = number_of_channels()
        self._items: list[str] = []

    def read(self) -> dict[str, Any]:
        """Returns one row; needs no remote mode. Temperatures and heaters are fresh while a task is running only."""
        values = self._tcs.get_data()
        if not self._items:
            self._items = row_items(values, self._channels)
        return hk_row(values, self._items)

    def close(self) -> None:
        """Closes the connection to the control server."""
        if isinstance(self._tcs, TCSProxy):
            self._tcs.disconnect_cs()


TCS_READINGS = Acquisition(
    name="tcs",
    title="Asks the TCS EGSE for its housekeeping",
    mnemonic="DAS-TCS",
    source=TCSReadings,
)
