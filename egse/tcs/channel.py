"""One channel of the TCS EGSE: three sensors, a heater, and what regulates it. What is not public is our own proposal.

The width of the PWM is decided at each pulse of the heater clock (12.5 s) and stays until the next one; the controller's
output is clipped to 0..100 % of the heater's full power, and the integral stands still at the limits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from egse.simulator.thermal import Lump
from egse.tcs.configuration import GROUPS, SENSORS, Configuration
from egse.tcs.interface import ClosedLoopMode, OperatingMode

PULSE = 12.5
"""Period of the heater clock, Clk_heater [s] (protocol reference, section 10.3)."""
SUPPLY = 28.0
"""Of the heaters [V, own proposal]."""
ENVIRONMENT = -110.0
"""What the camera sees around it [deg C, own proposal: a cold chamber]."""
ZERO = 273.15
EMC_SEQUENCE = (0.0, 25.0, 50.0, 75.0, 100.0)
"""Heater power of the EMC mode, one step at each pulse [%, own proposal]."""
BODIES = {1: (300.0, 0.15, 98.0), 2: (200.0, 0.10, 196.0), 3: (100.0, 0.10, 196.0)}
"""Heat capacity [J/K], conductance to the surroundings [W/K], heater [Ohm] of TRP1, TRP22, spare (own proposal)."""

OK, OPEN, SHORT, INHIBITED = 0, 1, 2, 3
"""Values of `chN_heater_status`."""


@dataclass
class Channel:
    """State of one channel.

    Attributes:
        number: 1 TRP1 (TOU), 2 TRP22 (FEE), 3 spare.
        body: what sensors and heater are glued to.
        resistance: of the heater [Ohm].
        percent: what the controller puts out [%], None before the first pulse of a task.
        error: set point minus temperature at the last pulse [K].
        ticks: pulses of the heater clock in this task.
        fault: of the heater: `OK`, `OPEN` or `SHORT`.
        broken: sensors that are, by number.
        problem: why the heater is kept off; empty when nothing is wrong.
    """

    number: int
    body: Lump
    resistance: float
    percent: float | None = None
    error: float | None = None
    ticks: int = 0
    fault: int = OK
    broken: set[int] = field(default_factory=set)
    problem: str = ""
    _integral: float = 0.0

    @classmethod
    def make(cls, number: int) -> Channel:
        """Returns a channel at rest in the cold."""
        capacity, conductance, resistance = BODIES[number]
        cold = ENVIRONMENT + ZERO
        return cls(number, Lump(cold, cold, capacity, conductance), resistance)

    @property
    def group(self) -> str:
        """Name of the sensors: tou, fee or spare."""
        return GROUPS[self.number - 1]

    @property
    def temperature(self) -> float:
        """True temperature [deg C]."""
        return self.body.temperature - ZERO

    @property
    def inhibited(self) -> bool:
        """True while the heater is kept off because something is wrong."""
        return bool(self.problem)

    @property
    def duty(self) -> float:
        """Share of the time that the heater is on, 0..1."""
        return 0.0 if self.inhibited or self.percent is None else self.percent / 100.0

    @property
    def heater_status(self) -> int:
        """`OK`, `OPEN`, `SHORT` or `INHIBITED`."""
        return self.fault or (INHIBITED if self.inhibited else OK)

    def power(self, supply: float) -> float:
        """Returns the mean heat of the heater [W] at a supply voltage [V]; a broken one heats nothing."""
        return 0.0 if self.fault else self.duty * supply * supply / self.resistance

    def settle(self, supply: float, seconds: float) -> None:
        """Lets time [s] pass with an unchanged width of the PWM."""
        self.body.settle(self.power(supply), seconds)

    def average(self, configuration: Configuration, readings: dict[int, float]) -> float | None:
        """Returns mean or median of the sensors that are used and not broken [deg C]; None without any."""
        used = int(configuration.of_channel(self.number, "sensors"))
        values = [readings[n] for n in range(1, SENSORS + 1) if used & 1 << (n - 1) and n not in self.broken]
        if not values:
            return None
        if configuration.of_channel(self.number, "average"):
            return median(values)
        return sum(values) / len(values)

    def start(self) -> None:
        """A task begins."""
        self.ticks, self._integral, self.problem = 0, 0.0, ""
        self.percent = self.error = None

    def stop(self) -> None:
        """The heater goes off."""
        self.percent = 0.0

    def pulse(self, configuration: Configuration, readings: dict[int, float]) -> str:
        """Decides how the heater works until the next pulse.

        Args:
            configuration: parameters in force.
            readings: of its sensors [deg C].

        Returns:
            What is wrong and was not before, empty for nothing.
        """
        self.ticks += 1
        mode = OperatingMode(int(configuration.values["operation_mode"]))
        average = self.average(configuration, readings)
        target = configuration.of_channel(self.number, "tset")
        self.error = None if average is None else target - average
        if not self._heats_in(mode, configuration):
            self.percent = 0.0
            return ""
        before = self.problem
        self.problem = self._find_problem(average, configuration.of_channel(self.number, "tmax"))
        if self.problem or self.error is None:
            self.percent = 0.0
        elif mode is OperatingMode.DECONTAMINATION:
            self.percent = 100.0
        elif mode is OperatingMode.EMC:
            self.percent = EMC_SEQUENCE[(self.ticks - 1) % len(EMC_SEQUENCE)]
        else:
            self._regulate(configuration, self.error)
        return self.problem if self.problem != before else ""

    def _heats_in(self, mode: OperatingMode, configuration: Configuration) -> bool:
        if mode in (OperatingMode.NORMAL, OperatingMode.EXTENDED, OperatingMode.EMC):
            return bool(configuration.of_channel(self.number, "enabled"))
        return mode is OperatingMode.DECONTAMINATION and self.number == 1

    def _find_problem(self, average: float | None, limit: float) -> str:
        if self.fault:
            return f"heater of channel {self.number} is {'open' if self.fault == OPEN else 'shorted'}"
        if average is None:
            return f"channel {self.number} has no sensor"
        return f"channel {self.number} is above its limit of {limit:g} degC" if average > limit else ""

    def _regulate(self, configuration: Configuration, error: float) -> None:
        mode = ClosedLoopMode(int(configuration.of_channel(self.number, "mode")))
        if mode in (ClosedLoopMode.BANG_BANG_1, ClosedLoopMode.BANG_BANG_2):
            name = "bb1_hysteresis" if mode is ClosedLoopMode.BANG_BANG_1 else "bb2_hysteresis"
            band = configuration.of_channel(self.number, name)
            if abs(error) > band or self.percent is None:
                self.percent = 100.0 if error > 0 else 0.0
            return
        name = "pi1" if mode is ClosedLoopMode.PI_1 else "pi2"
        gain = configuration.of_channel(self.number, f"{name}_kp")
        integral = self._integral + error * PULSE / configuration.of_channel(self.number, f"{name}_ti")
        wanted = gain * (error + integral)
        self.percent = min(100.0, max(0.0, wanted))
        if self.percent == wanted or (wanted > 100.0) != (error > 0.0):
            self._integral = integral
