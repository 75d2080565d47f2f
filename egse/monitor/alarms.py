"""The life of an alarm: raised, acknowledged, cleared; shelved for a while; told to everybody as events.

Pure: conditions and times go in, events come out. Whatever changes an alarm is an event, and an event is all that
changes an alarm, so that the book can be made anew from its events (`AlarmBook.apply`).

The rules:

- An alarm is *raised* when its condition begins to hold, and *cleared* when the condition has not held for `clear_after`.
- It is in the book until it is both cleared and acknowledged.
- One that gets worse is *escalated*, and has to be acknowledged again; its priority is the worst since it was raised.
- A latching one is not cleared before it is acknowledged.
- One that comes back again and again soon after it was cleared flaps: it is kept raised for longer each time.
- A shelved one goes on as always, but nobody is called; shelves expire by themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from egse.advice import or_meant
from egse.response import register_error

PRIORITIES = ("warning", "alarm", "critical")
"""From the least to the most urgent."""
EVENTS = ("raised", "acknowledged", "cleared", "shelved", "unshelved", "escalated", "reaction")
CLEAR_AFTER = 5.0
"""So long the condition must not have held before an alarm is cleared [s]."""
FLAP_WINDOW = 60.0
"""An alarm that comes back within this time after it was cleared may flap [s]."""
FLAP_COUNT = 3
"""It does when that happens for so many times in a row, unless somebody acknowledges it meanwhile."""
FLAP_HOLD = (60.0, 300.0, 900.0)
"""So long a flapping alarm stays raised without its condition, the first time, the next, ... [s]."""
LONG_STORY = 30
"""So many events of an alarm are kept for the next start, besides the first."""
LONGEST_SHELF = 7 * 86_400.0
"""Nothing is shelved for longer [s]."""
EXPIRY = "expiry"
"""Who takes an alarm from the shelf when its time is over."""


@register_error
class AlarmError(LookupError):
    """There is no such alarm, or this cannot be done with it."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was found about a parameter or a rule.

    Attributes:
        value: of the parameter.
        unit: of the value.
        limit: what is violated, for people: `above 30 (alarm)`.
        cause: what may be the cause.
        action: what to do next.
        source: the control server that the value comes from.
        latch: its alarm is not cleared before it is acknowledged.
    """

    value: Any = None
    unit: str = ""
    limit: str = ""
    cause: str = ""
    action: str = ""
    source: str = ""
    latch: bool = False


class AlarmEvent(Finding, frozen=True, kw_only=True):
    """Something that happened to an alarm, with what was found then.

    Attributes:
        number: grows by one with each event of a site, for ever.
        time: Unix time [s].
        name: parameter or rule; `SERVER/gone` for a server that is not there.
        event: raised, acknowledged, cleared, shelved, unshelved, escalated, reaction.
        priority: warning, alarm, critical.
        by: who did it; empty for the monitor itself.
        comment: of whoever did it; for a reaction what was done.
        obsid: full obsid of the running observation, empty outside.
        context: system state, phase, mode and setup at that time.
        until: when the shelf expires, Unix time [s].
        shelved: nobody is to be called.
        active: after this the alarm is raised, and nobody has acknowledged it.
    """

    number: int
    time: float
    name: str
    event: str
    priority: str = "warning"
    by: str = ""
    comment: str = ""
    obsid: str = ""
    context: dict[str, str] = {}
    until: float = 0.0
    shelved: bool = False
    active: bool = False


class Condition(Finding, frozen=True, kw_only=True):
    """How bad it is now.

    Attributes:
        name: of the alarm.
        priority: warning, alarm, critical; empty when all is well.
        clear_after: so long all must be well before the alarm is cleared [s].
    """

    name: str
    priority: str = ""
    clear_after: float = CLEAR_AFTER


class Alarm(msgspec.Struct, kw_only=True):
    """An alarm that somebody should know of.

    Attributes:
        name: parameter or rule.
        number: of the event that raised it.
        raised: when it was raised first, and last, Unix time [s].
        priority: the worst since it was raised.
        active: its condition holds, or held a moment ago.
        level: how bad it is now; empty when all is well again.
        value, unit, limit, cause, action, source, latch: as in `Finding`, newest.
        acknowledged: when somebody did, 0 when nobody has.
        cleared: when it was cleared last, 0 while it is active.
        count: how often it was raised.
        shelved_until: 0 when it is not shelved.
        reactions: what automatic reactions have said, newest last.
    """

    name: str
    number: int
    raised: float
    last_raised: float
    priority: str
    active: bool = True
    level: str = ""
    value: Any = None
    unit: str = ""
    limit: str = ""
    cause: str = ""
    action: str = ""
    source: str = ""
    latch: bool = False
    obsid: str = ""
    context: dict[str, str] = {}
    count: int = 1
    acknowledged: float = 0.0
    acknowledged_by: str = ""
    comment: str = ""
    cleared: float = 0.0
    shelved_until: float = 0.0
    shelved_by: str = ""
    shelved_reason: str = ""
    reactions: list[str] = []


class Shelf(msgspec.Struct, frozen=True):
    """Nobody is called for an alarm.

    Attributes:
        until: when that ends, Unix time [s].
        by: who wanted it.
        reason: why.
    """

    until: float
    by: str
    reason: str


class _Quiet(msgspec.Struct):
    """Since when all has been well with an alarm that is still raised, and how long it has to be."""

    since: float
    clear_after: float


class AlarmBook:
    """All alarms of a site that are not over.

    Args:
        surroundings: returns the obsid of the running observation and the context, for the events.
        number: of the next event.

    Attributes:
        number: of the next event.
        shelves: what is shelved, by name.
    """

    def __init__(
        self, surroundings: Callable[[], tuple[str, Mapping[str, str]]] = lambda: ("", {}), number: int = 1
    ) -> None:
        self.number = number
        self.shelves: dict[str, Shelf] = {}
        self._alarms: dict[str, Alarm] = {}
        self._quiet: dict[str, _Quiet] = {}
        self._flaps: dict[str, tuple[float, int]] = {}  # when it was cleared last, how often it came back
        self._made_of: dict[str, list[AlarmEvent]] = {}
        self._surroundings = surroundings

    def __contains__(self, name: str) -> bool:
        return name in self._alarms

    def __len__(self) -> int:
        return len(self._alarms)

    def get(self, name: str) -> Alarm | None:
        """Returns an alarm that is not over, None when there is none."""
        return self._alarms.get(name)

    def is_active(self, name: str) -> bool:
        """Says whether an alarm is raised and not cleared."""
        alarm = self._alarms.get(name)
        return alarm is not None and alarm.active

    def alarms(self) -> list[Alarm]:
        """Returns the alarms that are not cleared or not acknowledged: active ones first, the most urgent first."""
        return sorted(
            self._alarms.values(),
            key=lambda alarm: (not alarm.active, -PRIORITIES.index(alarm.priority), -alarm.last_raised),
        )

    def open_events(self) -> list[AlarmEvent]:
        """Returns the events that make what is open now, in their order; long stories are abridged."""
        found = [
            event for events in self._made_of.values() for event in (*events[:1], *events[1:][-LONG_STORY:])
        ]
        return sorted(found, key=lambda event: event.number)

    def shift(self, seconds: float) -> None:
        """Keeps durations right when the wall clock was set by so much; times of events and of shelves stay."""
        for quiet in self._quiet.values():
            quiet.since += seconds
        self._flaps = {name: (cleared + seconds, flaps) for name, (cleared, flaps) in self._flaps.items()}

    # -- what was found --------------------------------------------------------------------------------------------

    def note(self, condition: Condition, now: float) -> list[AlarmEvent]:
        """Takes notice of a condition; returns what that means.

        Args:
            condition: what was found.
            now: Unix time [s].
        """
        alarm = self._alarms.get(condition.name)
        if not condition.priority:
            return self._all_well(alarm, condition, now)
        if alarm is None or not alarm.active:
            return [self._happen("raised", condition, now)]
        self._quiet.pop(condition.name, None)
        alarm.level, alarm.value = condition.priority, condition.value
        if PRIORITIES.index(condition.priority) > PRIORITIES.index(alarm.priority):
            return [self._happen("escalated", condition, now)]
        return []

    def tick(self, now: float) -> list[AlarmEvent]:
        """Returns what has happened by the mere passing of time: shelves that expire, alarms that are cleared."""
        events = [
            self._happen("unshelved", self._of(name), now, by=EXPIRY)
            for name, shelf in list(self.shelves.items())
            if shelf.until <= now
        ]
        for name in list(self._quiet):
            events += self._clear_if_due(name, now)
        return events

    def retire(self, known: Iterable[str], now: float, why: str) -> list[AlarmEvent]:
        """Clears the active alarms that nobody watches over any more: all that are not `known`."""
        gone = set(self._alarms).difference(known)
        return [
            self._happen("cleared", self._of(name), now, comment=why)
            for name in sorted(gone)
            if self.is_active(name)
        ]

    def _all_well(self, alarm: Alarm | None, condition: Condition, now: float) -> list[AlarmEvent]:
        if alarm is None or not alarm.active:
            return []
        if condition.name not in self._quiet:
            self._quiet[condition.name] = _Quiet(now, condition.clear_after)
        alarm.level, alarm.value = "", condition.value
        return self._clear_if_due(condition.name, now)

    def _clear_if_due(self, name: str, now: float) -> list[AlarmEvent]:
        alarm, quiet = self._alarms.get(name), self._quiet[name]
        if alarm is None or now - quiet.since < self._hold(name, quiet.clear_after):
            return []
        if alarm.latch and not alarm.acknowledged:
            return []
        return [self._happen("cleared", self._of(name), now)]

    def _hold(self, name: str, clear_after: float) -> float:
        """Returns how long all must have been well before an alarm is cleared [s]; longer for one that flaps."""
        flaps = self._flaps.get(name, (0.0, 0))[1]
        if flaps < FLAP_COUNT:
            return clear_after
        return max(clear_after, FLAP_HOLD[min(flaps - FLAP_COUNT, len(FLAP_HOLD) - 1)])

    # -- what people do --------------------------------------------------------------------------------------------

    def acknowledge(self, name: str, by: str, comment: str, now: float) -> list[AlarmEvent]:
        """Notes that somebody has taken notice of an alarm.

        The first one counts; another one is an event only for the sake of its comment.

        Raises:
            AlarmError: when there is no such alarm.
        """
        alarm = self._require(name)
        if alarm.acknowledged and not comment:
            return []
        events = [self._happen("acknowledged", self._of(name), now, by=by, comment=comment)]
        return events + (self._clear_if_due(name, now) if name in self._quiet else [])

    def shelve(self, name: str, by: str, seconds: float, reason: str, now: float) -> list[AlarmEvent]:
        """Has nobody called for an alarm, which need not be raised, for a while.

        Raises:
            AlarmError: when the time is not within a second and a week, or no reason is given.
        """
        if not 1.0 <= seconds <= LONGEST_SHELF:
            raise AlarmError(
                f"an alarm is shelved for 1 s to {LONGEST_SHELF / 86_400:g} days, not for {seconds:g} s"
            )
        if not reason.strip():
            raise AlarmError(f"{name} was not shelved: say why, for those who come after you")
        return [self._happen("shelved", self._of(name), now, by=by, comment=reason, until=now + seconds)]

    def unshelve(self, name: str, by: str, now: float) -> list[AlarmEvent]:
        """Takes an alarm from the shelf.

        Raises:
            AlarmError: when it is not shelved.
        """
        if name not in self.shelves:
            raise AlarmError(f"{name} is not shelved{or_meant(name, self.shelves)}")
        return [self._happen("unshelved", self._of(name), now, by=by)]

    def report_reaction(self, name: str, text: str, by: str, now: float) -> list[AlarmEvent]:
        """Notes what an automatic reaction has done, or will do."""
        return [self._happen("reaction", self._of(name), now, by=by, comment=text)]

    def _require(self, name: str) -> Alarm:
        alarm = self._alarms.get(name)
        if alarm is None:
            known = ", ".join(self._alarms) or "none"
            raise AlarmError(f"there is no alarm {name!r}{or_meant(name, self._alarms)} (there are: {known})")
        return alarm

    # -- events ----------------------------------------------------------------------------------------------------

    def _of(self, name: str) -> Condition:
        """Returns what is known of an alarm, for its next event."""
        alarm = self._alarms.get(name)
        if alarm is None:
            return Condition(name=name, priority=PRIORITIES[0])
        same = ("priority", "value", "unit", "limit", "cause", "action", "source", "latch")
        return Condition(name=name, **{field: getattr(alarm, field) for field in same})

    def _happen(
        self,
        event: str,
        condition: Condition,
        now: float,
        *,
        by: str = "",
        comment: str = "",
        until: float = 0.0,
    ) -> AlarmEvent:
        obsid, context = self._surroundings()
        alarm = self._alarms.get(condition.name)
        waits = alarm is not None and alarm.active and not alarm.acknowledged
        made = AlarmEvent(
            number=self.number,
            time=now,
            name=condition.name,
            event=event,
            priority=condition.priority or PRIORITIES[0],
            value=condition.value,
            unit=condition.unit,
            limit=condition.limit,
            cause=condition.cause,
            action=condition.action,
            by=by,
            comment=comment,
            obsid=obsid,
            context=dict(context),
            source=condition.source,
            until=until,
            latch=condition.latch,
            shelved=event == "shelved" or (event != "unshelved" and condition.name in self.shelves),
            active=event in ("raised", "escalated") or (waits and event not in ("acknowledged", "cleared")),
        )
        self.apply(made)
        return made

    def apply(self, event: AlarmEvent) -> None:
        """Changes the book as an event says; also for events of former lives."""
        self.number = max(self.number, event.number + 1)
        alarm = self._alarms.get(event.name)
        match event.event:
            case "raised":
                alarm = self._raise(alarm, event)
            case "escalated" if alarm is not None:
                alarm.priority = alarm.level = event.priority
                alarm.value, alarm.limit, alarm.cause, alarm.action = (
                    event.value,
                    event.limit,
                    event.cause,
                    event.action,
                )
                alarm.acknowledged, alarm.acknowledged_by = 0.0, ""
            case "acknowledged" if alarm is not None:
                if not alarm.acknowledged:
                    alarm.acknowledged, alarm.acknowledged_by = event.time, event.by
                alarm.comment = event.comment or alarm.comment
            case "cleared" if alarm is not None:
                alarm.active, alarm.level, alarm.cleared = False, "", event.time
                self._quiet.pop(event.name, None)
                self._flaps[event.name] = (event.time, self._flaps.get(event.name, (0.0, 0))[1])
            case "shelved":
                self.shelves[event.name] = Shelf(event.until, event.by, event.comment)
            case "unshelved":
                self.shelves.pop(event.name, None)
            case "reaction" if alarm is not None:
                alarm.reactions = [*alarm.reactions, f"{event.comment} ({event.by})"][-10:]
        self._made_of.setdefault(event.name, []).append(event)
        self._tidy(event.name, alarm)

    def _raise(self, alarm: Alarm | None, event: AlarmEvent) -> Alarm:
        cleared, flaps = self._flaps.get(event.name, (float("-inf"), 0))
        window = max(FLAP_WINDOW, self._hold(event.name, 0.0))
        self._flaps[event.name] = (cleared, flaps + 1 if event.time - cleared <= window else 0)
        again = alarm is not None and not alarm.acknowledged
        count, first, number = (
            (alarm.count + 1, alarm.raised, alarm.number)
            if alarm and again
            else (1, event.time, event.number)
        )
        same = ("value", "unit", "limit", "cause", "action", "source", "latch", "obsid", "context")
        worst = [event.priority, alarm.priority] if alarm and again else [event.priority]
        made = Alarm(
            name=event.name,
            number=number,
            raised=first,
            last_raised=event.time,
            priority=max(worst, key=PRIORITIES.index),
            level=event.priority,
            count=count,
            reactions=alarm.reactions if alarm and again else [],
            **{field: getattr(event, field) for field in same},
        )
        self._alarms[event.name] = made
        self._quiet.pop(event.name, None)
        return made

    def _tidy(self, name: str, alarm: Alarm | None) -> None:
        """Shows the shelf with its alarm; takes an alarm that is over out of the book."""
        shelf = self.shelves.get(name)
        if alarm is not None:
            told = shelf or Shelf(0.0, "", "")
            alarm.shelved_until, alarm.shelved_by, alarm.shelved_reason = told.until, told.by, told.reason
            if not alarm.active and alarm.acknowledged:
                self._alarms.pop(name, None)
                if alarm.acknowledged >= alarm.cleared:
                    self._flaps.pop(name, None)
        if shelf is None and name not in self._alarms:
            self._made_of.pop(name, None)
