"""One axis of a Standa controller as a client sees it: commands in, answers out, no I/O (device reference, section 9.2)."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from egse.filterwheel.eksma.ximc import (
    ACTIONS,
    ALARM,
    AT_SPEED,
    BAD_CRC,
    BAD_VALUE,
    COMMAND_NUMBERS,
    CRC_LENGTH,
    ENGINE,
    ENGINE_TYPE,
    FAILED,
    FLAG_ERRC,
    FLAG_ERRD,
    FLAG_ERRV,
    GET_SIZES,
    HOMED,
    INFORMATION,
    LETTERS,
    MICROSTEPS,
    MOVE_SETTINGS,
    MOVING,
    POSITION,
    RUNNING,
    SERIAL,
    SET_SIZES,
    STATUS,
    TARGET,
    UNKNOWN,
    VERSION,
    XimcFramer,
    with_crc,
)
from egse.simulator import DeviceModel, FaultError
from egse.simulator.motion import Motion, at_rest

PORT: Final = 1820
"""TCP port when the settings name none; that of the manufacturer's examples."""
SERIAL_NUMBER: Final = 99_001
FAR: Final = 2**30
"""Where `left` and `rigt` go to [steps]."""
POWER_OFF, POWER_REDUCED, POWER_NORMAL = 1, 4, 3
_STORED: Final = {  # what is kept as it was set, by the letters behind s and g
    b"hom": bytes(27),
    b"pwr": bytes(14),
    b"sec": bytes(22),
    b"eds": bytes(20),
    b"fbs": bytes(12),
}


