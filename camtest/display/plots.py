"""Line charts as SVG: they are drawn without a plotting library, follow the theme and stay sharp in saved pages."""

from __future__ import annotations

import itertools
from html import escape
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from camtest.display.markup import BAD
from egse.system import format_datetime, from_unix_time

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


def line_chart(series: Series, *, unit: str = "", low: float | None = None, high: float | None = None) -> str:
    """Returns a chart of one series; what is beyond the limits is shaded.

    Args:
        series: at least two points.
        unit: of the values.
        low, high: limits, None for none.
    """
    points = thin_out(series)
    finite = points.values[np.isfinite(points.values)]
    if not finite.size:
        return ""
    bottom, top = _span(finite, low, high)
    start, end = float(series.times[0]), float(series.times[-1])
    across, down = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def x(time: float) -> float:
        return _LEFT + across * (time - start) / max(end - start, 1e-9)

    def y(value: float) -> float:
        return _TOP + down * (top - min(max(value, bottom), top)) / (top - bottom)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'style="max-width:{WIDTH}px;width:100%;display:block;font:11px sans-serif;fill:currentColor">',
        f"<title>{escape(series.name)}: {finite.min():g} to {finite.max():g} {escape(unit)}</title>",
        f'<text x="{_LEFT}" y="14" font-weight="bold">{escape(series.name)}{escape(f" [{unit}]" if unit else "")}</text>',
        f'<rect x="{_LEFT}" y="{_TOP}" width="{across}" height="{down}" fill="none" stroke="currentColor" opacity="0.3"/>',
    ]
    parts += _limits(low, high, bottom, top, y, across)
    for value in (bottom, (bottom + top) / 2, top):
        parts.append(f'<text x="{_LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.5g}</text>')
    for part, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        time = format_datetime(from_unix_time(start + part * (end - start)))[11:19]
        at = _LEFT + part * across
        parts.append(f'<text x="{at:.0f}" y="{HEIGHT - 6}" text-anchor="{anchor}">{time}</text>')
    for piece in _pieces(points):
        path = " ".join(
            f"{x(t):.1f},{y(v):.1f}" for t, v in zip(piece.times.tolist(), piece.values.tolist(), strict=True)
        )
        parts.append(f'<polyline points="{path}" fill="none" stroke="#2b6cb0" stroke-width="1.4"/>')
    return "".join([*parts, "</svg>"])


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
    low: float | None, high: float | None, bottom: float, top: float, y: object, across: int
) -> list[str]:
    """Returns the shades beyond the limits, as far as they are on the chart."""
    assert callable(y)
    parts = []
    for limit, edge in ((high, top), (low, bottom)):
        if limit is None or (edge - limit) * (1 if edge == top else -1) <= 0:
            continue
        first, second = sorted((y(edge), y(limit)))
        parts.append(
            f'<rect x="{_LEFT}" y="{first:.1f}" width="{across}" height="{second - first:.1f}" fill="{BAD}" opacity="0.12">'
            f"<title>beyond the limit {limit:g}</title></rect>"
            f'<line x1="{_LEFT}" x2="{_LEFT + across}" y1="{y(limit):.1f}" y2="{y(limit):.1f}" stroke="{BAD}" '
            'stroke-dasharray="5 4"/>'
        )
    return parts
