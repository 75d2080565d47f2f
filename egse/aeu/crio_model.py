"""The cRIO of the AEU as a client sees it; no I/O (device reference, section 10.1).

It distributes what the power supplies and generators deliver: it switches the lines of the two cameras, measures and
protects them, and lets the clocks through. What arrives at its inputs is put there by the rack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from egse.aeu.lines import CAMERAS, Camera, LoopBack, OperatingMode
from egse.aeu.unit import RackUnit
from egse.simulator import FaultError
from egse.simulator.scpi import Codes, CommandTable, Handler, RefusedError

NOT_IN_THIS_MODE: Final = 6
SELFTEST_TIME: Final = 10.0
"""Of a self-test [s, own proposal]."""
FINE, OVER, UNDER = 0, 1, 2
TRIP_TIMES: Final = (
    *([2.0] * 12),  # OVP N, F
    *([25.0] * 12),  # UVP N, F
    *([14.0, 21.0, 14.0, 14.0, 14.0, 17.0] * 2),  # OCP N, F
    *([2.0] * 12),  # the same while starting up
    *([300.0] * 6),
    *([150.0] * 6),
    *([750.0] * 6),
    *([500.0] * 6),
)
"""Times after which a protection trips [ms]: OVP N, OVP F, UVP N, UVP F, OCP N, OCP F, then the same at start-up."""
CLOCKS: Final = {"N": ("50", "ccd"), "F": ("50", "50", "ccd", "ccd"), "SVM": ("50", "50", "heater", "heater")}
"""The clock outputs of each connector, by the signal that they carry."""


@dataclass
class Output:
    """The six lines to one camera.

    Attributes:
        on: the secondary power is on.
        since: when it was switched on [s].
        limits: over-voltage, under-voltage, over-current [V, A].
        voltages, currents: what is measured [V, A].
        quality, current_quality: 0 fine, 1 over, 2 under; a line that is not fine is off.
        violated: since when a limit is violated [s], by kind and line.
        attached: a camera is plugged in.
    """

    limits: dict[str, list[float]]
    on: bool = False
    since: float = 0.0
    voltages: list[float] = field(default_factory=lambda: [0.0] * 6)
    currents: list[float] = field(default_factory=lambda: [0.0] * 6)
    quality: list[int] = field(default_factory=lambda: [0] * 6)
    current_quality: list[int] = field(default_factory=lambda: [0] * 6)
    violated: dict[tuple[str, int], float] = field(default_factory=dict)
    attached: bool = True

    def carries(self, line: int) -> bool:
        """Returns True when a line is switched through."""
        return self.on and not self.quality[line] and not self.current_quality[line]


class CRIOModel(RackUnit):
    """The cRIO.

    Attributes:
        mode: operating mode.
        outputs: the lines to the N-CAM and the F-CAM.
        clocks: which clock outputs are enabled, by connector.
        signals: which signals arrive from the generators, by `50`, `ccd`, `heater`; set by the rack.
    """

    faults: ClassVar[Mapping[str, str]] = {
        "camera": "a camera is plugged in or out; takes camera [N or F], attached [bool]",
        "emergency": "somebody pushes the emergency button, or releases it; takes pushed [bool]",
    }

    def __init__(self) -> None:
        self.mode = OperatingMode.STANDBY
        self.outputs: dict[Camera, Output] = {
            camera: Output({"OV": list(one.ovp), "UV": list(one.uvp), "OC": list(one.ocp)})
            for camera, one in CAMERAS.items()
        }
        self.clocks = {name: [0] * len(signals) for name, signals in CLOCKS.items()}
        self.signals = {"50": False, "ccd": False, "heater": False}
        self.loopback = LoopBack.NO_LOOPBACK
        self.emergency = False
        self.selftest_result = 0
        self.times = list(TRIP_TIMES)
        self.units_ready = True
        self._selftest_end = 0.0
        self._table = CommandTable(self._commands(), Codes(1, 2, 3, 4, 5))

    # -- DeviceModel

    def handle(self, command: bytes, now: float) -> bytes:
        reply = self._table.execute(command, now)
        self.changed(now)
        return reply.encode("latin-1") + b"\r\n" if reply else b""

    def advance(self, now: float) -> None:
        """Protects the lines and ends a self-test; the rack has put new values on the inputs."""
        for camera, output in self.outputs.items():
            if output.on:
                self._protect(camera, output, now)
        if self.mode == OperatingMode.SELFTEST and now >= self._selftest_end:
            self._end_selftest()

    def break_down(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        match fault, dict(arguments):
            case "camera", {"camera": "N" | "F" as camera, "attached": bool() as attached}:
                self.outputs[camera].attached = attached
            case "emergency", {"pushed": bool() as pushed}:
                self.emergency = pushed
                if pushed:
                    self._enter_standby()
            case _ if fault in self.faults:
                raise FaultError(f"{fault}: {self.faults[fault]}")
            case _:
                super().break_down(fault, arguments, now)

    def describe(self) -> dict[str, Any]:
        return {
            "mode": self.mode.name,
            "clocks": {name: list(states) for name, states in self.clocks.items()},
            "signals": dict(self.signals),
            "outputs": {
                camera: {
                    "on": output.on,
                    "attached": output.attached,
                    "voltages": list(output.voltages),
                    "currents": list(output.currents),
                    "quality": list(output.quality),
                    "current_quality": list(output.current_quality),
                }
                for camera, output in self.outputs.items()
            },
            "errors": list(self._table.errors),
        }

    def clock_runs(self, connector: str, index: int) -> bool:
        """Returns True when a clock output is enabled and its signal is there."""
        return bool(self.clocks[connector][index]) and self.signals[CLOCKS[connector][index]]

    # -- protection

    def _protect(self, camera: Camera, output: Output, now: float) -> None:
        for line in range(6):
            if not output.carries(line):
                continue
            volts, amps = abs(output.voltages[line]), abs(output.currents[line])
            over, under, current = (abs(output.limits[kind][line]) for kind in ("OV", "UV", "OC"))
            for kind, violated in (("OV", volts > over), ("UV", volts < under), ("OC", amps > current)):
                if not violated:
                    output.violated.pop((kind, line), None)
                    continue
                since = output.violated.setdefault((kind, line), now)
                if now - since >= self._patience(camera, kind, line, now - output.since):
                    self._trip(output, kind, line)

    def _patience(self, camera: Camera, kind: str, line: int, age: float) -> float:
        """Returns how long a violation is tolerated [s]: longer while the output starts up."""
        block = 2 * ("OV", "UV", "OC").index(kind) + ("N", "F").index(camera)
        starting = self.times[36 + 6 * block + line] / 1000
        return starting if age <= starting else self.times[6 * block + line] / 1000

    def _trip(self, output: Output, kind: str, line: int) -> None:
        if kind == "OC":
            output.current_quality[line] = 1
        else:
            output.quality[line] = OVER if kind == "OV" else UNDER
        output.voltages[line] = output.currents[line] = 0.0

    # -- modes

    def _set_mode(self, arguments: list[str], now: float) -> None:
        mode = OperatingMode(self._table.whole(arguments, 1, 0, 3)[0])
        if mode == self.mode:
            return
        if mode != OperatingMode.STANDBY and (self.mode != OperatingMode.STANDBY or self.emergency):
            raise RefusedError(NOT_IN_THIS_MODE)
        if mode == OperatingMode.STANDBY:
            self._enter_standby()
            return
        self.mode = mode
        if mode == OperatingMode.SELFTEST:
            self._selftest_end = now + SELFTEST_TIME
            self.selftest_result = 1 if self.loopback else 2

    def _enter_standby(self) -> None:
        if self.mode == OperatingMode.SELFTEST:
            self.selftest_result = 0
        self.mode = OperatingMode.STANDBY
        for output in self.outputs.values():
            self._switch_off(output)
        for states in self.clocks.values():
            states[:] = [0] * len(states)

    def _switch_off(self, output: Output) -> None:
        output.on = False
        output.violated.clear()
        output.voltages[:] = output.currents[:] = [0.0] * 6

    def _end_selftest(self) -> None:
        result = 3 if self.loopback else 4
        loaded = [block for block, output in enumerate(self.outputs.values()) if output.attached]
        if loaded:  # a load where none may be: V_CCD of the first of them, with all its lines
            result = 33 + 6 * loaded[0]
        self._enter_standby()
        self.selftest_result = result

    # -- commands

    def _commands(self) -> dict[str, Handler]:
        commands: dict[str, Handler] = {
            "*IDN?": lambda a, now: "National Instruments, cRIO-9063, SIM001, 01.00",
            "*RST": lambda a, now: self._reset(),
            "*CLS": lambda a, now: self._table.errors.clear(),
            "CNTRL:LOOPBACK": lambda a, now: self._set_loopback(a),
            "CNTRL:LOOPBACK?": lambda a, now: str(int(self.loopback)),
            "CNTRL:MODE": self._set_mode,
            "CNTRL:MODE?": lambda a, now: str(int(self.mode)),
            "MEASure:LED?": lambda a, now: _row(self.leds()),
            "MEASure:ALL:ANALOG?": lambda a, now: self._everything(),
            "SYSTem:ERRor?": lambda a, now: str(self._table.pop()),
            "SYSTem:ERRor:QUANT?": lambda a, now: str(len(self._table.errors)),
            "SYSTem:TEST:RESULT?": lambda a, now: str(self.selftest_result),
            "SYSTem:PROTection?": lambda a, now: _row([int(self.emergency), 0, 0, 0]),
            "SYSTem:TIME:PROTection": lambda a, now: self._set_times(a),
            "SYSTem:TIME:PROTection?": lambda a, now: _row(self.times),
        }
        for camera in self.outputs:
            commands |= self._camera_commands(camera)
        for connector in CLOCKS:
            commands |= self._clock_commands(connector)
        return commands

    def _camera_commands(self, camera: Camera) -> dict[str, Handler]:
        output = self.outputs[camera]
        commands: dict[str, Handler] = {
            f"MEASure:{camera}:CURRent?": lambda a, now: _row(output.currents),
            f"MEASure:{camera}:VOLTage?": lambda a, now: _row(output.voltages),
            f"MEASure:{camera}:VOLTage:QUALity?": lambda a, now: _row(output.quality),
            f"MEASure:{camera}:CURRent:QUALity?": lambda a, now: _row(output.current_quality),
            f"CNTRL:{camera}:OUTPut": lambda a, now: self._switch(output, a, now),
            f"CNTRL:{camera}:OUTPut?": lambda a, now: str(int(output.on)),
        }
        for header, kind in (
            ("CURRent:PROTection", "OC"),
            ("VOLTage:PROTection:OV", "OV"),
            ("VOLTage:PROTection:UV", "UV"),
        ):
            limits = output.limits[kind]
            commands[f"CNTRL:{camera}:{header}"] = lambda a, now, limits=limits: self._set_limits(limits, a)  # type: ignore[misc]
            commands[f"CNTRL:{camera}:{header}?"] = lambda a, now, limits=limits: _row(limits)  # type: ignore[misc]
        return commands

    def _clock_commands(self, connector: str) -> dict[str, Handler]:
        states = self.clocks[connector]
        return {
            f"CNTRL:{connector}:CLOCK": lambda a, now: self._set_clocks(connector, a),
            f"CNTRL:{connector}:CLOCK?": lambda a, now: _row(states),
            f"MEASure:{connector}:CLOCK:QUALity?": lambda a, now: _row(self.clock_faults(connector)),
        }

    def clock_faults(self, connector: str) -> list[int]:
        """Returns for each clock output whether it is enabled and its signal is missing or wrong."""
        return [
            int(bool(on) and not self.signals[s]) for on, s in zip(self.clocks[connector], CLOCKS[connector])
        ]

    def _reset(self) -> None:
        self._enter_standby()
        self.loopback = LoopBack.NO_LOOPBACK
        self.selftest_result = 0
        self._table.errors.clear()

    def _set_loopback(self, arguments: list[str]) -> None:
        option = LoopBack(self._table.whole(arguments, 1, 0, 5)[0])
        if self.mode != OperatingMode.STANDBY:
            raise RefusedError(NOT_IN_THIS_MODE)
        self.loopback = option

    def _switch(self, output: Output, arguments: list[str], now: float) -> None:
        on = bool(self._table.whole(arguments, 1, 0, 1)[0])
        if not on:
            self._switch_off(output)
            return
        if self.mode not in (OperatingMode.ALIGNMENT, OperatingMode.FC_TVAC):
            raise RefusedError(NOT_IN_THIS_MODE)
        output.on, output.since = True, now
        output.violated.clear()
        output.quality[:] = output.current_quality[:] = [0] * 6

    def _set_limits(self, limits: list[float], arguments: list[str]) -> None:
        limits[:] = self._table.numbers(arguments, 6, -50.0, 50.0)

    def _set_times(self, arguments: list[str]) -> None:
        self.times = self._table.numbers(arguments, 72, 0.0, 60_000.0)

    def _set_clocks(self, connector: str, arguments: list[str]) -> None:
        wanted = self._table.whole(arguments, len(CLOCKS[connector]), 0, 1)
        allowed = {OperatingMode.FC_TVAC: ("50", "ccd", "heater"), OperatingMode.ALIGNMENT: ("50",)}.get(
            self.mode, ()
        )
        if connector == "SVM" and self.mode == OperatingMode.ALIGNMENT:
            allowed = ()
        if any(on and signal not in allowed for on, signal in zip(wanted, CLOCKS[connector])):
            raise RefusedError(NOT_IN_THIS_MODE)
        self.clocks[connector][:] = wanted

    def leds(self) -> list[int]:
        """Returns the state of the lamps, in the order of `LEDS`."""
        n, f = self.outputs["N"], self.outputs["F"]
        clocks = self.clocks
        lines = [int(n.carries(line) or f.carries(line)) for line in range(6)]
        faulty = any(any(self.clock_faults(connector)) for connector in CLOCKS)
        return [
            *(int(self.mode == mode) for mode in (OperatingMode.STANDBY, OperatingMode.SELFTEST)),
            *(int(self.mode == mode) for mode in (OperatingMode.FC_TVAC, OperatingMode.ALIGNMENT)),
            int(n.on),
            int(f.on),
            *lines,
            int(any(n.quality) or any(f.quality)),
            int(any(n.current_quality) or any(f.current_quality)),
            int(faulty),
            int(any((clocks["N"][0], *clocks["F"][:2], *clocks["SVM"][:2]))),
            int(any((clocks["N"][1], *clocks["F"][2:]))),
            int(any(clocks["SVM"][2:])),
            int(clocks["F"][0] or clocks["F"][2]),
            int(clocks["F"][1] or clocks["F"][3]),
            int(self.loopback != LoopBack.NO_LOOPBACK),
        ]

    def _everything(self) -> str:
        n, f = self.outputs["N"], self.outputs["F"]
        return _row([*n.currents, *f.currents, *n.voltages, *f.voltages, *self.leds()])


def _row(values: Sequence[float]) -> str:
    return ", ".join(str(value) if isinstance(value, int) else f"{value:.4f}" for value in values)
