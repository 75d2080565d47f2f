"""A hexapod as a machine: homing, moves in time, workspace limits, servo loops, errors; whatever controller drives it.

Own proposals where the references say nothing: `vt` and `vr` are mean speeds of the object, with ramps at both ends; a
homing looks 5 mm down for its references; the geometry of the legs; a stop ends a homing undone; an error or the
emergency stop switches the servo loops off and needs to be cleared.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from egse.coordinates.rotations import Matrix, angle_between, from_vector, to_vector
from egse.hexapod.symetrie.kinematics import Frames, Mode, Six, mixed, moved
from egse.hexapod.symetrie.mechanisms import Mechanism, Workspace

AXES = range(1, 7)
HOMING_TIME = 120.0
"""From the command to the zero position [s]."""
HOMING_DEPTH = -5.0
"""Height at which the reference sensors are found [mm]."""
RAMP = 0.2
"""Longest acceleration [s]; at most a tenth of a move."""
HOT = 60.0
"""Motor temperature that is an error [degC]."""
AMBIENT = 21.0
"""Temperature of a motor at rest [degC]."""


class Homing(IntEnum):
    """Homing (`Q26` of the Alpha controller)."""

    NOT_DONE, RUNNING, DONE, FAILED = range(4)


class Why(Enum):
    """Why a command is refused."""

    NOT_HOMED = "homing is not done"
    HOMING = "homing is running"
    MOVING = "a motion is running"
    CONTROL_OFF = "the control loop is off"
    EMERGENCY = "the emergency stop is pressed"
    ERROR = "there is an error"
    NOT_FEASIBLE = "the position cannot be reached"
    VALUE = "a parameter is impossible"


class Limit(Enum):
    """What a position violates."""

    NOT_HOMED, KINEMATICS, FACTORY, MACHINE, USER, ACTUATOR, EMERGENCY = range(7)


class RefusedError(Exception):
    """The machine does not do it now.

    Args:
        why: the reason.
        limits: what the position violates, when it is not feasible.
    """

    def __init__(self, why: Why, limits: frozenset[Limit] = frozenset()) -> None:
        super().__init__(why.value)
        self.why = why
        self.limits = limits


@dataclass(frozen=True)
class Motion:
    """A move under way.

    Attributes:
        waypoints: positions of the object in the user frame, the first and the last included.
        frames: in which they are meant.
        began, duration: [s].
    """

    waypoints: tuple[Matrix, ...]
    frames: Frames
    began: float
    duration: float

    def at(self, now: float) -> Matrix:
        """Returns the position of the platform in the machine frame."""
        way = _progress((now - self.began) / self.duration if self.duration else 1.0, self.duration)
        place = way * (len(self.waypoints) - 1)
        leg = min(int(place), len(self.waypoints) - 2)
        here = mixed(self.waypoints[leg], self.waypoints[leg + 1], place - leg)
        return self.frames.platform_in_machine(here)

    @property
    def end(self) -> float:
        """When it arrives [s]."""
        return self.began + self.duration


def _progress(share: float, duration: float) -> float:
    """Returns the part of the way done after a share of the time: constant speed between two ramps."""
    if share >= 1.0:
        return 1.0
    ramp = min(0.1, RAMP / duration)
    peak = 1.0 / (1.0 - ramp)
    if share < ramp:
        return peak * share * share / (2 * ramp)
    if share > 1.0 - ramp:
        return 1.0 - peak * (1.0 - share) ** 2 / (2 * ramp)
    return peak * (share - ramp / 2)


@dataclass
class Platform:
    """The machine.

    Args:
        mechanism: which hexapod.
        seed: of the temperatures' noise.

    Attributes:
        position: of the platform in the machine frame, shape (4, 4).
        errors: what is wrong -> number of the axis or sensor, 0 for none in particular.
    """

    mechanism: Mechanism
    seed: int = 0
    frames: Frames = field(default_factory=Frames.of)
    position: Matrix = field(default_factory=lambda: from_vector((0,) * 6))
    homing: Homing = Homing.NOT_DONE
    virtual: bool = False
    control: bool = False
    emergency: bool = False
    reached: bool = False
    homing_will_fail: bool = False
    errors: dict[str, int] = field(default_factory=dict)
    heat: list[float] = field(default_factory=lambda: [AMBIENT] * 6)
    motion: Motion | None = None

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self.set_default_limits()

    def set_default_limits(self) -> None:
        """Brings workspaces and speeds back to what they are at the factory."""
        limits = self.mechanism.limits
        self.factory = Workspace([-limit for limit in limits], limits, enabled=True)
        self.machine = Workspace(self.factory.low, limits)
        self.user = Workspace(self.factory.low, limits)
        self.speed = list(self.mechanism.speeds[:2])

    # -- time

    def step(self, now: float) -> None:
        """Lets time pass."""
        motion = self.motion
        if motion is None:
            return
        self.position = motion.at(now)
        if now < motion.end:
            return
        self.motion = None
        if self.homing is Homing.RUNNING:
            if self.homing_will_fail:
                self.homing_will_fail = False
                self.fail("homing", 0)
                return
            self.homing = Homing.DONE
        self.reached = True

    # -- what it is like

    @property
    def vector(self) -> list[float]:
        """The platform in the machine frame."""
        return _list(self.position)

    @property
    def user_vector(self) -> list[float]:
        """The object in the user frame."""
        return _list(self.frames.object_in_user(self.position))

    @property
    def frame_vectors(self) -> list[float]:
        """User frame in the machine frame, then object frame in the platform frame: twelve numbers."""
        return [*_list(self.frames.user), *_list(self.frames.object)]

    @property
    def lengths(self) -> list[float]:
        """Lengths of the actuators [mm]."""
        return [float(length) for length in self.mechanism.legs.lengths(self.position)]

    @property
    def temperatures(self) -> list[float]:
        """Temperatures of the motors [degC], with a noise of 0.05 K."""
        return [heat + self._rng.gauss(0.0, 0.05) for heat in self.heat]

    @property
    def moving(self) -> bool:
        """True during a motion, a homing included."""
        return self.motion is not None

    # -- commands

    def switch_control(self, on: bool) -> None:
        """Switches the servo loops; raises `RefusedError`."""
        if on:
            self._check_error_free()
        elif self.moving:
            raise RefusedError(Why.HOMING if self.homing is Homing.RUNNING else Why.MOVING)
        self.control = on

    def home(self, now: float) -> None:
        """Starts the homing; raises `RefusedError`."""
        self._check_error_free()
        self._check_still()
        down, zero = from_vector((0, 0, HOMING_DEPTH, 0, 0, 0)), from_vector((0,) * 6)
        self.homing, self.virtual, self.control = Homing.RUNNING, False, True
        self._start((self.position, down, zero), Frames.of(), HOMING_TIME, now)

    def home_virtually(self, vector: Six) -> None:
        """Believes that the object is at a position of the user frame; raises `RefusedError`."""
        self._check_still()
        self.position = self.frames.platform_in_machine(from_vector(vector))
        self.homing, self.virtual, self.reached = Homing.DONE, True, True

    def stop(self) -> None:
        """Freezes where it is; a homing is not done then."""
        if self.homing is Homing.RUNNING:
            self.homing = Homing.NOT_DONE
        self.motion = None
        self.reached = True

    def target(self, mode: int, vector: Six) -> Matrix:
        """Returns where a move would bring the object; raises `RefusedError` for impossible numbers."""
        try:
            return moved(self.frames.object_in_user(self.position), Mode(mode), vector)
        except ValueError as exc:
            raise RefusedError(Why.VALUE) from exc

    def violations(self, target: Matrix) -> frozenset[Limit]:
        """Returns which limits a position of the object in the user frame violates."""
        pose = self.frames.platform_in_machine(target)
        found = {
            Limit.NOT_HOMED: self.homing is not Homing.DONE,
            Limit.EMERGENCY: self.emergency,
            Limit.FACTORY: not self.factory.contains(to_vector(pose)),
            Limit.MACHINE: self.machine.enabled and not self.machine.contains(to_vector(pose)),
            Limit.USER: self.user.enabled and not self.user.contains(to_vector(target)),
            Limit.ACTUATOR: not self._within_stroke(pose),
        }
        return frozenset(limit for limit, is_violated in found.items() if is_violated)

    def move(self, target: Matrix, now: float) -> None:
        """Starts to bring the object to a position of the user frame; raises `RefusedError`."""
        self._check_ready()
        limits = self.violations(target)
        if limits:
            raise RefusedError(Why.NOT_FEASIBLE, limits)
        self._go(target, now)

    def move_platform(self, vector: Six, now: float) -> None:
        """Starts to bring the platform to a position of the machine frame; raises `RefusedError`."""
        self.move(self.frames.object_in_user(from_vector(vector)), now)

    def set_lengths(self, lengths: Sequence[float], now: float) -> None:
        """Starts to change the actuators without regard to the workspace (maintenance); raises `RefusedError`."""
        self._check_ready()
        try:
            pose = from_vector(self.mechanism.legs.pose(lengths, self.vector))
        except ValueError as exc:
            raise RefusedError(Why.NOT_FEASIBLE, frozenset({Limit.KINEMATICS})) from exc
        if not self._within_stroke(pose):
            raise RefusedError(Why.NOT_FEASIBLE, frozenset({Limit.ACTUATOR}))
        self._go(self.frames.object_in_user(pose), now)

    def jog(self, axis: int, increment: float, now: float) -> None:
        """Starts to change one actuator [mm]; raises `RefusedError`."""
        if axis not in AXES or not math.isfinite(increment):
            raise RefusedError(Why.VALUE)
        lengths = self.lengths
        lengths[axis - 1] += increment
        self.set_lengths(lengths, now)

    def to_jog_zero(self, axes: Sequence[int], now: float) -> None:
        """Starts to bring actuators to their length in the zero position; raises `RefusedError`."""
        zero, lengths = self.mechanism.legs.lengths(from_vector((0,) * 6)), self.lengths
        for axis in axes:
            if axis not in AXES:
                raise RefusedError(Why.VALUE)
            lengths[axis - 1] = float(zero[axis - 1])
        self.set_lengths(lengths, now)

    def set_speed(self, vt: float, vr: float) -> None:
        """Sets the speeds [mm/s, deg/s], clipped to what the machine can."""
        low, high = self.mechanism.speeds[2:4], self.mechanism.speeds[4:]
        self.speed = [min(max(v, a), b) for v, a, b in zip((vt, vr), low, high, strict=True)]

    def set_frames(self, user: Six, object: Six) -> None:
        """Sets user and object frame; raises `RefusedError`."""
        self._check_still()
        try:
            self.frames = Frames.of(user, object)
        except ValueError as exc:
            raise RefusedError(Why.VALUE) from exc

    def clear_errors(self) -> None:
        """Forgets errors whose cause is gone."""
        self.errors = {name: axis for name, axis in self.errors.items() if self._persists(name)}
        if self.homing is Homing.FAILED:
            self.homing = Homing.NOT_DONE

    # -- what happens to it

    def press_emergency(self, pressed: bool) -> None:
        """Somebody presses or releases the emergency stop; releasing it clears nothing."""
        self.emergency = pressed
        if pressed:
            self.fail("emergency", 0)

    def fail(self, error: str, axis: int) -> None:
        """Something breaks: motion and servo loops end, and the error stays until it is cleared."""
        if self.homing is Homing.RUNNING:
            self.homing = Homing.FAILED
        self.errors[error] = axis
        self.motion = None
        self.control = self.reached = False

    def warm(self, axis: int, celsius: float) -> None:
        """A motor has another temperature from now on [degC]."""
        self.heat[axis - 1] = celsius
        if celsius > HOT:
            self.fail("temperature", axis)

    # -- parts

    def _persists(self, error: str) -> bool:
        return (error == "emergency" and self.emergency) or (error == "temperature" and max(self.heat) > HOT)

    def _check_error_free(self) -> None:
        if self.emergency:
            raise RefusedError(Why.EMERGENCY)
        if self.errors:
            raise RefusedError(Why.ERROR)

    def _check_still(self) -> None:
        if self.moving:
            raise RefusedError(Why.HOMING if self.homing is Homing.RUNNING else Why.MOVING)

    def _check_ready(self) -> None:
        self._check_still()
        if self.homing is not Homing.DONE:
            raise RefusedError(Why.NOT_HOMED, frozenset({Limit.NOT_HOMED}))
        self._check_error_free()
        if not self.control:
            raise RefusedError(Why.CONTROL_OFF)

    def _within_stroke(self, pose: Matrix) -> bool:
        legs = self.mechanism.legs
        change = legs.lengths(pose) - legs.lengths(from_vector((0,) * 6))
        return float(abs(change).max()) <= self.mechanism.stroke

    def _go(self, target: Matrix, now: float) -> None:
        here = self.frames.object_in_user(self.position)
        way = math.dist(here[:3, 3], target[:3, 3])
        duration = max(way / self.speed[0], angle_between(here, target) / self.speed[1])
        self._start((here, target), self.frames, duration, now)

    def _start(self, waypoints: tuple[Matrix, ...], frames: Frames, duration: float, now: float) -> None:
        self.reached = False
        self.motion = Motion(waypoints, frames, now, duration)


def _list(pose: Matrix) -> list[float]:
    return [float(value) for value in to_vector(pose)]
