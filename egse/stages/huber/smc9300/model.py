"""The SMC9300 with its three stages as a client sees it: lines in, replies out, no I/O (device reference, section 4)."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from egse.simulator import DeviceModel, FaultError
from egse.stages.huber.smc9300 import axis as errors
from egse.stages.huber.smc9300.axis import Axis
from egse.stages.huber.smc9300.messages import AxisState, number_or_text

PORT = 1234
"""TCP port when the settings name none."""
VERSION = "smc 1.2.1093"

RANGES = {1: (-179.316, 179.316), 2: (-90.0, 90.0), 3: (-10.0, 600.0)}
"""Where the axes can be [deg, deg, mm]: the hard stops of axis 1; own proposals for the others."""
ALIASES = {
    1: ("big rotation stage", "deg"),
    2: ("small rotation stage", "deg"),
    3: ("translation stage", "mm"),
}

_COMMAND = re.compile(r"([a-z]+)(\d*)([+-]?)(?::(.*))?")
_HOME = re.compile(r"he;h[mr](.*)")
_SETTABLE = ("ffast", "frun", "acc", "edev", "edir", "ecl")

Action = Callable[[Axis, str, str, float], None]


def parameters(number: int) -> dict[str, int | float | str]:
    """Returns the parameters of an axis as delivered, in the order in which `?conf` tells them."""
    alias, unit = ALIASES[number]
    return {
        "alias": alias,
        "type": "linear" if unit == "mm" else "rotary",
        "unit": unit,
        "ffast": 20000,
        "frun": 500 if unit == "deg" else 20000,
        "gnum": 10000,
        "gden": 1,
        "acc": 20000,
        "edev": 0.01,
        "edir": 0,
        "ecl": 0,
    }


class SMC9300Model(DeviceModel):
    """A controller with three axes.

    Args:
        seed: of the noise of the encoders.
    """

    step_interval = 0.05
    faults: ClassVar[Mapping[str, str]] = {
        "stall": "the motor of an axis is blocked where it is; takes axis",
        "external_stop": "somebody presses or releases the stop button; takes pressed [bool]",
        "disable": "the motor of an axis is without power, or has it again; takes axis and enabled [bool]",
        "slip": "an axis slips, and does not know where it is; takes axis and distance [deg or mm]",
    }

    def __init__(self, seed: int = 0) -> None:
        rng = random.Random(f"{seed}/encoder")
        self.axes = {number: Axis(number, *RANGES[number], parameters(number), rng) for number in RANGES}
        self._saved = {number: dict(one.parameters) for number, one in self.axes.items()}
        self._now = 0.0
        self._actions = self._action_table()

    # -- DeviceModel

    def connect(self, now: float) -> bytes:
        return f"{VERSION}\r\n".encode()

    def step(self, now: float) -> None:
        self._now = now
        for one in self.axes.values():
            one.step(now)

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one line; questions have replies, commands none, and a mistake is an error of the axis."""
        text = command.decode("ascii", errors="replace")
        if text.startswith("?"):
            return self._answer(text[1:], now).encode()
        self._execute(text, now)
        return b""

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        if fault not in self.faults:
            super().inject(fault, arguments, now)
        self.step(now)
        try:
            self._inject(fault, **arguments)
        except (KeyError, TypeError) as exc:
            raise FaultError(f"{fault}: {self.faults[fault]} ({exc})") from exc

    def describe(self) -> dict[str, Any]:
        return {
            "axes": {
                str(number): {
                    "position": one.position(self._now),
                    "place": one.place,
                    "moving": one.moving,
                    "state": int(one.state(self._all_idle)),
                    "error": list(one.error),
                }
                for number, one in self.axes.items()
            }
        }

    # -- what is true, also for other models

    def positions(self, now: float) -> dict[int, float]:
        """Returns where the axes are, by the hardware's own zero [deg, deg, mm]."""
        self.step(now)
        return {number: one.place for number, one in self.axes.items()}

    @property
    def _all_idle(self) -> bool:
        return not any(one.moving for one in self.axes.values())

    def _inject(self, fault: str, **arguments: Any) -> None:
        if fault == "external_stop":
            self._press_stop(arguments.pop("pressed") is True)
        else:
            one = self.axes[arguments.pop("axis")]
            if fault == "stall":
                one.fail(errors.STALLED, AxisState.AXIS_ERROR, self._now)
            elif fault == "slip":
                one.stop(self._now)
                distance = float(arguments.pop("distance"))
                one.place, one.offset = one.place + distance, one.offset - distance
            else:
                enabled = arguments.pop("enabled") is True
                one.stop(self._now)
                one.flags = one.flags | AxisState.ENABLED if enabled else one.flags & ~AxisState.ENABLED
        if arguments:
            raise TypeError(f"not {', '.join(arguments)}")

    def _press_stop(self, pressed: bool) -> None:
        for one in self.axes.values():
            if pressed:
                one.fail(errors.STOPPED, AxisState.EXTERNAL_STOP, self._now)
            else:
                one.flags &= ~AxisState.EXTERNAL_STOP

    # -- questions

    def _answer(self, text: str, now: float) -> str:
        """Returns the reply to a question, empty for an unknown one."""
        match = re.fullmatch(r"([a-z]*)(\d*)", text)
        asked = [] if match is None else self._asked(match[2])
        if match is None or not asked:
            self._mistake(errors.UNKNOWN_COMMAND)
            return ""
        name, is_all = match[1], not match[2]
        if name in ("", "v"):
            return self._info() if not name else f"{VERSION}\r\n"
        if name in ("s", "p", "e", "ec"):
            return "".join(f"{one.number}:{self._reading(name, one, now)};" for one in asked) + "\r\n"
        if name == "err":
            return "".join(f"{one.number}:{_error_text(one)}\r\n" for one in asked)
        if name == "status":
            return "".join(f"{self._status(one, now)}\r\n" for one in asked) + ("\r\n" if is_all else "")
        if name == "conf":
            return "\r\n".join(_configuration(one) for one in asked)
        if name in asked[0].parameters:
            return ";".join(f"{name}{one.number}:{one.parameters[name]}" for one in asked) + "\r\n"
        self._mistake(errors.UNKNOWN_COMMAND, asked)
        return ""

    def _asked(self, digits: str) -> list[Axis]:
        """Returns the axis with a number, all of them when there is no number, none when there is no such axis."""
        return (
            list(self.axes.values())
            if not digits
            else [a for a in self.axes.values() if str(a.number) == digits]
        )

    def _info(self) -> str:
        lines = (
            "HUBER Diffraktionstechnik SMC9300 (simulator)",
            "date: 2026-01-01",
            "image: 1.2.1093",
            "controller: 9300, 8 axes at most",
            f"axes: {len(self.axes)}",
        )
        return "".join(f"{line}\r\n" for line in lines)

    def _reading(self, name: str, one: Axis, now: float) -> str:
        if name == "s":
            return str(int(one.state(self._all_idle)))
        if name == "p":
            return _figure(one.position(now))
        encoder = one.encoder(now)
        if name == "e":
            return _figure(encoder)
        scale = float(one.parameters["gnum"]) / float(one.parameters["gden"])
        return str(round(encoder * scale) * (-1 if one.parameters["edir"] else 1))

    def _status(self, one: Axis, now: float) -> str:
        state = one.state(self._all_idle)
        limit = 1 if state & AxisState.LIMIT_MINUS else 2 if state & AxisState.LIMIT_PLUS else 0
        fields = (
            one.number,
            *one.error,
            _figure(one.position(now)),
            _figure(one.encoder(now)),
            limit,
            int(bool(state & AxisState.HOMED)),
            int(bool(state & AxisState.ENCODER_REFERENCE)),
            int(bool(state & AxisState.ENABLED)),
            0,
            0,
            0,
        )
        return ":".join(map(str, fields))

    # -- commands

    def _action_table(self) -> dict[str, Action]:
        return {
            "goto": lambda one, sign, text, now: one.go(_number(text), now),
            "move": lambda one, sign, text, now: one.go(one.position(now) + _number(text), now),
            "fast": lambda one, sign, text, now: one.run(_side(sign), now),
            "eref": lambda one, sign, text, now: one.find_encoder_reference(),
            "home": lambda one, sign, text, now: one.home(_home_position(text), now),
            "pos": lambda one, sign, text, now: _redefine(one, _number(text), now),
            "zero": lambda one, sign, text, now: _redefine(one, 0.0, now),
            "q": lambda one, sign, text, now: one.stop(now),
            "cerr": lambda one, sign, text, now: one.clear_error(),
            **{name: _setter(name) for name in _SETTABLE},
        }

    def _execute(self, text: str, now: float) -> None:
        match = _COMMAND.fullmatch(text)
        name, digits = (match[1], match[2]) if match else ("", "")
        asked = self._asked(digits)
        if name == "txdel":
            return
        if name in ("quit", "update", "reset") and not digits:
            self._command_all(name, now)
        elif match is None or name not in self._actions or not asked or not (digits or name in ("q", "cerr")):
            self._mistake(errors.UNKNOWN_COMMAND, asked if digits else None)
        else:
            for one in asked:
                try:
                    self._actions[name](one, match[3], match[4] or "", now)
                except ValueError:
                    one.error = errors.BAD_ARGUMENT

    def _command_all(self, name: str, now: float) -> None:
        for number, one in self.axes.items():
            if name == "update":
                self._saved[number] = dict(one.parameters)
                continue
            one.stop(now)
            if name == "reset":
                one.parameters.update(self._saved[number])
                one.clear_error()

    def _mistake(self, error: errors.Error, axes: list[Axis] | None = None) -> None:
        """Leaves an error with the axes that were meant, with all when nobody knows which."""
        for one in axes or self.axes.values():
            one.error = error


def _figure(value: float) -> str:
    """Writes a position; there is no -0.0000."""
    return f"{round(value, 4) + 0.0:.4f}"


def _error_text(one: Axis) -> str:
    return f"{one.error[0]} {one.error[1]}" if one.error[0] else "0"


def _configuration(one: Axis) -> str:
    lines = [
        f"# axis {one.number}",
        *(f"{name}{one.number}:{value}" for name, value in one.parameters.items()),
    ]
    return "".join(f"{line}\r\n" for line in lines)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _side(sign: str) -> int:
    return int(f"{sign}1") if sign else int(sign)  # without a direction it is no number


def _home_position(text: str) -> float:
    match = _HOME.fullmatch(text)
    if match is None:
        raise ValueError(text)
    return _number(match[1])


def _redefine(one: Axis, position: float, now: float) -> None:
    one.stop(now)
    one.offset = position - one.place


def _setter(name: str) -> Action:
    def set_value(one: Axis, sign: str, text: str, now: float) -> None:
        value = number_or_text(text)
        if (
            isinstance(value, str)
            or not math.isfinite(value)
            or (name in ("ffast", "frun", "acc") and value <= 0)
        ):
            raise ValueError(text)
        one.parameters[name] = value

    return set_value
