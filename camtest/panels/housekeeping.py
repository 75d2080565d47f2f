"""Housekeeping of all servers in one panel: any parameter as a value with its limits, as a strip chart, or over any time past."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from importlib.metadata import entry_points
from typing import Any, ClassVar

import ipywidgets as widgets

from camtest.display import housekeeping
from camtest.panels.board import BoardState, Lamp, Value
from camtest.panels.charts import StripCharts
from camtest.panels.panel import Panel, monitoring_endpoint
from camtest.panels.telemetry import Telemetry, dictionary
from camtest.panels.threads import Subscription, weak
from camtest.state import setup_at_hand
from egse.archive.query import parse_moment, parse_until
from egse.declaration import ServerDeclaration

MOST_ROWS = 250
"""So many values are shown at once; the filter finds the others."""


def publishing_servers() -> dict[str, str]:
    """Returns the blocks in the Settings of all control servers that are installed, by their names."""
    found = {}
    for entry in entry_points(group="egse.control_server"):
        app = entry.load()
        if isinstance(app, ServerDeclaration) and app.settings:
            found[app.name] = app.settings
    return found


class HousekeepingPanel(Panel):
    """Strip charts with limits, and the newest values of everything that is published.

    Args:
        names: parameters that are shown as charts at the start.
        servers: names of the servers that are listened to; all by default.
    """

    name: ClassVar[str] = "housekeeping"

    def __init__(self, names: Sequence[str] = (), servers: Sequence[str] = ()) -> None:
        known = publishing_servers()
        self._settings = {n: known[n] for n in (servers or known)}
        tm = dictionary()
        self.charts = StripCharts()
        self.sources = {n: Telemetry(n, tm, self.charts.add) for n in self._settings}
        self._tm = tm
        for name in names:
            self.charts.toggle(tm.get(name) or next(iter(self.sources.values())).parameter(name))
        super().__init__("Housekeeping")

    def _has_charts(self) -> bool:
        return True

    def _subscriptions(self) -> list[Subscription]:
        return [
            Subscription(
                monitoring_endpoint(settings), (b"housekeeping", b"status"), weak(self.sources[name].receive)
            )
            for name, settings in self._settings.items()
        ]

    def _pick(self, name: str) -> None:
        self.charts.toggle(next(iter(self.sources.values())).parameter(name))
        self._listening.wake()

    def _refresh(self) -> None:
        self.charts.draw()

    def _state(self) -> BoardState:
        heard = {n: source for n, source in self.sources.items() if source.rows}
        wanted = self.filter.value.strip().lower()
        values: list[Value] = []
        out = 0
        for source in heard.values():
            for value in source.values():
                out += bool(value.state)
                if value.name != "timestamp" and wanted in value.name.lower():
                    values.append(value)
        lamps = [
            Lamp(n, "ok" if s.alive else "bad", "publishes" if s.alive else "silent")
            for n, s in heard.items()
        ]
        lamps.append(Lamp("LIMITS", "bad" if out else "ok", f"{out} out of limits" if out else "all within"))
        more = f"{len(values) - MOST_ROWS} more: use the filter" if len(values) > MOST_ROWS else ""
        note = more if heard else "listening ..."
        return BoardState(
            self.title, note, True, tuple(lamps), tuple(values[:MOST_ROWS]), tuple(self.charts.strips)
        )

    def _body(self) -> list[widgets.Widget]:
        self.filter = widgets.Text(placeholder="part of a name", description="Filter")
        self.filter.observe(weak(self._changed), "value")
        self.past_names = widgets.Text(placeholder="names of parameters", description="Look back")
        self.past_since = widgets.Text(value="2h", description="since")
        self.past_until = widgets.Text(placeholder="now", description="until")
        self.past_button = widgets.Button(
            description="Plot", tooltip="From the archive, with limits and events"
        )
        self.past_button.on_click(weak(self._look_back))
        self.past = widgets.HTML()
        row = widgets.HBox([self.past_names, self.past_since, self.past_until, self.past_button])
        return [self.filter, self.charts, row, self.past]

    def _look_back(self, _button: Any) -> None:
        names = self.past_names.value.replace(",", " ").split()
        since, until = self.past_since.value, self.past_until.value
        self.command("?look back", lambda: plot_past(names, since, until), self._show_past)

    def _show_past(self, html: str) -> None:
        self.past.value = html

    def _changed(self, _change: Any) -> None:
        self._listening.wake()


def plot_past(names: Sequence[str], since: str, until: str = "") -> str:
    """Returns plots of parameters over a time past as HTML, with limits, alarms, observations and building blocks.

    Args:
        names: of the parameters.
        since: a UTC time (2026-11-25T07:30), today, yesterday, or how long ago (12h, 3d).
        until: the same; now when empty.

    Raises:
        LookupError: when no file of that time has one of the parameters.
        ValueError: when no name is given, or a time makes no sense.
    """
    window = (parse_moment(since), parse_until(until or "0min"))
    view = housekeeping(*names, time_window=window, setup=setup_at_hand())
    return str(view._repr_mimebundle_()["text/html"])


def make(names: str = "", servers: str = "") -> HousekeepingPanel:
    """Returns a new panel, for the page: names of parameters and servers separated by commas."""
    split = partial(filter, None)
    return HousekeepingPanel(list(split(names.split(","))), list(split(servers.split(","))))
