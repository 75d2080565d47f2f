"""The dummy device as a client sees it: lines of text in, lines of text out; no I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from egse.dummy.interface import MAX_VOLTAGE
from egse.simulator import DeviceModel, FaultError

IDENTITY = "DUMMY,SOURCE,SIM-0001,1.0"
TIME_CONSTANT = 1.0
"""The output comes to 63 % of the way in this time [s]."""


class DummyModel(DeviceModel):
    """A voltage source with a slow output.

    Args:
        seed: not used, the device has no random parts.
    """

    faults: ClassVar[Mapping[str, str]] = {
        "overload": "the output is short-circuited or not; takes on [bool]"
    }

    def __init__(self, seed: int = 0) -> None:
        self.wanted = 0.0
        self.output = 0.0
        self.on = False
        self.overload = False
        self._now: float | None = None

    def step(self, now: float) -> None:
        """Lets the output approach its target; exact, however long the step is."""
        elapsed = 0.0 if self._now is None else now - self._now
        self._now = now
        target = self.wanted if self.on and not self.overload else 0.0
        self.output = target + (self.output - target) * math.exp(-elapsed / TIME_CONSTANT)

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one command: `*IDN?`, `VOLT x`, `VOLT?`, `MEAS?`, `OUTP ON|OFF`, `OUTP?`."""
        name, _, argument = command.decode("ascii", errors="replace").strip().partition(" ")
        return f"{self._answer(name.upper(), argument.strip())}\n".encode()

    def _answer(self, name: str, argument: str) -> str:
        match name, argument.upper():
            case "*IDN?", "":
                return IDENTITY
            case "VOLT?", "":
                return f"{self.wanted:.4f}"
            case "MEAS?", "":
                return f"{self.output:.4f}"
            case "OUTP?", "":
                return "ON" if self.on else "OFF"
            case "OUTP", ("ON" | "OFF") as state:
                return self._switch(state == "ON")
            case "VOLT", number:
                return self._set_voltage(number)
            case _:
                return f"ERROR: unknown command {name}"

    def _switch(self, on: bool) -> str:
        if on and self.overload:
            return "ERROR: overload"
        self.on = on
        return "OK"

    def _set_voltage(self, text: str) -> str:
        try:
            voltage = float(text)
        except ValueError:
            return f"ERROR: {text} is no number"
        if not 0.0 <= voltage <= MAX_VOLTAGE:
            return f"ERROR: out of range 0..{MAX_VOLTAGE:g}"
        self.wanted = voltage
        return "OK"

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        """Brings about an overload, which also switches the output off."""
        if fault != "overload" or not isinstance(arguments.get("on"), bool):
            raise FaultError(
                f"expected the fault overload with on true or false, got {fault!r} {dict(arguments)}"
            )
        self.overload = arguments["on"]
        if self.overload:
            self.on = False

    def describe(self) -> dict[str, Any]:
        """Returns the true state: wanted voltage and output [V], switch and overload."""
        return {"wanted": self.wanted, "output": self.output, "on": self.on, "overload": self.overload}
