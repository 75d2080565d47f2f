"""What a control server adds to its Controller: housekeeping, status, start and end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from egse.command import CommandDefinition
from egse.metrics.figures import Figure

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

    def handle_device_method(
        self, command: CommandDefinition, method: Callable[..., Any], arguments: dict[str, Any]
    ) -> Any:
        """Executes one command and returns its result; for what goes before or after every command of a device.

        The server journals the command, and packs the result or the exception for the client, around this call.

        Args:
            command: its definition.
            method: the method of the Controller.
            arguments: all of them by name, checked.
        """
        return method(**arguments)

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one housekeeping row, EGSE-conform names and scalars; empty for no row.

        `timestamp` (UTC text) is added by the server when it is not there.
        """
        return {}

    def get_status(self) -> dict[str, Any]:
        """Returns what `status` shows and the monitoring port publishes besides the server's own figures."""
        return {}

    def get_figures(self) -> Iterable[Figure]:
        """Returns metrics besides housekeeping and status, see `egse.metrics.figures`.

        Called when Prometheus asks, in a thread of its own: no message to the device, and nothing that takes long.
        """
        return ()

    def after_serve(self) -> None:
        """Called once when the server has executed its last command, before `quit`: take leave of other servers here.

        They may be gone already, so wait for no answer longer than a moment.
        """

    def quit(self) -> None:
        """Called once when the server ends; stop threads and sub-processes here, within 3 s."""


def hook_device_methods(
    protocol: Protocol, table: dict[str, tuple[CommandDefinition, Callable[..., Any]]]
) -> None:
    """Has the commands in `table` executed by `handle_device_method`, when the protocol defines its own."""
    if type(protocol).handle_device_method is Protocol.handle_device_method:
        return
    for name, (command, method) in table.items():
        table[name] = (command, _hooked(protocol, command, method))


def _hooked(protocol: Protocol, command: CommandDefinition, method: Callable[..., Any]) -> Callable[..., Any]:
    def execute(**arguments: Any) -> Any:
        return protocol.handle_device_method(command, method, arguments)

    return execute
