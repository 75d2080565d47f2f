"""Who is told of reactions: the log, the limit monitor (and through it every panel and banner), the operator's desk."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
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


class _Errand(threading.Thread):
    """Tells one addressee of events, in order, so that one who is away keeps nobody else waiting.

    Args:
        name: of the thread.
        tell: does it.
    """

    def __init__(self, name: str, tell: Callable[[ReactionEvent], None]) -> None:
        super().__init__(name=name, daemon=True)
        self.events: queue.SimpleQueue[ReactionEvent | None] = queue.SimpleQueue()
        self._tell = tell

    def run(self) -> None:
        while (event := self.events.get()) is not None:
            try:
                self._tell(event)
            except Exception:  # the next one must be told all the same
                LOGGER.exception("%s of %s was not told", event.stage, event.reaction)


class Teller:
    """Tells of events, in threads of its own: no reaction waits for somebody who is away.

    Args:
        by: who tells.
    """

    def __init__(self, by: str) -> None:
        self._by = by
        self._asked: dict[str, tuple[str, str]] = {}  # reaction: run id, key of the question
        self._errands = (
            _Errand("reaction-teller-desk", self._tell_desk),
            _Errand("reaction-teller-monitor", self._tell_monitor),
        )

    def start(self) -> None:
        """Starts the threads."""
        for errand in self._errands:
            errand.start()

    def stop(self) -> None:
        """Ends the threads when everything is told, or after a moment."""
        for errand in self._errands:
            errand.events.put(None)
        for errand in self._errands:
            if errand.is_alive():
                errand.join(0.5)

    def tell(self, event: ReactionEvent) -> None:
        """Logs an event, and has it told."""
        about, who = _about(event), _who(event)
        LOGGER.log(LEVELS.get(event.stage, logging.INFO), "%s%s; %s", about, who, event.text)
        for errand in self._errands:
            errand.events.put(event)

    def _tell_monitor(self, event: ReactionEvent) -> None:
        text = f"{event.reaction} {event.stage}{_who(event)}: {event.text}"
        try:
            with LimitMonitorProxy(timeout=ATTEMPT) as monitor:
                for alarm in event.alarms:
                    monitor.report_reaction(name=alarm, text=text, by=self._by)
        except (OSError, LookupError, AuthorityError, AlarmError) as exc:
            LOGGER.error("the limit monitor was not told of %s: %s", _about(event), exc)

    def _tell_desk(self, event: ReactionEvent) -> None:
        if event.stage != ANNOUNCED:
            self._asked.pop(event.reaction, None)
        elif event.due > time.time():  # else it has begun, and there is nothing to cancel
            self._ask(event)

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


def _about(event: ReactionEvent) -> str:
    return f"reaction {event.reaction} to {', '.join(event.alarms)}: {event.stage}"


def _who(event: ReactionEvent) -> str:
    return f" by {event.by}" if event.by else ""
