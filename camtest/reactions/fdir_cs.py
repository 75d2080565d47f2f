"""Automatic reactions as a control server: `fdir_cs start|stop|status`; started with the limit monitor.

It knows building blocks, so it lives here and not among the core services of `egse`, whose Settings have its name only.
"""

from __future__ import annotations

from typing import Any

from camtest.reactions.interface import SETTINGS, ReactionInterface, ReactionProxy
from camtest.reactions.service import ReactionService
from egse.command import CommandError
from egse.confman.following import SetupProtocol
from egse.control import ControlServer, ControlServerApp, ServerContext
from egse.env import get_data_storage_location
from egse.event import EVENT_ID
from egse.storage.loaded_setup import LoadedSetup, SetupFollower

LISTENER = {"name": "Reactions CS", "proxy": ReactionProxy, "event_id": EVENT_ID.SETUP}


class ReactionController(SetupFollower, ReactionInterface):
    """Executes the commands.

    Args:
        service: does the work; None in a dry run.
        control_server: the server, for tasks outside a command.
    """

    def __init__(self, service: ReactionService | None, control_server: ControlServer | None = None) -> None:
        self.service = service
        self.loaded_setup = LoadedSetup(None if service is None else service.use_setup)
        self._control_server = control_server

    def get_reactions(self) -> list[dict[str, Any]]:
        return [] if self.service is None else self.service.describe()

    def get_problems(self) -> list[str]:
        return [] if self.service is None else list(self.service.table.problems)

    def cancel_reaction(self, name: str, reason: str, by: str = "") -> dict[str, Any]:
        if self.service is None:
            raise CommandError("a dry run has no reactions")
        try:
            event = self.service.cancel(name, reason, by)
        except ValueError as exc:
            raise CommandError(str(exc)) from exc
        return {"name": name, "stage": event.stage, "by": event.by, "reason": event.text}


class ReactionProtocol(SetupProtocol):
    """Starts and stops the work with its server, and follows the Setup."""

    controller: ReactionController
    listener = LISTENER

    def start(self) -> None:
        """Begins to watch."""
        if self.controller.service is not None:
            self.controller.service.start()

    def get_status(self) -> dict[str, Any]:
        """Returns what `fdir_cs status` shows."""
        controller = self.controller
        on = [f"{one['name']}: {one['stage']}" for one in controller.get_reactions() if one["stage"]]
        return {
            "setup": controller.loaded_setup.setup_id or "none",
            "reactions": [one["name"] for one in controller.get_reactions()] or "none",
            "on": on or "none",
            "problems": controller.get_problems() or "none",
        }

    def after_serve(self) -> None:
        """Takes leave of the configuration manager."""
        self.controller.loaded_setup.close()
        super().after_serve()

    def quit(self) -> None:
        """Ends watching."""
        if self.controller.service is not None:
            self.controller.service.stop()


def make_controller(ctx: ServerContext) -> ReactionController:
    """Returns the reactions of this site."""
    if ctx.dry_run:
        return ReactionController(None)
    return ReactionController(ReactionService(get_data_storage_location(), ctx.name), ctx.control_server)


APP = ControlServerApp(
    name="fdir_cs",
    settings=SETTINGS,
    title="Automatic reactions to alarms",
    interface=ReactionInterface,
    controller=make_controller,
    protocol=ReactionProtocol,
    proxy="camtest.reactions.interface:ReactionProxy",
    device=False,
)

if __name__ == "__main__":
    APP.main()
