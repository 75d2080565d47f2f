"""Two filter wheels on one motor: one sits on it, the other is dragged along once it has been hooked.

Which wheel is which the reference does not say. Own proposal: wheel 1 sits on the motor, wheel 2 has a full turn of play. So
a pair of positions is reached from the reference like this: turn back by at least a full turn, which hooks wheel 2 and
takes it to its position, then forward by less than a turn, which leaves it there and takes wheel 1 to its own.
"""

from __future__ import annotations

from typing import Any, Final

from egse.filterwheel.eksma.axis_model import XimcAxisModel
from egse.filterwheel.eksma.wheels import POSITIONS, Wheels

STEPS_PER_TURN: Final = 200
STEPS_PER_POSITION: Final = 25
_WHEELS: Final = Wheels()


def moves_to(wheel1: int, wheel2: int) -> list[int]:
    """Returns the absolute targets [steps] that take the wheels from the reference to a pair of positions 0..7."""
    back = (wheel2 - POSITIONS) * STEPS_PER_POSITION - STEPS_PER_TURN
    forward = back + (wheel1 - wheel2) % POSITIONS * STEPS_PER_POSITION
    return [back] if forward == back else [back, forward]


class TwoWheelModel(XimcAxisModel):
    """An 8SMC4 with two wheels.

    Args:
        seed: of the place where the wheels stand when it is switched on.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed, STEPS_PER_TURN, "8SMC4")
        self._dragged = self.angle(0.0)

    def step(self, now: float) -> None:
        super().step(now)
        here = self.angle(now)
        self._dragged = min(max(self._dragged, here - STEPS_PER_TURN), here)

    def positions(self, now: float) -> tuple[int, int]:
        """Returns where the two wheels stand, -1 between two positions, for other models."""
        self.step(now)
        return _position(self.angle(now)), _position(self._dragged)

    def transmission(self, now: float) -> float:
        """Returns what passes, with the default filters; nothing between two positions."""
        positions = self.positions(now)
        return 0.0 if -1 in positions else _WHEELS.factor(positions)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "wheels": list(self.positions(self._now))}


def _position(angle: float) -> int:
    steps = round(angle)
    at_one = abs(angle - steps) < 0.5 and steps % STEPS_PER_POSITION == 0
    return steps % STEPS_PER_TURN // STEPS_PER_POSITION if at_one else -1
