"""Commands that act on a control server instead of on its device (section 6.4 of the manual).

They have a port and a thread of their own, so that they answer while a device command is running.
"""

from __future__ import annotations

from typing import Annotated, Any

from egse.command import Range, Unit, dynamic_interface
from egse.security.roles import observe

Frequency = Annotated[float, Range(0.001, 100.0), Unit("Hz")]


class ServiceInterface:
    """What every control server offers on its service port."""

    @observe
    @dynamic_interface
    def get_process_status(self) -> dict[str, Any]:
        """Returns what the process of the server costs now; the monitoring port publishes the same as `process` of its status.

        Returns:
            `timestamp` (UTC), `delay` (between two housekeeping rows, as applied, [ms]), `PID`, `Up` [s], `UUID` (it
            travels as text; the service proxy makes a `uuid.UUID` of it), `RSS`, `USS` [bytes], `CPU User`, `CPU System` [s],
            `CPU count`, `CPU%`. USS and CPU% are measured once a second at most.
        """

    @observe
    @dynamic_interface
    def get_server_status(self) -> dict[str, Any]:
        """Returns name, incarnation, endpoints, simulator flag, counters and what the device protocol adds."""

    @dynamic_interface
    def set_hk_frequency(self, freq: Frequency) -> float:
        """Sets how often housekeeping is taken and stored.

        The delay between two rows is never shorter than the mean execution time of `get_housekeeping` plus the
        server's margin (`HK_MARGIN` in its settings, default 0.2 s), so that other commands get their turn. That holds
        for `HK_DELAY` too, and for as long as the server runs: a device that becomes slow gets more time, and the wanted
        frequency is used again once it can be. `get_server_status` tells the period that is applied now.

        Args:
            freq: wanted frequency [Hz].

        Returns:
            The frequency that is really used [Hz], as things are now.
        """

    @dynamic_interface
    def set_monitoring_frequency(self, freq: Frequency) -> float:
        """Sets how often status is published on the monitoring port; the same rule as for housekeeping.

        Args:
            freq: wanted frequency [Hz].

        Returns:
            The frequency that is really used [Hz], as things are now.
        """

    @dynamic_interface
    def set_logging_level(self, name: str, level: str | int) -> str:
        """Sets the level of a logger of the server.

        Args:
            name: name of the logger, "root" for all.
            level: "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL" or a number.

        Returns:
            The name of the level now set.
        """

    @observe
    @dynamic_interface
    def get_cs_module(self) -> str:
        """Returns the name of the module in which the control server is declared."""

    @observe
    @dynamic_interface
    def get_commands(self) -> list[dict[str, Any]]:
        """Returns the command catalogue: name, signature, documentation, type and units of every command."""

    @observe
    @dynamic_interface
    def get_outcome(self, command_id: str) -> dict[str, Any]:
        """Returns what became of a command: its `status`, and `value` or `error` as far as they are known.

        `status` is `done`, `failed`, `running`, `not executed` (this server never began it), `unknown` (begun, and
        the server died before it ended) or `not known` (too long ago, at a server without a journal).

        Args:
            command_id: the id that an `OutcomeUnknownError` carries.
        """

    @observe
    @dynamic_interface
    def get_journal(self, last: Annotated[int, Range(1, 10_000)] = 100) -> list[dict[str, Any]]:
        """Returns the newest records of the command journal, oldest first; empty for a server that keeps none.

        Args:
            last: how many.

        Returns:
            Records with `event` (begin, end), `id` and `time` (Unix time [s]); for begin also `command`, `args`, `source`
            (server, incarnation) and `context` (origin, setup, obsid, block), for end also `status` and `error`.
        """

    @dynamic_interface
    def add_listener(self, listener: dict[str, Any]) -> list[str]:
        """Registers a listener for events of this server (chapter 7 of the manual); again for one that has moved.

        Control servers use `register_as_listener`, which also tries again and takes Proxy classes.

        Args:
            listener: `name`, `event_id` ("setup", "all") and `endpoint` (`tcp://host:port` of its commanding port) or
                `proxy` (full name of its Proxy class, from a trusted package).

        Returns:
            The names of all listeners.
        """

    @dynamic_interface
    def remove_listener(self, listener: dict[str, Any]) -> bool:
        """Removes a listener; returns False when it was not registered.

        Args:
            listener: `name`; anything else is not looked at.
        """

    @dynamic_interface
    def confirm_event(self, source: str, name: str, number: int) -> None:
        """Takes notice that a listener has applied an event, for other control servers only.

        Args:
            source: the server that had sent it; the confirmation of another's event is not looked at.
            name: name of the listener.
            number: number of the event.
        """

    @observe
    @dynamic_interface
    def get_event_states(self) -> dict[str, str]:
        """Returns what has become of the last event of each listener.

        Returns:
            By name: `applied`, `told` (acknowledged, not applied yet), `waiting` (not reached yet) or `lost` (dropped).
        """

    @observe
    @dynamic_interface
    def get_listener_names(self) -> list[str]:
        """Returns the names of the registered listeners."""

    @dynamic_interface
    def quit_server(self) -> str:
        """Ends the control server, as SIGTERM does; returns at once."""
