"""What distinguishes one hexapod from another: geometry, ways, speeds; and the workspaces that limit it."""

from __future__ import annotations

from dataclasses import dataclass

from egse.hexapod.symetrie.kinematics import Legs, Six

TOLERANCE = 1e-6
"""By how much a limit may be exceeded [mm, deg]: what is commanded has six decimals."""


@dataclass(frozen=True)
class Mechanism:
    """What distinguishes one hexapod from another.

    Attributes:
        name: of the type.
        limits: factory workspace, plus and minus, of the platform in the machine frame [mm, deg].
        speeds: vt [mm/s] and vr [deg/s] at power-up, their minima, their maxima.
        retracted: height of the retracted position [mm].
        legs: geometry.
        stroke: of an actuator, plus and minus from its length in the zero position [mm].
    """

    name: str
    limits: tuple[float, float, float, float, float, float]
    speeds: tuple[float, float, float, float, float, float]
    retracted: float
    legs: Legs
    stroke: float


PUNA = Mechanism(
    "PUNA", (30, 30, 20, 11, 11, 20), (2, 1, 0.01, 0.001, 4, 2), -20.0, Legs(190, 130, 240), 45.0
)
"""Limits and speeds: device reference, section 1.5."""
ZONDA = Mechanism(
    "ZONDA", (45, 45, 30, 11, 11, 20), (2, 1, 0.01, 0.001, 4, 2), -30.0, Legs(400, 280, 460), 80.0
)
"""Not public; those of the PUNA, with longer ways [own proposal]."""
JORAN = Mechanism(
    "JORAN", (60, 60, 40, 15, 15, 20), (2, 1, 0.01, 0.001, 6, 3), -40.0, Legs(500, 350, 560), 120.0
)
"""Not public; those of the PUNA, with longer ways and wider angles [own proposal]."""


@dataclass
class Workspace:
    """Limits that a user sets; in effect while enabled.

    Attributes:
        low, high: of Tx Ty Tz [mm] Rx Ry Rz [deg].
    """

    low: Six
    high: Six
    enabled: bool = False

    def contains(self, vector: Six) -> bool:
        """Says whether a position is inside."""
        return all(
            low - TOLERANCE <= value <= high + TOLERANCE
            for low, value, high in zip(self.low, vector, self.high, strict=True)
        )
