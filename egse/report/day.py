"""The report of a day and the hand-over page of a shift: one file of HTML each, from the files of the archive alone."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from egse.archive import Observation
from egse.archive.index import Entry
from egse.files import make_folder, write_atomically
from egse.report import parts
from egse.report.alarms import AlarmHistory, Episode
from egse.report.happenings import observations_between
from egse.report.page import BAD, GOOD, Cell, page, section, table
from egse.report.servers import Presence, presences
from egse.report.span import Scope
from egse.report.violations import Violation, find_violations
from egse.setup import Setup
from egse.system import format_datetime, from_unix_time

LOGGER = logging.getLogger(__name__)

REPORTS = "reports"
"""Folder for reports in the data folder of the site."""


@dataclass(frozen=True)
class Facts:
    """What the archive says about a time.

    Attributes:
        scope: the time.
        observations: those that ran in it.
        alarms: those that were raised in it, or not over (cleared and acknowledged) before.
        open_alarms: those that were not cleared, or not acknowledged, at its end, the most urgent first.
        presences: when each producer of housekeeping was there.
        violations: parameters beyond their limits.
    """

    scope: Scope
    observations: list[Entry]
    alarms: list[Episode]
    open_alarms: list[Episode]
    presences: list[Presence]
    violations: list[Violation]

    @classmethod
    def collect(cls, scope: Scope) -> Facts:
        """Reads the archive.

        Raises:
            OSError: when it cannot be read.
        """
        observations = observations_between(scope.site, scope.span.start, scope.span.end)
        history = AlarmHistory.of(scope)
        return cls(
            scope,
            observations,
            history.episodes,
            history.open,
            presences(scope),
            find_violations(scope, setup_of(scope, observations)),
        )

    @property
    def summary(self) -> list[tuple[str, str, bool]]:
        """The lines at the top: what, how it was, and whether all is well."""
        badly = [one for one in self.observations if one.status not in ("", "done")]
        running = [one for one in self.observations if not one.status]
        still = self.open_alarms
        gone = [one for one in self.presences if one.gaps]
        return [
            (
                "observations",
                f"{len(self.observations)}, {len(badly)} of them not done, {len(running)} running",
                not badly,
            ),
            ("alarms", f"{len(self.alarms)}; open or not acknowledged at the end: {len(still)}", not still),
            ("parameters beyond limits", f"{len(self.violations)}", not self.violations),
            (
                "servers with gaps",
                ", ".join(self._gone_text(one) for one in gone) or f"none of {len(self.presences)}",
                not gone,
            ),
        ]

    def _gone_text(self, one: Presence) -> str:
        if one.rows:
            return one.mnemonic
        return f"{one.mnemonic} (no row at all, the last one was at {self.scope.clock_text(one.last)})"


def setup_of(scope: Scope, observations: Sequence[Entry]) -> Setup | None:
    """Returns the Setup of the last observation, whose limits count; None when it cannot be had."""
    for one in reversed(observations):
        if one.present:
            try:
                return Observation(scope.site / "obs" / one.prefix).setup
            except (LookupError, ValueError) as exc:
                LOGGER.debug("the Setup of %s cannot be had: %s", one.prefix, exc)
    return None


def day_report(scope: Scope) -> str:
    """Returns the report of a day as a page of HTML that needs nothing else.

    Args:
        scope: the day, see `Scope.of_day`.

    Raises:
        OSError: when the archive cannot be read.
    """
    facts = Facts.collect(scope)
    day = scope.span.days[0]
    whole = scope.span.end < scope.now or scope.seconds >= 86_400.0
    return page(
        f"{scope.site.name}: {day[:4]}-{day[4:6]}-{day[6:]}",
        f"Times are UTC. {'The whole day' if whole else 'The day so far'}; written {_stamp(scope.now)}.",
        [
            _summary(facts),
            parts.overview(scope, facts.observations, facts.alarms, facts.presences),
            parts.observations(scope, facts.observations),
            parts.alarms(scope, facts.alarms),
            parts.violations(scope, facts.violations),
            parts.servers(scope, facts.presences),
            parts.disk(scope),
            parts.commands(scope),
            parts.logbook(scope),
        ],
    )


def handover_page(scope: Scope) -> str:
    """Returns what the next shift must know: what is open first, then what happened.

    Args:
        scope: the shift, see `Scope.of_last`.

    Raises:
        OSError: when the archive cannot be read.
    """
    facts = Facts.collect(scope)
    running = [one for one in facts.observations if not one.status]
    return page(
        f"{scope.site.name}: hand-over",
        f"Times are UTC. {scope.clock_text(scope.span.start)} to {_stamp(scope.now)}.",
        [
            _summary(facts),
            parts.alarms(scope, facts.open_alarms, "Open alarms"),
            parts.observations(scope, running, "Running now"),
            parts.logbook(scope, "Logbook of this shift"),
            parts.overview(scope, facts.observations, facts.alarms, facts.presences),
            parts.observations(scope, facts.observations),
            parts.alarms(scope, facts.alarms),
            parts.servers(scope, facts.presences),
            parts.disk(scope),
        ],
    )


def save_report(scope: Scope, name: str, html: str, target: Path | None = None) -> Path:
    """Writes a report; returns its path.

    Args:
        scope: what it is about.
        name: of the file.
        html: the page.
        target: the file; `<data>/<SITE>/reports/<name>` when None.

    Raises:
        OSError: when it cannot be written.
    """
    path = target or scope.site / REPORTS / name
    make_folder(path.parent)
    write_atomically(path, html.encode())
    return path


def _stamp(time: float) -> str:
    return format_datetime(from_unix_time(time))[:19].replace("T", " ")


def _summary(facts: Facts) -> str:
    rows = [(name, Cell(text, GOOD if well else BAD)) for name, text, well in facts.summary]
    return section("In short", table(("", ""), rows))
