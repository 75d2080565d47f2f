"""What sensors are glued to: a lump of heat capacity, tied to a bath and warmed by heaters."""

from __future__ import annotations

import math
from dataclasses import dataclass

ROOM_TEMPERATURE = 293.15
"""Bath of a lump unless told otherwise [K]."""


@dataclass
class Lump:
    """A first-order thermal model: C dT/dt = P - G (T - bath) [own proposal; adequate to close a loop on].

    Attributes:
        temperature: now [K].
        bath: of the surroundings [K].
        capacity: C [J/K].
        conductance: G [W/K]; C/G is the time constant, 60 s here.
    """

    temperature: float = ROOM_TEMPERATURE
    bath: float = ROOM_TEMPERATURE
    capacity: float = 6.0
    conductance: float = 0.1

    def settle(self, power: float, seconds: float) -> None:
        """Lets time pass with constant power; exact, however long.

        Args:
            power: into the lump [W].
            seconds: how long [s].
        """
        final = self.bath + power / self.conductance
        decay = math.exp(-seconds * self.conductance / self.capacity)
        self.temperature = final + (self.temperature - final) * decay
