"""The alarms of a time as episodes, raised to cleared, and those that are open, from the journal of the limit monitor.

What is open, and how urgent it is, is what the monitor itself says: the events of its journal are applied to a book like its
own. The journal is read only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from egse.monitor.alarms import PRIORITIES, AlarmBook, AlarmEvent
from egse.monitor.journal import FOLDER, read_alarm_events
from egse.report.span import Scope

FINDINGS = ("raised", "escalated")
"""Events that tell how bad it is; either has to be acknowledged."""


@dataclass
class Episode:
    """One alarm from its raising to its clearing.

    Attributes:
        raised: the event that began it.
        events: all events about it, the raising among them.
        cleared: when it was cleared [Unix s], None while it is not.
        acknowledged: the event, None while nobody has acknowledged it, or nobody since it got worse.
    """

    raised: AlarmEvent
    events: list[AlarmEvent] = field(default_factory=list)
    cleared: float | None = None
    acknowledged: AlarmEvent | None = None

    @property
    def name(self) -> str:
        """Of the parameter or rule."""
        return str(self.raised.name)

    @property
    def findings(self) -> list[AlarmEvent]:
        """What was found: when it was raised, and when it got worse."""
        return [event for event in self.events if event.event in FINDINGS] or [self.raised]

    @property
    def priority(self) -> str:
        """The worst since it was raised."""
        return max((event.priority for event in self.findings), key=PRIORITIES.index)

    @property
    def count(self) -> int:
        """How often it was raised; more than once when it came back before it was acknowledged."""
        return sum(event.event == "raised" for event in self.findings)

    def take(self, event: AlarmEvent) -> None:
        """Takes in an event about it."""
        self.events.append(event)
        if event.event in FINDINGS:
            self.acknowledged = None
        elif event.event == "cleared":
            self.cleared = event.time
        elif event.event == "acknowledged":
            self.acknowledged = event


class AlarmHistory:
    """What a journal tells about alarms.

    An alarm that is raised again while it was not cleared goes on (a restart of the monitor); once cleared, the next raising
    begins a new episode. An acknowledgement is one of all episodes of its alarm so far. Events about alarms whose raising is
    not among them are left out.

    Args:
        events: all of them, in the order of their numbers.
        since: alarms that were over before are left out [Unix s].

    Attributes:
        book: the alarms as the limit monitor has them after the last event.
    """

    def __init__(self, events: Iterable[AlarmEvent], since: float = float("-inf")) -> None:
        self.book = AlarmBook()
        self._since = since
        self._over: list[list[Episode]] = []
        self._going_on: dict[str, list[Episode]] = {}  # as many names as there are in the book
        for event in events:
            self._take(event)

    @classmethod
    def of(cls, scope: Scope) -> AlarmHistory:
        """Returns what the journal of a site tells about a time; nothing when the site has no limit monitor.

        All of the journal up to its end is read: what is open may have been raised at any time.
        """
        events = sorted(alarm_events(scope.site, until=scope.span.end), key=lambda event: event.number)
        return cls(events, scope.span.start)

    @property
    def episodes(self) -> list[Episode]:
        """Those that were not cleared before `since`, by the time of their raising.

        Of an alarm that was only not acknowledged then, all that went before is one episode.
        """
        alarms = [*self._over, *self._going_on.values()]
        found = [one for episodes in alarms for one in self._not_cleared_before(episodes)]
        return sorted(found, key=lambda one: one.raised.time)

    @property
    def open(self) -> list[Episode]:
        """The alarms in the book, in its order; one that came back before it was acknowledged is one episode."""
        return [_united(self._going_on[alarm.name]) for alarm in self.book.alarms()]

    def _take(self, event: AlarmEvent) -> None:
        goes_on = self.book.is_active(event.name)
        self.book.apply(event)
        if event.event == "raised" and not goes_on:
            self._going_on.setdefault(event.name, []).append(Episode(event))
        episodes = self._going_on.get(event.name, [])
        for one in episodes[-1:] + (_unseen(episodes[:-1]) if event.event == "acknowledged" else []):
            one.take(event)
        if episodes and event.name not in self.book:
            del self._going_on[event.name]
            if event.time >= self._since:
                self._over.append(episodes)

    def _not_cleared_before(self, episodes: Sequence[Episode]) -> list[Episode]:
        found = [one for one in episodes if one.cleared is None or one.cleared >= self._since]
        return found or [_united(episodes)]


def alarm_events(site: Path, since: float | None = None, until: float | None = None) -> list[AlarmEvent]:
    """Returns the events of the alarm journal, oldest first; none when the site has no limit monitor."""
    return list(read_alarm_events(site / FOLDER, since, until))


def _unseen(episodes: Iterable[Episode]) -> list[Episode]:
    return [one for one in episodes if one.acknowledged is None]


def _united(episodes: Sequence[Episode]) -> Episode:
    """Returns episodes of one alarm as one, from the first raising to the last state."""
    events = {event.number: event for one in episodes for event in one.events}
    return replace(
        episodes[-1], raised=episodes[0].raised, events=[events[number] for number in sorted(events)]
    )
