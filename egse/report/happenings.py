"""What happened in a span of time, as marks and bands for charts: alarms, observations, building blocks."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from egse.archive import ArchiveIndex, Observation
from egse.archive.index import Entry
from egse.report.alarms import alarm_events
from egse.report.charts import BAD, CALM, LINE, WARN, Band, Mark
from egse.system import format_datetime, from_unix_time, unix_time

LOGGER = logging.getLogger(__name__)

STATUS_COLOURS = {
    "done": "#1a7f37",
    "failed": BAD,
    "aborted": BAD,
    "kernel-lost": BAD,
    "interrupted": WARN,
    "orphaned": WARN,
}
"""Colours of observations by status; a running one has that of a line."""
EVENT_COLOURS = {"critical": BAD, "alarm": BAD, "warning": WARN}
SHOWN = ("raised", "cleared", "reaction")
"""Events of alarms that are drawn."""
BLOCK_COLOUR = "#8250df"
MOST_BLOCKS = 500
"""So many building blocks are drawn at most, the longest ones."""


def observations_between(site: Path, start: float, end: float) -> list[Entry]:
    """Returns the observations that ran at any moment of `start <= t < end` [Unix s], oldest first."""
    with ArchiveIndex(site) as index:
        index.refresh()
        found = index.select("start_time < ?", (end,))
    return [one for one in found if _end_of(one) >= start]


def bands_of(entries: Iterable[Entry], until: float) -> list[Band]:
    """Returns observations as bars; those that run go on to `until` [Unix s]."""
    return [
        Band(
            one.start_time,
            min(_end_of(one), until),
            f"{one.obsid} {one.status or one.state}: {one.function} {one.description}".strip(),
            STATUS_COLOURS.get(one.status, LINE),
        )
        for one in entries
        if one.start_time is not None
    ]


def block_bands(site: Path, entries: Iterable[Entry], until: float) -> list[Band]:
    """Returns the building blocks of observations as bars; those that have not ended go on to the end of theirs."""
    found: list[Band] = []
    for one in entries:
        if one.present:
            try:
                events = list(Observation(site / "obs" / one.prefix).events())
            except (LookupError, ValueError, OSError) as exc:
                LOGGER.warning("the building blocks of %s are not known: %s", one.prefix, exc)
                continue
            found += blocks(events, min(_end_of(one), until))
    return sorted(sorted(found, key=lambda b: b.start - b.end)[:MOST_BLOCKS])


def blocks(events: Iterable[Mapping[str, Any]], until: float) -> list[Band]:
    """Returns the building blocks that the events of an observation tell of."""
    found: list[Band] = []
    active: dict[tuple[Any, Any], Mapping[str, Any]] = {}
    for event in events:
        key = (event.get("pid"), event.get("call"))
        if event.get("event") == "start":
            active[key] = event
        elif event.get("event") in ("end", "failed", "refused") and key in active:
            start = active.pop(key)
            ended_badly = event["event"] != "end"
            found.append(_block(start, float(event.get("t", until)), BAD if ended_badly else BLOCK_COLOUR))
    return found + [_block(start, until, CALM) for start in active.values()]


def marks_between(site: Path, start: float, end: float) -> list[Mark]:
    """Returns the alarms that were raised and cleared, and reactions to them, as marks."""
    return [
        Mark(
            event.time,
            f"{format_datetime(from_unix_time(event.time))[11:19]} {event.name} {event.event} ({event.priority}) {event.limit}",
            CALM if event.event == "cleared" else EVENT_COLOURS.get(str(event.priority), WARN),
        )
        for event in alarm_events(site, start, end)
        if event.event in SHOWN
    ]


def _block(start: Mapping[str, Any], end: float, colour: str) -> Band:
    begun = float(start.get("t", end))
    return Band(begun, max(begun, end), str(start.get("block", "")), colour)


def _end_of(entry: Entry) -> float:
    if entry.end:
        try:
            return unix_time(entry.end)
        except ValueError:
            pass
    if entry.state in ("open", "closing") or entry.start_time is None:
        return float("inf")
    return entry.start_time  # of an older system: its end is not known
