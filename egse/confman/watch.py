"""Looks at the repository of the Setups in the background: git takes its time, and a status must not wait for it."""

from __future__ import annotations

import logging
import threading

import msgspec

from egse.clock import Clock
from egse.confman.checkout import Finding
from egse.confman.repository import SetupRepository

LOGGER = logging.getLogger(__name__)

MAX_AGE = 5.0
"""A status may show what was found so long ago [s]."""
PATIENCE = 0.1
"""How long a status waits for a look that is under way [s]; on a machine at rest it is over by then."""


class Look(msgspec.Struct, frozen=True):
    """What was found.

    Attributes:
        findings: what is wrong with the Setups and their repository.
        remote: the remote that Setups are pushed to, None when there is none.
    """

    findings: list[Finding] = []
    remote: str | None = None


class RepositoryWatch:
    """The latest look at a repository; may be asked from any thread.

    Args:
        repository: of the Setups.
        clock: tells how old a look is.
    """

    def __init__(self, repository: SetupRepository, clock: Clock) -> None:
        self._repository = repository
        self._clock = clock
        self._changed = threading.Condition()
        self._latest = Look()
        self._at = float("-inf")
        self._thread: threading.Thread | None = None

    def now(self) -> Look:
        """Looks here and now, which takes some calls of git."""
        at = self._clock.monotonic()
        look = Look(self._repository.findings(), self._repository.remote())
        with self._changed:
            if at >= self._at:
                self._latest, self._at = look, at
        return look

    def latest(self) -> Look:
        """Returns what was found at most `MAX_AGE` ago, or what is known until git has answered."""
        with self._changed:
            if self._clock.monotonic() - self._at > MAX_AGE:
                if self._thread is None:
                    self._thread = threading.Thread(target=self._work, name="cm-look", daemon=True)
                    self._thread.start()
                self._changed.wait_for(lambda: self._thread is None, PATIENCE)
            return self._latest

    def _work(self) -> None:
        try:
            self.now()
        except Exception:  # the next status tries again; this one shows what was known before
            LOGGER.exception("the repository of the Setups cannot be looked at")
        finally:
            with self._changed:
                self._thread = None
                self._changed.notify_all()

    def close(self) -> None:
        """Waits for a look that is under way."""
        thread = self._thread
        if thread is not None:
            thread.join(2.0)
