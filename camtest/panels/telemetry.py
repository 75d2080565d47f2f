"""What a panel knows of a control server from its monitoring stream: housekeeping, status, and whether it is there at all."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from camtest.panels.board import Lamp, Value
from egse.setup import Setup
from egse.tmdict import Parameter, TMDictionary, TMDictionaryError, find_dictionary, template_dictionary

SILENCE = 3.5
"""A server that publishes once a second and was silent for so long is said to be gone [s]."""
DATES = ("timestamp",)
LONG_TABLE = 60
"""A table with more lines than this is long."""
LONG_PERIOD = 0.5
"""How often a long table is made anew [s]: nobody reads it faster, and ten of them are open."""


def dictionary(setup: Setup | None = None) -> TMDictionary:
    """Returns the TM dictionary of the Setup; the one that comes with the package when it has none that can be read."""
    try:
        return find_dictionary(setup)
    except TMDictionaryError:
        return template_dictionary()


def verdict(parameter: Parameter | None, value: Any) -> str:
    """Returns bad for a value out of all limits, warn for one out of the operational ones, else the empty text."""
    if parameter is None or not isinstance(value, int | float) or isinstance(value, bool):
        return ""
    if value != value:
        return "warn"
    if value not in parameter.nonops:
        return "bad"
    return "" if value in parameter.ops else ("warn" if parameter.nonops else "bad")


def as_text(value: Any) -> str:
    """Returns a value as a table shows it: numbers with six figures."""
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


class Telemetry:
    """The newest of what a control server publishes.

    Args:
        server: its name, for people.
        tm: where units and limits are found.
        on_row: told of each housekeeping row and when it came (monotonic time [s]).
        silence: how long it may be silent [s].
    """

    def __init__(
        self,
        server: str,
        tm: TMDictionary,
        on_row: Callable[[dict[str, Any], float], None] = lambda row, at: None,
        silence: float = SILENCE,
    ) -> None:
        self.server = server
        self.row: Mapping[str, Any] = {}
        self.status: Mapping[str, Any] = {}
        self.rows = 0
        self._tm = tm
        self._on_row = on_row
        self.silence = silence
        self._began = self._heard = time.monotonic()
        self._ever = False
        self._lives: list[str] = []
        self._made_of: Mapping[str, Any] | None = None
        self._made_at = 0.0
        self._values: list[Value] = []

    def receive(self, frames: list[bytes]) -> None:
        """Takes a message of the monitoring port; others than housekeeping and status are not looked at."""
        self._heard = time.monotonic()
        self._ever = True
        if len(frames) != 2:
            return
        topic = frames[0]
        if topic == b"housekeeping":
            self.take(msgspec.msgpack.decode(frames[1]))
        elif topic == b"status":
            self.status = msgspec.msgpack.decode(frames[1])
            life = str(self.status.get("incarnation", ""))
            if life and life not in self._lives[-1:]:
                self._lives = [*self._lives[-1:], life]

    def take(self, row: dict[str, Any]) -> None:
        """Takes a housekeeping row."""
        self._ever = True
        self._heard = time.monotonic()
        self.row = row
        self.rows += 1
        self._on_row(row, self._heard)

    @property
    def alive(self) -> bool:
        """True while the server is heard."""
        return self._ever and time.monotonic() - self._heard < self._allowed()

    def _allowed(self) -> float:
        period = self.status.get("monitoring_period")
        return max(self.silence, 3.5 * period) if isinstance(period, int | float) else self.silence

    @property
    def note(self) -> str:
        """One line on how the server is."""
        silent = time.monotonic() - self._heard
        if not self._ever:
            if time.monotonic() - self._began < self.silence:
                return f"listening for {self.server} ..."
            return f"{self.server} is not heard: is it running? (`{self.server} status`)"
        if not self.alive:
            return f"{self.server} has been silent for {silent:.0f} s: gone, or hanging; the values below are old"
        return f"{self.server} was started anew" if len(self._lives) > 1 and self._uptime() < 10.0 else ""

    def _uptime(self) -> float:
        value = self.status.get("uptime", 0.0)
        return float(value) if isinstance(value, int | float) else 0.0

    def lamps(self) -> list[Lamp]:
        """Returns lamps for the server, its device, and whether that is a model."""
        if not self.alive:
            state = "off" if not self._ever and self.note.startswith("listening") else "bad"
            return [Lamp("SERVER", state, "no answer" if state == "bad" else "waiting")]
        found = [Lamp("SERVER", "ok", "running")]
        connected = self.status.get("device_connected")
        if "device_connected" in self.status:
            states = {True: ("ok", "connected"), False: ("warn", "not connected"), None: ("off", "unknown")}
            found.append(Lamp("DEVICE", *states[connected if isinstance(connected, bool) else None]))
        if self.status.get("simulator"):
            found.append(Lamp("MODEL", "info", "simulator"))
        return found

    def values(self) -> list[Value]:
        """Returns the housekeeping of the newest row, with units and limits; long tables are made anew twice a second."""
        row, now = self.row, time.monotonic()
        if row is self._made_of or (len(row) > LONG_TABLE and now - self._made_at < LONG_PERIOD):
            return self._values
        found = [Value("timestamp", str(row["timestamp"]))] if "timestamp" in row else []
        for name, value in row.items():
            if name in DATES:
                continue
            parameter = self._tm.get(name)
            unit = parameter.unit if parameter else ""
            hint = parameter.description if parameter else ""
            found.append(Value(name, as_text(value), unit, verdict(parameter, value), hint))
        self._made_of, self._made_at, self._values = row, now, found
        return found

    def parameter(self, name: str) -> Parameter:
        """Returns the parameter of a name; one without unit and limits when the dictionary does not have it."""
        return self._tm.get(name) or Parameter(name)
