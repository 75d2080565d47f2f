"""The parts of reports: each looks at the archive and returns its section of the page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from egse.archive.index import Entry
from egse.report.alarms import Episode
from egse.report.charts import BAD, CALM, LINE, WARN, Band, Series, line_chart, timeline
from egse.report.commands import UNKNOWN, read_commands
from egse.report.happenings import EVENT_COLOURS, bands_of
from egse.report.logbook import Logbook
from egse.report.page import BAD as BAD_CELL
from egse.report.page import DIM, GOOD, NUMBER, Cell, paragraph, section, table
from egse.report.page import WARN as WARN_CELL
from egse.report.servers import Presence, disk_samples
from egse.report.span import Scope, duration_text
from egse.report.violations import Violation
from egse.system import unix_time

MOST_ROWS = 100
"""So many rows of a table are written; the others are counted."""
MOST_GAPS = 5
"""So many gaps of a server are named."""


def _number(text: object) -> Cell:
    return Cell(str(text), NUMBER)


def _more(total: int) -> str:
    return paragraph(f"... and {total - MOST_ROWS} more.", DIM) if total > MOST_ROWS else ""


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def overview(
    scope: Scope, entries: Sequence[Entry], alarms: Sequence[Episode], present: Sequence[Presence]
) -> str:
    """Returns the timeline of everything."""
    end = scope.span.end
    rows: list[tuple[str, Sequence[Band]]] = [("observations", bands_of(entries, end))]
    rows.append(
        (
            "alarms",
            [
                Band(
                    one.raised.time,
                    end if one.cleared is None else one.cleared,
                    f"{one.name} ({one.priority})",
                    EVENT_COLOURS.get(one.priority, WARN),
                )
                for one in alarms
            ],
        )
    )
    for one in present:
        there = Band(one.counted_from, one.until, f"{one.mnemonic}: there", LINE)
        gaps = [Band(gap.start, gap.end, f"{one.mnemonic}: no housekeeping", BAD) for gap in one.gaps]
        rows.append((one.mnemonic, [there._replace(colour=CALM), *gaps]))
    return section(
        "Overview", timeline(rows, scope.span.start, end, "observations, alarms and servers over time")
    )


def observations(scope: Scope, entries: Sequence[Entry], title: str = "Observations") -> str:
    """Returns the observations with how they ended."""
    kinds = {"done": GOOD, "": ""}
    rows = []
    for one in entries[:MOST_ROWS]:
        end = unix_time(one.end) if one.end else None
        lasted = None if one.start_time is None else (end or scope.now) - one.start_time
        rows.append(
            (
                one.obsid,
                Cell(one.status or one.state, kinds.get(one.status, BAD_CELL)),
                scope.clock_text(one.start_time),
                _number(duration_text(lasted)),
                one.function,
                one.description,
                one.reason,
                Cell(one.origin, DIM),
            )
        )
    head = ("obsid", "status", "start", "duration", "function", "description", "reason", "started by")
    return section(
        title, table(head, rows, empty="No observation."), _more(len(entries)), anchor=_anchor(title)
    )


def alarms(scope: Scope, found: Sequence[Episode], title: str = "Alarms") -> str:
    """Returns the alarms with who acknowledged them and what was done."""
    rows = []
    for one in found[:MOST_ROWS]:
        raised, last, seen = one.raised, one.findings[-1], one.acknowledged
        end = scope.span.end if one.cleared is None else one.cleared
        done = "; ".join(e.comment for e in one.events if e.event == "reaction" and e.comment)
        rows.append(
            (
                scope.clock_text(raised.time) + (f" ({one.count} times)" if one.count > 1 else ""),
                Cell(one.priority, WARN_CELL if one.priority == "warning" else BAD_CELL),
                one.name,
                f"{last.value} {last.unit or ''}".strip(),
                last.limit,
                "not cleared" if one.cleared is None else scope.clock_text(one.cleared),
                _number(duration_text(end - raised.time)),
                Cell("nobody", WARN_CELL) if seen is None else f"{seen.by}: {seen.comment}".rstrip(": "),
                done,
                raised.obsid or "",
            )
        )
    head = (
        "raised", "priority", "name", "value", "limit", "cleared", "duration", "acknowledged by", "reaction", "obsid"
    )  # fmt: skip
    return section(title, table(head, rows, empty="No alarm."), _more(len(found)), anchor=_anchor(title))


def violations(scope: Scope, found: Sequence[Violation]) -> str:
    """Returns the parameters that were beyond their limits."""
    rows = [
        (
            one.name,
            one.mnemonic,
            Cell(one.severity, WARN_CELL if one.severity == "warning" else BAD_CELL),
            f"{one.limits_text} {one.unit}",
            _number(f"{one.lowest:g} .. {one.highest:g}"),
            _number(f"{one.samples} of {one.total}"),
            _number(duration_text(one.seconds)),
            scope.clock_text(one.first),
            scope.clock_text(one.last),
        )
        for one in found[:MOST_ROWS]
    ]
    head = ("parameter", "producer", "severity", "limits", "values", "beyond", "time beyond", "first", "last")
    return section(
        "Beyond limits",
        paragraph(
            "From all rows of housekeeping, with the limits of the TM dictionary and the Setup; what depends on "
            "circumstances is among the alarms only.",
            DIM,
        ),
        table(head, rows, empty="Every value was within its limits."),
        _more(len(found)),
        anchor="limits",
    )


def servers(scope: Scope, found: Sequence[Presence]) -> str:
    """Returns when the servers were there."""
    rows = []
    for one in found:
        gaps = ", ".join(
            f"{scope.clock_text(g.start)} {duration_text(g.end - g.start)}" for g in one.gaps[:MOST_GAPS]
        )
        more = f" and {len(one.gaps) - MOST_GAPS} more" if len(one.gaps) > MOST_GAPS else ""
        rows.append(
            (
                one.mnemonic,
                one.server,
                Cell(f"{100 * one.availability:.2f} %", BAD_CELL if one.gaps else GOOD),
                _number(one.rows),
                _number(f"{one.period:.3g} s" if one.rows else "-"),
                scope.clock_text(one.first),
                scope.clock_text(one.last),
                gaps + more,
            )
        )
    head = (
        "producer",
        "server",
        "available",
        "rows",
        "period",
        "first row",
        "last row",
        "gaps (start, length)",
    )
    return section("Availability", table(head, rows, empty="No housekeeping at all."), anchor="servers")


def disk(scope: Scope) -> str:
    """Returns how the room on the data disk went."""
    times, free, percent = disk_samples(scope)
    if not times.size:
        return section("Disk", paragraph("Nobody has recorded how full the disk was.", DIM), anchor="disk")
    change = free[-1] - free[0]
    text = (
        f"{free[-1] / 1e9:.2f} GB free at the end, {free.min() / 1e9:.2f} GB at the least; "
        f"{percent[-1]:.1f} % used; {change / 1e9:+.3f} GB in {duration_text(float(times[-1] - times[0]))}."
    )
    chart = ""
    if times.size > 1:
        chart = line_chart(Series(times, np.asarray(free / 1e9), "free room"), unit="GB")
    return section("Disk", paragraph(text), chart, anchor="disk")


def commands(scope: Scope) -> str:
    """Returns how many commands each server executed, and what failed."""
    found, mishaps = read_commands(scope)
    rows = [
        (
            one.server,
            _number(one.total),
            _number(one.statuses["failed"] or ""),
            Cell(str(one.statuses[UNKNOWN] or ""), BAD_CELL),
            _number(len(one.lives)),
            ", ".join(f"{name} {count}" for name, count in one.commands.most_common(6)),
        )
        for one in found
    ]
    wrong = [
        (
            scope.clock_text(one.time),
            one.server,
            one.command,
            Cell("outcome unknown" if one.status == UNKNOWN else one.status, BAD_CELL),
            one.error,
            one.block,
            one.obsid,
            Cell(one.origin, DIM),
        )
        for one in mishaps[:MOST_ROWS]
    ]
    return section(
        "Commands",
        table(
            ("server", "commands", "failed", "outcome unknown", "lives", "most frequent"),
            rows,
            empty="No command.",
        ),
        table(("time", "server", "command", "", "error", "building block", "obsid", "who"), wrong, empty="")
        if wrong
        else "",
        _more(len(mishaps)),
        anchor="commands",
    )


def logbook(scope: Scope, title: str = "Logbook") -> str:
    """Returns what people noted."""
    book = Logbook(scope.site)
    rows = [
        (
            scope.clock_text(one.time),
            one.by,
            Cell(one.kind, WARN_CELL if one.kind in ("problem", "instruction") else DIM),
            one.text,
            one.obsid,
        )
        for one in book.entries(scope.span.start, scope.span.end)
    ]
    problems = [paragraph(f"The logbook is damaged: {one}", BAD_CELL) for one in book.problems()[:5]]
    return section(
        title,
        *problems,
        table(("time", "who", "kind", "what", "obsid"), rows, empty="No entry."),
        anchor="logbook",
    )
