"""Housekeeping, status and events of the process manager."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import msgspec

from egse.confman.following import SetupProtocol
from egse.event import EVENT_ID
from egse.metrics.figures import Figure
from egse.metrics.node import node_figures
from egse.procman.interface import CORE, DEVICE, ProcessManagerProxy, ServerState, ServerStatus
from egse.procman.manager import ProcessManagerController

logger = logging.getLogger(__name__)

LISTENER = {"name": "Process Manager CS", "proxy": ProcessManagerProxy, "event_id": EVENT_ID.SETUP}
PERIOD = 1.0
"""How often all servers are asked how they are [s]."""


class ProcessManagerProtocol(SetupProtocol):
    """Keeps an eye on all servers, and listens to new Setups."""

    controller: ProcessManagerController
    listener = LISTENER

    def start(self) -> None:
        """Starts the background work."""
        self._ending = threading.Event()
        self._patrol = threading.Thread(target=self._look_around, name="patrol", daemon=True)
        self._patrol.start()

    def _look_around(self) -> None:
        while not self._ending.wait(PERIOD):
            try:
                self.controller.get_all_status()
            except Exception:  # it goes on: what is wrong now may be right in a second
                logger.exception("the servers cannot be looked at")

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns how many servers there are of each kind and how many of them are as they should be."""
        statuses = list(self.controller.latest.values())
        return {
            "PM_SETUP_ID": self.controller.get_setup_id() or "",
            "PM_CORE": _count(statuses, kind=CORE),
            "PM_CORE_RUNNING": _count(statuses, kind=CORE, state=ServerState.RUNNING),
            "PM_DEVICES": _count(statuses, kind=DEVICE),
            "PM_DEVICES_RUNNING": _count(statuses, kind=DEVICE, state=ServerState.RUNNING),
            "PM_CRASHED": _count(statuses, state=ServerState.CRASHED),
            "PM_NOT_RESPONDING": _count(statuses, state=ServerState.NOT_RESPONDING),
        }

    def get_status(self) -> dict[str, Any]:
        """Returns what `pm_cs status` shows: the Setup, and how the servers were a second ago at most."""
        controller = self.controller
        return {
            "setup": controller.get_setup_id(),
            "keeper": controller.keeper.name,
            "servers": {name: msgspec.to_builtins(status) for name, status in controller.latest.items()},
            "devices": [msgspec.to_builtins(device) for device in controller.inventory.devices()],
        }

    def get_figures(self) -> Iterator[Figure]:
        """Returns how each server is, and the figures of the machine (Settings `NODE_METRICS`)."""
        statuses = list(self.controller.latest.values())
        states = tuple(({"program": status.name, "state": str(status.state)}, 1.0) for status in statuses)
        restarts = tuple(({"program": status.name}, float(status.restarts)) for status in statuses)
        yield Figure("egse_program_state", "1 for the state that a server is in", states)
        yield Figure(
            "egse_program_restarts_total",
            "How often a server was started again after a crash",
            restarts,
            "counter",
        )
        if self.control_server.settings.get("NODE_METRICS", True):
            yield from node_figures()

    def after_serve(self) -> None:
        """Takes leave of the configuration manager."""
        self._ending.set()
        super().after_serve()

    def quit(self) -> None:
        """Ends the background work."""
        self._patrol.join(timeout=2.0)
        self.controller.close()


def _count(statuses: list[ServerStatus], kind: str = "", state: ServerState | None = None) -> int:
    return sum(
        1
        for status in statuses
        if (not kind or status.kind == kind) and (state is None or status.state is state)
    )
