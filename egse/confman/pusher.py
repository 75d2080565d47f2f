"""Pushes Setups to the remote repository in the background, again and again until it works."""

from __future__ import annotations

import logging
import threading

from egse.confman.git import GitError
from egse.confman.repository import SetupRepository

LOGGER = logging.getLogger(__name__)

RETRY = 60.0
"""How long to wait after a push that failed [s]."""


class Pusher(threading.Thread):
    """The thread that pushes.

    Args:
        repository: what to push.
        retry: [s].
    """

    def __init__(self, repository: SetupRepository, retry: float = RETRY) -> None:
        super().__init__(name="cm-push", daemon=True)
        self._repository = repository
        self._retry = retry
        self._wake = threading.Event()
        self._ending = False
        self.pending = False
        self.problem = ""

    def request(self) -> None:
        """Has the current branch pushed soon; returns at once."""
        self.pending = True
        self._wake.set()

    def run(self) -> None:
        """Works until `end`."""
        while not self._ending:
            self._wake.wait(self._retry if self.pending else None)
            self._wake.clear()
            if self.pending and not self._ending:
                self.pending = False
                self._push()

    def _push(self) -> None:
        try:
            self._repository.push()
        except GitError as exc:
            self.pending = True
            if str(exc) != self.problem:
                self.problem = str(exc)
                LOGGER.warning("Setups are not pushed yet, tried again every %g s: %s", self._retry, exc)
            return
        if self.problem:
            LOGGER.info("Setups are pushed")
        self.problem = ""

    def end(self) -> None:
        """Ends the thread; a push that is running is left to git."""
        self._ending = True
        self._wake.set()
        if self.is_alive():
            self.join(1.0)
