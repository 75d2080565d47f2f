"""The limit monitor: `mon_cs start|stop|status`; started with the core services."""

from __future__ import annotations

from typing import Any

from egse.clock import system_clock
from egse.confman.following import SetupProtocol
from egse.control import ControlServerApp, ServerContext
from egse.control_cli import port_lines
from egse.env import get_data_storage_location, get_site_id
from egse.event import EVENT_ID
from egse.metrics.alarms import alarm_figures
from egse.metrics.figures import Figure
from egse.monitor.controller import LimitMonitorController
from egse.monitor.dry import DryRunMonitor
from egse.monitor.interface import SETTINGS, LimitMonitorInterface, LimitMonitorProxy
from egse.monitor.journal import FOLDER

SHOWN = 100
"""So many alarms stand in the status."""
LISTENER = {"name": "Limit Monitor CS", "proxy": LimitMonitorProxy, "event_id": EVENT_ID.SETUP}


class LimitMonitorProtocol(SetupProtocol):
    """Life, housekeeping and status of the limit monitor, and its registration for new Setups."""

    controller: LimitMonitorController
    listener = LISTENER

    def start(self) -> None:
        """Begins to watch."""
        self.controller.start()

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns how many alarms there are, and how the monitor is."""
        controller, monitor = self.controller, self.controller.monitor
        with monitor.lock:
            alarms = monitor.book.alarms()
            row = {
                "MON_SETUP_ID": monitor.setup_id,
                "MON_ACTIVE": sum(alarm.active for alarm in alarms),
                "MON_UNACKNOWLEDGED": sum(not alarm.acknowledged for alarm in alarms),
                "MON_SHELVED": len(monitor.book.shelves),
                "MON_PARAMETERS": len(monitor.definitions.by_name),
                "MON_REFUSED": len(monitor.definitions.problems),
                "MON_ROWS": monitor.rows,
                "MON_EVENTS": monitor.events,
                "MON_JOURNAL_WAITING": len(monitor.journal.waiting),
            }
        row["MON_UNDELIVERED"] = sum(route.describe()["waiting"] for route in controller.routes)
        return row

    def get_status(self) -> dict[str, Any]:
        """Returns what `mon_cs status` shows, panels and banners too."""
        controller, monitor = self.controller, self.controller.monitor
        with monitor.lock:
            context = dict(monitor.evaluator.context)
            problems = list(monitor.definitions.problems)
            servers = {s.name: s.gone or "there" for s in monitor.servers.by_name.values() if s.expected}
            watched = len(monitor.definitions.by_name)
        return {
            "setup": monitor.setup_id,
            "alarms": controller.get_alarms()[:SHOWN],
            "shelves": controller.get_shelves(),
            "context": context,
            "watched": watched,
            "problems": problems,
            "servers": servers,
            "routes": [route.describe() for route in controller.routes],
        }

    def get_figures(self) -> list[Figure]:
        """Returns the alarms that are raised and not shelved, for Prometheus."""
        monitor = self.controller.monitor
        with monitor.lock:
            return alarm_figures(
                (alarm.name, alarm.priority, bool(alarm.acknowledged))
                for alarm in monitor.book.alarms()
                if alarm.active and not alarm.shelved_until
            )

    def after_serve(self) -> None:
        """Takes leave of the configuration manager."""
        self.controller.loaded_setup.close()
        super().after_serve()

    def quit(self) -> None:
        """Ends watching."""
        self.controller.stop()


def make_controller(context: ServerContext) -> LimitMonitorController | DryRunMonitor:
    """Returns the limit monitor of this site."""
    if context.dry_run:
        return DryRunMonitor()
    return LimitMonitorController(
        get_data_storage_location() / FOLDER,
        system_clock(),
        get_site_id(),
        context.settings,
        context.control_server,
    )


def status_lines(status: dict[str, Any], full: bool) -> list[str]:
    """Returns the lines of `mon_cs status`."""
    alarms = status["alarms"]
    active = [alarm for alarm in alarms if alarm["active"]]
    context = ", ".join(f"{key} {value}" for key, value in status["context"].items() if value)
    lines = [
        "Status: active",
        f"Hostname: {status['endpoints']['commanding'].split('//')[1].rpartition(':')[0]}",
        *port_lines(status),
        f"Loaded Setup: {status['setup'] or 'none'}",
        f"Watched: {status['watched']} parameters and rules, {len(status['servers'])} servers"
        + (f" ({context})" if context else ""),
        f"Alarms: {len(active)} active, {sum(not alarm['acknowledged'] for alarm in alarms)} not acknowledged",
        *(f"Refused: {problem}" for problem in status["problems"]),
    ]
    shown = alarms if full else active
    lines += [f"  {alarm['priority']} {alarm['name']}: {alarm['limit']}" for alarm in shown]
    if full:
        lines += [f"  {name}: {state}" for name, state in status["servers"].items()]
        lines += [f"Route: {route}" for route in status["routes"]]
    return lines


APP = ControlServerApp(
    name="mon_cs",
    settings=SETTINGS,
    title="Limit Monitor",
    interface=LimitMonitorInterface,
    controller=make_controller,
    protocol=LimitMonitorProtocol,
    proxy="egse.monitor:LimitMonitorProxy",
    device=False,
    status_lines=status_lines,
)

if __name__ == "__main__":
    APP.main()
