"""What is in two filter wheels: tables of optical densities, and the attenuation levels that they make."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

Filter = float | str
"""Optical density, or the text of a colour filter."""
POSITIONS: Final = 8
"""Of each wheel, 0 to 7."""
WHEEL_1: Final[tuple[Filter, ...]] = (0.0, 2.0, 1.0, 0.03, "4000 K", "5000 K", "6000 K", "6500 K")
WHEEL_2: Final[tuple[Filter, ...]] = (0.0, 0.3, 0.05, 5.0, 2.0, 0.1, 0.15, 3.0)
"""Default tables (device reference, section 9.3)."""


@dataclass(frozen=True)
class Level:
    """One attenuation level.

    Attributes:
        factor: transmission; for a colour filter its text.
        positions: of the two wheels.
    """

    factor: Filter
    positions: tuple[int, int]


class Wheels:
    """Two wheels and the levels they make: by ascending transmission, equal ones once, colour filters at the end.

    Args:
        wheel1, wheel2: eight filters each.

    Raises:
        ValueError: when they are not eight.
    """

    def __init__(self, wheel1: Sequence[Any] = WHEEL_1, wheel2: Sequence[Any] = WHEEL_2) -> None:
        if len(wheel1) != POSITIONS or len(wheel2) != POSITIONS:
            raise ValueError(
                f"a filter wheel has {POSITIONS} positions, the tables {len(wheel1)} and {len(wheel2)}"
            )
        self.tables: tuple[list[Filter], list[Filter]] = (
            [_filter(x) for x in wheel1],
            [_filter(x) for x in wheel2],
        )
        self.levels = self._levels()

    def _levels(self) -> list[Level]:
        sums: dict[float, tuple[int, int]] = {}
        for a, one in enumerate(self.tables[0]):
            for b, other in enumerate(self.tables[1]):
                if not isinstance(one, str) and not isinstance(other, str):
                    sums.setdefault(round(one + other, 9), (a, b))
        found = [Level(transmission(density), where) for density, where in sorted(sums.items(), reverse=True)]
        clear = [next((n for n, x in enumerate(table) if x == 0.0), 0) for table in self.tables]
        for wheel, table in enumerate(self.tables):
            for n, text in enumerate(table):
                if isinstance(text, str):
                    found.append(Level(text, (n, clear[1]) if wheel == 0 else (clear[0], n)))
        return found

    def factor(self, positions: Sequence[int]) -> float:
        """Returns the transmission of a pair of positions; a colour filter counts as clear."""
        filters = [table[n] for table, n in zip(self.tables, positions, strict=True)]
        return transmission(sum(x for x in filters if not isinstance(x, str)))

    def index(self, positions: Sequence[int]) -> int:
        """Returns the level of a pair of positions, -1 for a pair that is none."""
        where = tuple(positions)
        colours = [
            n
            for n, level in enumerate(self.levels)
            if level.positions == where and isinstance(level.factor, str)
        ]
        if colours:
            return colours[0]
        factor = self.factor(where)
        is_colour = any(isinstance(table[n], str) for table, n in zip(self.tables, where, strict=True))
        same = [n for n, level in enumerate(self.levels) if not is_colour and _close(level.factor, factor)]
        return same[0] if same else -1

    def closest(self, factor: float) -> int:
        """Returns the level closest to a transmission 0..1."""
        return min(
            (n for n, level in enumerate(self.levels) if not isinstance(level.factor, str)),
            key=lambda n: abs(float(self.levels[n].factor) - factor),
        )

    def beside(self, index: int, step: int) -> int:
        """Returns the level beside one, with more light for 1 and less for -1; the same at the ends."""
        last = sum(not isinstance(level.factor, str) for level in self.levels) - 1
        return index if index < 0 else min(max(index + step, 0), last) if index <= last else index


def transmission(density: float) -> float:
    """Returns the transmission of an optical density."""
    return float(f"{10.0**-density:.9g}")


def _close(one: Filter, other: float) -> bool:
    return not isinstance(one, str) and math.isclose(one, other, rel_tol=1e-6)


def _filter(entry: Any) -> Filter:
    return entry if isinstance(entry, str) else float(entry)
