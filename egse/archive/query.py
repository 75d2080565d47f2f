"""Which observations are wanted: by time, status, Setup, text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from egse.archive.index import ArchiveIndex, Entry
from egse.storage.observation import STATUSES
from egse.system import format_datetime, unix_time

RUNNING = "running"
"""Status of an observation that is not closed, in questions and lists."""

_TEXT = (
    "printf('%s_%05d_%05d', site_id, setup_id, test_id) || char(10) || prefix || char(10) || function || char(10) || "
    "description || char(10) || reason"
)
_BACK = re.compile(r"(\d+(?:\.\d+)?)\s*(min|h|d|w)")
_UNITS = {"min": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0}


def parse_moment(text: str) -> float:
    """Returns the Unix time [s] that a person means.

    Args:
        text: a UTC date or time (`2026-03-01`, `2026-03-01T12:00`), `today`, `yesterday`, or how long ago: `30min`, `12h`,
            `3d`, `2w`.

    Raises:
        ValueError: when it is none of these.
    """
    text = text.strip()
    if match := _BACK.fullmatch(text):
        return unix_time(format_datetime()) - float(match[1]) * _UNITS[match[2]]
    if text.lower() in ("today", "yesterday", "tomorrow", "day before yesterday"):
        return unix_time(format_datetime(text))
    try:
        return unix_time(text)
    except ValueError as exc:
        raise ValueError(
            f"{text!r} is no time: give a UTC date or time (2026-03-01, 2026-03-01T12:00), today, yesterday, or how "
            f"long ago (12h, 3d, 2w)"
        ) from exc


def parse_until(text: str) -> float:
    """Returns the Unix time [s] at which a stretch of time ends: a day alone is meant to its last second."""
    moment = parse_moment(text)
    if re.fullmatch(r"\d{4}-?\d\d-?\d\d", text.strip()) or text.strip().lower() in ("today", "yesterday"):
        return moment + _UNITS["d"]
    return moment


@dataclass(frozen=True)
class Query:
    """What is asked for; what is empty or None does not matter.

    Attributes:
        since: start not before this Unix time [s].
        until: start before this Unix time [s].
        status: any of these; `running` for those that are not closed.
        setup: with this Setup id.
        text: regular expression to be found in obsid, function, description or reason; upper and lower case are equal.
        last: only so many, the newest.
    """

    since: float | None = None
    until: float | None = None
    status: tuple[str, ...] = ()
    setup: int | None = None
    text: str = ""
    last: int = 0

    def run(self, index: ArchiveIndex) -> list[Entry]:
        """Returns the observations that fit, oldest first.

        Raises:
            ValueError: for an unknown status or a text that is no regular expression.
        """
        where, arguments = self._where()
        if self.text:
            where = f"{where} AND matches({_TEXT})"
            index.connection.create_function("matches", 1, _matcher(self.text))
        if self.last:
            where = f"prefix IN (SELECT prefix FROM observations WHERE {where} ORDER BY test_id DESC LIMIT ?)"
            arguments.append(self.last)
        return index.select(where, arguments)

    def _where(self) -> tuple[str, list[Any]]:
        parts = ["1"]
        arguments: list[Any] = []
        for condition, value in (
            ("start_time >= ?", self.since),
            ("start_time < ?", self.until),
            ("setup_id = ?", self.setup),
        ):
            if value is not None:
                parts.append(condition)
                arguments.append(value)
        if self.status:
            unknown = set(self.status) - {*STATUSES, RUNNING}
            if unknown:
                known = ", ".join((RUNNING, *STATUSES))
                raise ValueError(f"{', '.join(sorted(unknown))} is no status; there are: {known}")
            marks = ", ".join("?" * len(self.status))
            running = " OR state IN ('open', 'closing')" if RUNNING in self.status else ""
            parts.append(f"(status IN ({marks}){running})")
            arguments += self.status
        return " AND ".join(parts), arguments


def _matcher(text: str) -> Callable[[str], bool]:
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except re.error as exc:
        raise ValueError(f"{text!r} is no regular expression: {exc}") from exc
    return lambda candidate: pattern.search(candidate) is not None
