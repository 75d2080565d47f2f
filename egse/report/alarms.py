"""The alarms of a time as episodes, raised to cleared, from the journal of the limit monitor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from egse.monitor.alarms import AlarmEvent
from egse.monitor.journal import FOLDER, read_alarm_events
from egse.report.span import Scope

CARRIED = 14 * 86_400.0
"""Alarms that were raised up to so long before and have not been cleared are open still [s]."""


@dataclass
class Episode:
    """One alarm from its raising to its clearing.

    Attributes:
        raised: the event that began it.
        events: all events about it, the raising among them.
        cleared: when it was cleared [Unix s], None while it is not.
        acknowledged: the event, None while nobody has acknowledged it.
        shelved: the event, None when it is not shelved now.
    """

    raised: AlarmEvent
    events: list[AlarmEvent] = field(default_factory=list)
    cleared: float | None = None
    acknowledged: AlarmEvent | None = None
    shelved: AlarmEvent | None = None

    @property
    def name(self) -> str:
        """Of the parameter or rule."""
        return str(self.raised.name)

    @property
    def is_open(self) -> bool:
        """True until it is both cleared and acknowledged."""
        return self.cleared is None or self.acknowledged is None

    def take(self, event: AlarmEvent) -> None:
        """Takes in a later event about it."""
        self.events.append(event)
        if event.event == "cleared":
            self.cleared = event.time
        elif event.event == "acknowledged":
            self.acknowledged = event
        elif event.event == "shelved":
            self.shelved = event
        elif event.event == "unshelved":
            self.shelved = None


def alarm_events(site: Path, since: float | None = None, until: float | None = None) -> list[AlarmEvent]:
    """Returns the events of the alarm journal, oldest first; none when the site has no limit monitor."""
    return list(read_alarm_events(site / FOLDER, since, until))


def episodes(events: Iterable[AlarmEvent]) -> list[Episode]:
    """Returns the episodes that events tell of, by the time of their raising.

    An alarm that is raised again while it was not cleared goes on (a restart of the monitor); once cleared, the next raising
    begins a new one. Events about alarms whose raising is not among them are left out.
    """
    found: list[Episode] = []
    current: dict[str, Episode] = {}
    for event in events:
        episode = current.get(event.name)
        if event.event == "raised" and (episode is None or episode.cleared is not None):
            episode = current[event.name] = Episode(event)
            found.append(episode)
        if episode is not None:
            episode.take(event)
    return found


def episodes_of(scope: Scope) -> list[Episode]:
    """Returns the alarms that were raised, or not cleared yet, in a time."""
    known = episodes(alarm_events(scope.site, scope.span.start - CARRIED, scope.span.end))
    return [one for one in known if one.cleared is None or one.cleared >= scope.span.start]
