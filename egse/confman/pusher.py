"""Brings the Setups here and on the remote together in the background, again and again until it works."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from egse.confman.remote import Outcome, Remote, State
from egse.confman.repository import SetupRepository

LOGGER = logging.getLogger(__name__)

RETRY = 5.0
"""How long to wait after the first attempt that failed; twice as long after each further one [s]."""
LONGEST = 600.0
"""The longest pause between two attempts [s]."""
INTERVAL = 300.0
"""How often to look whether the remote is ahead when there is nothing to push [s]."""


class Pusher(threading.Thread):
    """The thread that pushes and merges.

    Nothing is kept about what is still to be pushed but the commits themselves, so it survives every restart.

    Args:
        repository: what to push.
        retry: first pause after a failure [s].
        interval: pause between two looks at the remote [s].
        may_merge: whether files here may change now.

    Attributes:
        outcome: what came out of the last attempt.
        attempts: how many there were.
        pending: whether another one is due.
    """

    def __init__(
        self,
        repository: SetupRepository,
        retry: float = RETRY,
        interval: float = INTERVAL,
        may_merge: Callable[[], bool] = lambda: True,
    ) -> None:
        super().__init__(name="cm-push", daemon=True)
        self._repository = repository
        self._retry = retry
        self._pause = retry
        self._interval = interval
        self._may_merge = may_merge
        self._wake = threading.Event()
        self._cancel = threading.Event()
        self.remote = Remote(repository, self._cancel)
        self.outcome = Outcome(State.NONE)
        self.pending = False
        self.attempts = 0

    @property
    def problem(self) -> str:
        """What is in the way; empty when nothing is."""
        return self.outcome.text

    def describe(self) -> str:
        """Returns where things stand with the remote, for the status."""
        if self.outcome.text:
            return f"{self.outcome.state.value}: {self.outcome.text}"
        return State.PENDING.value if self.pending else self.outcome.state.value

    def request(self) -> None:
        """Has both sides brought together soon; returns at once."""
        self.pending = True
        self._pause = self._retry
        self._wake.set()

    def run(self) -> None:
        """Works until `end`."""
        while not self._cancel.is_set():
            self._wake.wait(self._pause if self.pending else self._interval)
            self._wake.clear()
            if not self._cancel.is_set():
                self.work()

    def work(self) -> Outcome:
        """Makes one attempt, here and now; returns what came out of it."""
        self.pending = False
        before, outcome = self.outcome, self.remote.bring_together(self._may_merge)
        if self._cancel.is_set():
            return outcome
        self.outcome = outcome
        self.attempts += 1
        if outcome.text:
            self.pending = True
            self._pause = min(LONGEST, max(self._retry, 2 * self._pause))
            if outcome != before:
                LOGGER.warning(
                    "Setups: %s: %s; %s", outcome.state.value, outcome.text, outcome.step or "tried again"
                )
        elif before.text:
            LOGGER.info("Setups are the same here and on the remote")
        return outcome

    def end(self) -> None:
        """Ends the thread and the git command that it runs."""
        self._cancel.set()
        self._wake.set()
        if self.is_alive():
            self.join(3.0)
