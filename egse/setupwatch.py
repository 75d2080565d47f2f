"""What a control server knows of the loaded Setup, and the refusal of commands that were issued under another one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from egse.command import CommandDefinition
from egse.event import EVENT_ID, Event
from egse.parameter import CommandError
from egse.response import register_error
from egse.setup import Setup, SetupError, get_setup
from egse.setup.stamp import SetupStamp
from egse.system import format_datetime

logger = logging.getLogger(__name__)


@register_error
class OtherSetupError(CommandError):
    """A command whose meaning depends on the Setup was issued under another one than is loaded; it was not executed."""


class SetupWatch:
    """Follows which Setup is loaded; safe to use from several threads.

    Args:
        server: name of the control server, for messages.
        fetch: asks the configuration manager for the loaded Setup.
    """

    def __init__(self, server: str, fetch: Callable[[], Setup] = get_setup) -> None:
        self._server = server
        self._fetch = fetch
        self._lock = threading.Lock()
        self._since = ""
        self.loaded: SetupStamp | None = None

    def note(self, event: Event) -> None:
        """Takes notice of an event; one that tells of a new Setup has it known from now on."""
        if event.event_id is EVENT_ID.SETUP and isinstance(number := event.context.get("setup_id"), int):
            digest = str(event.context.get("digest", ""))
            self._set(SetupStamp(f"{number:05d}", digest))

    def refresh(self) -> None:
        """Asks the configuration manager; leaves things as they are when it does not answer or has no Setup."""
        try:
            self._set(SetupStamp.of(self._fetch()))
        except (ConnectionError, TimeoutError, SetupError, OSError) as exc:
            logger.warning("%s could not ask which Setup is loaded: %s", self._server, exc)

    def _set(self, stamp: SetupStamp) -> None:
        with self._lock:
            if stamp != self.loaded:
                self.loaded, self._since = stamp, format_datetime()

    def check(self, definition: CommandDefinition, issued_under: str) -> None:
        """Returns when a command may be executed under the Setup that its client works with.

        A client that names no Setup is not refused, nor is anybody before the server has heard of a Setup.

        Args:
            definition: the command.
            issued_under: the stamp that came with the command.

        Raises:
            OtherSetupError: another Setup is loaded.
        """
        stamp = SetupStamp.parse(issued_under)
        if stamp is None or (self.loaded is not None and stamp.agrees_with(self.loaded)):
            return
        self.refresh()  # the news may not have arrived yet
        with self._lock:
            loaded, since = self.loaded, self._since
        if loaded is not None and not stamp.agrees_with(loaded):
            raise OtherSetupError(
                f"{definition.name} was issued under Setup {stamp}, but Setup {loaded} is loaded (known to "
                f"{self._server} since {since}); nothing was done. Call load_setup() in your session, look at what "
                "has changed, and repeat the command"
            )


RETRY_INTERVAL = 10.0
"""The Setup is asked for again after so long [s] when it could not be had."""


class SetupSource:
    """The loaded Setup for a Controller whose work depends on it; asked for again when another one was loaded.

    Args:
        stamp: what changes when another Setup is loaded: `lambda: server.setup_watch.loaded`.
        fetch: gets the loaded Setup.
    """

    def __init__(
        self, stamp: Callable[[], object] = lambda: None, fetch: Callable[[], Setup] = get_setup
    ) -> None:
        self._stamp = stamp
        self._fetch = fetch
        self._loaded: object = self  # no stamp is this
        self._next_try = float("-inf")
        self._setup: Setup | None = None

    def __call__(self) -> Setup | None:
        """Returns the loaded Setup; the last one that was known when it cannot be asked for, None when there was none."""
        stamp = self._stamp()
        if stamp != self._loaded and time.monotonic() >= self._next_try:
            try:
                self._setup, self._loaded = self._fetch(), stamp
            except (ConnectionError, TimeoutError, SetupError, OSError) as exc:
                self._next_try = time.monotonic() + RETRY_INTERVAL
                logger.warning("the loaded Setup cannot be had, what was known counts: %s", exc)
        return self._setup
