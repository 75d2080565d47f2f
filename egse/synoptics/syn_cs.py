"""The synoptics manager: `syn_cs start|stop|status`."""

from __future__ import annotations

from typing import Any

from egse.confman.following import SetupProtocol
from egse.control import ControlServerApp, ServerContext
from egse.control_cli import port_lines
from egse.env import get_site_id
from egse.event import EVENT_ID
from egse.synoptics.controller import ROWS_KEPT, STALE_AFTER, SynopticsManagerController
from egse.synoptics.interface import SynopticsManagerInterface, SynopticsManagerProxy
from egse.telemetry import HousekeepingStore
from egse.tmdict.dictionary import SYNOPTICS_MNEMONIC

LISTENER = {"name": "Synoptics Manager CS", "proxy": SynopticsManagerProxy, "event_id": EVENT_ID.SETUP}


class SynopticsManagerProtocol(SetupProtocol):
    """Housekeeping and status of the synoptics manager, and its registration for new Setups (manual, section 7.10)."""

    controller: SynopticsManagerController
    listener = LISTENER

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns the loaded Setup and the counters."""
        controller, store = self.controller, self.controller.store
        values = controller.get_synoptics().values()
        return {
            "SYN_SETUP_ID": controller.loaded_setup.setup_id,
            "SYN_ROWS": store.acknowledged,
            "SYN_UPDATES": controller.updates,
            "SYN_REFUSED": controller.refused,
            "SYN_CURRENT": sum(value is not None for value in values),
            "SYN_WAITING": store.waiting,
            "SYN_DROPPED": store.dropped,
        }

    def get_status(self) -> dict[str, Any]:
        """Returns what `syn_cs status` shows."""
        controller = self.controller
        return {
            "setup": controller.loaded_setup.setup_id,
            "dictionary": controller.dictionary,
            "problem": controller.problem,
            "synoptics": controller.get_synoptics(),
            "waiting": controller.store.waiting,
            "refused": controller.refused,
        }

    def after_serve(self) -> None:
        """Takes leave of the configuration manager."""
        self.controller.loaded_setup.close()
        super().after_serve()

    def quit(self) -> None:
        """Stores what is waiting."""
        self.controller.store.close()


def make_controller(context: ServerContext) -> SynopticsManagerController:
    """Returns the synoptics manager of this site."""
    return SynopticsManagerController(
        get_site_id(),
        HousekeepingStore(SYNOPTICS_MNEMONIC, ROWS_KEPT),
        context.control_server,
        stale_after=float(context.settings.get("STALE_AFTER", STALE_AFTER)),
    )


def status_lines(status: dict[str, Any], full: bool) -> list[str]:
    """Returns the lines of `syn_cs status`."""
    values = status["synoptics"]
    current = {name: value for name, value in values.items() if value is not None}
    lines = [
        "Status: active",
        f"Hostname: {status['endpoints']['commanding'].split('//')[1].rpartition(':')[0]}",
        *port_lines(status),
        f"Loaded Setup: {status['setup'] or 'none'}",
    ]
    if status["problem"]:
        lines.append(f"Synoptics are not stored: {status['problem']}")
    else:
        lines.append(f"Synoptics: {len(current)} of {len(values)} are current")
    if full:
        lines += [
            f"TM dictionary: {status['dictionary'] or 'none'}",
            f"Rows that wait for the storage manager: {status['waiting']}",
            f"Values refused: {status['refused']}",
            *(f"  {name}: {value}" for name, value in current.items()),
        ]
    return lines


APP = ControlServerApp(
    name="syn_cs",
    settings="Synoptics Manager Control Server",
    title="Synoptics Manager",
    interface=SynopticsManagerInterface,
    controller=make_controller,
    protocol=SynopticsManagerProtocol,
    proxy="egse.synoptics:SynopticsManagerProxy",
    device=False,
    status_lines=status_lines,
)

if __name__ == "__main__":
    APP.main()
