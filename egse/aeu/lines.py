"""The six supply lines of a camera and what the AEU delivers on them.

Numbers are the generic defaults of the operations reference (section 6.1) and of the device reference (section 10); the
Setup of a camera (`gse.aeu`) is authoritative. Six values are always in the order of `LINES`. V_AN3 is negative on the
side of the camera: its limits compare magnitudes, and its power supply gives a positive voltage that is wired the other
way round.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Literal

LINES: Final = ("V_CCD", "V_CLK", "V_AN1", "V_AN2", "V_AN3", "V_DIG")
"""The lines, in the order of the power supplies 1 to 6."""

LEDS: Final = (
    "Standby", "Selftest", "FC_TVAC", "Alignment", "N-CAM", "F-CAM", *LINES, "S_voltage_oor", "S_current_oor",
    "Sync_gf", "Clk_50MHz", "Clk_ccdread", "Clk_heater", "Clk_F_FEE_N", "Clk_F_FEE_R", "TestPort",
)  # fmt: skip
"""The lamps at the front, as telemetry gives them."""

Six = tuple[float, float, float, float, float, float]
Camera = Literal["N", "F"]

PSU_MODELS: Final = ("PMX35-1", "PMX18-2", "PMX18-2", "PMX18-2", "PMX18-2", "PMX18-5")
"""Power supplies 1 to 6; the first number is the rated voltage [V], the second the rated current [A]."""


class OperatingMode(IntEnum):
    """Operating mode of the AEU; stand-by lies between all others."""

    STANDBY = 0
    SELFTEST = 1
    ALIGNMENT = 2
    FC_TVAC = 3


class LoopBack(IntEnum):
    """Which connector is plugged into the test port for a self-test."""

    NO_LOOPBACK = 0
    F_CAM_NOM = 1
    F_CAM_RED = 2
    N_CAM = 3
    SVM_NOM = 4
    SVM_RED = 5


@dataclass(frozen=True)
class CameraLines:
    """What one kind of camera gets.

    Attributes:
        voltage: nominal voltage at the camera [V].
        current: steady current [A].
        ovp, uvp: limits of the voltage at which the cRIO switches a line off [V].
        ocp: limit of the current [A].
        set_voltage, set_current: set points of the power supplies [V, A].
        set_ovp, set_ocp: protection of the power supplies [V, A].
    """

    voltage: Six
    current: Six
    ovp: Six
    uvp: Six
    ocp: Six
    set_voltage: Six
    set_current: Six
    set_ovp: Six
    set_ocp: Six

    @property
    def harness(self) -> tuple[float, ...]:
        """Resistance between power supply and camera [ohm]: with it the nominal set points give the nominal voltages."""
        rows = zip(self.set_voltage, self.voltage, self.current)
        return tuple((source - abs(volts)) / abs(amps) for source, volts, amps in rows)


N_CAM: Final = CameraLines(
    voltage=(34.70, 16.05, 6.65, 6.65, -6.65, 4.55),
    current=(0.105, 0.208, 0.190, 0.058, -0.224, 0.553),
    ovp=(39.0, 18.0, 7.5, 7.5, -7.5, 5.2),
    uvp=(34.0, 15.7, 6.5, 6.5, -6.5, 4.45),
    ocp=(0.211, 0.295, 0.380, 0.116, -0.4469, 1.023),
    set_voltage=(34.9, 16.35, 6.75, 6.75, 6.75, 4.63),
    set_current=(0.35, 0.59, 0.6, 0.22, 0.7, 1.59),
    # PSU 4 and 5 and all OCP are own proposals: as their neighbour, and the set current and 5 %.
    set_ovp=(37.86, 17.575, 7.3, 7.3, 7.3, 5.09),
    set_ocp=(0.3675, 0.6195, 0.63, 0.231, 0.735, 1.6695),
)
"""Normal camera."""

F_CAM: Final = CameraLines(
    voltage=(31.6, 16.2, 7.7, 5.4, -7.6, 5.3),
    current=(0.164, 0.708, 0.511, 1.4, -0.171, 2.379),
    ovp=(38.0, 21.5, 9.0, 6.4, -9.0, 6.5),
    uvp=(30.8, 15.6, 7.3, 5.0, -7.1, 4.9),
    ocp=(0.213, 0.920, 0.665, 1.820, -0.222, 3.093),
    # Only the 31.8 V are given; the others are own proposals, with the same margins as those of the N-CAM as far as the
    # supplies go (PSU 2 trips at 19.8 V at most).
    set_voltage=(31.8, 16.5, 7.8, 5.5, 7.7, 5.4),
    set_current=(0.35, 1.1, 0.8, 1.95, 0.4, 3.6),
    set_ovp=(36.5, 19.8, 8.7, 6.2, 8.7, 6.3),
    set_ocp=(0.3675, 1.155, 0.84, 2.0, 0.42, 3.78),
)
"""Fast camera."""

CAMERAS: Final[dict[Camera, CameraLines]] = {"N": N_CAM, "F": F_CAM}
