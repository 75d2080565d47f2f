"""The TCS control server: its own housekeeping, and the telemetry process that it starts (manual, section 6.3)."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from typing import Any

from egse.deviceprotocol import DeviceProtocol
from egse.process import SubProcess
from egse.proxy import endpoint_from_settings, is_control_server_active
from egse.synoptics import SynopticsForwarder
from egse.tcs.driver import TELEMETRY_SETTINGS, TCSController, number_of_channels
from egse.tcs.items import all_items, hk_row
from egse.tcs.tcs_hk import NAME, PARENT
from egse.telemetry import HousekeepingStore, Lane

LOGGER = logging.getLogger(__name__)

HK_MNEMONIC = "TCS-HK"
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0
"""Pause before the telemetry process is started again [s]; it doubles from the first to the longest."""
PING_TIMEOUT = 0.2


class TelemetryProcess:
    """`tcs_hk` as a child of the control server, started again when it dies.

    Attributes:
        restarts: how often.
    """

    def __init__(self) -> None:
        self.restarts = 0
        self._child: SubProcess | None = None
        self._pause = FIRST_PAUSE
        self._not_before = 0.0

    @property
    def is_running(self) -> bool:
        """True while the child lives."""
        return self._child is not None and self._child.is_running

    def start(self) -> None:
        """Starts it."""
        command = [sys.executable, "-m", "egse.tcs.tcs_hk", "start"]
        environment = {PARENT: str(os.getpid())}
        self._child = SubProcess(NAME, command, env=environment, stdout=subprocess.DEVNULL, stderr=None)
        self._child.execute(detach_from_parent=True)  # Ctrl-C is for the server, which ends it

    def look_after(self) -> None:
        """Starts it again when it has died; called now and then."""
        if self._child is None or self._child.is_running or time.monotonic() < self._not_before:
            return
        self._not_before = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        if is_control_server_active(endpoint_from_settings(TELEMETRY_SETTINGS), PING_TIMEOUT):
            return  # that of an earlier control server, about to end, or somebody's own
        LOGGER.error("%s ended with code %s; it is started again", NAME, self._child.returncode)
        self.restarts += 1
        self.start()

    def stop(self) -> None:
        """Ends it."""
        if self._child is not None:
            self._child.stop(timeout=2.5)


class ModelTelemetry:
    """The telemetry of a model in this process: no port to listen to, so it is stored from here.

    Args:
        controller: joined with the model.
    """

    restarts = 0

    def __init__(self, controller: TCSController) -> None:
        self._controller = controller
        self._store = HousekeepingStore(HK_MNEMONIC)
        self._synoptics = SynopticsForwarder(NAME)
        self._lane = Lane(HK_MNEMONIC, self._save, 1.0, 0.2)

    @property
    def is_running(self) -> bool:
        """True while rows are stored."""
        return self._lane.is_alive()

    def start(self) -> None:
        """Begins to store rows."""
        self._lane.start()

    def look_after(self) -> None:
        """It goes on by itself."""

    def stop(self) -> None:
        """Ends with the row that is under way; storage and synoptics managers may be away, each is given its time."""
        self._lane.end()
        closing = [threading.Thread(target=one.close, daemon=True) for one in (self._store, self._synoptics)]
        for thread in closing:
            thread.start()
        for thread in (self._lane, *closing):
            thread.join(3.0)

    def _save(self) -> None:
        row = hk_row(self._controller.get_data(), all_items(number_of_channels()))
        self._synoptics.store_common_synoptics(row)
        self._store.save(row)


class TCSProtocol(DeviceProtocol):
    """One row of its own: `GTCS_REMOTE`, `GTCS_TM_RUNNING`, `GTCS_TM_RESTARTS`; the telemetry is `TCS-HK`."""

    controller: TCSController
    telemetry: TelemetryProcess | ModelTelemetry | None = None

    def start(self) -> None:
        """Connects, and starts the telemetry process; with a model in this process it takes its place."""
        super().start()
        is_model = self.controller.is_simulator()
        self.telemetry = ModelTelemetry(self.controller) if is_model else TelemetryProcess()
        self.telemetry.start()

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one row; looks after the telemetry process."""
        if self.telemetry is not None:
            self.telemetry.look_after()
        return {"GTCS_REMOTE": self.controller.is_remote_operation_active(), **self._of_telemetry()}

    def get_status(self) -> dict[str, Any]:
        """Returns whether the device is connected, and how the telemetry process is."""
        names = {"GTCS_TM_RUNNING": "telemetry_running", "GTCS_TM_RESTARTS": "telemetry_restarts"}
        return super().get_status() | {names[key]: value for key, value in self._of_telemetry().items()}

    def _of_telemetry(self) -> dict[str, Any]:
        telemetry = self.telemetry
        return {
            "GTCS_TM_RUNNING": telemetry is not None and telemetry.is_running,
            "GTCS_TM_RESTARTS": telemetry.restarts if telemetry is not None else 0,
        }

    def quit(self) -> None:
        """Ends the telemetry process and disconnects; a task that is running goes on."""
        if self.telemetry is not None:
            self.telemetry.stop()
        super().quit()
