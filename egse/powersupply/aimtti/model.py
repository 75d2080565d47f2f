"""An Aim-TTi PL303QMD-P as a client sees it: two outputs, commands in, replies out, no I/O (device reference, section 13).

Own proposals: each output feeds a resistance; a protection that trips switches its output off, and the output cannot be switched on
before `TRIPRST`; numbers of execution errors but that of a value out of range.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from egse.simulator import DeviceModel, FaultError, LateReply
from egse.simulator.scpi import Codes, CommandTable, Handler, RefusedError

PORT: Final = 9221
"""TCP port when the settings name none."""
IDENTIFICATION: Final = "THURLBY THANDAR, PL303QMD-P, SIM0001, 1.00-1.00"
MOST_VOLTS, MOST_AMPS, LOW_RANGE = 30.0, 3.0, 0.5
"""Of an output [V, A], and of its low current range [A]."""
RISE_TIME, VERIFY_TIME = 5e-3, 5.0
"""From switching on to the voltage, and the longest wait of `VnV` [s]."""
EXECUTION, COMMAND, VERIFY, POWER_ON = 16, 32, 8, 128
"""Bits of the standard event register."""
OUT_OF_RANGE, NOT_NOW = 100, 103
CODES: Final = Codes(unknown=-1, character=-1, syntax=-1, count=-1, range=OUT_OF_RANGE)
"""-1: a command error, which has no number."""
CONSTANT_VOLTAGE, CONSTANT_CURRENT, OVP_TRIP, OCP_TRIP = 1, 2, 4, 8
"""Bits of the limit event register."""


@dataclass
class Output:
    """One output.

    Attributes:
        voltage, current: set points [V, A].
        ovp, ocp: protection [V, A].
        delta_v, delta_i: steps [V, A].
        high_range: False for the low range of the current.
        on: True while it is switched on.
        tripped: True after a protection has tripped.
        load: what it feeds [ohm].
        events: limit event register.
    """

    voltage: float = 1.0
    current: float = 1.0
    ovp: float = 33.0
    ocp: float = 3.3
    delta_v: float = 0.01
    delta_i: float = 0.01
    high_range: bool = True
    damping: bool = False
    on: bool = False
    tripped: bool = False
    load: float = 20.0
    events: int = 0
    on_since: float = 0.0
    memories: dict[int, tuple[float, ...]] = field(default_factory=dict)

    def measure(self, now: float) -> tuple[float, float]:
        """Returns voltage and current at the terminals [V, A]."""
        if not self.on or now - self.on_since < RISE_TIME:
            return 0.0, 0.0
        volts = min(self.voltage, self.current * self.load)
        return volts, volts / self.load

    def look(self, now: float) -> None:
        """Notes what happens at the limits, and lets the protection trip."""
        if not self.on or now - self.on_since < RISE_TIME:
            return
        volts, amps = self.measure(now)
        self.events |= CONSTANT_CURRENT if volts < self.voltage else CONSTANT_VOLTAGE
        trip = (OVP_TRIP if volts > self.ovp else 0) | (OCP_TRIP if amps > self.ocp else 0)
        if trip:
            self.events |= trip
            self.on, self.tripped = False, True


class AimTTiModel(DeviceModel):
    """A bench supply.

    Args:
        seed: of the noise of the readings.
    """

    faults: ClassVar[Mapping[str, str]] = {
        "load": "an output feeds something else; takes output and ohm",
        "trip": "a protection trips; takes output",
    }

    def __init__(self, seed: int = 0) -> None:
        self._rng = random.Random(f"{seed}/noise")
        self._events = POWER_ON
        self._error = 0
        self._locked = False
        self._due = 0.0
        self.outputs = {1: Output(), 2: Output()}
        commands = self._system()
        for number in self.outputs:
            commands |= self._of_output(number)
        self._table = CommandTable(commands, CODES)

    # -- DeviceModel

    def step(self, now: float) -> None:
        for output in self.outputs.values():
            output.look(now)

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one line; what follows a `VnV` waits until the output has its voltage."""
        self._due = max(self._due, now)
        answer = self._table.execute(command, now)
        while code := self._table.pop():
            self._events |= COMMAND if code < 0 else EXECUTION
            self._error = code if code > 0 else self._error
        for output in self.outputs.values():
            output.look(now)
        return LateReply(answer.encode() + b"\r\n", due=self._due) if answer else b""

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        if fault not in self.faults:
            super().inject(fault, arguments, now)
        try:
            output = self.outputs[int(arguments["output"])]
            if fault == "trip":
                output.on, output.tripped = False, True
                output.events |= OVP_TRIP
            else:
                output.load = max(1e-3, float(arguments["ohm"]))
        except (KeyError, TypeError, ValueError) as exc:
            raise FaultError(f"{fault}: {self.faults[fault]}") from exc

    def describe(self) -> dict[str, Any]:
        return {
            str(number): {
                "on": o.on,
                "voltage": o.voltage,
                "current": o.current,
                "load": o.load,
                "tripped": o.tripped,
            }
            for number, o in self.outputs.items()
        }

    # -- commands

    def _system(self) -> dict[str, Handler]:
        return {
            "*IDN?": lambda a, now: IDENTIFICATION,
            "*RST": lambda a, now: self._reset(),
            "*CLS": lambda a, now: self._clear(),
            "*OPC?": lambda a, now: "1",
            "*OPC": lambda a, now: None,
            "*WAI": lambda a, now: None,
            "*TST?": lambda a, now: "0",
            "*STB?": lambda a, now: "0",
            "*ESR?": lambda a, now: self._take_events(),
            "*ESE?": lambda a, now: "0",
            "*SRE?": lambda a, now: "0",
            "EER?": lambda a, now: self._take_error(),
            "QER?": lambda a, now: "0",
            "OPALL": self._switch_all,
            "TRIPRST": lambda a, now: self._reset_trips(),
            "LOCAL": lambda a, now: None,
            "IFLOCK": lambda a, now: self._lock(True),
            "IFUNLOCK": lambda a, now: self._lock(False),
            "IFLOCK?": lambda a, now: str(int(self._locked)),
            "ADDRESS?": lambda a, now: "11",
            "IPADDR?": lambda a, now: "127.0.0.1",
            "NETMASK?": lambda a, now: "255.0.0.0",
            "NETCONFIG?": lambda a, now: "STATIC",
        }

    def _of_output(self, n: int) -> dict[str, Handler]:
        output = self.outputs[n]
        table: dict[str, Handler] = {
            f"V{n}": lambda a, now: self._set(output, "voltage", a),
            f"V{n}V": lambda a, now: self._set_verified(output, a, now),
            f"V{n}?": lambda a, now: f"V{n} {output.voltage:.3f}",
            f"V{n}O?": lambda a, now: f"{self._noisy(output.measure(self._due)[0]):.3f}V",
            f"I{n}": lambda a, now: self._set(output, "current", a),
            f"I{n}?": lambda a, now: f"I{n} {output.current:.4f}",
            f"I{n}O?": lambda a, now: f"{self._noisy(output.measure(self._due)[1]):.4f}A",
            f"OVP{n}": lambda a, now: self._set(output, "ovp", a),
            f"OVP{n}?": lambda a, now: f"VP{n} {output.ovp:.2f}",
            f"OCP{n}": lambda a, now: self._set(output, "ocp", a),
            f"OCP{n}?": lambda a, now: f"CP{n} {output.ocp:.3f}",
            f"OP{n}": lambda a, now: self._switch(output, bool(self._table.whole(a, 1, 0, 1)[0]), now),
            f"OP{n}?": lambda a, now: str(int(output.on)),
            f"IRANGE{n}": lambda a, now: self._set_range(output, a),
            f"IRANGE{n}?": lambda a, now: "2" if output.high_range else "1",
            f"DAMPING{n}": lambda a, now: setattr(output, "damping", bool(self._table.whole(a, 1, 0, 1)[0])),
            f"SAV{n}": lambda a, now: self._save(output, a),
            f"RCL{n}": lambda a, now: self._recall(output, a),
            f"LSR{n}?": lambda a, now: self._take_limits(output),
            f"LSE{n}?": lambda a, now: "0",
        }
        return table | self._steps(n, "V", "voltage") | self._steps(n, "I", "current")

    def _steps(self, n: int, letter: str, name: str) -> dict[str, Handler]:
        output, delta = self.outputs[n], f"delta_{letter.lower()}"

        def change(sign: int) -> Handler:
            return lambda a, now: self._step(output, name, delta, sign)

        return {
            f"DELTA{letter}{n}": lambda a, now: self._set(output, delta, a),
            f"DELTA{letter}{n}?": lambda a, now: f"DELTA{letter}{n} {getattr(output, delta):.3f}",
            f"INC{letter}{n}": change(1),
            f"INC{letter}{n}V": change(1),
            f"DEC{letter}{n}": change(-1),
            f"DEC{letter}{n}V": change(-1),
        }

    def _limit(self, output: Output, name: str) -> float:
        return {
            "voltage": MOST_VOLTS,
            "current": MOST_AMPS if output.high_range else LOW_RANGE,
            "ovp": 1.1 * MOST_VOLTS,
            "ocp": 1.1 * MOST_AMPS,
            "delta_v": MOST_VOLTS,
            "delta_i": MOST_AMPS,
        }[name]

    def _set(self, output: Output, name: str, arguments: list[str]) -> None:
        value = self._table.number(arguments, 0.0, self._limit(output, name) * (1 + 1e-12))
        setattr(output, name, round(value, 4 if name in ("current", "delta_i") else 3))

    def _set_verified(self, output: Output, arguments: list[str], now: float) -> None:
        self._set(output, "voltage", arguments)
        if not output.on:  # there is nothing to wait for
            return
        volts, _ = output.measure(max(self._due, output.on_since + 2 * RISE_TIME))
        if abs(volts - output.voltage) > max(0.05 * output.voltage, 0.01):
            self._events |= VERIFY
            self._due += VERIFY_TIME
        else:
            self._due += 4 * RISE_TIME

    def _step(self, output: Output, name: str, delta: str, sign: int) -> None:
        self._set(output, name, [str(getattr(output, name) + sign * getattr(output, delta))])

    def _set_range(self, output: Output, arguments: list[str]) -> None:
        (wanted,) = self._table.whole(arguments, 1, 1, 2)
        if output.on:
            raise RefusedError(NOT_NOW)
        output.high_range = wanted == 2
        output.current = min(output.current, self._limit(output, "current"))

    def _switch(self, output: Output, on: bool, now: float) -> None:
        if on and output.tripped:
            raise RefusedError(NOT_NOW)
        if on and not output.on:
            output.on_since = now
        output.on = on

    def _switch_all(self, arguments: list[str], now: float) -> None:
        (on,) = self._table.whole(arguments, 1, 0, 1)
        for output in self.outputs.values():
            self._switch(output, bool(on), now)

    def _save(self, output: Output, arguments: list[str]) -> None:
        (memory,) = self._table.whole(arguments, 1, 0, 9)
        output.memories[memory] = (output.voltage, output.current, output.ovp, output.ocp)

    def _recall(self, output: Output, arguments: list[str]) -> None:
        (memory,) = self._table.whole(arguments, 1, 0, 9)
        if memory not in output.memories:
            raise RefusedError(NOT_NOW)
        output.voltage, output.current, output.ovp, output.ocp = output.memories[memory]

    def _reset(self) -> None:
        for output in self.outputs.values():
            output.__dict__.update({**Output(load=output.load, memories=output.memories).__dict__})

    def _reset_trips(self) -> None:
        for output in self.outputs.values():
            output.tripped = False

    def _clear(self) -> None:
        self._events = self._error = 0

    def _take_events(self) -> str:
        events, self._events = self._events, 0
        return str(events)

    def _take_error(self) -> str:
        error, self._error = self._error, 0
        return str(error)

    def _take_limits(self, output: Output) -> str:
        events, output.events = output.events, 0
        return str(events)

    def _lock(self, locked: bool) -> str:
        self._locked = locked
        return str(int(locked))

    def _noisy(self, value: float) -> float:
        return max(0.0, value + self._rng.gauss(0.0, 2e-4)) if value else 0.0
