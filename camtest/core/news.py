"""What happens to the observations of a site, as events that any process on any of its hosts can subscribe to.

    for event in follow_observations():
        print(event["obsid"], event["event"], event.get("state"))

    state      running, paused, failed, held, making-safe, ending, over (then with `status` and `reason`)
    verb       what an operator wants: `verb`, `by`, `reason`
    question   what a procedure asks: `key`, `text`, `choices`, `default`
    answer     `key`, `answer`, `by`

They come over the configuration manager. One that is away is waited for; what ended meanwhile is told when it is back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Mapping
from typing import Any

from camtest.core import services
from egse.clock import system_clock
from egse.confman import ObservationError

LOGGER = logging.getLogger(__name__)

Event = dict[str, Any]

FOLLOW = 5.0
"""How long one question for news waits [s]."""
LOOK_INTERVAL = 0.25
"""How often it is looked for a new observation [s]."""
AWAY_PAUSE = 1.0
"""Pause after the configuration manager did not answer [s]."""
CAUGHT_UP = 20
"""So many observations that began and ended unseen are told."""


def follow_observations(stop: threading.Event | None = None) -> Iterator[Event]:
    """Yields what happens from now on, the state of the running observation first.

    Args:
        stop: ends it when set.
    """
    news = _News()
    pause = stop or threading.Event()
    while not pause.is_set():
        try:
            with services.configuration_manager(timeout=FOLLOW + 5.0) as manager:
                while not pause.is_set():
                    yield from news.look(manager)
                    if not news.run_id:
                        pause.wait(LOOK_INTERVAL)
        except (OSError, LookupError) as exc:
            LOGGER.debug("no news of observations: %s", exc)
            pause.wait(AWAY_PAUSE)


class _News:
    """What is known already."""

    def __init__(self) -> None:
        self.run_id = ""
        self._obsid = ""
        self._seen = -1
        self._state = ("", "")
        self._verbs = 0
        self._asked: set[str] = set()
        self._answered: set[str] = set()
        self._told: str | None = None

    def look(self, manager: Any) -> Iterator[Event]:
        """Yields what is new; waits a while for it when an observation runs."""
        yield from self._others(manager)
        if not self.run_id:
            return
        try:
            desk = manager.follow_desk(run_id=self.run_id, seen=self._seen, timeout=FOLLOW)
        except ObservationError:
            desk = {"version": self._seen, "state": "over"}
        self._seen = int(desk["version"])
        if desk["state"] != "over":
            yield from self._news_of(desk)
            return
        record = manager.find_observation(run_id=self.run_id) or {}
        yield self._over(record, self._obsid, self.run_id)
        self.run_id = ""

    def _others(self, manager: Any) -> Iterator[Event]:
        """Finds the running observation; tells those that have begun and ended since the last look."""
        if self.run_id:
            return
        recent = manager.list_observations(last=CAUGHT_UP)
        known = [str(record["obsid"]) for record in recent]
        new = recent[known.index(self._told) + 1 :] if self._told in known else recent
        first = self._told is None
        for record in new:
            self._told = str(record["obsid"])
            if not record.get("status"):
                self._begin(record)
            elif not first:
                yield self._over(record, self._told, str(record["run_id"]))
        if first and self._told is None:
            self._told = ""

    def _begin(self, record: Mapping[str, Any]) -> None:
        self.run_id, self._obsid = str(record["run_id"]), str(record["obsid"])
        self._seen, self._state, self._verbs = -1, ("", ""), 0
        self._asked, self._answered = set(), set()

    def _event(self, kind: str, **fields: Any) -> Event:
        return {
            "t": system_clock().now(),
            "event": kind,
            "obsid": self._obsid,
            "run_id": self.run_id,
            **fields,
        }

    def _over(self, record: Mapping[str, Any], obsid: str, run_id: str) -> Event:
        event = self._event("state", state="over", detail="")
        ended = {"status": record.get("status"), "reason": record.get("reason") or ""}
        return event | {"obsid": obsid, "run_id": run_id, **ended}

    def _news_of(self, desk: Mapping[str, Any]) -> Iterator[Event]:
        for verb in desk["verbs"][self._verbs :]:
            yield self._event("verb", **{key: verb[key] for key in ("number", "verb", "by", "reason")})
        self._verbs = len(desk["verbs"])
        for question in desk["questions"]:
            key = str(question["key"])
            if key not in self._asked:
                self._asked.add(key)
                about = {name: question[name] for name in ("text", "choices", "default", "timeout")}
                yield self._event("question", key=key, **about)
            if question["answer"] is not None and key not in self._answered:
                self._answered.add(key)
                yield self._event("answer", key=key, answer=question["answer"], by=question["by"])
        state = (str(desk["state"]), str(desk["detail"]))
        if state != self._state:
            self._state = state
            yield self._event("state", state=state[0], detail=state[1])
