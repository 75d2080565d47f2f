"""What the units of the AEU have in common: each is a device of its own, and they are wired to each other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

from egse.simulator import DeviceModel


class Wiring(Protocol):
    """What connects the units."""

    def step(self, now: float) -> None:
        """Brings all units up to `now`."""


class RackUnit(DeviceModel):
    """One unit of the rack; alone on a bench it works too.

    Attributes:
        rack: what it is wired to.
    """

    rack: Wiring | None = None

    def step(self, now: float) -> None:
        if self.rack is None:
            self.advance(now)
        else:
            self.rack.step(now)

    @abstractmethod
    def advance(self, now: float) -> None:
        """Brings this unit alone up to `now` [s]; `step` of a device that knows no others."""

    def changed(self, now: float) -> None:
        """Lets the others see at once what a command has changed here."""
        if self.rack is not None:
            self.rack.step(now)

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        self.break_down(fault, arguments, now)
        self.changed(now)

    def break_down(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        """Brings about one of the `faults`; see `DeviceModel.inject`."""
        super().inject(fault, arguments, now)
