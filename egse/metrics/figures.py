"""Figures: what one metric is before Prometheus sees it, and how they are made of rows and status dictionaries. Pure."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from egse.system import unix_time

LONGEST_TEXT = 200
"""Longer texts of a value are cut [characters]."""
DEEPEST = 5
"""How deep a status dictionary is looked into."""

_INVALID = re.compile(r"[^a-zA-Z0-9_]")

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric with its samples.

    Attributes:
        name: its name; that of a counter ends in `_total`.
        help: what it is, one line, with the unit where the name does not tell it.
        samples: labels and value of each of its series.
        kind: `gauge` or `counter`.
    """

    name: str
    help: str
    samples: tuple[tuple[Labels, float], ...]
    kind: Literal["gauge", "counter"] = "gauge"

    @classmethod
    def of(cls, name: str, help: str, value: float, kind: Literal["gauge", "counter"] = "gauge") -> Figure:
        """Returns a metric with one series, without labels."""
        return cls(name, help, (({}, value),), kind)


def metric_name(name: str) -> str:
    """Returns a name that Prometheus takes, the name itself where it can."""
    valid = _INVALID.sub("_", name) or "_"
    return f"_{valid}" if valid[0].isdigit() else valid


def number_of(value: object) -> float | None:
    """Returns a value as a number; None for what is none, and for nan, which says that the value is not known."""
    if isinstance(value, datetime):
        return seconds_of(value)
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        try:
            value = value.item()  # a scalar of numpy
        except (TypeError, ValueError):
            return None
    if isinstance(value, (bool, int, float)):
        number = float(value)
        return None if math.isnan(number) else number
    return None


def text_of(value: object) -> str:
    """Returns a value that is a text; empty for what is none."""
    if isinstance(value, enum.Enum):
        value = value.name
    return value[:LONGEST_TEXT] if isinstance(value, str) else ""


def seconds_of(value: object) -> float | None:
    """Returns a time, UTC text or datetime, as Unix time [s]; None for what is no time."""
    if not isinstance(value, (str, datetime)):
        return None
    try:
        return unix_time(value)
    except ValueError:
        return None


def leaves(status: Mapping[Any, Any], path: str = "", depth: int = DEEPEST) -> Iterator[tuple[str, str, Any]]:
    """Finds the values of a status dictionary; lists are not looked into.

    Yields:
        Path (`records.levels.ERROR`), key (`ERROR`) and value.
    """
    for key, value in status.items():
        here = f"{path}{key}"
        if isinstance(value, Mapping):
            if depth > 1:
                yield from leaves(value, f"{here}.", depth - 1)
        elif not isinstance(value, (list, tuple, set)):
            yield here, str(key), value
