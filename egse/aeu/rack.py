"""The AEU as one: six power supplies, two generators and the cRIO, wired to each other and to the camera; no I/O.

The supplies feed the lines, the cRIO switches them, the camera draws its current through the harness; the generators
make the clocks, the cRIO lets them through. What the N-FEE gets of it is a `CameraFeed`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from egse.aeu.awg_model import TGF4000Model
from egse.aeu.crio_model import CRIOModel
from egse.aeu.lines import CAMERAS, Camera
from egse.aeu.psu_model import PMXModel
from egse.aeu.unit import RackUnit
from egse.aeu.waveforms import CLOCK_FREQUENCY, HEATER_PERIOD
from egse.fee.feed import CameraFeed, PulseTrain
from egse.fee.timing import LONG_PULSE, SHORT_PULSE

CLOCK_TOLERANCE: Final = 1e-3
"""Of the 50 MHz and of the heater period, relative."""
LONG_FROM: Final = (LONG_PULSE + SHORT_PULSE) / 2
"""A pulse of this length and more is a long one [s]."""
STEP: Final = 0.02
"""Longest stretch of time in one step of the physics while a line comes up [s]."""


class AEUModel:
    """The rack.

    Args:
        as_integers: see `TGF4000Model`.

    Attributes:
        psus, awgs, crio: the units.
        on_feed: called with what the N-FEE gets, when that changes.
    """

    def __init__(self, *, as_integers: bool = False) -> None:
        self.psus = [PMXModel(number) for number in range(1, 7)]
        self.awgs = [TGF4000Model(number, as_integers=as_integers) for number in (1, 2)]
        self.crio = CRIOModel()
        self.on_feed: Callable[[CameraFeed], None] | None = None
        self.feed = CameraFeed()
        self._train_key: tuple[Any, ...] | None = None
        self._trains = 0
        self._last: float | None = None
        for unit in self.units().values():
            unit.rack = self

    def units(self) -> dict[str, RackUnit]:
        """Returns all units by name: CRIO, PSU1 to PSU6, AWG1, AWG2."""
        psus = {f"PSU{psu.number}": psu for psu in self.psus}
        return {"CRIO": self.crio, **psus, **{f"AWG{awg.number}": awg for awg in self.awgs}}

    # -- time

    def step(self, now: float) -> None:
        """Brings everything up to `now` [s]; what was commanded since the last step takes effect."""
        last = now if self._last is None else self._last
        # A line that comes up is looked at often enough, however rarely this is called.
        for _ in range(100):
            if now - last <= STEP or not self._is_moving():
                break
            last += STEP
            self._step(last)
        self._step(now)
        self._last = now

    def _is_moving(self) -> bool:
        return any(psu.is_moving for psu in self.psus) or any(o.violated for o in self.crio.outputs.values())

    def _step(self, now: float) -> None:
        for psu in self.psus:
            psu.advance(now)
        for awg in self.awgs:
            awg.advance(now)
        self.crio.signals = self._signals()
        self._measure()
        self.crio.advance(now)
        self._load()
        self._tell(now)

    # -- power

    def _load(self) -> None:
        """Tells each supply what is drawn from it."""
        for line, psu in enumerate(self.psus):
            psu.load = sum(
                abs(CAMERAS[camera].current[line])
                for camera, output in self.crio.outputs.items()
                if output.attached and output.carries(line)
            )

    def _measure(self) -> None:
        """Puts on the lines what the supplies deliver."""
        for camera, output in self.crio.outputs.items():
            for line, psu in enumerate(self.psus):
                output.voltages[line], output.currents[line] = self._line(camera, line, psu)

    def _line(self, camera: Camera, line: int, psu: PMXModel) -> tuple[float, float]:
        output, nominal = self.crio.outputs[camera], CAMERAS[camera]
        if not output.carries(line) or not psu.voltage:
            return 0.0, 0.0
        share = abs(nominal.current[line]) / psu.load if output.attached and psu.load else 0.0
        amps = psu.current * min(share, 1.0)
        volts = max(0.0, psu.voltage - nominal.harness[line] * amps)
        sign = math.copysign(1.0, nominal.voltage[line])
        return sign * volts, sign * amps

    # -- clocks

    def _signals(self) -> dict[str, bool]:
        clock, sync = self.awgs
        off = abs(clock.frequency(1) / CLOCK_FREQUENCY - 1)
        heater = sync.pulses(2)
        period = 1 / sync.frequency(2) / len(heater) if heater else 0.0
        return {
            "50": clock.is_square(1) and off < CLOCK_TOLERANCE,
            "ccd": bool(sync.pulses(1)),
            "heater": abs(period / HEATER_PERIOD - 1) < CLOCK_TOLERANCE,
        }

    def _tell(self, now: float) -> None:
        output = self.crio.outputs["N"]
        feed = CameraFeed(
            voltages=tuple(output.voltages) if output.attached else (0.0,) * 6,
            train=self._train() if output.attached else None,
        )
        if feed != self.feed:
            self.feed = feed
            if self.on_feed is not None:
                self.on_feed(feed)

    def _train(self) -> PulseTrain | None:
        """Returns the sync pulses that the N-FEE gets."""
        sync = self.awgs[1]
        if not self.crio.clock_runs("N", 1):
            self._train_key = None
            return None
        channel = sync.channels[1]
        period = 1 / sync.frequency(1)
        pulses = tuple((edge.offset * period, edge.width * period >= LONG_FROM) for edge in sync.pulses(1))
        key = (channel.started, period, pulses)
        if key != self._train_key:
            self._train_key = key
            self._trains += 1
        return PulseTrain(self._trains, channel.started, period, pulses)

    def describe(self) -> dict[str, Any]:
        """Returns the true state of everything, JSON values only."""
        units: dict[str, Any] = {name: unit.describe() for name, unit in self.units().items()}
        return {**units, "feed": self.feed.to_json(self._last or 0.0)}
