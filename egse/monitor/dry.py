"""The limit monitor of a dry run: nothing is wrong, and nothing is remembered."""

from __future__ import annotations

from typing import Any

from egse.event import Event
from egse.monitor.alarms import AlarmError
from egse.monitor.interface import LimitMonitorInterface


class DryRunMonitor(LimitMonitorInterface):
    """Answers as a limit monitor would that has found nothing."""

    def handle_event(self, event: Event) -> None:
        """Takes no notice."""

    def get_alarms(self) -> list[dict[str, Any]]:
        return []

    def acknowledge(self, name: str, by: str = "", comment: str = "") -> dict[str, Any]:
        raise AlarmError(f"there is no alarm {name!r}: in a dry run there are none")

    def shelve(self, name: str, by: str, seconds: float, reason: str) -> dict[str, Any]:
        return {"name": name, "until": seconds, "by": by, "reason": reason}

    def unshelve(self, name: str, by: str = "") -> bool:
        return True

    def get_shelves(self) -> list[dict[str, Any]]:
        return []

    def get_history(self, since: float = 0.0, until: float = 0.0, last: int = 1000) -> list[dict[str, Any]]:
        return []

    def get_limits(self, name: str | None = None) -> list[dict[str, Any]]:
        return []

    def reload_limits(self) -> dict[str, Any]:
        return {"setup": "", "parameters": 0, "rules": 0, "problems": []}

    def report_reaction(self, name: str, text: str, by: str = "") -> int:
        return 0
