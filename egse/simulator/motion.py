"""How a simulated axis moves: trapezoidal speed, from a standstill to a target, and stops on the way."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Motion:
    """A motion from a standstill to a standstill; before it the axis is at its start, after it at its target.

    Attributes:
        start, target: positions, in any unit.
        begin: when [s].
        speed: largest speed [unit/s].
        acceleration, deceleration: [unit/s2].
    """

    start: float
    target: float
    begin: float
    speed: float
    acceleration: float
    deceleration: float

    @property
    def _phases(self) -> tuple[float, float, float, float]:
        """Durations of the three phases [s], and the speed that is reached."""
        distance = abs(self.target - self.start)
        ramps = 0.5 / self.acceleration + 0.5 / self.deceleration  # distance of both ramps is ramps * speed^2
        top = min(self.speed, math.sqrt(distance / ramps)) if distance else 0.0
        cruise = (distance - ramps * top * top) / top if top else 0.0
        return top / self.acceleration, max(0.0, cruise), top / self.deceleration, top

    @property
    def end(self) -> float:
        """When the target is reached [s]."""
        return self.begin + sum(self._phases[:3])

    def moving(self, now: float) -> bool:
        """Returns True until the target is reached."""
        return now < self.end

    def velocity(self, now: float) -> float:
        """Returns the speed, with its sign [unit/s]."""
        up, cruise, down, top = self._phases
        passed = now - self.begin
        if passed <= 0 or passed >= up + cruise + down:
            return 0.0
        speed = min(top, self.acceleration * passed, self.deceleration * (up + cruise + down - passed))
        return math.copysign(speed, self.target - self.start)

    def position(self, now: float) -> float:
        """Returns where the axis is."""
        up, cruise, down, top = self._phases
        passed = now - self.begin
        if passed <= 0:
            return self.start
        if passed >= up + cruise + down:
            return self.target
        if passed < up:
            way = 0.5 * self.acceleration * passed**2
        elif passed < up + cruise:
            way = 0.5 * top * up + top * (passed - up)
        else:
            left = up + cruise + down - passed
            way = abs(self.target - self.start) - 0.5 * self.deceleration * left**2
        return self.start + math.copysign(way, self.target - self.start)

    def stopped(self, now: float, *, soft: bool = True) -> Motion:
        """Returns the motion that ends here, or with `soft` where the deceleration lets it."""
        here, speed = self.position(now), self.velocity(now)
        if not soft or not self.moving(now):
            return Motion(here, here, now, self.speed, self.acceleration, self.deceleration)
        stop = here + math.copysign(speed**2 / (2 * self.deceleration), speed)
        return Motion(
            self.start, self._nearer(stop), self.begin, self.speed, self.acceleration, self.deceleration
        )

    def _nearer(self, stop: float) -> float:
        """Returns the stop, but never beyond the target."""
        return min(stop, self.target) if self.target >= self.start else max(stop, self.target)


def at_rest(position: float) -> Motion:
    """Returns a motion that is over."""
    return Motion(position, position, 0.0, 1.0, 1.0, 1.0)