class XimcAxisModel(DeviceModel):
    """A controller with a stepper motor; several connections at a time are welcome.

    Args:
        seed: of the place where the axis stands when it is switched on.
        steps_per_turn: of the motor.
        product: name of the controller.

    Attributes:
        steps_per_turn: of the motor.
    """

    step_interval = 0.05
    faults: ClassVar[Mapping[str, str]] = {
        "alarm": "the controller goes into alarm: motors off until the axis is homed; takes nothing",
        "temperature": "of the controller; takes temperature [degC]",
        "stall": "the motor does not turn any more, or does again; takes stalled [bool]",
        "crc": "the next answer with a payload has a wrong checksum",
    }

    def __init__(self, seed: int = 0, steps_per_turn: int = 200, product: str = "8SMC4") -> None:
        self.steps_per_turn = steps_per_turn
        self._product = product
        self._motion = at_rest(float(random.Random(f"{seed}/axis").randrange(1, steps_per_turn)))
        self._offset = self._motion.start  # the counter is 0 when it is switched on
        self._encoder_offset = self._offset
        self._command = 0
        self._running = self._stalled = self._powered = False
        self._wrong_crc = False
        self._flags = 0
        self._temperature = 31.5
        self._now = 0.0
        self._speed, self._acceleration, self._deceleration = 100, 400, 400
        self._move_settings = MOVE_SETTINGS.pack(self._speed, 0, 400, 400, 50, 0)
        self._engine = ENGINE.pack(50, 670, 5000, 0, 0, 0, 9, steps_per_turn)
        self._engine_type = ENGINE_TYPE.pack(3, 2)
        self._stored = dict(_STORED)
        self._getters: dict[bytes, Callable[[], bytes]] = {
            b"gets": self._status,
            b"gpos": self._position,
            b"gmov": lambda: self._move_settings,
            b"geng": lambda: self._engine,
            b"gent": lambda: self._engine_type,
            b"geti": lambda: INFORMATION.pack(b"XIMC", b"SM", self._product.encode(), 4, 6, 18),
            b"gser": lambda: SERIAL.pack(SERIAL_NUMBER),
            b"gfwv": lambda: VERSION.pack(4, 6, 18),
            b"gblv": lambda: VERSION.pack(4, 0, 1),
        }

    def framer(self) -> XimcFramer:
        return XimcFramer()

    def step(self, now: float) -> None:
        self._now = now
        if self._running and not self._motion.moving(now):
            self._running = False
            if self._command == COMMAND_NUMBERS[b"home"]:
                self._flags |= HOMED

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one command."""
        if command == b"\0":
            return b"\0"
        code = command[:LETTERS]
        if code in GET_SIZES:
            return code + self._with_crc(self._get(code))
        if code in ACTIONS:
            return code if self._act(code, now) else BAD_VALUE
        if code not in SET_SIZES:
            self._flags |= FLAG_ERRC
            return UNKNOWN
        payload = command[LETTERS:-CRC_LENGTH]
        if with_crc(payload) != command[LETTERS:]:
            self._flags |= FLAG_ERRD
            return BAD_CRC
        return self._set(code, payload, now)

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        try:
            if fault == "alarm":
                self._flags |= ALARM
                self._stop(now, soft=False)
                self._powered = False
            elif fault == "temperature":
                self._temperature = float(arguments["temperature"])
            elif fault == "stall":
                self._stalled = bool(arguments["stalled"])
                self._stop(now, soft=False)
            elif fault == "crc":
                self._wrong_crc = True
            else:
                super().inject(fault, arguments, now)
        except (KeyError, TypeError) as exc:
            raise FaultError(f"{fault}: {self.faults[fault]}") from exc

    def describe(self) -> dict[str, Any]:
        return {
            "angle": self.angle(self._now),
            "counter": self.angle(self._now) - self._offset,
            "moving": self._motion.moving(self._now),
            "homed": bool(self._flags & HOMED),
            "flags": self._flags,
        }

    def angle(self, now: float) -> float:
        """Returns where the motor stands [full steps from its reference], for what is mounted on it."""
        return self._motion.position(now)

    # -- answers

    def _with_crc(self, payload: bytes) -> bytes:
        answer = with_crc(payload)
        if self._wrong_crc:
            self._wrong_crc = False
            return answer[:-1] + bytes([answer[-1] ^ 0x55])
        return answer

    def _get(self, code: bytes) -> bytes:
        getter = self._getters.get(code)
        return self._stored[code[1:]] if getter is None else getter()

    def _status(self) -> bytes:
        speed = self._motion.velocity(self._now)
        moving = self._motion.moving(self._now)
        position, micro = _steps(self.angle(self._now) - self._offset)
        move_status = (MOVING | (AT_SPEED if abs(speed) >= self._speed else 0)) if moving else 0
        power = (POWER_NORMAL if moving else POWER_REDUCED) if self._powered else POWER_OFF
        whole, part = _steps(speed)
        return STATUS.pack(
            move_status, self._command | (RUNNING if self._running else 0), power, 0, 0, position, micro, self._encoder(),
            whole, part, 420 if moving else 150, 2400, 20, 500, round(10 * self._temperature), self._flags, 0, 100,
        )  # fmt: skip

    def _encoder(self) -> int:
        return round(20 * (self.angle(self._now) - self._encoder_offset))

    def _position(self) -> bytes:
        return POSITION.pack(*_steps(self.angle(self._now) - self._offset), self._encoder(), 0)

    # -- actions

    def _act(self, code: bytes, now: float) -> bool:
        here = self.angle(now)
        match code:
            case b"home":  # in the negative direction to the next passage of the reference
                self._flags &= ~(HOMED | ALARM)
                turns = -(-here // self.steps_per_turn) - 1
                return self._go(code, turns * self.steps_per_turn, now)
            case b"left":
                return self._go(code, here - FAR, now)
            case b"rigt":
                return self._go(code, here + FAR, now)
            case b"stop" | b"sstp":
                self._command = COMMAND_NUMBERS[code]
                self._stop(now, soft=code == b"sstp")
            case b"loft":
                self._command = COMMAND_NUMBERS[code]
            case b"zero":
                self._offset = self._encoder_offset = here
            case b"pwof":
                self._stop(now, soft=False)
                self._powered = False
        return True

    def _set(self, code: bytes, payload: bytes, now: float) -> bytes:
        if code in (b"move", b"movr"):
            steps, micro = TARGET.unpack(payload)
            base = self._offset if code == b"move" else self.angle(now)
            return code if self._go(code, base + steps + micro / MICROSTEPS, now) else BAD_VALUE
        if code == b"smov":
            speed, _, acceleration, deceleration, *_ = MOVE_SETTINGS.unpack(payload)
            if not (speed and acceleration and deceleration):
                self._flags |= FLAG_ERRV
                return BAD_VALUE
            self._speed, self._acceleration, self._deceleration = speed, acceleration, deceleration
            self._move_settings = payload
        elif code == b"spos":
            steps, micro, encoder, flags = POSITION.unpack(payload)
            if not flags & 1:
                self._offset = self.angle(now) - steps - micro / MICROSTEPS
            if not flags & 2:
                self._encoder_offset = self.angle(now) - encoder / 20
        elif code == b"seng":
            self._engine = payload
        elif code == b"sent":
            self._engine_type = payload
        else:
            self._stored[code[1:]] = payload
        return code

    def _go(self, code: bytes, target: float, now: float) -> bool:
        if self._flags & ALARM:
            self._command = COMMAND_NUMBERS[code] | FAILED
            return True
        here = self.angle(now)
        self._command, self._running, self._powered = COMMAND_NUMBERS[code], True, True
        goal = here if self._stalled else target
        self._motion = Motion(here, goal, now, self._speed, self._acceleration, self._deceleration)
        if self._stalled:
            self._command |= FAILED
            self._running = False
        return True

    def _stop(self, now: float, *, soft: bool) -> None:
        self._motion = self._motion.stopped(now, soft=soft)
        self._running = soft and self._motion.moving(now)


def _steps(value: float) -> tuple[int, int]:
    """Returns full steps and microsteps, of the same sign."""
    micro = round(value * MICROSTEPS)
    whole = int(micro / MICROSTEPS)
    return whole, micro - whole * MICROSTEPS
