"""Who is told of reactions: the log, the limit monitor (and through it every panel and banner), the operator's desk."""

from __future__ import annotations

import logging
import queue
import threading
import time
from typing import Any

from camtest.core import services
from camtest.reactions.book import ANNOUNCED, CANCELLED, DONE, FAILED, INTERRUPTED, RUNNING, ReactionEvent
from egse.authority import AuthorityError
from egse.confman import ObservationError
from egse.monitor.alarms import AlarmError
from egse.monitor.interface import LimitMonitorProxy

LOGGER = logging.getLogger(__name__)

LEVELS = {
    ANNOUNCED: logging.WARNING,
    RUNNING: logging.WARNING,
    DONE: logging.WARNING,
    CANCELLED: logging.WARNING,
    FAILED: logging.CRITICAL,
    INTERRUPTED: logging.CRITICAL,
}
ATTEMPT = 2.0
"""How long one attempt to tell somebody may take [s]."""


class Teller:
    """Tells of events, in a thread of its own: no reaction waits for somebody who is away.

    Args:
        by: who tells.
    """

    def __init__(self, by: str) -> None:
        self._by = by
        self._asked: dict[str, tuple[str, str]] = {}  # reaction: run id, key of the question
        self._events: queue.SimpleQueue[ReactionEvent | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="reaction-teller", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread when everything is told, or after a moment."""
        self._events.put(None)
        if self._thread.is_alive():
            self._thread.join(0.5)

    def tell(self, event: ReactionEvent) -> None:
        """Has an event told."""
        self._events.put(event)

    def _run(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                self._tell(event)
            except Exception:  # the next one must be told all the same
                LOGGER.exception("%s of %s was not told", event.stage, event.reaction)

    def _tell(self, event: ReactionEvent) -> None:
        about = f"reaction {event.reaction} to {', '.join(event.alarms)}: {event.stage}"
        who = f" by {event.by}" if event.by else ""
        LOGGER.log(LEVELS.get(event.stage, logging.INFO), "%s%s; %s", about, who, event.text)
        try:
            with LimitMonitorProxy(timeout=ATTEMPT) as monitor:
                for alarm in event.alarms:
                    text = f"{event.reaction} {event.stage}{who}: {event.text}"
                    monitor.report_reaction(name=alarm, text=text, by=self._by)
        except (OSError, LookupError, AuthorityError, AlarmError) as exc:
            LOGGER.error("the limit monitor was not told of %s: %s", about, exc)
        if event.stage == ANNOUNCED:
            self._ask(event)
        else:
            self._asked.pop(event.reaction, None)

    def _ask(self, event: ReactionEvent) -> None:
        """Puts the announcement on the desk of the running observation, where panels and notebooks show it."""
        seconds = max(0.0, event.due - time.time())
        key = f"reaction-{event.reaction}-{event.time:.0f}"
        question: dict[str, Any] = {
            "key": key,
            "text": f"ALARM {', '.join(event.alarms)}: {event.function} begins in {seconds:.0f} s and ends this "
            "observation. To cancel that, answer why.",
            "choices": [],
            "default": None,
            "timeout": seconds,
        }
        try:
            with services.configuration_manager(timeout=ATTEMPT) as manager:
                running = manager.get_observation()
                if running is not None:
                    manager.ask_operator(run_id=str(running["run_id"]), question=question)
                    self._asked[event.reaction] = (str(running["run_id"]), key)
        except (OSError, LookupError, AuthorityError, ObservationError) as exc:
            LOGGER.warning("the operator's desk was not told of %s: %s", event.reaction, exc)

    def answers(self) -> list[tuple[str, str, str]]:
        """Returns what operators answered to announcements: reaction, reason, who; each once."""
        found = []
        for reaction, (run_id, key) in list(self._asked.items()):
            answer = self._answer(run_id, key)
            if answer is not None:
                del self._asked[reaction]
                found.append((reaction, str(answer["answer"]), str(answer["by"])))
        return found

    def _answer(self, run_id: str, key: str) -> dict[str, Any] | None:
        try:
            with services.configuration_manager(timeout=ATTEMPT) as manager:
                desk = manager.get_desk(run_id=run_id)
        except (OSError, LookupError, AuthorityError, ObservationError):
            return None  # it has ended meanwhile
        return next((q for q in desk["questions"] if q["key"] == key and q["answer"] is not None), None)
