"""Charts as SVG: values over time with limits and events, and timelines. They are drawn without a plotting library, follow the
theme and stay sharp in saved pages."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from egse.system import format_datetime, from_unix_time

BAD, WARN, CALM, LINE = "#cf222e", "#b36b00", "#6e7781", "#2b6cb0"
"""Colours of alarms, warnings, other events, values."""

WIDTH, HEIGHT = 760, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 12, 22, 22
COLUMNS = 400
"""Points that are drawn at most, each as the smallest and the largest value of its time."""


class Series(NamedTuple):
    """Values over time.

    Attributes:
        times: Unix times [s], ascending, shape (N,).
        values: shape (N,).
        name: what it is.
    """

    times: NDArray[np.float64]
    values: NDArray[np.float64]
    name: str


class Mark(NamedTuple):
    """A moment that is drawn into a chart.

    Attributes:
        time: Unix time [s].
        label: what happened; shown when the mouse is over it.
        colour: of its line.
    """

    time: float
    label: str
    colour: str = CALM


class Band(NamedTuple):
    """A span of time that is drawn into a chart, above the values or as a bar of a timeline.

    Attributes:
        start, end: Unix times [s].
        label: what it is.
        colour: of the bar.
    """

    start: float
    end: float
    label: str
    colour: str = LINE


def thin_out(series: Series) -> Series:
    """Returns a series of at most 2 x `COLUMNS` points in which every peak is still there."""
    count = len(series.times)
    if count <= 2 * COLUMNS:
        return series
    edges = np.linspace(0, count, COLUMNS + 1).astype(int)
    chosen = set()
    for start, end in itertools.pairwise(edges.tolist()):
        part = series.values[start:end]
        if np.isnan(part).all():
            continue
        chosen |= {start + int(np.nanargmin(part)), start + int(np.nanargmax(part))}
    index = np.array(sorted(chosen), dtype=int)
    return Series(series.times[index], series.values[index], series.name)


def line_chart(
    series: Series,
    *,
    unit: str = "",
    low: float | None = None,
    high: float | None = None,
    warn_low: float | None = None,
    warn_high: float | None = None,
    marks: Sequence[Mark] = (),
    bands: Sequence[Band] = (),
) -> str:
    """Returns a chart of one series; what is beyond the limits is shaded, events are lines, spans are bars at the top.

    Args:
        series: at least two points.
        unit: of the values.
        low, high: limits, None for none.
        warn_low, warn_high: narrower limits, None for none.
        marks: moments, such as alarms; those outside the time of the series are left out.
        bands: spans, such as observations and building blocks; cut to the time of the series.
    """
    points = thin_out(series)
    finite = points.values[np.isfinite(points.values)]
    if not finite.size:
        return ""
    bottom, top = _span(_span_values(finite, warn_low, warn_high), low, high)
    across, down = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    x = _scale(float(series.times[0]), float(series.times[-1]))

    def y(value: float) -> float:
        return _TOP + down * (top - min(max(value, bottom), top)) / (top - bottom)

    parts = [
        _head(HEIGHT, f"{series.name}: {finite.min():g} to {finite.max():g} {unit}"),
        f'<text x="{_LEFT}" y="14" font-weight="bold">{escape(series.name)}{escape(f" [{unit}]" if unit else "")}</text>',
        f'<rect x="{_LEFT}" y="{_TOP}" width="{across}" height="{down}" fill="none" stroke="currentColor" opacity="0.3"/>',
    ]
    parts += _limits(warn_low, warn_high, bottom, top, y, across, WARN)
    parts += _limits(low, high, bottom, top, y, across, BAD)
    for value in (bottom, (bottom + top) / 2, top):
        parts.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.5g}</text>')
    parts += _time_axis(float(series.times[0]), float(series.times[-1]), HEIGHT - 6)
    parts += _bands(bands, series, x)
    for piece in _pieces(points):
        path = " ".join(
            f"{x(t):.1f},{y(v):.1f}" for t, v in zip(piece.times.tolist(), piece.values.tolist(), strict=True)
        )
        parts.append(f'<polyline points="{path}" fill="none" stroke="{LINE}" stroke-width="1.4"/>')
    parts += _marks(marks, series, x, down)
    return "".join([*parts, "</svg>"])


ROW = 18
"""Height of a row of a timeline."""


def timeline(rows: Sequence[tuple[str, Sequence[Band]]], start: float, end: float, title: str = "") -> str:
    """Returns a timeline: a row with bars for each name.

    Args:
        rows: name and bars of each row.
        start, end: the time that is shown [Unix s]; bars are cut to it.
        title: what it is, for those who cannot see it.
    """
    height = ROW * len(rows) + 24
    across = WIDTH - _LEFT - _RIGHT
    x = _scale(start, end)
    parts = [_head(height, title)]
    for number, (name, bands) in enumerate(rows):
        top = ROW * number + 2
        parts.append(
            f'<rect x="{_LEFT}" y="{top}" width="{across}" height="{ROW - 4}" fill="currentColor" opacity="0.06"/>'
            f'<text x="{_LEFT - 6}" y="{top + 11}" text-anchor="end">{escape(_short(name))}</text>'
        )
        for band in bands:
            if band.end >= start and band.start <= end:
                parts.append(_bar(band, x(max(band.start, start)), x(min(band.end, end)), top, ROW - 4))
    return "".join([*parts, *_time_axis(start, end, height - 6), "</svg>"])


def _head(height: int, title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        f'style="max-width:{WIDTH}px;width:100%;display:block;font:11px sans-serif;fill:currentColor">'
        f"<title>{escape(title)}</title>"
    )


def _scale(start: float, end: float) -> Callable[[float], float]:
    across = WIDTH - _LEFT - _RIGHT
    return lambda time: _LEFT + across * (time - start) / max(end - start, 1e-9)


def _time_axis(start: float, end: float, y: int) -> list[str]:
    """Returns three times below a chart: of day, or with the date when it is longer than a day."""
    parts, long = [], end - start > 86_400.0 * 1.01
    for part, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        text = format_datetime(from_unix_time(start + part * (end - start)))
        at = _LEFT + part * (WIDTH - _LEFT - _RIGHT)
        shown = text[:16].replace("T", " ") if long else text[11:19]
        parts.append(f'<text x="{at:.0f}" y="{y}" text-anchor="{anchor}">{shown}</text>')
    return parts


def _bar(band: Band, left: float, right: float, top: float, height: float) -> str:
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{max(right - left, 1.5):.1f}" height="{height}" '
        f'fill="{band.colour}" opacity="0.75"><title>{escape(band.label)}</title></rect>'
    )


def _bands(bands: Sequence[Band], series: Series, x: Callable[[float], float]) -> list[str]:
    start, end = float(series.times[0]), float(series.times[-1])
    inside = [band for band in bands if band.end >= start and band.start <= end]
    return [_bar(band, x(max(band.start, start)), x(min(band.end, end)), _TOP, 6) for band in inside]


def _marks(marks: Sequence[Mark], series: Series, x: Callable[[float], float], down: int) -> list[str]:
    start, end = float(series.times[0]), float(series.times[-1])
    parts = []
    for mark in marks:
        if start <= mark.time <= end:
            at = x(mark.time)
            parts.append(
                f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{_TOP + down}" stroke="{mark.colour}" '
                f'stroke-width="1.6" stroke-dasharray="2 2"><title>{escape(mark.label)}</title></line>'
                f'<path d="M{at - 4:.1f} {_TOP}h8l-4 7z" fill="{mark.colour}"><title>{escape(mark.label)}</title></path>'
            )
    return parts


def _short(name: str, longest: int = 11) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}\u2026"


def _span_values(values: NDArray[np.float64], low: float | None, high: float | None) -> NDArray[np.float64]:
    """Returns the values, and limits that are near them."""
    reach = max(float(values.max() - values.min()), 1e-9)
    near = [
        limit
        for limit in (low, high)
        if limit is not None and values.min() - 2 * reach <= limit <= values.max() + 2 * reach
    ]
    return np.append(values, near)


def _pieces(points: Series) -> list[Series]:
    """Returns the parts between missing values."""
    holes = np.flatnonzero(~np.isfinite(points.values))
    parts = np.split(np.arange(len(points.values)), holes)
    found = []
    for index in parts:
        index = index[np.isfinite(points.values[index])]
        if index.size:
            found.append(Series(points.times[index], points.values[index], points.name))
    return found


def _span(values: NDArray[np.float64], low: float | None, high: float | None) -> tuple[float, float]:
    """Returns the range of the axis: the values, and the limits where they are near."""
    bottom, top = float(values.min()), float(values.max())
    reach = max(top - bottom, 1e-3 * max(abs(bottom), abs(top)), 1e-9)
    for limit in (low, high):
        if limit is not None and bottom - 2 * reach <= limit <= top + 2 * reach:
            bottom, top = min(bottom, limit), max(top, limit)
    margin = 0.08 * max(top - bottom, reach)
    return bottom - margin, top + margin


def _limits(
    low: float | None,
    high: float | None,
    bottom: float,
    top: float,
    y: Callable[[float], float],
    across: int,
    colour: str,
) -> list[str]:
    """Returns the shades beyond the limits, as far as they are on the chart."""
    parts = []
    for limit, edge in ((high, top), (low, bottom)):
        if limit is None or (edge - limit) * (1 if edge == top else -1) <= 0:
            continue
        first, second = sorted((y(edge), y(limit)))
        parts.append(
            f'<rect x="{_LEFT}" y="{first:.1f}" width="{across}" height="{second - first:.1f}" fill="{colour}" opacity="0.12">'
            f"<title>beyond the limit {limit:g}</title></rect>"
            f'<line x1="{_LEFT}" x2="{_LEFT + across}" y1="{y(limit):.1f}" y2="{y(limit):.1f}" stroke="{colour}" '
            'stroke-dasharray="5 4"/>'
        )
    return parts
