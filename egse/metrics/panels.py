"""Dashboards as data, and the JSON that Grafana (8.5 and newer) reads. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

SCHEMA = 36
"""Schema of Grafana 8.5; newer ones bring it up to theirs."""
COLUMNS = 24
"""Width of a dashboard in Grafana's units."""
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
SITE = 'site="$site"'
"""The selector that all expressions have."""

UNITS = {
    "": "none",
    "Counts": "short",
    "ADU": "short",
    "DegCelsius": "celsius",
    "Kelvin": "kelvin",
    "Volts": "volt",
    "Ampère": "amp",
    "Watts": "watt",
    "Hertz": "hertz",
    "Percent": "percent",
    "Bytes": "bytes",
    "Seconds": "s",
    "Degrees": "degree",
    "mm": "lengthmm",
    "Millimeter": "lengthmm",
    "Millimeters": "lengthmm",
    "mbar": "pressurembar",
    "Pascal": "suffix: Pa",
    "Ohm": "ohm",
    "Ohms": "ohm",
}
"""Grafana's name of each unit of the TM dictionary; others are written behind the value."""

Kind = Literal["timeseries", "stat", "state-timeline", "table", "bargauge"]


def grafana_unit(unit: str) -> str:
    """Returns Grafana's name of a unit of the TM dictionary."""
    return UNITS.get(unit, f"suffix: {unit}")


@dataclass(frozen=True)
class Query:
    """One expression of a panel.

    Attributes:
        expr: in PromQL.
        legend: name of each series, `{{server}}`.
        instant: the last value only.
    """

    expr: str
    legend: str = ""
    instant: bool = False


@dataclass(frozen=True)
class Panel:
    """A panel.

    Attributes:
        title: its title.
        queries: what it shows.
        unit: Grafana's name of the unit.
        kind: type of panel.
        width, height: in Grafana's units, 24 is the full width.
        description: what it is good for, or why it may be empty.
        lines: value and colour of lines that are drawn in.
    """

    title: str
    queries: tuple[Query, ...]
    unit: str = "none"
    kind: Kind = "timeseries"
    width: int = 8
    height: int = 8
    description: str = ""
    lines: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Row:
    """A heading with the panels below it."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Dashboard:
    """A dashboard.

    Attributes:
        name: of its file and its address (`uid`).
        title: for people.
        rows: what it shows.
        tags: by which it is found, besides `egse`.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    tags: tuple[str, ...] = ()

    def expressions(self) -> Iterator[str]:
        """Yields the expressions of all panels."""
        for row in self.rows:
            for panel in row.panels:
                for query in panel.queries:
                    yield query.expr

    def to_json(self) -> str:
        """Returns the dashboard as Grafana reads it."""
        document = {
            "uid": self.name,
            "title": self.title,
            "tags": ["egse", *self.tags],
            "editable": True,
            "schemaVersion": SCHEMA,
            "version": 1,
            "time": {"from": "now-6h", "to": "now"},
            "timezone": "utc",
            "refresh": "10s",
            "graphTooltip": 1,
            "links": [_link()],
            "templating": {"list": _variables()},
            "annotations": {"list": _annotations()},
            "panels": list(_placed(self.rows)),
        }
        return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _link() -> dict[str, Any]:
    return {
        "type": "dashboards",
        "title": "EGSE",
        "tags": ["egse"],
        "asDropdown": True,
        "keepTime": True,
        "includeVars": True,
    }


def _variables() -> list[dict[str, Any]]:
    return [
        {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "hide": 0},
        {
            "type": "query",
            "name": "site",
            "label": "Site",
            "datasource": DATASOURCE,
            "definition": "label_values(egse_server_info, site)",
            "query": {"query": "label_values(egse_server_info, site)", "refId": "site"},
            "refresh": 2,
            "sort": 1,
            "hide": 0,
        },
    ]


ANNOTATIONS = (
    ("Observations", f"egse_observation_running{{{SITE}}}", "blue", "{{obsid}}", "{{title}}", True),
    ("Building blocks", f"egse_building_block_running{{{SITE}}}", "purple", "{{block}}", "{{obsid}}", False),
    (
        "Alerts",
        f'ALERTS{{{SITE}, alertstate="firing", severity=~"critical|alarm|warning"}}',
        "red",
        "{{alertname}}",
        "{{server}} {{alarm}}",
        True,
    ),
)
"""Name, expression, colour, title, text and whether it is switched on: regions while the expression returns something."""


def _annotations() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "datasource": DATASOURCE,
            "enable": enabled,
            "hide": False,
            "iconColor": colour,
            "expr": expr,
            "step": "5s",
            "titleFormat": title,
            "textFormat": text,
            "useValueForTime": False,
        }
        for name, expr, colour, title, text, enabled in ANNOTATIONS
    ]


def _placed(rows: Iterable[Row]) -> Iterator[dict[str, Any]]:
    """Yields headings and panels with their places, from left to right and down."""
    number, top = 0, 0
    for row in rows:
        number += 1
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
        yield {
            "id": number,
            "type": "row",
            "title": row.title,
            "collapsed": False,
            "panels": [],
            "gridPos": place,
        }
        top, left, tallest = top + 1, 0, 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                top, left, tallest = top + tallest, 0, 0
            number += 1
            place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
            yield {"id": number, **_panel(panel), "gridPos": place}
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "type": panel.kind,
        "title": panel.title,
        **({"description": panel.description} if panel.description else {}),
        "datasource": DATASOURCE,
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": DATASOURCE,
                "expr": query.expr,
                **({"legendFormat": query.legend} if query.legend else {}),
                **({"instant": True, "range": False} if query.instant else {"range": True}),
                **({"format": "table"} if panel.kind == "table" else {}),
            }
            for number, query in enumerate(panel.queries)
        ],
        "fieldConfig": {"defaults": _defaults(panel), "overrides": []},
        "options": _options(panel.kind),
    }


def _defaults(panel: Panel) -> dict[str, Any]:
    steps: Sequence[dict[str, Any]] = [
        {"color": "green", "value": None},
        *({"color": colour, "value": value} for value, colour in sorted(panel.lines)),
    ]
    defaults: dict[str, Any] = {"unit": panel.unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if panel.kind == "timeseries":
        custom: dict[str, Any] = {"lineWidth": 1, "showPoints": "auto", "spanNulls": False}
        if panel.lines:
            custom["thresholdsStyle"] = {"mode": "dashed"}
        defaults["custom"] = custom
        defaults["color"] = {"mode": "palette-classic"}
    return defaults


def _options(kind: Kind) -> dict[str, Any]:
    if kind == "timeseries":
        return {
            "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull"]},
            "tooltip": {"mode": "multi", "sort": "none"},
        }
    if kind in ("stat", "bargauge"):
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "textMode": "auto",
        }
    if kind == "state-timeline":
        return {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "showValue": "auto",
            "mergeValues": True,
        }
    return {"showHeader": True}
