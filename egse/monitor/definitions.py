"""What the limits of a parameter are: out of the TM dictionary, refined by the defaults of this package and by the Setup.

Setup:
  monitor:
    phases: {cold: "GSYN_TRP1 < -60", warm: "GSYN_TRP1 > 10"}
    limits:
      GSYN_TRP1:
        warning: [-90, 35]
        alarm: [-120, 50]
        hysteresis: 0.5
        when: [{phase: cold, warning: [-90, -60]}, {state: SAFE, monitored: false}]
      SUPPLY_BALANCE: {expression: "GAEU_V_AN2_NFEE + GAEU_V_AN3_NFEE", alarm: [-0.5, 0.5]}

Every mistake is told with file, line and parameter (`LimitDefinitionError`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from egse.monitor.alarms import CLEAR_AFTER
from egse.monitor.expression import Expression
from egse.tmdict import Limits

STATES = ("INITIALIZED", "IDLE", "SAFE", "RUNNING")
"""States of the system (docs/alarms.md says how they are found out)."""
PHASES = ("warm", "transition", "cold")
UP, DOWN, BOTH = "up", "down", "both"


class LimitDefinitionError(ValueError):
    """A definition that makes no sense; the text begins with file, line and parameter as far as they are known."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How much a value may change within some time.

    Attributes:
        limits: largest change by priority, the worst first, in the unit of the parameter.
        over: within this time [s].
        direction: which changes count: up, down, both.
    """

    limits: tuple[tuple[str, float], ...]
    over: float = 60.0
    direction: str = BOTH


@dataclass(frozen=True, slots=True)
class Lasting:
    """Something that may not last longer.

    Attributes:
        seconds: how long it may last [s].
        priority: of the alarm.
    """

    seconds: float
    priority: str


@dataclass(frozen=True, slots=True)
class Checks:
    """What is checked of a value.

    Attributes:
        monitored: False: nothing.
        ranges: range that the value shall be in, by priority, the worst first.
        allowed: the only values it may have; None for all.
        priority: of a value that is not allowed, and of a condition that holds.
        rate: how fast it may change.
        stuck: how long it may stay exactly the same.
        stale: how long it may not be renewed while its server is there.
        hysteresis: so far inside a limit it must come back before that counts as well [unit of the parameter].
        needed, of: so many of the last samples must be out of limits.
        latch: the alarm stays until it is acknowledged.
        clear_after: so long all must be well before the alarm is cleared [s].
        valid_when: the value means nothing while this does not hold.
        cause, action: for the text of the alarm.
    """

    monitored: bool = True
    ranges: tuple[tuple[str, Limits], ...] = ()
    allowed: tuple[Any, ...] | None = None
    priority: str = "alarm"
    rate: Rate | None = None
    stuck: Lasting | None = None
    stale: Lasting | None = None
    hysteresis: float = 0.0
    needed: int = 1
    of: int = 1
    latch: bool = False
    clear_after: float = CLEAR_AFTER
    valid_when: Expression | None = None
    cause: str = ""
    action: str = ""

    @property
    def is_empty(self) -> bool:
        """True when there is nothing to check."""
        nothing = not self.ranges and self.allowed is None
        return not self.monitored or (nothing and not (self.rate or self.stuck or self.stale))


@dataclass(frozen=True, slots=True)
class When:
    """The circumstances in which other checks count; an empty one does not matter.

    Attributes:
        state, phase, mode: any of these.
        checks: what counts then.
    """

    state: tuple[str, ...]
    phase: tuple[str, ...]
    mode: tuple[str, ...]
    checks: Checks

    def fits(self, context: Mapping[str, str]) -> bool:
        """Says whether these are the circumstances."""
        return all(
            not wanted or context.get(kind, "") in wanted
            for kind, wanted in (("state", self.state), ("phase", self.phase), ("mode", self.mode))
        )


@dataclass(frozen=True, slots=True)
class Definition:
    """Everything that is watched of one parameter or rule.

    Attributes:
        name: of the parameter or rule, and of its alarm.
        checks: what counts, unless one of `whens` fits.
        whens: what counts otherwise; the first one that fits.
        expression: what is computed for a rule; None for a parameter.
        is_condition: the expression of the rule says directly that something is wrong.
        unit: of the value.
        description: what it is.
        mnemonic: storage mnemonic of the producer.
        place: file, line and key where it is refined; empty for the TM dictionary alone.
    """

    name: str
    checks: Checks = field(default_factory=Checks)
    whens: tuple[When, ...] = ()
    expression: Expression | None = None
    is_condition: bool = False
    unit: str = ""
    description: str = ""
    mnemonic: str = ""
    place: str = ""

    def checks_in(self, context: Mapping[str, str]) -> Checks:
        """Returns what counts under these circumstances."""
        return next((when.checks for when in self.whens if when.fits(context)), self.checks)

    @property
    def inputs(self) -> frozenset[str]:
        """The other parameters that are needed to judge it."""
        found = set() if self.expression is None else set(self.expression.names)
        for checks in (self.checks, *(when.checks for when in self.whens)):
            found |= checks.valid_when.names if checks.valid_when is not None else frozenset()
        return frozenset(found)
