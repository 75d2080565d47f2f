"""The OGSE as a client sees it: lamp, interlock, attenuator, power meters; no I/O.

What the protocol reference leaves open is settled here as our own proposal: the wheels report where they are heading,
`operate on` is refused with an ERROR line when power is off or the interlock is open, opening the interlock or a fault
puts the light out until the next `operate on`, and the first of the flags is the most significant bit.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from egse.ogse.attenuator import LEVELS, POSITIONS, Attenuator, closest_level, engineering
from egse.simulator import DeviceModel, FaultError, HangUpError

BANNER = "This is PLATO RT-OGSE 2.1.sim"
VERSION = "PLATO-RT-OGSE (v2.1.sim)"
PORT = 4181
"""TCP port when the settings name none."""
IGNITION_TIME = 5.0
"""From `operate on` to light [s, own proposal]."""
LAMP_POWER = 2.5e-3
"""Power at both meters with the attenuator wide open [W, own proposal]."""
COLD_LAMP = 0.008
"""A lamp that has just ignited is so much darker than a warm one [fraction, own proposal]."""
WARM_UP_TIME = 600.0
"""Time constant of its warm-up [s, own proposal]."""
BACKGROUND = (2.0e-11, 2.07e-7)
"""Mean reading of the two meters in the dark [W]: channel 2 says something at levels from 2E-3 only."""
DARK_NOISE = (3.0e-11, 2.0e-9)
"""Standard deviation of a reading in the dark [W]."""
METER_TEMPERATURE = (21.6, 22.7)
"""Of the two meters [degC]."""

FACTOR_USAGE = "ERROR: usage: attenuator level <value>  -- value must be in [0,1]"
INDEX_USAGE = "ERROR: usage: attenuator level #index  -- index goes from 0 to 46"
WHEEL_USAGE = "ERROR: usage: attenuator level <wheel_1> <wheel_2>  -- wheel positions must be integer = 1..8"


def on_off(state: bool) -> str:
    """Returns ON or OFF."""
    return "ON" if state else "OFF"


class OGSEModel(DeviceModel):
    """The OGSE.

    Args:
        seed: of noise and durations.
    """

    faults: ClassVar[Mapping[str, str]] = {
        "interlock": "somebody opens or closes it; takes open [bool]",
        "lamp": "the lamp fails, until `reset`",
        "controller": "the lamp's controller fails, until `reset`",
        "ldls": "the link to the lamp breaks or comes back; takes ok [bool]",
        "att": "the link to the attenuator breaks or comes back; takes ok [bool]",
        "pm1": "power meter 1 goes missing or comes back; takes ok [bool]",
        "pm2": "power meter 2 goes missing or comes back; takes ok [bool]",
    }

    def __init__(self, seed: int = 0) -> None:
        rng = random.Random(seed)
        self.attenuator = Attenuator(rng)
        self.power = False
        self.operate = False
        self.light = False
        self.interlock_open = False
        self.lamp_fault = False
        self.controller_fault = False
        self.links = {"ldls": True, "att": True, "pm1": True, "pm2": True}
        self._rng = random.Random(
            f"{seed}/noise"
        )  # how often somebody looks does not change how long things take
        self._light_at = math.inf
        self._lit_at = 0.0
        self._now = 0.0
        self._commands = self._command_table()

    # -- DeviceModel

    def connect(self, now: float) -> bytes:
        return BANNER.encode() + b"\n"

    def step(self, now: float) -> None:
        self._now = now
        if now >= self._light_at:
            self.light = True
            self._lit_at, self._light_at = self._light_at, math.inf

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one command; every command but `quit` and `exit` has exactly one reply line."""
        text = command.decode("utf-8", errors="replace")
        words = text.lower().split()
        action = self._commands.get(" ".join(words))
        if action is not None:
            reply = action(now)
        elif words[:1] == ["level"]:
            reply = self._set_level(words[1:], now)
        else:
            reply = f"ERROR: unknown command string: {text}"
        return reply.encode() + b"\n"

    def user_signal(self, now: float) -> None:
        """Opens the interlock when it is closed and closes it when it is open."""
        self.set_interlock(not self.interlock_open)

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        wanted = {"interlock": {"open"}, "lamp": set(), "controller": set()}.get(fault, {"ok"})
        if fault not in self.faults:
            super().inject(fault, arguments, now)
        if set(arguments) != wanted or not all(isinstance(v, bool) for v in arguments.values()):
            raise FaultError(f"{fault}: {self.faults[fault]}")
        if fault == "interlock":
            self.set_interlock(arguments["open"])
        elif fault in self.links:
            self.links[fault] = arguments["ok"]
        else:
            setattr(self, f"{fault}_fault", True)
            self._put_out()

    def describe(self) -> dict[str, Any]:
        return {
            "power": self.power,
            "operate": self.operate,
            "light": self.light,
            "interlock_open": self.interlock_open,
            "lamp_fault": self.lamp_fault,
            "controller_fault": self.controller_fault,
            "links": dict(self.links),
            "level": self.attenuator.index,
            "positions": list(self.attenuator.positions),
            "flux": self.flux(self._now),
        }

    # -- what is true, also for other models

    def flux(self, now: float) -> float:
        """Returns the light that leaves the OGSE now, as a fraction of the warm lamp at full transmission (0..1)."""
        self.step(now)
        if not self.light:
            return 0.0
        warmth = 1.0 - COLD_LAMP * math.exp(-(now - self._lit_at) / WARM_UP_TIME)
        return self.attenuator.transmission(now) * warmth

    def set_interlock(self, is_open: bool) -> None:
        """Opens or closes the interlock; opening it puts the light out."""
        self.interlock_open = is_open
        if is_open:
            self._put_out()

    def _put_out(self) -> None:
        self.operate = self.light = False
        self._light_at = math.inf

    # -- commands

    def _command_table(self) -> dict[str, Callable[[float], str]]:
        return {
            "version": lambda now: VERSION,
            "ldls status": lambda now: f"ldls: {self._link('ldls')}",
            "pm status": lambda now: f"pm1: {self._link('pm1')}, pm2: {self._link('pm2')}",
            "att status": lambda now: f"att: {self._link('att')}",
            "get interlock": lambda now: f"interlock: {'OPEN' if self.interlock_open else 'CLOSE'}",
            "get power": lambda now: f"power: {on_off(self.power)}",
            "get lamp": lambda now: f"lamp: {on_off(self.light)}",
            "get laser": lambda now: f"laser: {on_off(self.light)}",
            "get psu": lambda now: f"psu: {on_off(self.power)}",
            "get operate": lambda now: f"operate: {on_off(self.operate)}",
            "get lamp-fault": lambda now: f"lamp-fault: {_fault(self.lamp_fault)}",
            "get controller-fault": lambda now: f"controller-fault: {_fault(self.controller_fault)}",
            "get flags": lambda now: self._flags(),
            "read": self._read,
            "status": self._status,
            "level": self._level,
            "level up": lambda now: self._move(self.attenuator.index + 1, now),
            "level down": lambda now: self._move(self.attenuator.index - 1, now),
            "power on": lambda now: self._switch_power(True),
            "power off": lambda now: self._switch_power(False),
            "operate on": self._operate_on,
            "operate off": lambda now: self._operate_off(),
            "reset": lambda now: self._reset(),
            "quit": _hang_up,
            "exit": _hang_up,
        }

    def _link(self, name: str) -> str:
        return "OK" if self.links[name] else "ERROR"

    def _flags(self) -> str:
        bits = [
            self.interlock_open, self.power, self.light, self.light,
            self.lamp_fault, self.controller_fault, self.power, self.operate,
        ]  # fmt: skip
        digits = "".join(str(int(bit)) for bit in bits)
        return f"flags: 0x{int(digits, 2):02X}  {digits[:4]} {digits[4:]}"

    def _readings(self, now: float) -> list[tuple[float, float]]:
        signal = LAMP_POWER * self.flux(now)
        readings = []
        for channel in (0, 1):
            if not self.links[f"pm{channel + 1}"]:
                readings.append((math.nan, math.nan))
                continue
            noise = self._rng.gauss(BACKGROUND[channel], DARK_NOISE[channel] + 1e-4 * signal)
            readings.append((signal + noise, METER_TEMPERATURE[channel] + self._rng.gauss(0.0, 0.05)))
        return readings

    def _read(self, now: float) -> str:
        return ", ".join(
            f"pm{n}: {power:+e} W {temperature:+.1f} ºC"
            for n, (power, temperature) in enumerate(self._readings(now), start=1)
        )

    def _status(self, now: float) -> str:
        (power_1, temp_1), (power_2, temp_2) = self._readings(now)
        moving = "* " if self.attenuator.is_moving(now) else ""
        return (
            f"power: {on_off(self.power)}, lamp: {on_off(self.light)}, interlock: {on_off(self.interlock_open)}, "
            f"psu: {on_off(self.power)}, att: {moving}{engineering(self.attenuator.factor)} "
            f"#{self.attenuator.index}, power-ch1: {power_1:+e} W, power-ch2: {power_2:+e} W, "
            f"temp-ch1: {temp_1:+.1f} ºC, temp-ch2: {temp_2:+.1f} ºC"
        )

    def _level(self, now: float) -> str:
        moving = "*" if self.attenuator.is_moving(now) else " "
        return f"att-level: {moving}{engineering(self.attenuator.factor):>10}  #{self.attenuator.index}"

    def _set_level(self, arguments: list[str], now: float) -> str:
        if len(arguments) > 1:
            wheels = [_whole(word) for word in arguments]
            if len(wheels) != 2 or not all(1 <= wheel <= 8 for wheel in wheels):
                return WHEEL_USAGE
            self.attenuator.move((wheels[0], wheels[1]), now)
            return "OK"
        word = arguments[0]
        if word.startswith("#"):
            index = _whole(word[1:])
            return self._move(index, now) if 0 <= index < len(LEVELS) else INDEX_USAGE
        try:
            factor = float(word)
        except ValueError:
            return FACTOR_USAGE
        return self._move(closest_level(factor), now) if 0.0 <= factor <= 1.0 else FACTOR_USAGE

    def _move(self, index: int, now: float) -> str:
        index = min(max(index, 0), len(LEVELS) - 1)
        if index != self.attenuator.index:
            self.attenuator.move(POSITIONS[index], now)
        return "OK"

    def _switch_power(self, on: bool) -> str:
        self.power = on
        if not on:
            self._put_out()
        return "OK"

    def _operate_on(self, now: float) -> str:
        if not self.power:
            return "ERROR: operate refused: power is off"
        if self.interlock_open:
            return "ERROR: operate refused: interlock is open"
        if self.lamp_fault or self.controller_fault:
            return "ERROR: operate refused: there is a fault"
        if not self.operate:
            self.operate = True
            self._light_at = now + IGNITION_TIME
        return "OK"

    def _operate_off(self) -> str:
        self._put_out()
        return "OK"

    def _reset(self) -> str:
        self.lamp_fault = self.controller_fault = False
        return "OK"


def _fault(state: bool) -> str:
    return "ERROR" if state else "NO-ERROR"


def _whole(text: str) -> int:
    """Returns the number in a text of digits, -1 for anything else."""
    return int(text) if text.isascii() and text.isdigit() else -1


def _hang_up(now: float) -> str:
    raise HangUpError
