"""The telemetry process of the TCS EGSE: `tcs_hk start | stop | status`.

The TCS control server starts it and ends it (manual, section 6.3); it reads the telemetry port and stores `TCS-HK`.
"""

from __future__ import annotations

import os
from typing import Any

from egse.command import dynamic_interface
from egse.control import ControlServerApp, ServerContext
from egse.mixin import DynamicCommandMixin
from egse.protocol import Protocol
from egse.proxy import DynamicProxy
from egse.security.roles import observe
from egse.synoptics import SynopticsForwarder
from egse.tcs.driver import TELEMETRY_SETTINGS
from egse.tcs.telemetry import TelemetryReader

NAME = "tcs_hk"
PARENT = "TCS_CS_PID"
"""Environment variable by which the control server tells its process id: the telemetry process ends with it."""


class TCSTelemetryInterface:
    """What the telemetry process can be asked."""

    @observe
    @dynamic_interface
    def get_last_values(self) -> dict[str, Any]:
        """Returns the newest value of each item of telemetry by name; empty when the TCS EGSE is not heard."""


class TCSTelemetryProxy(DynamicProxy, TCSTelemetryInterface):
    """Client of the telemetry process."""

    settings_name = TELEMETRY_SETTINGS
    server_name = NAME


class TCSTelemetryController(TCSTelemetryInterface, DynamicCommandMixin):
    """Holds the reader of the telemetry port."""

    def __init__(self) -> None:
        self.reader = TelemetryReader()

    def get_last_values(self) -> dict[str, Any]:
        return self.reader.values


class TCSTelemetryProtocol(Protocol):
    """Stores the telemetry, `GTCS_*`, as housekeeping of this process, and hands it to the synoptics."""

    controller: TCSTelemetryController

    def start(self) -> None:
        """Begins to listen to the TCS EGSE, which may still be away."""
        self._parent = int(os.environ.get(PARENT, "0"))
        self._synoptics = SynopticsForwarder(NAME)
        self.controller.reader.start()

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one row; none while the TCS EGSE is not heard."""
        row = self.controller.reader.row()
        if row:
            self._synoptics.store_common_synoptics(row)
        return row

    def get_status(self) -> dict[str, Any]:
        """Returns how many bursts came; ends the process when the control server that started it is gone."""
        if self._parent and os.getppid() != self._parent:
            self.control_server.stop()
        reader = self.controller.reader
        return {"bursts": reader.bursts, "fresh": reader.is_fresh}

    def quit(self) -> None:
        """Ends listening."""
        self.controller.reader.end()
        self._synoptics.close()
        self.controller.reader.stop()


def make_controller(_context: ServerContext) -> TCSTelemetryController:
    """Makes the controller."""
    return TCSTelemetryController()


APP = ControlServerApp(
    name=NAME,
    settings=TELEMETRY_SETTINGS,
    title="telemetry of the TCS EGSE",
    interface=TCSTelemetryInterface,
    controller=make_controller,
    protocol=TCSTelemetryProtocol,
    proxy="egse.tcs.tcs_hk:TCSTelemetryProxy",
    device=False,
)

if __name__ == "__main__":
    APP.main()
