"""What the simulated hexapods have in common: a machine, its faults, and what the side channel is told; no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from egse.hexapod.symetrie.mechanisms import Mechanism
from egse.hexapod.symetrie.platform import AXES, Platform, RefusedError, Why
from egse.simulator import DeviceModel, FaultError

AXIS_FAULTS = ("following_error", "amplifier", "encoder", "phasing")
FAULT_ARGUMENTS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "emergency_stop": {"pressed": bool},
    "homing": {},
    "temperature": {"axis": int, "celsius": (int, float)},
    **{name: {"axis": int} for name in AXIS_FAULTS},
}


class HexapodModel(DeviceModel):
    """A hexapod with its controller.

    Args:
        seed: of random parts.

    Attributes:
        mechanism: which hexapod it is.
        platform: the machine.
        boot_time: how long the controller is deaf after a restart [s].
    """

    mechanism: ClassVar[Mechanism]
    boot_time: ClassVar[float]
    faults: ClassVar[Mapping[str, str]] = {
        "emergency_stop": "somebody presses or releases it; takes pressed [bool]",
        "homing": "the next homing fails",
        "temperature": "a motor has another temperature, above 60 degC is an error; takes axis [1..6], celsius [degC]",
        "following_error": "an actuator does not follow; takes axis [1..6]",
        "amplifier": "an amplifier fails; takes axis [1..6]",
        "encoder": "an encoder fails; takes axis [1..6]",
        "phasing": "a motor loses its phase; takes axis [1..6]",
    }

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.platform = Platform(self.mechanism, seed)
        self._deaf_until = 0.0

    def step(self, now: float) -> None:
        self.platform.step(now)

    def restart(self, now: float) -> None:
        """The controller boots: what is volatile is lost, the platform stays where it is."""
        old = self.platform
        self.platform = Platform(self.mechanism, self.seed, position=old.position, heat=old.heat)
        if old.emergency:
            self.platform.press_emergency(True)
        self._deaf_until = now + self.boot_time

    def is_deaf(self, now: float) -> bool:
        """Says whether the controller is still booting."""
        return now < self._deaf_until

    def user_signal(self, now: float) -> None:
        """Somebody presses the emergency stop, or releases it."""
        self.platform.press_emergency(not self.platform.emergency)

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        wanted = FAULT_ARGUMENTS.get(fault)
        if wanted is None:
            super().inject(fault, arguments, now)
            return
        fits = arguments.keys() == wanted.keys() and all(
            isinstance(value, wanted[name]) and isinstance(value, bool) == (wanted[name] is bool)
            for name, value in arguments.items()
        )
        if not fits or arguments.get("axis", 1) not in AXES:
            raise FaultError(f"{fault}: {self.faults[fault]}")
        if fault == "emergency_stop":
            self.platform.press_emergency(arguments["pressed"])
        elif fault == "homing":
            self.platform.homing_will_fail = True
        elif fault == "temperature":
            self.platform.warm(arguments["axis"], float(arguments["celsius"]))
        else:
            self.platform.fail(fault, arguments["axis"])

    def describe(self) -> dict[str, Any]:
        platform = self.platform
        return {
            "machine": platform.vector,
            "user": platform.user_vector,
            "lengths": platform.lengths,
            "homing": platform.homing.name,
            "control": platform.control,
            "moving": platform.moving,
            "in_position": platform.reached,
            "emergency_stop": platform.emergency,
            "errors": dict(platform.errors),
            "speed": list(platform.speed),
        }

    # -- what both controllers can do under other names

    def go_to_specific(self, name: str, now: float) -> None:
        """Starts to bring the hexapod to one of its specific positions.

        Args:
            name: `user zero`, `machine zero`, `retracted` or `jog zero`.
            now: time [s].

        Raises:
            RefusedError: when it does not go there now.
        """
        platform = self.platform
        match name:
            case "user zero":
                platform.move(platform.target(0, (0,) * 6), now)
            case "machine zero":
                platform.move_platform((0,) * 6, now)
            case "retracted":
                platform.move_platform((0, 0, self.mechanism.retracted, 0, 0, 0), now)
            case "jog zero":
                platform.to_jog_zero(AXES, now)
            case _:
                raise RefusedError(Why.VALUE)
