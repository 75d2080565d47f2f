"""A gimbal with two axes as a client sees it; no I/O. Everything about it is an assumption of ours: the references only name it.

| command | reply |
| --- | --- |
| `*IDN?` | `CGSE,GIMBAL,<serial>,<firmware>` |
| `HOME`, `STOP`, `RESET` | `OK` |
| `MOVE tip tilt`, `REL tip tilt` [deg] | `OK` |
| `SPEED v`, `SPEED?` [deg/s] | `OK`; `1.0000` |
| `POS?`, `TARGET?` [deg] | `+1.2500 -0.5000` |
| `LIM?` [deg] | `-10.0000 +10.0000 -10.0000 +10.0000` |
| `STAT?` | status word, hexadecimal: 1, 2 moving (tip, tilt), 4, 8 homed, 10 limit switch, 20 fault |

A refusal is `ERR <number> <text>`. Lines end with LF.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from egse.simulator import DeviceModel, FaultError
from egse.simulator.motion import Motion, at_rest

PORT: Final = 4500
"""TCP port when the settings name none."""
IDENTIFICATION: Final = "CGSE,GIMBAL,SIM0001,1.0"
LIMIT: Final = 10.0
"""Largest angle of both axes [deg]."""
ACCELERATION: Final = 2.0
"""[deg/s2]"""
SPEEDS: Final = (0.001, 10.0)
NOISE: Final = 0.0002
"""Standard deviation of an angle that is read [deg]."""
AXES: Final = ("tip", "tilt")
HOMED, LIMIT_SWITCH, FAULT = 4, 16, 32


class _RefusedError(ValueError):
    """A command that is not executed; its text is the reply."""


class GimbalModel(DeviceModel):
    """A gimbal.

    Args:
        seed: of where it stands when it is switched on, and of the noise of its encoders.
    """

    step_interval = 0.05
    faults: ClassVar[Mapping[str, str]] = {
        "motor": "a motor fails: both axes stop, until RESET and HOME; takes nothing",
        "bump": "somebody pushes an axis; takes axis (tip or tilt) and angle [deg]",
    }

    def __init__(self, seed: int = 0) -> None:
        start = random.Random(f"{seed}/start")
        self._rng = random.Random(f"{seed}/noise")
        self._motions = [at_rest(start.uniform(-LIMIT, LIMIT)) for _ in AXES]
        self._speed = 1.0
        self._homing = self._homed = self._fault = False
        self._now = 0.0
        self._commands: dict[str, Callable[[list[str], float], str]] = {
            "*IDN?": lambda a, now: IDENTIFICATION,
            "HOME": self._home,
            "MOVE": self._move,
            "REL": self._move_relative,
            "STOP": self._stop,
            "RESET": self._reset,
            "SPEED": self._set_speed,
            "SPEED?": lambda a, now: f"{self._speed:.4f}",
            "POS?": lambda a, now: _pair(
                m.position(now) + self._rng.gauss(0.0, NOISE) for m in self._motions
            ),
            "TARGET?": lambda a, now: _pair(motion.target for motion in self._motions),
            "LIM?": lambda a, now: _pair((-LIMIT, LIMIT, -LIMIT, LIMIT)),
            "STAT?": lambda a, now: f"{self.status(now):02X}",
        }

    # -- DeviceModel

    def step(self, now: float) -> None:
        self._now = now
        if self._homing and not any(motion.moving(now) for motion in self._motions):
            self._homing, self._homed = False, True

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one line; each has exactly one reply line."""
        word, *arguments = command.decode("ascii", "replace").upper().split()
        try:
            if word not in self._commands:
                raise _RefusedError("ERR 1 unknown command")
            reply = self._commands[word](arguments, now)
        except _RefusedError as exc:
            reply = str(exc)
        return reply.encode() + b"\n"

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        if fault == "motor":
            self._stop([], now)
            self._fault, self._homed = True, False
        elif fault == "bump":
            try:
                axis = AXES.index(arguments["axis"])
                self._motions[axis] = at_rest(self._motions[axis].position(now) + float(arguments["angle"]))
            except (KeyError, TypeError, ValueError) as exc:
                raise FaultError(f"{fault}: {self.faults[fault]}") from exc
        else:
            super().inject(fault, arguments, now)

    def describe(self) -> dict[str, Any]:
        return {
            "position": [motion.position(self._now) for motion in self._motions],
            "target": [motion.target for motion in self._motions],
            "homed": self._homed,
            "fault": self._fault,
        }

    def status(self, now: float) -> int:
        """Returns the status word."""
        bits = sum(1 << axis for axis, motion in enumerate(self._motions) if motion.moving(now))
        at_limit = any(abs(motion.position(now)) > LIMIT for motion in self._motions)
        homed = HOMED | HOMED << 1 if self._homed else 0
        return bits | homed | (LIMIT_SWITCH if at_limit else 0) | (FAULT if self._fault else 0)

    # -- commands

    def _home(self, arguments: list[str], now: float) -> str:
        self._check()
        self._homing, self._homed = True, False
        self._go((0.0, 0.0), now)
        return "OK"

    def _move(self, arguments: list[str], now: float) -> str:
        self._go_checked(_numbers(arguments, 2), now)
        return "OK"

    def _move_relative(self, arguments: list[str], now: float) -> str:
        steps = _numbers(arguments, 2)
        self._go_checked(
            [motion.target + step for motion, step in zip(self._motions, steps, strict=True)], now
        )
        return "OK"

    def _stop(self, arguments: list[str], now: float) -> str:
        self._motions = [motion.stopped(now) for motion in self._motions]
        self._homing = False
        return "OK"

    def _reset(self, arguments: list[str], now: float) -> str:
        self._fault = False
        return "OK"

    def _set_speed(self, arguments: list[str], now: float) -> str:
        (speed,) = _numbers(arguments, 1)
        if not SPEEDS[0] <= speed <= SPEEDS[1]:
            raise _RefusedError("ERR 2 speed out of range")
        self._speed = speed
        return "OK"

    def _check(self) -> None:
        if self._fault:
            raise _RefusedError("ERR 5 fault: RESET, then HOME")
        if any(motion.moving(self._now) for motion in self._motions):
            raise _RefusedError("ERR 6 moving: STOP first")

    def _go_checked(self, targets: list[float], now: float) -> None:
        self._check()
        if not self._homed:
            raise _RefusedError("ERR 4 not homed")
        if any(abs(target) > LIMIT for target in targets):
            raise _RefusedError(f"ERR 3 out of limits: {-LIMIT:g}..{LIMIT:g} deg")
        self._go(targets, now)

    def _go(self, targets: Any, now: float) -> None:
        self._motions = [
            Motion(motion.position(now), target, now, self._speed, ACCELERATION, ACCELERATION)
            for motion, target in zip(self._motions, targets, strict=True)
        ]


def _numbers(arguments: list[str], count: int) -> list[float]:
    try:
        values = [float(argument) for argument in arguments]
    except ValueError as exc:
        raise _RefusedError("ERR 2 not a number") from exc
    if len(values) != count or any(value != value for value in values):
        raise _RefusedError(f"ERR 2 expected {count} numbers")
    return values


def _pair(values: Any) -> str:
    return " ".join(f"{value:+.4f}" for value in values)
