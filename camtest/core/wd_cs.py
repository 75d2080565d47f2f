"""The watchdog as a control server: `wd_cs start|stop|status`; started with the core services.

It knows building blocks, so it lives here and not among the core services of `egse`, whose table has its name only.
"""

from __future__ import annotations

import logging
from typing import Any

from camtest.core.monitorguard import MonitorGuard
from camtest.core.remembering import ArchiveMemory
from camtest.core.watchdog import Watchdog
from egse.command import dynamic_interface
from egse.control import ControlServerApp, ServerContext
from egse.env import get_data_storage_location
from egse.protocol import Protocol
from egse.proxy import DynamicProxy
from egse.security.roles import observe

LOGGER = logging.getLogger(__name__)

SETTINGS = "Watchdog Control Server"


class WatchdogInterface:
    """What can be asked of the watchdog."""

    @observe
    @dynamic_interface
    def get_watched(self) -> dict[str, Any]:
        """Returns `observation`, which is watched now (empty when none is open), and `taken_over`, those taken over so far."""


class WatchdogProxy(DynamicProxy, WatchdogInterface):
    """Client of the watchdog."""

    settings_name = SETTINGS
    server_name = "wd_cs"


class WatchdogController(WatchdogInterface):
    """Executes the commands of the watchdog.

    Args:
        watchdog: the watchdog; None in a dry run.
    """

    def __init__(self, watchdog: Watchdog | None) -> None:
        self.watchdog = watchdog

    def get_watched(self) -> dict[str, Any]:
        watchdog = self.watchdog
        if watchdog is None:
            return {"observation": "", "taken_over": []}
        return {"observation": watchdog.watching, "taken_over": list(watchdog.taken_over)}


class WatchdogProtocol(Protocol):
    """Starts and stops the watchdog with its server."""

    controller: WatchdogController

    def start(self) -> None:
        """Begins to watch."""
        if self.controller.watchdog is not None:
            self.controller.watchdog.start()

    def get_status(self) -> dict[str, Any]:
        """Returns what `wd_cs status` shows."""
        watched = self.controller.get_watched()
        return {
            "watching": watched["observation"] or "no observation",
            "taken over": watched["taken_over"] or "none",
        }

    def quit(self) -> None:
        """Ends watching."""
        if self.controller.watchdog is not None:
            self.controller.watchdog.stop()


def make_controller(ctx: ServerContext) -> WatchdogController:
    """Returns the watchdog of this site."""
    if ctx.dry_run:
        return WatchdogController(None)
    memory = ArchiveMemory(get_data_storage_location())
    monitor = MonitorGuard(ctx.name)

    def look_besides() -> None:
        memory.look()
        monitor.look()

    return WatchdogController(
        Watchdog("wd_cs", float(ctx.settings.get("OBEDIENCE", 30.0)), besides=look_besides)
    )


APP = ControlServerApp(
    name="wd_cs",
    settings=SETTINGS,
    title="Watchdog of observations",
    interface=WatchdogInterface,
    controller=make_controller,
    protocol=WatchdogProtocol,
    proxy="camtest.core.wd_cs:WatchdogProxy",
    device=False,
)

if __name__ == "__main__":
    APP.main()
