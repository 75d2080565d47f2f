"""The two filter wheels of the OGSE: levels, positions, motion."""

from __future__ import annotations

import random

WHEEL_1 = (1.0, 0.0, 0.8, 0.55, 0.26, 0.09, 0.025, 0.0009)
WHEEL_2 = (1.0, 0.0, 0.6, 0.35, 0.25, 0.09, 0.0075, 0.0009)
"""Transmissions of the positions 1..8."""

SHORTEST_MOVE, LONGEST_MOVE = 6.0, 9.0
"""A move lasts so long [s]."""


def _levels() -> dict[float, tuple[int, int]]:
    """Returns transmission -> wheel positions, ascending; equal products count once."""
    found: dict[float, tuple[int, int]] = {}
    for first, one in enumerate(WHEEL_1, start=1):
        for second, other in enumerate(WHEEL_2, start=1):
            found.setdefault(round(one * other, 12), (first, second))
    return dict(sorted(found.items()))


LEVELS = tuple(_levels())
"""The 47 different transmissions, ascending from 0 to 1."""
POSITIONS = tuple(_levels().values())
"""Wheel positions of each level."""


def closest_level(factor: float) -> int:
    """Returns the index of the level closest to a transmission 0..1."""
    return min(range(len(LEVELS)), key=lambda index: abs(LEVELS[index] - factor))


def level_of(wheel_1: int, wheel_2: int) -> int:
    """Returns the index of the level that two wheel positions (1..8) make."""
    return LEVELS.index(round(WHEEL_1[wheel_1 - 1] * WHEEL_2[wheel_2 - 1], 12))


def engineering(factor: float) -> str:
    """Writes a transmission as the OGSE does: `0E-9`, `280E-3`, `1E+0`."""
    if factor == 0.0:
        return "0E-9"
    exponent = 0
    while factor * 10.0**-exponent < 1.0 - 1e-12:
        exponent -= 3
    mantissa = factor * 10.0**-exponent
    return f"{mantissa:.6g}E{exponent:+d}"


class Attenuator:
    """Two filter wheels that take their time.

    Args:
        rng: decides how long each move lasts.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._positions = (2, 2)
        self._before = (2, 2)
        self._start = self._end = -LONGEST_MOVE

    @property
    def positions(self) -> tuple[int, int]:
        """Positions 1..8 of the wheels; those they are heading for while moving."""
        return self._positions

    @property
    def index(self) -> int:
        """Level 0..46 of these positions."""
        return level_of(*self._positions)

    @property
    def factor(self) -> float:
        """Transmission of these positions."""
        return LEVELS[self.index]

    def is_moving(self, now: float) -> bool:
        """Returns True while a wheel turns."""
        return now < self._end

    def transmission(self, now: float) -> float:
        """Returns what passes now: the old level during the first half of a move, then the new one."""
        if now < (self._start + self._end) / 2:
            return LEVELS[level_of(*self._before)]
        return self.factor

    def move(self, positions: tuple[int, int], now: float) -> None:
        """Starts a move; nothing moves when the wheels are there or heading there already."""
        if positions == self._positions:
            return
        self._before, self._positions = self._positions, positions
        self._start = now
        self._end = now + self._rng.uniform(SHORTEST_MOVE, LONGEST_MOVE)
