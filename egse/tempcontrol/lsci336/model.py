"""The LakeShore 336 as a client sees it: messages in, replies out, no I/O."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from egse.simulator import DeviceModel, FaultError
from egse.simulator.thermal import ROOM_TEMPERATURE
from egse.tempcontrol.lsci336.fields import (
    ArgumentError,
    InputLetter,
    Real,
    UnknownCommandError,
    Whole,
    parse_unit,
    split_arguments,
    split_message,
)
from egse.tempcontrol.lsci336.instrument import Instrument
from egse.tempcontrol.lsci336.registers import INPUTS, SCANNER_INPUTS, RegisterFile, registers
from egse.tempcontrol.lsci336.sensors import CurveStore
from egse.tempcontrol.lsci336.status import Event, StatusRegisters

LOGGER = logging.getLogger("egse.tempcontrol.lsci336")

IDENTIFICATION = "LSCI,MODEL336,LSASIM1/LSOSIM1,2.9"
PORT = 7777
"""TCP port when the settings name none."""
BLOCK_TEMPERATURE = 295.0
"""Of the thermocouple terminals [K]."""

_OUTPUT, _HEATER, _BYTE = Whole(1, 4), Whole(1, 2), Whole(0, 255)
_CURVE, _POINT = Whole(1, 59), Whole(1, 200)
_SENSOR_VALUE, _CURVE_TEMPERATURE = Real(-1e6, 1e6), Real(0.0, 9999.0)

Query = Callable[[list[str]], str]
Command = Callable[[list[str]], None]


class LakeShore336Model(DeviceModel):
    """A LakeShore 336 with four inputs (eight with the scanner option), two heaters and two voltage outputs.

    What a command sets is kept in the register table; what is measured or computed comes from `instrument`.

    Args:
        seed: of the noise of the readings.
        scanner: with the scanner option, inputs D2..D5.
        bath: temperature of the surroundings [K].
    """

    step_interval = 0.1
    faults: ClassVar[Mapping[str, str]] = {
        "sensor_open": "the wire of an input breaks; takes input",
        "sensor_short": "an input is shorted; takes input",
        "sensor_ok": "the input is repaired; takes input",
        "heater_open": "the wire of a heater breaks; takes output",
        "heater_short": "a heater is shorted; takes output",
        "heater_ok": "the heater is repaired; takes output",
        "bath": "the surroundings change; takes temperature [K] and optionally input (default: all)",
        "temperature": "an input jumps; takes input and temperature [K]",
    }

    def __init__(self, seed: int = 0, *, scanner: bool = False, bath: float = ROOM_TEMPERATURE) -> None:
        names = INPUTS + SCANNER_INPUTS if scanner else INPUTS
        self.settings = RegisterFile(registers(names))
        self.curves = CurveStore()
        self.status = StatusRegisters()
        self.instrument = Instrument(self.settings, self.curves, self.status, names, seed, bath)
        self._input = InputLetter(names)
        self._queries = self._query_table()
        self._commands = self._command_table()

    # -- DeviceModel

    def step(self, now: float) -> None:
        self.instrument.step(now)

    def handle(self, command: bytes, now: float) -> bytes:
        """Executes one message of commands and queries joined by `;`; returns the replies joined by `;` and CR LF."""
        replies = []
        for unit in split_message(command.decode("ascii", errors="replace")):
            try:
                reply = self._execute(unit)
            except UnknownCommandError:
                LOGGER.debug("unknown command %r", unit)
                self.status.set(Event.COMMAND_ERROR)
            except ArgumentError as exc:
                LOGGER.debug("%r: %s", unit, exc)
                self.status.set(Event.EXECUTION_ERROR)
            else:
                if reply is not None:
                    replies.append(reply)
        return ";".join(replies).encode() + b"\r\n" if replies else b""

    def inject(self, fault: str, arguments: Mapping[str, Any], now: float) -> None:
        if fault not in self.faults:
            super().inject(fault, arguments, now)
        try:
            self._inject(fault, arguments)
        except (ArgumentError, KeyError, TypeError) as exc:
            raise FaultError(f"{fault}: {self.faults[fault]} ({exc})") from exc

    def describe(self) -> dict[str, Any]:
        inputs = {
            name: {"temperature": one.lump.temperature, "bath": one.lump.bath, "fault": one.fault}
            for name, one in self.instrument.inputs.items()
        }
        outputs = {
            str(number): {"percent": o.percent, "power": o.power(self.settings), "setpoint": o.setpoint}
            for number, o in self.instrument.outputs.items()
        }
        return {"inputs": inputs, "outputs": outputs}

    def temperature(self, name: str) -> float:
        """Returns the true temperature at an input [K], for other models."""
        return self.instrument.inputs[name].lump.temperature

    # -- commands

    def _execute(self, unit: str) -> str | None:
        header, is_query, text = parse_unit(unit)
        if is_query:
            if header in self._queries:
                return self._queries[header](split_arguments(text))
            if header in self.settings.table:
                return self.settings.read(header, text)
        elif header in self._commands:
            self._commands[header](split_arguments(text))
            return None
        elif header in self.settings.table:
            self.settings.write(header, text)
            return None
        raise UnknownCommandError(header)

    def _query_table(self) -> dict[str, Query]:
        instrument, status = self.instrument, self.status
        one_input = self._input
        return {
            "*IDN": lambda a: IDENTIFICATION,
            "*ESR": lambda a: f"{status.take_events():03d}",
            "*ESE": lambda a: f"{status.event_mask:03d}",
            "*SRE": lambda a: f"{status.request_mask:03d}",
            "*STB": lambda a: f"{status.byte:03d}",
            "*OPC": lambda a: "1",
            "*TST": lambda a: "0",
            "TST": lambda a: "0",
            "OPST": lambda a: f"{instrument.operation_condition():03d}",
            "OPSTE": lambda a: f"{status.operation_mask:03d}",
            "OPSTR": lambda a: f"{status.take_operation_events():03d}",
            "KRDG": self._reading(instrument.kelvin),
            "CRDG": self._reading(instrument.celsius),
            "SRDG": self._reading(instrument.sensor_units, "+.5f"),
            "RDGST": lambda a: f"{instrument.reading_status(_one(a, one_input)):03d}",
            "TEMP": lambda a: f"{BLOCK_TEMPERATURE:+.3f}",
            "MDAT": self._extremes,
            "ALARMST": self._alarm_status,
            "HTR": lambda a: f"{instrument.outputs[_one(a, _HEATER)].percent:+06.1f}",
            "AOUT": lambda a: f"{instrument.outputs[_one(a, Whole(3, 4))].percent:+06.1f}",
            "HTRST": self._heater_status,
            "RAMPST": lambda a: str(int(instrument.outputs[_one(a, _OUTPUT)].ramping)),
            "TUNEST": self._tuning_status,
            "RELAYST": lambda a: str(int(instrument.relay_closed(_one(a, Whole(1, 2))))),
            "CRVPT": self._curve_point,
            "NETID": lambda a: (
                "1,127.0.0.1,255.0.0.0,0.0.0.0,0.0.0.0,0.0.0.0,00:00:00:00:00:00,LSCI-336,local"
            ),
        }

    def _command_table(self) -> dict[str, Command]:
        status = self.status
        return {
            "*CLS": lambda a: status.clear(),
            "*RST": lambda a: self._power_up(),
            "*ESE": lambda a: setattr(status, "event_mask", _one(a, _BYTE)),
            "*SRE": lambda a: setattr(status, "request_mask", _one(a, _BYTE)),
            "*OPC": lambda a: status.set(Event.OPERATION_COMPLETE),
            "*WAI": lambda a: None,
            "OPSTE": lambda a: setattr(status, "operation_mask", _one(a, _BYTE)),
            "MNMXRST": lambda a: self._for_all_inputs(lambda one: one.reset_extremes()),
            "ALMRST": lambda a: self._for_all_inputs(lambda one: one.__dict__.update(high=False, low=False)),
            "ATUNE": self._autotune,
            "CRVPT": self._set_curve_point,
            "CRVDEL": self._delete_curve,
            "DFLT": self._factory_defaults,
        }

    def _reading(self, read: Callable[[str], float], form: str = "+.3f") -> Query:
        def query(arguments: list[str]) -> str:
            names = INPUTS if arguments == ["0"] else (_one(arguments, self._input),)
            return ",".join(format(read(name), form) for name in names)

        return query

    def _extremes(self, arguments: list[str]) -> str:
        one = self.instrument.inputs[_one(arguments, self._input)]
        return f"{one.minimum:+.3f},{one.maximum:+.3f}"

    def _alarm_status(self, arguments: list[str]) -> str:
        one = self.instrument.inputs[_one(arguments, self._input)]
        return f"{int(one.high)},{int(one.low)}"

    def _heater_status(self, arguments: list[str]) -> str:
        output = self.instrument.outputs[_one(arguments, _HEATER)]
        detected, output.heater_status = output.heater_status, 0
        return str(detected)

    def _tuning_status(self, arguments: list[str]) -> str:
        tune = self.instrument.autotune
        return f"{int(tune.left > 0)},{tune.output},{int(tune.failed)},{tune.stage}"

    def _autotune(self, arguments: list[str]) -> None:
        output, mode = _all(arguments, _OUTPUT, Whole(0, 2))
        self.instrument.start_autotune(output, mode)

    def _curve_point(self, arguments: list[str]) -> str:
        units, kelvin = self.curves.point(*_all(arguments, _CURVE, _POINT))
        return f"{units:+.5f},{kelvin:+.3f}"

    def _set_curve_point(self, arguments: list[str]) -> None:
        curve, index, units, kelvin = _all(arguments, _CURVE, _POINT, _SENSOR_VALUE, _CURVE_TEMPERATURE)
        self.curves.set_point(curve, index, (units, kelvin))

    def _delete_curve(self, arguments: list[str]) -> None:
        number = _one(arguments, Whole(21, 59))
        self.curves.delete(number)
        self.settings.set("CRVHDR", number, values=self.settings.table["CRVHDR"].factory_values((number,)))

    def _power_up(self) -> None:
        """`*RST`: the state after power-up; heaters without power-up enable are off, settings stay [own proposal]."""
        for output in self.instrument.outputs.values():
            if not self.settings.get("OUTMODE", output.number)[2]:
                self.instrument.switch_off(output)
        self.instrument.autotune = type(self.instrument.autotune)()
        self.settings.set("MODE", values=(1,))

    def _factory_defaults(self, arguments: list[str]) -> None:
        _one(arguments, Whole(99, 99))
        self.settings.reset()
        self._power_up()

    def _for_all_inputs(self, act: Callable[[Any], None]) -> None:
        for one in self.instrument.inputs.values():
            act(one)

    # -- faults

    def _inject(self, fault: str, arguments: Mapping[str, Any]) -> None:
        part, _, state = fault.partition("_")
        if part == "sensor":
            one = self.instrument.inputs[self._input.parse(str(arguments["input"]))]
            one.fault = "" if state == "ok" else state
        elif part == "heater":
            output = self.instrument.outputs[_HEATER.parse(str(arguments["output"]))]
            output.heater_error = {"ok": 0, "open": 1, "short": 2}[state]
        else:
            kelvin = _CURVE_TEMPERATURE.parse(str(arguments["temperature"]))
            chosen = arguments["input"] if fault == "temperature" else arguments.get("input")
            names = self.instrument.inputs if chosen is None else [self._input.parse(str(chosen))]
            for name in names:
                setattr(self.instrument.inputs[name].lump, fault, kelvin)


def _one(arguments: list[str], field: Any) -> Any:
    return _all(arguments, field)[0]


def _all(arguments: list[str], *fields: Any) -> list[Any]:
    if len(arguments) != len(fields):
        raise ArgumentError(f"expected {len(fields)} arguments, got {len(arguments)}")
    return [field.parse(text) for field, text in zip(fields, arguments, strict=True)]
