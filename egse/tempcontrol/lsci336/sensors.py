"""Sensor curves of the LakeShore 336: temperature to sensor units and back.

The standard curves are coarse straight-line approximations of the published ones [own proposal: a simulator needs their
shape, not their last digit]; user curves are what a client writes with CRVHDR and CRVPT.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

from egse.tempcontrol.lsci336.fields import ArgumentError

Point = tuple[float, float]
"""Sensor units (V, ohm, log10 ohm or mV) and temperature [K]."""


def _platinum(ohms_at_zero: float) -> list[Point]:
    """Returns a platinum curve (IEC 60751 above 0 degC, continued below) with points every 10 K, 30..800 K."""
    points = []
    for kelvin in range(30, 801, 10):
        t = kelvin - 273.15
        points.append((ohms_at_zero * (1 + 3.9083e-3 * t - 5.775e-7 * t * t), float(kelvin)))
    return points


_SILICON_DIODE: list[Point] = [
    (1.6443, 1.4), (1.5785, 4.2), (1.3837, 10.0), (1.1977, 20.0), (1.0703, 50.0), (1.0203, 77.35),
    (0.9740, 100.0), (0.7724, 200.0), (0.5596, 300.0), (0.3297, 400.0), (0.0906, 500.0),
]  # fmt: skip

STANDARD_CURVES: dict[int, tuple[str, int, float, int, list[Point]]] = {
    1: ("DT-470", 2, 475.0, 1, _SILICON_DIODE),
    2: ("DT-670", 2, 500.0, 1, _SILICON_DIODE),
    6: ("PT-100", 3, 800.0, 2, _platinum(100.0)),
    7: ("PT-1000", 3, 800.0, 2, _platinum(1000.0)),
}
"""Curves in the instrument: number -> name, format, limit [K], coefficient (1 negative, 2 positive), points."""

CURVE_NUMBERS = range(1, 60)
POINT_NUMBERS = range(1, 201)


@dataclass
class CurveStore:
    """The breakpoints of all curves; index of a point 1..200, an unused one reads as zeros."""

    _user: dict[int, dict[int, Point]] = field(default_factory=dict)

    def points(self, number: int) -> list[Point]:
        """Returns the points of a curve in order of temperature."""
        if number in STANDARD_CURVES:
            return STANDARD_CURVES[number][4]
        return sorted(self._user.get(number, {}).values(), key=lambda point: point[1])

    def point(self, number: int, index: int) -> Point:
        """Returns one breakpoint.

        Raises:
            ArgumentError: when curve or index do not exist.
        """
        if number not in CURVE_NUMBERS or index not in POINT_NUMBERS:
            raise ArgumentError(f"there is no point {index} of curve {number}")
        if number in STANDARD_CURVES:
            points = STANDARD_CURVES[number][4]
            return points[index - 1] if index <= len(points) else (0.0, 0.0)
        return self._user.get(number, {}).get(index, (0.0, 0.0))

    def set_point(self, number: int, index: int, point: Point) -> None:
        """Writes one breakpoint of a user curve; a point of zeros is removed.

        Raises:
            ArgumentError: when it is not a user curve or there is no such index.
        """
        if number not in CURVE_NUMBERS or number < 21 or index not in POINT_NUMBERS:
            raise ArgumentError(f"point {index} of curve {number} cannot be written")
        points = self._user.setdefault(number, {})
        points[index] = point
        if point == (0.0, 0.0):
            del points[index]

    def delete(self, number: int) -> None:
        """Removes all points of a user curve."""
        self._user.pop(number, None)


def to_sensor(points: Sequence[Point], kelvin: float) -> float:
    """Returns sensor units at a temperature [K], by straight lines between the points and beyond the ends."""
    return _interpolate([p[1] for p in points], [p[0] for p in points], kelvin)


def to_kelvin(points: Sequence[Point], units: float) -> float:
    """Returns the temperature [K] at a value in sensor units."""
    ordered = sorted(points)
    return _interpolate([p[0] for p in ordered], [p[1] for p in ordered], units)


def _interpolate(xs: list[float], ys: list[float], x: float) -> float:
    right = min(max(bisect_left(xs, x), 1), len(xs) - 1)
    x0, x1 = xs[right - 1], xs[right]
    if x1 == x0:
        return ys[right]
    return ys[right - 1] + (ys[right] - ys[right - 1]) * (x - x0) / (x1 - x0)
