"""The dead man in the watchdog: calls people when the limit monitor gives no sign of life."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from egse.clock import Clock, system_clock
from egse.env import get_data_storage_location, get_site_id
from egse.monitor import AlarmEvent
from egse.monitor.heartbeat import PATIENCE, DeadMan
from egse.monitor.interface import SETTINGS
from egse.monitor.journal import FOLDER
from egse.monitor.routes import Route, routes_of
from egse.settings import Settings

LOGGER = logging.getLogger(__name__)


class MonitorGuard:
    """Looks after the limit monitor of this site; the routes are made when somebody must be called.

    Args:
        by: who looks, for people.
        patience: how long no sign of life is fine [s].
        clock: true time.
    """

    def __init__(self, by: str, patience: float = PATIENCE, clock: Clock | None = None) -> None:
        self._clock = clock or system_clock()
        self._man = DeadMan(get_data_storage_location() / FOLDER, self._call, patience, by)
        self._routes: list[Route] | None = None

    def look(self) -> bool:
        """Looks once; returns whether the monitor is as it should be."""
        return self._man.look(self._clock.now(), self._clock.monotonic())

    def _call(self, events: Sequence[AlarmEvent]) -> None:
        if self._routes is None:
            self._routes, problems = routes_of(Settings.load(SETTINGS), get_site_id())
            for problem in problems:
                LOGGER.error("nobody is called by this: %s (settings, block %s)", problem, SETTINGS)
            for route in self._routes:
                route.start()
        for route in self._routes:
            route.put(events)
