"""Commands of the limit monitor and the proxy that sends them."""

from __future__ import annotations

from typing import Annotated, Any

from egse.command import Range, Unit, dynamic_interface
from egse.event import EventInterface
from egse.proxy import DynamicProxy, command_origin
from egse.security.roles import always_allowed, observe

SETTINGS = "Limit Monitor Control Server"
TOPIC = "alarm"
"""Topic under which each event of an alarm is published on the monitoring port."""


class LimitMonitorInterface(EventInterface):
    """Commands of the limit monitor: which alarms there are, and what operators do with them."""

    @observe
    @dynamic_interface
    def get_alarms(self) -> list[dict[str, Any]]:
        """Returns the alarms that are not cleared or not acknowledged, active and urgent ones first.

        Returns:
            For each one the fields of `egse.monitor.alarms.Alarm`: `name`, `priority`, `active`, `acknowledged` (when, Unix
            time [s], 0 when nobody has), `acknowledged_by`, `value`, `unit`, `limit`, `cause`, `action`, `shelved_until`, ...
        """

    @always_allowed
    @dynamic_interface
    def acknowledge(self, name: str, by: str = "", comment: str = "") -> dict[str, Any]:
        """Notes that somebody has taken notice of an alarm, and returns the alarm; the first one counts.

        Args:
            name: of the alarm.
            by: who, `user@host:pid`; filled in by the proxy.
            comment: for the journal.

        Raises:
            AlarmError: when there is no such alarm.
        """

    @always_allowed
    @dynamic_interface
    def shelve(
        self, name: str, by: str, seconds: Annotated[float, Range(1.0, 604_800.0), Unit("s")], reason: str
    ) -> dict[str, Any]:
        """Has nobody called for an alarm for a while, and returns `name`, `until` (Unix time [s]), `by` and `reason`.

        Args:
            name: of an alarm, which need not be raised.
            by: who, `user@host:pid`; filled in by the proxy when empty.
            seconds: for how long.
            reason: why; it must be given.

        Raises:
            AlarmError: when nothing of this name is monitored, or no reason is given.
        """

    @always_allowed
    @dynamic_interface
    def unshelve(self, name: str, by: str = "") -> bool:
        """Takes an alarm from the shelf before its time.

        Args:
            name: of the alarm.
            by: who, `user@host:pid`; filled in by the proxy.

        Raises:
            AlarmError: when it is not shelved.
        """

    @observe
    @dynamic_interface
    def get_shelves(self) -> list[dict[str, Any]]:
        """Returns `name`, `until`, `by` and `reason` of what is shelved."""

    @observe
    @dynamic_interface
    def get_history(
        self, since: float = 0.0, until: float = 0.0, last: Annotated[int, Range(1, 100_000)] = 1000
    ) -> list[dict[str, Any]]:
        """Returns events of alarms out of the journal, oldest first (fields of `egse.monitor.alarms.AlarmEvent`).

        Args:
            since: not older than this Unix time [s]; 0 for no limit.
            until: not newer than this Unix time [s]; 0 for no limit.
            last: the newest so many of them.
        """

    @observe
    @dynamic_interface
    def get_limits(self, name: str | None = None) -> list[dict[str, Any]]:
        """Returns what is watched: of one parameter or rule, or everything, with the newest values.

        Raises:
            AlarmError: when nothing of this name is monitored.
        """

    @dynamic_interface
    def reload_limits(self) -> dict[str, Any]:
        """Reads the definitions anew, out of the loaded Setup; they are read by themselves when a Setup is loaded.

        Returns:
            `setup`, `parameters`, `rules` and `problems`: definitions that were refused, with file, line and parameter.
        """

    @always_allowed
    @dynamic_interface
    def report_reaction(self, name: str, text: str, by: str = "") -> int:
        """Notes in the journal what an automatic reaction to an alarm has done, or will do; returns the event's number.

        Args:
            name: of the alarm.
            text: what, for people.
            by: who, `user@host:pid`; filled in by the proxy.
        """


class LimitMonitorProxy(DynamicProxy, LimitMonitorInterface):
    """Client of the limit monitor."""

    settings_name = SETTINGS
    server_name = "mon_cs"

    def acknowledge(self, name: str, by: str = "", comment: str = "") -> dict[str, Any]:
        """See `LimitMonitorInterface.acknowledge`; says who asks."""
        return super().acknowledge(name, by or command_origin(), comment)

    def shelve(self, name: str, by: str, seconds: float, reason: str) -> dict[str, Any]:
        """See `LimitMonitorInterface.shelve`; says who asks."""
        return super().shelve(name, by or command_origin(), seconds, reason)

    def unshelve(self, name: str, by: str = "") -> bool:
        """See `LimitMonitorInterface.unshelve`; says who asks."""
        return super().unshelve(name, by or command_origin())

    def report_reaction(self, name: str, text: str, by: str = "") -> int:
        """See `LimitMonitorInterface.report_reaction`; says who asks."""
        return super().report_reaction(name, text, by or command_origin())
