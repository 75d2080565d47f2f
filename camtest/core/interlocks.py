"""Interlocks: limits of devices that the Setup declares, which must hold when building blocks start and while they wait.

camtest:
  interlocks:
    cold_plate:
      device: gse.lsci336             # its place in the Setup
      query: get_temperature
      arguments: {channel: A}
      minimum: -190.0                 # and/or maximum, equals
      maximum: 60.0
      unit: degC
      blocks: ["camtest.commanding.dpu.*"]     # building blocks that it concerns; all when left out
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from camtest.core.context import Abort, InterlockAbort
from camtest.core.devices import device
from egse.clock import system_clock
from egse.device import DeviceError
from egse.setup import Setup

LOGGER = logging.getLogger(__name__)

PERIOD = 1.0
"""While a building block waits, interlocks are checked every so often [s of the wall]."""
LIMIT_KEYS = ("minimum", "maximum", "equals")
_KEYS = frozenset({"device", "query", "arguments", *LIMIT_KEYS, "unit", "blocks", "item"})


@dataclass(frozen=True)
class Interlock:
    """One limit that must hold.

    Attributes:
        name: its name in the Setup.
        device: place of the device in the Setup, `gse.lsci336`.
        query: the command that asks for the value.
        arguments: of the query.
        minimum, maximum: the value must lie between them; None leaves an end open.
        equals: the value must be this; None for any.
        unit: of the value, for the message.
        blocks: patterns of full names of building blocks that it concerns.
        item: key or number of the value within the answer; None for the answer itself.
    """

    name: str
    device: str
    query: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    minimum: float | None = None
    maximum: float | None = None
    equals: Any = None
    unit: str = ""
    blocks: tuple[str, ...] = ("*",)
    item: Any = None

    @classmethod
    def of(cls, name: str, entry: Any) -> Interlock:
        """Reads an interlock from the Setup.

        Raises:
            InterlockAbort: when something is missing or unknown; an interlock that is not understood protects nothing.
        """
        if not isinstance(entry, Mapping) or "device" not in entry or "query" not in entry:
            raise InterlockAbort(f"interlock `{name}` of the Setup needs `device` and `query`")
        unknown = sorted(set(entry) - _KEYS)
        limits = {key: entry.get(key) for key in LIMIT_KEYS}
        if unknown or all(value is None for value in limits.values()):
            what = f"has the unknown keys {', '.join(unknown)}" if unknown else "has no limit"
            raise InterlockAbort(
                f"interlock `{name}` of the Setup {what}; it takes {', '.join(sorted(_KEYS))}"
            )
        return cls(
            name,
            str(entry["device"]),
            str(entry["query"]),
            dict(entry.get("arguments") or {}),
            unit=str(entry.get("unit") or ""),
            blocks=tuple(entry.get("blocks") or ("*",)),
            item=entry.get("item"),
            **limits,
        )

    def concerns(self, blocks: Iterable[str]) -> bool:
        """Says whether it must hold for any of these building blocks."""
        return any(fnmatchcase(block, pattern) for block in blocks for pattern in self.blocks)

    def check(self) -> None:
        """Returns when it holds.

        Raises:
            InterlockAbort: naming value and limit; also when the device does not tell.
        """
        call = f"{self.device}.{self.query}({', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})"
        try:
            value = getattr(device(self.device), self.query)(**self.arguments)
            if self.item is not None:
                value = value[self.item]
        except (OSError, DeviceError, LookupError, AttributeError, Abort) as exc:
            raise InterlockAbort(f"interlock `{self.name}`: {call} cannot be asked: {exc}") from exc
        problem = self._problem(value)
        if problem:
            raise InterlockAbort(
                f"interlock `{self.name}` is violated: {call} gives {value!r} {self.unit}".rstrip() + problem
            )

    def _problem(self, value: Any) -> str:
        if self.equals is not None and value != self.equals:
            return f", it must be {self.equals!r}"
        if self.minimum is None and self.maximum is None:
            return ""
        try:
            number = float(value)
        except (TypeError, ValueError):
            return ", which is no number"
        if math.isnan(number):
            return ", which is no number"
        if self.minimum is not None and number < self.minimum:
            return f", below {self.minimum:g}"
        if self.maximum is not None and number > self.maximum:
            return f", above {self.maximum:g}"
        return ""


class Interlocks:
    """The interlocks of a Setup; false when there are none."""

    def __init__(self, interlocks: Iterable[Interlock]) -> None:
        self._interlocks = tuple(interlocks)
        self._next = float("-inf")
        self._now: Callable[[], float] = system_clock().monotonic

    @classmethod
    def none(cls) -> Interlocks:
        """Returns no interlocks."""
        return cls(())

    @classmethod
    def of(cls, setup: Setup | None) -> Interlocks:
        """Reads the interlocks of a Setup (`camtest.interlocks`)."""
        branch = None if setup is None or "camtest" not in setup else setup["camtest"]
        entries = branch.get("interlocks") if isinstance(branch, Mapping) else None
        return cls(Interlock.of(str(name), entry) for name, entry in dict(entries or {}).items())

    def __bool__(self) -> bool:
        return bool(self._interlocks)

    def __len__(self) -> int:
        return len(self._interlocks)

    def check(self, blocks: Iterable[str]) -> None:
        """Returns when all of them hold that concern these building blocks.

        Raises:
            InterlockAbort: for the first that does not.
        """
        names = list(blocks)
        for interlock in self._interlocks:
            if interlock.concerns(names):
                interlock.check()
        self._next = self._now() + PERIOD

    def check_again(self, blocks: Iterable[str]) -> None:
        """Does the same unless they were checked a moment ago."""
        if self._now() >= self._next:
            self.check(blocks)
