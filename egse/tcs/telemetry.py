"""From the telemetry port of the TCS EGSE to `TCS-HK`: the newest value of each item, as housekeeping rows."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from egse.device import DeviceError
from egse.tcs.driver import TCSTelemetry, number_of_channels
from egse.tcs.items import hk_row, row_items

LOGGER = logging.getLogger(__name__)

STALE_AFTER = 10.0
"""After so long without a burst there are no rows [s]: the values are not those of now."""
RETRY = 1.0
"""Pause before the next attempt to reach the telemetry port [s]."""
BURST_TIMEOUT = 2.5
"""So long a burst is waited for [s]; they come once a second, and it is looked so often whether the process ends."""


class TelemetryReader:
    """Listens to the telemetry port in a thread of its own, and finds it again when it is lost.

    Args:
        telemetry: the port; that of the settings when None.

    Attributes:
        bursts: how many came.
    """

    def __init__(self, telemetry: TCSTelemetry | None = None) -> None:
        self.bursts = 0
        self._telemetry = telemetry or TCSTelemetry(timeout=BURST_TIMEOUT)
        self._channels = number_of_channels()
        self._values: dict[str, Any] = {}
        self._items: list[str] = []
        self._heard = float("-inf")
        self._complaint = ""
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tcs-telemetry", daemon=True)

    @property
    def is_fresh(self) -> bool:
        """True while the TCS EGSE is heard."""
        return time.monotonic() - self._heard < STALE_AFTER

    @property
    def values(self) -> dict[str, Any]:
        """The newest value of each item by name; empty when the TCS EGSE is not heard."""
        return self._values if self.is_fresh else {}

    def row(self) -> dict[str, Any]:
        """Returns a housekeeping row; empty when the TCS EGSE is not heard."""
        values = self.values
        if values and not self._items:
            self._items = row_items(values, self._channels)
        return hk_row(values, self._items) if values else {}

    def start(self) -> None:
        """Begins to listen; the TCS EGSE may still be away."""
        self._thread.start()

    def end(self) -> None:
        """Tells the thread to end; does not wait for it."""
        self._ending.set()

    def stop(self) -> None:
        """Ends listening."""
        self.end()
        if self._thread.is_alive():
            self._thread.join(BURST_TIMEOUT + 0.5)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                self._telemetry.connect()
                items = self._telemetry.read_items()
            except DeviceError as exc:
                # What comes after a new connection is complete again: nothing old is mixed in.
                self._note(str(exc))
                self._ending.wait(RETRY)
                continue
            self._note("")
            self._values = self._values | {item.name: item.value for item in items}
            self._heard = time.monotonic()
            self.bursts += 1
        self._telemetry.disconnect()

    def _note(self, complaint: str) -> None:
        """Logs a problem once, and its end."""
        if complaint and not self._complaint:
            LOGGER.warning("no telemetry of the TCS EGSE: %s", complaint)
        elif self._complaint and not complaint:
            LOGGER.info("telemetry of the TCS EGSE comes again")
        self._complaint = complaint
