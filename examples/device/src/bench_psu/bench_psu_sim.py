"""A simulated BENCH_PSU, and the simulator as a process: `bench_psu_sim start`.

The model does no input or output and never asks for the time, so it works behind a TCP port, inside the control
server (`bench_psu_cs start --simulator`) and in a dry run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from egse.simulator import DeviceModel, FaultError, SimulatorApp

from bench_psu.bench_psu_devif import SETTINGS

RAMP_RATE = 1.0
"""How fast the output changes [V/s]."""
MAX_LEVEL = 10.0
"""Highest level [V]."""


class BenchPsuModel(DeviceModel):
    """An output that goes to its level at a constant rate when it is on, and to 0 when it is off.

    Args:
        seed: of random parts; this model has none.
    """

    faults: ClassVar[Mapping[str, str]] = {
        "stuck": "the output stays where it is",
        "released": "the output moves again",
    }

    def __init__(self, seed: int = 0) -> None:
        self.level = 0.0
        self.reading = 0.0
        self.on = False
        self.stuck = False
        self._last: float | None = None

    def step(self, now: float) -> None:
        """Moves the output up to `now` [s]."""
        elapsed = now - (now if self._last is None else self._last)
        self._last = now
        if self.stuck:
            return
        goal = self.level if self.on else 0.0
        change = RAMP_RATE * elapsed
        self.reading = min(max(goal, self.reading - change), self.reading + change)

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one command and returns its reply line."""
        word, _, argument = command.decode("ascii", errors="replace").strip().partition(" ")
        return (self._reply(word.upper(), argument.strip()) + "\n").encode()

    def _reply(self, word: str, argument: str) -> str:
        match word:
            case "*IDN?":
                return "CGSE,BENCH_PSU,SIM,0.1"
            case "LEVEL?":
                return f"{self.level:.6g}"
            case "READ?":
                return f"{self.reading:.6g}"
            case "OUTPUT?":
                return "ON" if self.on else "OFF"
            case "LEVEL":
                return self._set_level(argument)
            case "OUTPUT" if argument.upper() in ("ON", "OFF"):
                self.on = argument.upper() == "ON"
                return "OK"
            case "*RST":
                self.level, self.on = 0.0, False
                return "OK"
        return f"ERROR: unknown command {word} {argument}".rstrip()

    def _set_level(self, argument: str) -> str:
        try:
            level = float(argument)
        except ValueError:
            return f"ERROR: no number: {argument}"
        if not 0 <= level <= MAX_LEVEL:
            return f"ERROR: level out of range: {argument}"
        self.level = level
        return "OK"

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        """Brings about one of `faults`."""
        if fault not in self.faults:
            raise FaultError(f"no fault {fault!r}; known: {', '.join(self.faults)}")
        self.stuck = fault == "stuck"

    def describe(self) -> dict[str, Any]:
        """Returns the true state, for the side channel."""
        return {
            "level": self.level,
            "reading": self.reading,
            "on": self.on,
            "stuck": self.stuck,
        }


SIM = SimulatorApp(
    name="bench_psu_sim",
    title="BENCH_PSU",
    model=BenchPsuModel,
    settings=SETTINGS,
    port=9221,
)

if __name__ == "__main__":
    SIM.main()
