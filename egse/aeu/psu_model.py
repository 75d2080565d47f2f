"""A KIKUSUI PMX-A power supply as a client sees it; no I/O (device reference, section 10.2).

What it is connected to is told from outside: the rack sets `load` [A] and reads `voltage` and `current`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from egse.aeu.lines import PSU_MODELS
from egse.aeu.unit import RackUnit
from egse.simulator import FaultError
from egse.simulator.scpi import Codes, CommandTable, Handler, RefusedError

RISE_TIME: Final = 0.08
"""From one output voltage to another [s, own proposal]."""
OVP, OCP, AC_FAILURE, OVER_TEMPERATURE = 1, 2, 4, 16
"""Bits of the questionable status."""
PROTECTION_ACTIVE, OUTPUT_IS_ON, REFUSED_IN_ALARM, NO_CHANNEL = 101, 102, 155, 301
SETTINGS_CONFLICT: Final = -221
MEMORIES: Final = {"1": 1, "2": 2, "3": 3, "A": 1, "B": 2, "C": 3}

_TEXTS: Final = {
    0: "No error",
    -102: "Syntax error",
    -101: "Invalid character",
    -109: "Missing parameter",
    -113: "Undefined header",
    -221: "Settings conflict",
    -222: "Data out of range",
    -350: "Queue overflow",
    101: "Protection is active",
    102: "Output is on",
    155: "Operation denied during alarm",
    156: "Operation denied while output is on",
    301: "Channel does not exist",
}


class PMXModel(RackUnit):
    """One power supply.

    Args:
        number: 1 to 6.

    Attributes:
        voltage: at its terminals now [V].
        current: what flows now [A].
        load: what the load wants to draw at full voltage [A].
        output: True while the output is on.
        alarm: bits of the questionable status.
    """

    faults: ClassVar[Mapping[str, str]] = {
        "overvoltage": "its regulation fails upwards; takes volts [V] above the set point",
        "ac": "the mains fail or come back; takes ok [bool]",
        "temperature": "it gets too hot, or cools down; takes ok [bool]",
    }

    def __init__(self, number: int = 1) -> None:
        self.number = number
        self.model = PSU_MODELS[number - 1]
        volts, amps = self.model.removeprefix("PMX").split("-")
        self.rated = (float(volts), float(amps))
        self.voltage = self.current = self.load = 0.0
        self.output = False
        self.alarm = 0
        self.memories: dict[int, list[float]] = {
            n: [0.0, 0.0, 1.1 * self.rated[1], 1.1 * self.rated[0]] for n in (1, 2, 3)
        }
        self._excess = 0.0
        self._last: float | None = None
        self._target = 0.0
        self._slope = 0.0
        self._table = CommandTable(self._commands(), Codes(-113, -101, -102, -109, -222, -350))
        self._reset()

    def _reset(self) -> None:
        self.output = False
        self.set_voltage, self.set_current = 0.0, 0.0
        self.ovp, self.ocp = 1.1 * self.rated[0], 1.1 * self.rated[1]
        self.confirm_memory = False
        self.priority = "CC"

    @property
    def is_moving(self) -> bool:
        """True while the output is on its way to another voltage."""
        return self.voltage != self._target

    # -- DeviceModel

    def handle(self, command: bytes, now: float) -> bytes:
        reply = self._table.execute(command, now)
        self._follow()
        self.changed(now)
        return reply.encode("latin-1") + b"\n" if reply else b""

    def advance(self, now: float) -> None:
        """Moves the output towards what it shall be, and trips when it must."""
        passed = 0.0 if self._last is None else now - self._last
        self._last = now
        if self.voltage != self._target:
            change = self._slope * passed
            left = self._target - self.voltage
            self.voltage = self._target if abs(change) >= abs(left) else self.voltage + change
        self._protect()
        self._follow()

    def _follow(self) -> None:
        """Finds out where the output is heading: constant voltage, or constant current when the load wants more."""
        wanted = self.set_voltage + self._excess if self.output else 0.0
        if self.output and self.load > self.set_current:
            wanted *= self.set_current / self.load
        if wanted != self._target:
            self._target = wanted
            self._slope = (wanted - self.voltage) / RISE_TIME
        share = self.voltage / self.set_voltage if self.set_voltage else 0.0
        self.current = min(self.load * min(share, 1.0), self.set_current) if self.voltage else 0.0

    def _protect(self) -> None:
        if self.output and self.voltage > self.ovp:
            self._trip(OVP)
        if self.output and min(self.load, self.set_current) > self.ocp:
            self._trip(OCP)

    def _trip(self, bit: int) -> None:
        self.alarm |= bit
        self.output = False
        self.voltage = self._target = self.current = 0.0

    def break_down(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        match fault, dict(arguments):
            case "overvoltage", {"volts": int() | float() as volts}:
                self._excess = float(volts)
            case "ac", {"ok": bool() as ok}:
                self._alarm(AC_FAILURE, not ok)
            case "temperature", {"ok": bool() as ok}:
                self._alarm(OVER_TEMPERATURE, not ok)
            case _ if fault in self.faults:
                raise FaultError(f"{fault}: {self.faults[fault]}")
            case _:
                super().break_down(fault, arguments, now)
        self._follow()

    def _alarm(self, bit: int, on: bool) -> None:
        if on:
            self._trip(bit)
        else:
            self.alarm &= ~bit

    def describe(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "output": self.output,
            "voltage": self.voltage,
            "current": self.current,
            "load": self.load,
            "set": [self.set_voltage, self.set_current, self.ovp, self.ocp],
            "alarm": self.alarm,
            "errors": list(self._table.errors),
        }

    # -- commands

    def _commands(self) -> dict[str, Handler]:
        volts, amps = self.rated
        return {
            "*IDN?": lambda a, now: f"KIKUSUI,{self.model},SIM{self.number:05d},IFC01.00.0016 IOC01.00.0015",
            "*RST": lambda a, now: self._reset(),
            "*CLS": lambda a, now: self._table.errors.clear(),
            "*TST?": lambda a, now: "0",
            "SYSTem:ERRor?": lambda a, now: self._error(),
            "SYSTem:CONFigure:STARtup:PRIority": lambda a, now: self._set_priority(a),
            "SYSTem:CONFigure:STARtup:PRIority?": lambda a, now: self.priority,
            "INSTrument": lambda a, now: self._select(a),
            "INSTrument?": lambda a, now: "0",
            "INSTrument:CATalog?": lambda a, now: "0",
            "INSTrument:INFO?": lambda a, now: f"{_text(volts)},{_text(amps)}",
            "MEASure:CURRent?": lambda a, now: _text(self.current),
            "MEASure:VOLTage?": lambda a, now: _text(self.voltage),
            "VOLTage": lambda a, now: self._set("set_voltage", a, 1.05 * volts),
            "VOLTage?": lambda a, now: _text(self.set_voltage),
            "CURRent": lambda a, now: self._set("set_current", a, 1.05 * amps),
            "CURRent?": lambda a, now: _text(self.set_current),
            "VOLTage:PROTection": lambda a, now: self._set("ovp", a, 1.12 * volts),
            "VOLTage:PROTection?": lambda a, now: _text(self.ovp),
            "CURRent:PROTection": lambda a, now: self._set("ocp", a, 1.12 * amps),
            "CURRent:PROTection?": lambda a, now: _text(self.ocp),
            "OUTPut": lambda a, now: self._switch(a),
            "OUTPut?": lambda a, now: str(int(self.output)),
            "OUTPut:PROTection:CLEar": lambda a, now: self._clear(),
            "MEMory:RECall": lambda a, now: self._recall(a),
            "MEMory:SAVE": lambda a, now: self._save(a),
            "MEMory:RECall:CONFirm": lambda a, now: self._set_confirm(a),
            "MEMory:RECall:CONFirm?": lambda a, now: str(int(self.confirm_memory)),
            "MEMory:RECall:PREView?": lambda a, now: ",".join(map(_text, self.memories[self._memory(a)])),
            "STATus:QUEStionable:CONDition?": lambda a, now: str(self.alarm),
            "STATus:QUEStionable?": lambda a, now: str(self.alarm),
        }

    def _error(self) -> str:
        code = self._table.pop()
        return f'{code},"{_TEXTS.get(code, "Error")}"'

    def _set(self, name: str, arguments: list[str], limit: float) -> None:
        value = self._table.number(arguments, 0.0, limit)
        setattr(self, name, value)

    def _set_priority(self, arguments: list[str]) -> None:
        if arguments[:1] not in (["CC"], ["CV"]) or len(arguments) != 1:
            raise RefusedError(-102)
        self.priority = arguments[0]

    def _select(self, arguments: list[str]) -> None:
        if self._table.whole(arguments, 1, 0, 255) != [0]:
            raise RefusedError(NO_CHANNEL)

    def _switch(self, arguments: list[str]) -> None:
        on = bool(self._table.whole(arguments, 1, 0, 1)[0])
        if on and self.alarm:
            raise RefusedError(REFUSED_IN_ALARM)
        self.output = on

    def _clear(self) -> None:
        self.alarm &= ~(OVP | OCP)

    def _memory(self, arguments: list[str]) -> int:
        if len(arguments) != 1:
            raise RefusedError(-109)
        if arguments[0].upper() not in MEMORIES:
            raise RefusedError(-222)
        return MEMORIES[arguments[0].upper()]

    def _save(self, arguments: list[str]) -> None:
        self.memories[self._memory(arguments)] = [self.set_current, self.set_voltage, self.ocp, self.ovp]

    def _recall(self, arguments: list[str]) -> None:
        if self.alarm:
            raise RefusedError(REFUSED_IN_ALARM)
        self.set_current, self.set_voltage, self.ocp, self.ovp = self.memories[self._memory(arguments)]

    def _set_confirm(self, arguments: list[str]) -> None:
        self.confirm_memory = bool(self._table.whole(arguments, 1, 0, 1)[0])


def _text(value: float) -> str:
    return f"{value:+.4E}"
