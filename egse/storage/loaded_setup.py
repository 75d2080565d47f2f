"""The Setup that the configuration manager has loaded, as another core service knows it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from egse.event import Event
from egse.setup import Setup, SetupError, get_setup

if TYPE_CHECKING:
    from egse.control import ControlServer

logger = logging.getLogger(__name__)

TRIES = 5
"""How often it is tried to fetch a Setup."""
PAUSE = 2.0
"""How long to wait in between [s]."""


class LoadedSetup:
    """Fetches Setups from the configuration manager, each in a thread of its own.

    The service must go on answering meanwhile: the configuration manager may be waiting for it at this very moment.

    Args:
        on_fetched: called with each Setup, in that thread.
    """

    def __init__(self, on_fetched: Callable[[Setup], object] | None = None) -> None:
        self.setup: Setup | None = None
        self._on_fetched = on_fetched
        self._lock = threading.Lock()
        self._newest = 0
        self._ending = threading.Event()

    @property
    def setup_id(self) -> str | None:
        """Id of the Setup, five digits; None before the first one was fetched."""
        setup = self.setup
        return None if setup is None else setup.get_id()

    def fetch(self, setup_id: int | None = None) -> threading.Thread:
        """Starts to fetch a Setup, the loaded one for None; the one asked for last is kept."""
        with self._lock:
            self._newest += 1
            number = self._newest
        thread = threading.Thread(
            target=self._fetch, args=(setup_id, number), name="fetch-setup", daemon=True
        )
        thread.start()
        return thread

    def _fetch(self, setup_id: int | None, number: int) -> None:
        try:
            for attempt in range(TRIES):
                if self._try(setup_id, number) or self._ending.wait(PAUSE):
                    return
                logger.debug("Setup %s not fetched, try %d of %d", setup_id, attempt + 1, TRIES)
            logger.error("Setup %s was not fetched: the configuration manager does not answer", setup_id)
        except SetupError as exc:
            logger.warning("no Setup is fetched: %s", exc)
        except Exception:
            logger.exception("Setup %s was not fetched", setup_id)

    def _try(self, setup_id: int | None, number: int) -> bool:
        try:
            setup = get_setup(setup_id)
        except (ConnectionError, TimeoutError) as exc:
            logger.warning("Setup %s is not fetched yet: %s", setup_id, exc)
            return False
        with self._lock:
            if number != self._newest:
                return True  # a newer one is on its way
            self.setup = setup
        logger.info("Setup %s fetched from the configuration manager", setup.get_id())
        if self._on_fetched is not None:
            self._on_fetched(setup)
        return True

    def close(self) -> None:
        """Stops trying."""
        self._ending.set()


class SetupFollower:
    """The part of a Controller of a core service that follows the loaded Setup (manual, section 7.10).

    Its protocol registers it as a listener of the configuration manager.
    """

    loaded_setup: LoadedSetup
    _control_server: ControlServer | None

    def handle_event(self, event: Event) -> None:
        """Has a new Setup loaded; acknowledges any other event."""
        logger.info("event %s received from %s: %s", event.type, event.source, event.context)
        if event.type == "new_setup" and self._control_server is not None:
            self._control_server.schedule_task(partial(self.load_setup, int(event.context["setup_id"])))

    def has_applied(self, event: Event) -> bool:
        """Returns True once the Setup that an event tells of was fetched, and for any other event."""
        return event.type != "new_setup" or self.loaded_setup.setup_id == f"{event.context['setup_id']:05d}"

    def load_setup(self, setup_id: int | None = None) -> None:
        """Fetches a Setup from the configuration manager, the loaded one for None; a scheduled task.

        It returns at once: asking the configuration manager from here while that asks this service for something would
        let both wait for each other.
        """
        self.loaded_setup.fetch(setup_id)
