"""What a control server adds to its Controller: housekeeping, status, start and end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from egse.control import ControlServer


class Protocol:
    """Hooks of one kind of control server; a device overrides what it needs.

    `get_housekeeping` and `get_status` are called from the telemetry threads of the server while commands may be
    running; access to the device is arbitrated per transaction by its transport.

    Args:
        control_server: the server that this protocol belongs to.
        controller: the object that executes the commands.
    """

    def __init__(self, control_server: ControlServer, controller: Any) -> None:
        self.control_server = control_server
        self.controller = controller

    def start(self) -> None:
        """Called once when the ports are open, before the server is announced as ready."""

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one housekeeping row, EGSE-conform names and scalars; empty for no row.

        `timestamp` (UTC text) is added by the server when it is not there.
        """
        return {}

    def get_status(self) -> dict[str, Any]:
        """Returns what `status` shows and the monitoring port publishes besides the server's own figures."""
        return {}

    def quit(self) -> None:
        """Called once when the server ends; stop threads and sub-processes here, within 3 s."""
