"""Suspenders: a procedure stands still while a condition holds, and goes on by rule; nothing is lost but time.

monitor:
  suspenders:
    plate_is_warm:
      device: gse.lsci336               # the condition is that of an interlock (camtest.core.interlocks): suspended while it
      query: get_temperature            # does not hold, or cannot be asked
      arguments: {channel: A}
      maximum: -80.0
      resume: {maximum: -85.0}          # narrower limits for going on; those above when left out
      resume_after: 30.0                # so long they must hold before it goes on [s of the wall]; 0 when left out
      timeout: 3600.0                   # then the observation is aborted [s of the wall]; never when left out
      blocks: ["camtest.commanding.dpu.*"]      # building blocks that it concerns; all when left out
    chamber:
      alarm: [CHAMBER_PRESSURE, "TRP*"] # or: suspended while one of these alarms is active
      at: warning                       # and as bad as this at least; alarm when left out

In scripts:

    with suspended_while(lambda: pump_is_running() and "the pump is running", resume_after=10.0):
        ...

A running building block is suspended at its next checkpoint or wait, where `pause` reaches it, too. The clock of the session
stands still meanwhile; operators can stop and abort.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from camtest.core.context import Abort, InterlockAbort
from camtest.core.interlocks import LIMIT_KEYS, Interlock
from egse.advice import did_you_mean
from egse.clock import system_clock
from egse.monitor.alarms import PRIORITIES
from egse.monitor.interface import LimitMonitorProxy
from egse.setup import Setup

LOGGER = logging.getLogger(__name__)

PLACE = "monitor.suspenders"
PERIOD = 1.0
"""Conditions are asked so often [s of the wall]."""
ANSWER = 2.0
"""How long the limit monitor may take to answer [s]."""

_RULE = ("resume", "resume_after", "timeout", "blocks")
_ALARM = ("alarm", "at")

Question = Callable[[bool], str]
"""Returns why a procedure must stand still, empty when it may go on; the argument says that it stands still already."""


class SuspendAbort(Abort):
    """A suspender is not understood, or has held for longer than its time-out."""


@dataclass(frozen=True)
class Suspender:
    """One condition with its rule.

    Attributes:
        name: its name in the Setup.
        question: the condition.
        resume_after: so long all must be well before the procedure goes on [s of the wall].
        timeout: then the observation is aborted [s of the wall]; None for never.
        blocks: patterns of full names of building blocks that it concerns.
    """

    name: str
    question: Question
    resume_after: float = 0.0
    timeout: float | None = None
    blocks: tuple[str, ...] = ("*",)

    def concerns(self, blocks: Iterable[str]) -> bool:
        """Says whether any of these building blocks must stand still."""
        return any(fnmatchcase(block, pattern) for block in blocks for pattern in self.blocks)

    @classmethod
    def of(cls, name: str, entry: Any) -> Suspender:
        """Reads a suspender from the Setup.

        Raises:
            SuspendAbort: with the key path of what is wrong; one that is not understood protects nothing.
        """
        place = f"{PLACE}.{name}"
        if not isinstance(entry, Mapping):
            raise SuspendAbort(f"{place}: needs a device and a query, or an alarm; found {entry!r}")
        question = _alarm_question(place, entry) if "alarm" in entry else _device_question(place, entry)
        timeout = entry.get("timeout")
        return cls(
            name,
            question,
            _seconds(place, "resume_after", entry.get("resume_after", 0.0)),
            None if timeout is None else _seconds(place, "timeout", timeout),
            tuple(entry.get("blocks") or ("*",)),
        )


def _seconds(place: str, key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise SuspendAbort(f"{place}.{key}: must be a number of seconds, not {value!r}")
    return float(value)


def _device_question(place: str, entry: Mapping[str, Any]) -> Question:
    condition = {key: entry[key] for key in entry if key not in _RULE}
    narrower = entry.get("resume") or {}
    if not isinstance(narrower, Mapping) or set(narrower) - set(LIMIT_KEYS):
        raise SuspendAbort(f"{place}.resume: takes {', '.join(LIMIT_KEYS)}, not {narrower!r}")
    try:
        begins = Interlock.of(place, condition)
        ends = Interlock.of(place, condition | dict(narrower))
    except InterlockAbort as exc:
        raise SuspendAbort(str(exc)) from exc

    def ask(suspended: bool) -> str:
        try:
            (ends if suspended else begins).check()
        except InterlockAbort as exc:
            return str(exc)
        return ""

    return ask


def _alarm_question(place: str, entry: Mapping[str, Any]) -> Question:
    unknown = [key for key in entry if key not in (*_RULE[1:], *_ALARM)]
    if unknown:
        raise SuspendAbort(
            f"{place}.{unknown[0]}: is no key here.{did_you_mean(unknown[0], (*_RULE[1:], *_ALARM))}"
        )
    names, at = entry["alarm"], entry.get("at", PRIORITIES[1])
    patterns = (names,) if isinstance(names, str) else tuple(names or ())
    if not patterns or at not in PRIORITIES:
        raise SuspendAbort(f"{place}: needs names of alarms, and `at` one of {', '.join(PRIORITIES)}")

    def ask(suspended: bool) -> str:
        try:
            with LimitMonitorProxy(timeout=ANSWER) as monitor:
                alarms = monitor.get_alarms()
        except OSError as exc:
            LOGGER.warning("%s: the limit monitor does not tell: %s", place, exc)
            return "the limit monitor does not tell any more" if suspended else ""
        return _active(alarms, patterns, str(at))

    return ask


def _active(alarms: Iterable[Mapping[str, Any]], patterns: tuple[str, ...], at: str) -> str:
    """Returns which of these alarms are active, empty when none is."""
    found = [
        f"alarm {one['name']} ({one['priority']})"
        for one in alarms
        if one["active"]
        and PRIORITIES.index(str(one["priority"])) >= PRIORITIES.index(at)
        and any(fnmatchcase(str(one["name"]), pattern) for pattern in patterns)
    ]
    return ", ".join(found)


@dataclass
class Stay:
    """A procedure that stands still.

    Attributes:
        suspender: because of which one.
        reason: why, as last found.
        since: monotonic time [s].
        well_since: since when all is well again, None while it is not.
    """

    suspender: Suspender
    reason: str
    since: float
    well_since: float | None = None

    def may_go_on(self, now: float) -> bool:
        """Asks the condition once more.

        Raises:
            SuspendAbort: when it has held for longer than its time-out.
        """
        reason = self.suspender.question(True)
        if reason:
            self.reason, self.well_since = reason, None
        elif self.well_since is None:
            self.well_since = now
        if self.well_since is not None and now - self.well_since >= self.suspender.resume_after:
            return True
        timeout = self.suspender.timeout
        if timeout is not None and now - self.since > timeout:
            raise SuspendAbort(
                f"suspender `{self.suspender.name}` has held for more than {timeout:g} s: {self.reason or 'just over'}"
            )
        return False


@dataclass
class Suspenders:
    """The suspenders of a Setup and of the script that runs; false when there are none.

    Attributes:
        items: the suspenders.
        next: they are asked again at this monotonic time [s].
    """

    items: list[Suspender] = field(default_factory=list)
    next: float = float("-inf")

    @classmethod
    def of(cls, setup: Setup | None) -> Suspenders:
        """Reads the suspenders of a Setup (`monitor.suspenders`).

        Raises:
            SuspendAbort: when one is not understood.
        """
        monitor = None if setup is None or "monitor" not in setup else setup["monitor"]
        entries = monitor.get("suspenders") if isinstance(monitor, Mapping) else None
        if entries is None:
            return cls()
        if not isinstance(entries, Mapping):
            raise SuspendAbort(f"{PLACE}: must be a branch with a key for each suspender, not {entries!r}")
        return cls([Suspender.of(str(name), entries[name]) for name in entries])

    def __bool__(self) -> bool:
        return bool(self.items)

    def add(self, suspender: Suspender) -> None:
        """Adds one of a script; it is asked at the next occasion."""
        self.items.append(suspender)
        self.next = float("-inf")

    def find(self, blocks: Iterable[str]) -> Stay | None:
        """Returns why these building blocks must stand still, None when they may go on; asks not more often than `PERIOD`."""
        now = system_clock().monotonic()
        if not self.items or now < self.next:
            return None
        names = list(blocks)
        for suspender in list(self.items):
            if suspender.concerns(names) and (reason := suspender.question(False)):
                return Stay(suspender, reason, now)
        self.next = system_clock().monotonic() + PERIOD
        return None


@contextmanager
def suspended_while(
    question: Callable[[], object],
    *,
    name: str = "",
    resume_after: float = 0.0,
    timeout: float | None = None,
) -> Iterator[None]:
    """Has what is commanded inside the `with` block stand still while a condition holds.

    Args:
        question: a plain function without side effects; what it returns, when that is true, says why (a text is shown).
        name: of the suspender, that of the function when empty.
        resume_after: so long it must not have held before the procedure goes on [s of the wall].
        timeout: then the observation is aborted [s of the wall]; None for never.

    Raises:
        SuspendAbort: when it holds for longer than `timeout`.
        ObservationError: when no observation is running.
    """
    from camtest.core.observation import current_context  # imports this module
    from camtest.core.recording import ObservationContext

    called = name or getattr(question, "__name__", "condition")

    def ask(suspended: bool) -> str:
        answer = question()
        return "" if not answer else answer if isinstance(answer, str) else f"`{called}` holds"

    context = current_context()
    if not isinstance(context, ObservationContext):
        yield  # in a dry run there is nothing to wait for
        return
    suspender = Suspender(called, ask, resume_after, timeout)
    context.suspenders.add(suspender)
    context.look()
    try:
        yield
    finally:
        context.suspenders.items.remove(suspender)
        context.look()
