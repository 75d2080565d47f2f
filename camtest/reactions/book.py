"""What is to be done about the alarms that there are: announce, withdraw, run. No I/O; times come from outside.

    alarm raised  ->  announced  --warning over-->  running  ->  done | failed  --alarm gone-->  over
                          |--alarm gone-->  withdrawn (over)
                          |--an operator-->  cancelled            --alarm gone-->  over

- A reaction is not repeated while one of its alarms stays, however it has ended.
- One runs at a time: the announced one with the smallest priority number, and no other goes before it while its warning
  period lasts.
- What was running when the process died is not run again: its outcome is unknown, and that is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from camtest.reactions.table import Reaction, ReactionTable

ANNOUNCED, RUNNING = "announced", "running"
DONE, FAILED, CANCELLED, INTERRUPTED = "done", "failed", "cancelled", "interrupted"
WITHDRAWN, OVER = "withdrawn", "over"
STAGES = (ANNOUNCED, RUNNING, DONE, FAILED, CANCELLED, INTERRUPTED, WITHDRAWN, OVER)
ENDED = (DONE, FAILED, CANCELLED, INTERRUPTED)
"""How it stands from then on until its alarms are gone."""


class ReactionEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that happened to a reaction.

    Attributes:
        time: Unix time [s].
        reaction: its name in the Setup.
        stage: one of `STAGES`: how it stands from then on.
        alarms: the alarms that it answers.
        text: more about it, for people.
        by: who cancelled it.
        due: when it begins, Unix time [s]; of an announced one.
        function: the building block with its arguments.
        run_id: of its observation.
        obsid: of its observation.
        pid: the process that runs the building block.
        identity: what distinguishes that process from a later one with the same id.
    """

    time: float
    reaction: str
    stage: str
    alarms: list[str] = []
    text: str = ""
    by: str = ""
    due: float = 0.0
    function: str = ""
    run_id: str = ""
    obsid: str = ""
    pid: int = 0
    identity: str = ""


@dataclass
class Case:
    """A reaction to alarms that there are.

    Attributes:
        name: of the reaction.
        stage: how it stands.
        due: when it begins [Unix s].
        alarms: the alarms that it answers.
        last: the event that brought it to this stage.
    """

    name: str
    stage: str
    due: float
    alarms: list[str]
    last: ReactionEvent


@dataclass
class Orders:
    """What is to be done now.

    Attributes:
        events: what has happened, to be written down and told.
        run: the reaction that begins now, None for none.
    """

    events: list[ReactionEvent] = field(default_factory=list)
    run: Reaction | None = None


class ReactionBook:
    """The reactions that are on.

    Args:
        events: what happened before, oldest first: of the life before this one.
    """

    def __init__(self, events: Iterable[ReactionEvent] = ()) -> None:
        self.cases: dict[str, Case] = {}
        for event in events:
            self.apply(event)

    def apply(self, event: ReactionEvent) -> None:
        """Changes the book as an event says."""
        if event.stage in (WITHDRAWN, OVER):
            self.cases.pop(event.reaction, None)
            return
        before = self.cases.get(event.reaction)
        due = event.due or (before.due if before else event.time)
        alarms = list(event.alarms) or (before.alarms if before else [])
        self.cases[event.reaction] = Case(event.reaction, event.stage, due, alarms, event)

    @property
    def running(self) -> Case | None:
        """The case that runs now, None when none does."""
        return next((case for case in self.cases.values() if case.stage == RUNNING), None)

    def look(self, table: ReactionTable, alarms: Iterable[Mapping[str, Any]], now: float) -> Orders:
        """Returns what is to be done about the alarms that there are.

        Args:
            table: the reactions.
            alarms: as `get_alarms` of the limit monitor gives them.
            now: Unix time [s].
        """
        active = {str(one["name"]): str(one["priority"]) for one in alarms if one["active"]}
        orders = Orders()
        for case in list(self.cases.values()):
            if case.stage != RUNNING and not self._stays(case, table, active):
                stage = WITHDRAWN if case.stage == ANNOUNCED else OVER
                orders.events.append(self._event(now, case.name, stage, case.alarms, "the alarm has cleared"))
        for reaction in table:
            answered = [name for name, priority in active.items() if reaction.answers(name, priority)]
            if answered and reaction.name not in self.cases:
                orders.events.append(self._announcement(reaction, answered, now))
        orders.run = self._next(table, now)
        return orders

    def cancel(self, name: str, reason: str, by: str, now: float) -> ReactionEvent:
        """Returns the event that a reaction is cancelled as long as its alarm stays.

        Raises:
            ValueError: when it is not announced, or no reason is given.
        """
        case = self.cases.get(name)
        if case is None or case.stage != ANNOUNCED:
            announced = ", ".join(c.name for c in self.cases.values() if c.stage == ANNOUNCED) or "none"
            state = "not announced" if case is None else case.stage
            raise ValueError(f"{name!r} cannot be cancelled, it is {state} (announced are: {announced})")
        if not reason.strip():
            raise ValueError(f"{name} was not cancelled: say why, for the record")
        return self._event(now, name, CANCELLED, case.alarms, reason.strip(), by=by)

    @staticmethod
    def _stays(case: Case, table: ReactionTable, active: Mapping[str, str]) -> bool:
        """Says whether one of its alarms is still there, also a milder one than it answers."""
        patterns = next((one for one in table if one.name == case.name), None)
        if patterns is None:  # it was taken out of the table
            return any(name in active for name in case.alarms)
        return any(
            name in case.alarms or patterns.answers(name, priority) for name, priority in active.items()
        )

    def _announcement(self, reaction: Reaction, alarms: list[str], now: float) -> ReactionEvent:
        event = ReactionEvent(
            time=now,
            reaction=reaction.name,
            stage=ANNOUNCED,
            alarms=alarms,
            text=f"{reaction.function} begins in {reaction.warning:g} s",
            due=now + reaction.warning,
            function=reaction.function,
        )
        self.apply(event)
        return event

    def _event(
        self, now: float, name: str, stage: str, alarms: list[str], text: str, by: str = ""
    ) -> ReactionEvent:
        event = ReactionEvent(time=now, reaction=name, stage=stage, alarms=list(alarms), text=text, by=by)
        self.apply(event)
        return event

    def _next(self, table: ReactionTable, now: float) -> Reaction | None:
        if self.running is not None:
            return None
        for reaction in table:
            case = self.cases.get(reaction.name)
            if case is not None and case.stage == ANNOUNCED:
                return reaction if case.due <= now else None
        return None
