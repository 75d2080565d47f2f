"""How an axis moves: a start and a target, limited speed and acceleration. Pure functions of time."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Ramp:
    """A motion from rest to rest with a trapezoidal profile of speed.

    Attributes:
        start, target: positions [deg or mm].
        speed: largest speed [deg/s or mm/s].
        acceleration: at both ends [deg/s2 or mm/s2].
        began: when it begins [s].
    """

    start: float
    target: float
    speed: float
    acceleration: float
    began: float
    _top: float = field(init=False)
    _rise: float = field(init=False)

    def __post_init__(self) -> None:
        distance = abs(self.target - self.start)
        top = min(self.speed, math.sqrt(distance * self.acceleration))
        object.__setattr__(self, "_top", top)
        object.__setattr__(self, "_rise", top / self.acceleration)

    @property
    def end(self) -> float:
        """When the target is reached [s]."""
        distance = abs(self.target - self.start)
        return self.began + (2 * self._rise + (distance / self._top - self._rise) if self._top else 0.0)

    def position(self, now: float) -> float:
        """Returns the position at a time [s]."""
        if now >= self.end:
            return self.target
        since, left = max(0.0, now - self.began), self.end - now
        if left < self._rise:
            return self.target - self._sign * 0.5 * self.acceleration * left**2
        if since < self._rise:
            return self.start + self._sign * 0.5 * self.acceleration * since**2
        return self.start + self._sign * self._top * (since - 0.5 * self._rise)

    def velocity(self, now: float) -> float:
        """Returns the velocity at a time [deg/s or mm/s]."""
        since, left = now - self.began, self.end - now
        return self._sign * max(0.0, min(self._top, self.acceleration * min(since, left)))

    @property
    def _sign(self) -> float:
        return math.copysign(1.0, self.target - self.start)

    def halt(self, now: float) -> float:
        """Returns where the axis comes to rest when it is stopped now."""
        return self.position(now) + math.copysign(
            0.5 * self.velocity(now) ** 2 / self.acceleration, self.velocity(now)
        )
