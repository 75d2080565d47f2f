"""The log viewer: the newest records of all processes of the site, filtered, coloured by level."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from html import escape
from typing import Any, ClassVar

import ipywidgets as widgets

from camtest.panels.board import BoardState, Lamp
from camtest.panels.panel import Panel
from camtest.panels.static_form import Section
from camtest.panels.threads import weak
from egse.env import get_log_file_location
from egse.logger.reading import LogFolder, RecordFilter, parse_moment
from egse.logger.records import LogMessage

LOOK = 1.0
"""How often it is looked whether there is more [s]."""
SHOWN = 200
"""So many of the newest records are shown."""
PATIENCE = 200
COLOURS = {
    "DEBUG": "#7f8c8d",
    "INFO": "#1e8449",
    "WARNING": "#b9770e",
    "ERROR": "#c0392b",
    "CRITICAL": "#c0392b",
}
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class LogPanel(Panel):
    """The log of the site."""

    name: ClassVar[str] = "log"

    def __init__(self) -> None:
        self.records: list[LogMessage] = []
        self._looked = 0.0
        self._size: tuple[int, float] = (-1, 0.0)
        super().__init__("Log")

    def _refresh(self) -> None:
        if time.monotonic() - self._looked >= LOOK and not self.hold.value:
            self._looked = time.monotonic()
            self.command("?reading the log", self._look, self._take)

    def _wanted(self) -> RecordFilter:
        processes = tuple(self.processes.value.replace(",", " ").split())
        pattern = re.compile(self.pattern.value, re.IGNORECASE) if self.pattern.value.strip() else None
        since = parse_moment(self.since.value) if self.since.value.strip() else ""
        return RecordFilter(
            level=str(self.level.value),
            processes=processes,
            since=since,
            obsid=self.obsid.value.strip(),
            grep=pattern,
        )

    def _look(self) -> list[LogMessage] | None:
        folder = LogFolder(get_log_file_location())
        about = folder.path.stat()
        seen = (about.st_size, about.st_mtime)
        if seen == self._size:
            return None
        found = folder.last(self._wanted(), SHOWN, patience=PATIENCE)
        self._size = seen
        return found

    def _take(self, found: list[LogMessage] | None) -> None:
        if found is None:
            return
        self.records = found
        self.table.value = (
            '<div class="camtest-log" tabindex="0" role="region" aria-label="messages" style="max-height:32em;overflow:auto;font:12px ui-monospace,monospace"><table>'
            + "".join(map(_row, reversed(found)))
            + "</table></div>"
        )

    def _state(self) -> BoardState:
        errors = sum(1 for r in self.records if r.level in ("ERROR", "CRITICAL"))
        lamps = (
            Lamp("SHOWN", "info", f"{len(self.records)} records, newest first"),
            Lamp("ERRORS", "bad" if errors else "ok", str(errors)),
        )
        return BoardState(self.title, "held" if self.hold.value else "", True, lamps)

    def _extra_sections(self) -> Sequence[Section]:
        rows = [(r.ts[:23], f"{r.level} {r.message}"[:200], r.process, "") for r in self.records[-40:]]
        return [Section("Newest records", tuple(rows))] if rows else []

    def _body(self) -> list[widgets.Widget]:
        self.level = widgets.Dropdown(options=LEVELS, value="INFO", description="Level")
        self.processes = widgets.Text(
            placeholder="*_cs dpu_*", description="Processes", continuous_update=False
        )
        self.obsid = widgets.Text(
            placeholder="obsid or its number", description="Observation", continuous_update=False
        )
        self.since = widgets.Text(placeholder="10m, 2h, 07:30", description="Since", continuous_update=False)
        self.pattern = widgets.Text(
            placeholder="regular expression", description="Text", continuous_update=False
        )
        self.hold = widgets.ToggleButton(
            value=False, description="Hold", tooltip="Show nothing new for a while"
        )
        self.table = widgets.HTML()
        fields = (self.level, self.processes, self.obsid, self.since, self.pattern)
        for field in fields:
            field.observe(weak(self._changed), "value")
        return [widgets.HBox(fields[:3]), widgets.HBox([*fields[3:], self.hold]), self.table]

    def _changed(self, _change: Any) -> None:
        self._size = (-1, 0.0)
        self._looked = 0.0
        self._guard(self._wanted)  # says at once what is wrong with a filter
        self._listening.wake()


def _row(record: LogMessage) -> str:
    detail = f"{record.process} {record.pid} {record.caller}:{record.line} {record.obsid} {record.block}"
    trace = (
        f"<details><summary>traceback</summary><pre>{escape(record.traceback)}</pre></details>"
        if record.traceback
        else ""
    )
    return (
        f'<tr data-level="{record.level}" title="{escape(detail)}"><td>{record.ts[11:23]}</td>'
        f'<td style="color:{COLOURS.get(record.level, "inherit")}"><b>{record.level}</b></td>'
        f'<td>{escape(record.process)}</td><td style="text-align:left">{escape(record.message)}{trace}</td></tr>'
    )


def make() -> LogPanel:
    """Returns a new panel, for the page."""
    return LogPanel()
