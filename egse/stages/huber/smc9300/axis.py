"""One simulated axis of the SMC9300: motor, switches, reference, encoder, error.

What the device reference leaves open is an own proposal: numbers and texts of the errors, ranges of the axes 2 and 3,
accelerations, and that a stopped axis stands at once.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from egse.stages.huber.smc9300.messages import AxisState
from egse.stages.huber.smc9300.motion import Ramp

UNITS_PER_STEP = 1e-4
"""Speeds are in 1e-4 deg/s or mm/s."""
ENCODER_NOISE = 1e-4
"""Standard deviation of the encoder [deg or mm, own proposal]."""

UNKNOWN_COMMAND = (1, "unknown command")
BAD_ARGUMENT = (2, "bad argument")
NOT_ENABLED = (3, "axis not enabled")
SOFTWARE_LIMIT = {-1: (10, "software limit -"), 1: (11, "software limit +")}
LIMIT_SWITCH = {-1: (12, "limit switch -"), 1: (13, "limit switch +")}
STALLED = (20, "motor stalled")
STOPPED = (30, "external stop")

Error = tuple[int, str]
NO_ERROR: Error = (0, "")


@dataclass
class Axis:
    """An axis.

    Attributes:
        number: 1..3.
        low, high: where the axis can be, by the hardware's own zero [deg or mm]; the software limits are the same.
        parameters: values by name, as `?conf` tells them.
        rng: noise of the encoder.
        place: where it is, by the hardware's own zero [deg or mm].
        offset: position minus place; `pos`, `zero` and homing change it.
        error: number and text.
        flags: bits of the state that stay until something happens.
    """

    number: int
    low: float
    high: float
    parameters: dict[str, int | float | str]
    rng: random.Random
    place: float = 0.0
    offset: float = 0.0
    error: Error = NO_ERROR
    flags: AxisState = AxisState.REFERENCE_INSTALLED | AxisState.HOMED | AxisState.ENABLED
    ramp: Ramp | None = None
    _arrival: tuple[float | None, Error] = field(default=(None, NO_ERROR))

    @property
    def moving(self) -> bool:
        """True while it moves."""
        return self.ramp is not None

    def position(self, now: float) -> float:
        """Returns the position that the controller tells [deg or mm]."""
        return (self.place if self.ramp is None else self.ramp.position(now)) + self.offset

    def encoder(self, now: float) -> float:
        """Returns the position that the encoder tells [deg or mm]."""
        return self.position(now) + self.rng.gauss(0.0, ENCODER_NOISE)

    def state(self, all_idle: bool) -> AxisState:
        """Returns the bits of the state."""
        state = self.flags | (AxisState.EXECUTING if self.moving else AxisState.READY)
        state |= AxisState.CONTROLLER_READY if all_idle else AxisState(0)
        return state | (AxisState.ERROR_PENDING if self.error[0] else AxisState(0))

    def step(self, now: float) -> None:
        """Lets time pass."""
        if self.ramp is None:
            return
        self.place = self.ramp.position(now)
        if now < self.ramp.end:
            return
        self.ramp = None
        home_position, error = self._arrival
        if home_position is not None:
            self.offset = home_position - self.place
            self.flags |= AxisState.HOMED
        if error != NO_ERROR:
            self.error = error
            self.flags |= AxisState.LIMIT_PLUS if error == LIMIT_SWITCH[1] else AxisState.LIMIT_MINUS

    def go(self, position: float, now: float) -> None:
        """Begins to move to a position; beyond a software limit it stays where it is, with an error."""
        place = position - self.offset
        side = 1 if place > self.high else -1 if place < self.low else 0
        if side:
            self.error = SOFTWARE_LIMIT[side]
            self.flags |= AxisState.SOFTWARE_LIMIT_PLUS if side > 0 else AxisState.SOFTWARE_LIMIT_MINUS
            return
        self._begin(place, now)

    def run(self, side: int, now: float) -> None:
        """Runs until it is stopped, at the latest by its limit switch."""
        end = self.high if side > 0 else self.low
        self._begin(end, now, arrival=(None, LIMIT_SWITCH[side]))

    def home(self, position: float, now: float) -> None:
        """Goes to the reference, which is at the hardware's zero, and makes that place a position."""
        if self._begin(0.0, now, arrival=(position, NO_ERROR)):
            self.flags &= ~AxisState.HOMED

    def find_encoder_reference(self) -> None:
        """Finds the reference of the encoder, which is where the axis happens to be [own proposal]."""
        self.flags |= AxisState.ENCODER_REFERENCE

    def _begin(
        self, place: float, now: float, arrival: tuple[float | None, Error] = (None, NO_ERROR)
    ) -> bool:
        if not self.flags & AxisState.ENABLED:
            self.error = NOT_ENABLED
            return False
        if self.flags & (AxisState.AXIS_ERROR | AxisState.EXTERNAL_STOP):
            return False
        self.step(now)
        self.flags &= ~(
            AxisState.LIMIT_MINUS
            | AxisState.LIMIT_PLUS
            | AxisState.SOFTWARE_LIMIT_MINUS
            | AxisState.SOFTWARE_LIMIT_PLUS
        )
        velocity = float(self.parameters["ffast"]) * UNITS_PER_STEP
        acceleration = float(self.parameters["acc"]) * UNITS_PER_STEP
        self._arrival = arrival
        self.ramp = Ramp(self.place, place, velocity, acceleration, now)
        self.step(now)
        return True

    def stop(self, now: float) -> None:
        """Stops the axis where it is."""
        self.step(now)
        self.ramp = None

    def fail(self, error: Error, flag: AxisState, now: float) -> None:
        """Stops the axis with an error and a bit in its state."""
        self.stop(now)
        self.error = error
        self.flags |= flag

    def clear_error(self) -> None:
        """Forgets the error, and the limits that it told of; an external stop stays until it is released."""
        self.error = STOPPED if self.flags & AxisState.EXTERNAL_STOP else NO_ERROR
        self.flags &= ~(AxisState.AXIS_ERROR | AxisState.SOFTWARE_LIMIT_MINUS | AxisState.SOFTWARE_LIMIT_PLUS)
