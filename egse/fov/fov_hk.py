"""The source position as housekeeping: `fov_hk start | stop | status`.

A process of its own (ICD of the storage formats, section 7.1, prefix `FOV_`) that asks the mechanisms named in the Setup where they are and
stores, each second, where the source is and where it was sent, as field angles; both go to the synoptics. It also keeps the places of the
focal plane that were visited, for the panels.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any

from egse.control import ControlServerApp, ServerContext
from egse.device import DeviceError
from egse.event import Event
from egse.fov.interface import NAME, SETTINGS, FOVInterface
from egse.fov.mechanism import SourceMechanism, mechanism_of
from egse.mixin import DynamicCommandMixin
from egse.protocol import Protocol
from egse.setupwatch import SetupSource
from egse.synoptics import SynopticsForwarder

LOGGER = logging.getLogger(__name__)

MOST_VISITED = 10_000
"""So many visited places are kept; the oldest go first."""

PUBLISHED = 500
"""So many of the last visited places are published each second."""


class FOVController(FOVInterface, DynamicCommandMixin):
    """Knows where the source is.

    Args:
        find_setup: returns the loaded Setup, None while there is none.

    Attributes:
        commanded: theta, phi [deg] of the source as it was sent; None when nothing has been commanded.
        visited: x, y in the focal plane [mm], oldest first.
    """

    def __init__(self, find_setup: Callable[[], Mapping[str, Any] | None]) -> None:
        self.commanded: tuple[float, float] | None = None
        self.visited: list[list[float]] = []
        self._find_setup = find_setup
        self._setup: Mapping[str, Any] | None = None
        self._mechanism: SourceMechanism | None = None
        self._lock = threading.Lock()

    def handle_event(self, event: Event) -> None:
        """A new Setup counts from the next question: the server has taken notice of it, and `find_setup` asks that."""

    def mechanism(self) -> SourceMechanism | None:
        """Returns the mechanisms of the loaded Setup, None when there are none.

        Raises:
            ValueError: when their calibration is not complete.
        """
        with self._lock:
            setup = self._find_setup()
            if setup is not self._setup:
                self._mechanism = mechanism_of(setup)
                self._setup = setup
            return self._mechanism

    def angles(self) -> tuple[float, float] | tuple[None, None]:
        """Returns theta, phi [deg] of the source, None for both without mechanisms.

        Raises:
            ConnectionError, TimeoutError: when the mechanisms do not answer.
            DeviceError: when they cannot tell.
            ValueError: when their calibration is not complete.
        """
        mechanism = self.mechanism()
        return (None, None) if mechanism is None else mechanism.angles()

    def set_commanded_position(self, theta: float, phi: float) -> None:
        self.commanded = theta, phi

    def get_source_position(self) -> dict[str, Any]:
        try:
            actual = self.angles()
        except (ConnectionError, TimeoutError, DeviceError, ValueError) as exc:
            LOGGER.warning("the source position is not known: %s", exc)
            actual = (None, None)
        names = ("act_theta", "act_phi", "cmd_theta", "cmd_phi")
        return dict(zip(names, (*actual, *(self.commanded or (None, None))), strict=True))

    def visit(self, x: float, y: float) -> None:
        self.visited = [*self.visited[1 - MOST_VISITED :], [x, y]]

    def get_visited_positions(self) -> list[list[float]]:
        return self.visited

    def undo_visit(self) -> None:
        self.visited = self.visited[:-1]

    def clear_visited_positions(self) -> None:
        self.visited = []


class FOVProtocol(Protocol):
    """One row: `FOV_ACT_THETA`, `FOV_ACT_PHI`, `FOV_CMD_THETA`, `FOV_CMD_PHI` [deg]; no row while the mechanisms do not answer."""

    controller: FOVController
    synoptics: SynopticsForwarder | None = None

    def start(self) -> None:
        """Begins to follow the Setup; the configuration manager may still be away."""
        self.control_server.follow_setup()
        self.synoptics = SynopticsForwarder(NAME)

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one row; empty when no mechanisms are known and nothing has been commanded."""
        values = (*self.controller.angles(), *(self.controller.commanded or (None, None)))
        names = ("FOV_ACT_THETA", "FOV_ACT_PHI", "FOV_CMD_THETA", "FOV_CMD_PHI")
        row = dict(zip(names, values, strict=True))
        known = {name: value for name, value in row.items() if value is not None}
        if self.synoptics is not None and known:
            self.synoptics.store_common_synoptics(dict(known))
        return row if known else {}

    def get_status(self) -> dict[str, Any]:
        """Returns what `fov_hk status` shows, and panels follow."""
        return {"visited": self.controller.visited[-PUBLISHED:], "commanded": self.controller.commanded}

    def quit(self) -> None:
        """Ends sending to the synoptics."""
        if self.synoptics is not None:
            self.synoptics.close()


def make_controller(context: ServerContext) -> FOVController:
    """Makes the controller; it follows the Setup that the server hears of."""
    server = context.control_server
    return FOVController(SetupSource(lambda: None if server is None else server.setup_watch.loaded))


APP = ControlServerApp(
    name=NAME,
    settings=SETTINGS,
    title="source position",
    interface=FOVInterface,
    controller=make_controller,
    protocol=FOVProtocol,
    proxy="egse.fov:FOVProxy",
    device=False,
)
main = APP.main

if __name__ == "__main__":
    main()
