"""Strip charts with limits: the last minutes of a few values, drawn by the browser from one binary message."""

from __future__ import annotations

import math
import time
from collections import deque
from typing import Any

import anywidget
import numpy as np
import traitlets

from camtest.panels.board import STYLE, static
from egse.tmdict import Parameter

SPAN = 300.0
"""How far back a chart goes [s]."""
POINTS = 600
"""Points of a chart that are kept; what comes faster than they last is thinned out."""
REDRAW = 0.5
"""Charts are redrawn at most so often [s]."""
MOST = 12
"""So many charts at once; the oldest one makes place for another."""


class Strip:
    """The last values of one parameter.

    Args:
        parameter: name, unit and limits.
        span: how far back [s].
    """

    def __init__(self, parameter: Parameter, span: float = SPAN) -> None:
        self.parameter = parameter
        self._step = span / POINTS
        self._points: deque[tuple[float, float]] = deque(maxlen=POINTS)

    def add(self, value: Any, at: float) -> None:
        """Takes a value; within one step the last one stays, but never in place of one that broke its limits.

        Args:
            value: anything; what is no number leaves a gap.
            at: monotonic time [s].
        """
        number = float(value) if isinstance(value, int | float) else math.nan
        if self._points and at - self._points[-1][0] < self._step:
            if self._is_out(self._points[-1][1]) and not self._is_out(number):
                return
            self._points[-1] = (self._points[-1][0], number)
            return
        self._points.append((at, number))

    def _is_out(self, value: float) -> bool:
        return not math.isnan(value) and value not in self.parameter.ops

    def describe(self) -> dict[str, Any]:
        """Returns name, unit and limits as the browser gets them."""
        p = self.parameter
        return {
            "name": p.name,
            "unit": p.unit,
            "low": p.ops.low,
            "high": p.ops.high,
            "lowest": p.nonops.low,
            "highest": p.nonops.high,
        }

    def as_floats(self, now: float, span: float = SPAN) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Returns number of points, ages [s] and values, shape (1 + 2 n,)."""
        points = [(now - at, value) for at, value in list(self._points) if now - at <= span]
        ages, values = zip(*points, strict=True) if points else ((), ())
        return np.array([len(points), *ages, *values], dtype=np.float32)


class StripCharts(anywidget.AnyWidget):
    """Some strip charts.

    Args:
        span: how far back they go [s].
    """

    _esm = static("charts.js")
    _css = STYLE
    series: Any = traitlets.List().tag(sync=True)
    data = traitlets.Bytes(b"").tag(sync=True)
    span = traitlets.Float(SPAN).tag(sync=True)

    def __init__(self, span: float = SPAN) -> None:
        super().__init__(span=span)
        self.strips: dict[str, Strip] = {}
        self._drawn = 0.0

    def toggle(self, parameter: Parameter) -> bool:
        """Shows the chart of a parameter, or does not any more; returns which."""
        if parameter.name in self.strips:
            self.strips = {name: s for name, s in self.strips.items() if name != parameter.name}
        else:
            while len(self.strips) >= MOST:
                self.strips = dict(list(self.strips.items())[1:])
            self.strips = {**self.strips, parameter.name: Strip(parameter, self.span)}
        self._drawn = 0.0
        return parameter.name in self.strips

    def add(self, row: dict[str, Any], at: float) -> None:
        """Takes the values of a row that are shown.

        Args:
            row: values by name.
            at: monotonic time [s].
        """
        for name, strip in self.strips.items():
            if name in row:
                strip.add(row[name], at)

    def draw(self) -> None:
        """Redraws, at most every `REDRAW` seconds, in one message."""
        now = time.monotonic()
        if now - self._drawn < REDRAW:
            return
        self._drawn = now
        strips = list(self.strips.values())
        floats = [strip.as_floats(now, self.span) for strip in strips]
        data = np.concatenate(floats).tobytes() if floats else b""
        with self.hold_sync():
            series = [strip.describe() for strip in strips]
            if series != self.series:
                self.series = series
            self.data = data
