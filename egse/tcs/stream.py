"""The telemetry port of the simulated TCS EGSE."""

from __future__ import annotations

from egse.simulator import DeviceModel, Stream
from egse.tcs.messages import ETX, LINE_END
from egse.tcs.model import TCSModel

TELEMETRY_PORT = 6667
"""TCP port of the telemetry when the settings name none."""
PERIOD = 1.0
"""Time between two bursts [s]."""


class TCSTelemetryModel(DeviceModel):
    """The telemetry port of a TCS EGSE: every listener gets what has changed, about once a second.

    Args:
        tcs: the TCS EGSE.
    """

    step_interval = 0.25

    def __init__(self, tcs: TCSModel) -> None:
        self.tcs = tcs

    def step(self, now: float) -> None:
        self.tcs.step(now)

    def handle(self, command: bytes, now: float) -> bytes:
        """Nothing is expected here, and nothing is answered."""
        return b""

    def stream(self) -> Stream:
        told: dict[str, str] = {}
        due = float("-inf")

        def speak(now: float) -> bytes:
            nonlocal due
            if now < due or not self.tcs.speaks:
                return b""
            items = {n: (d, v) for n, (d, v) in self.tcs.values.items() if told.get(n) != v}
            if not items:
                return b""
            due = now + PERIOD if due < now - PERIOD else due + PERIOD
            told.update({name: value for name, (_, value) in items.items()})
            lines = (f"{date}\t{name}\t{value}" for name, (date, value) in items.items())
            return LINE_END.join(lines).encode("latin-1") + ETX

        return speak
