"""The analogue side of a LakeShore 336: sensors, heaters, loops, alarms, on a grid of 10 updates per second."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from egse.simulator.thermal import ROOM_TEMPERATURE, Lump
from egse.tempcontrol.lsci336.control import CLOSED_LOOP, MONITOR, OPEN_LOOP, WARM_UP, ZONE, Output
from egse.tempcontrol.lsci336.registers import OUTPUTS, RegisterFile
from egse.tempcontrol.lsci336.sensors import CurveStore, to_kelvin, to_sensor
from egse.tempcontrol.lsci336.status import Operation, StatusRegisters

UPDATE_RATE = 10
"""Readings and loop updates per second [Hz]."""
NOISE = 0.002
"""Standard deviation of a reading [K, own proposal]."""
ZERO_CELSIUS = 273.15

INVALID, TEMPERATURE_LOW, TEMPERATURE_HIGH, UNITS_ZERO, UNITS_HIGH = 1, 16, 32, 64, 128
"""Bits of a reading's status (`RDGST?`)."""

AUTOTUNE_SECONDS = 30.0
"""How long an autotune takes [s, own proposal]."""
TUNED = (40.0, 16.7, 0.0)
"""P, I, D that an autotune finds for the thermal model."""


@dataclass
class Input:
    """One sensor input.

    Attributes:
        lump: what the sensor is glued to.
        fault: "", "open" or "short".
        filtered: running average of the readings [K], None while the filter is off.
        minimum, maximum: extremes since the last reset [K].
        high, low: alarm states.
    """

    name: str
    lump: Lump = field(default_factory=Lump)
    fault: str = ""
    filtered: float | None = None
    minimum: float = 0.0
    maximum: float = 0.0
    high: bool = False
    low: bool = False

    def settle(self, power: float, seconds: float) -> None:
        """Lets time [s] pass with constant heat [W]."""
        self.lump.settle(power, seconds)
        temperature = self.lump.temperature
        if temperature > self.maximum:
            self.maximum = temperature
        elif temperature < self.minimum:
            self.minimum = temperature

    def reset_extremes(self) -> None:
        """Minimum and maximum start again from the present temperature."""
        self.minimum = self.maximum = self.lump.temperature


@dataclass
class Autotune:
    """A tuning in progress or the result of the last one."""

    output: int = 0
    mode: int = 0
    left: float = 0.0
    failed: bool = False

    @property
    def stage(self) -> int:
        """1..5 while tuning, 0 otherwise."""
        return 1 + int(5 * (1 - self.left / AUTOTUNE_SECONDS)) if self.left > 0 else 0


class Instrument:
    """Sensors, loops and heaters, driven by the settings.

    Args:
        settings: the registers, shared with the command side.
        curves: sensor curves, shared with the command side.
        status: where operation events go.
        inputs: names of the inputs.
        seed: of the noise.
        bath: temperature of the surroundings, and of everything at the beginning [K].
    """

    def __init__(
        self,
        settings: RegisterFile,
        curves: CurveStore,
        status: StatusRegisters,
        inputs: tuple[str, ...],
        seed: int = 0,
        bath: float = ROOM_TEMPERATURE,
    ) -> None:
        self.settings = settings
        self.curves = curves
        self.status = status
        self.inputs = {name: Input(name, Lump(bath, bath)) for name in inputs}
        self.outputs = {number: Output(number) for number in OUTPUTS}
        self.autotune = Autotune()
        self._names = inputs
        self._seed = seed
        self._epoch: float | None = None
        self._ticks = 0
        for one in self.inputs.values():
            one.reset_extremes()

    # -- time

    def step(self, now: float) -> None:
        """Runs all updates that are due at `now` [s]."""
        if self._epoch is None:
            self._epoch = now
        due = int((now - self._epoch) * UPDATE_RATE + 1e-6) - self._ticks
        if due <= 0:
            return
        self._advance(due)
        self._ticks += due
        self.status.operation_events |= self.operation_condition() | Operation.NEW_READING

    def _advance(self, ticks: int) -> None:
        """Runs updates; what is switched off needs only one exact step, however many they are."""
        working = [output for output in self.outputs.values() if self._active(output)]
        for output in self.outputs.values():
            if output not in working:
                self._drive(output, ticks / UPDATE_RATE)
        watched = [one for one in self.inputs.values() if self._is_watched(one)]
        filtering = any(self.settings.get("FILTER", one.name)[0] for one in watched)
        if not working and not filtering and self.autotune.left <= 0:
            self._update(ticks / UPDATE_RATE, working, watched)
        else:
            for _ in range(ticks):
                self._update(1 / UPDATE_RATE, working, watched)

    def _active(self, output: Output) -> bool:
        mode = self.settings.get("OUTMODE", output.number)[0]
        return bool(mode and (mode == MONITOR or self.settings.get("RANGE", output.number)[0]))

    def _is_watched(self, one: Input) -> bool:
        get = self.settings.get
        if get("FILTER", one.name)[0] or get("ALARM", one.name)[0] or get("TLIMIT", one.name)[0]:
            return True
        one.filtered, one.high, one.low = None, False, False
        return False

    def _update(self, seconds: float, working: list[Output], watched: list[Input]) -> None:
        for output in working:
            self._drive(output, seconds)
        heat = self._heat(working)
        for name, one in self.inputs.items():
            one.settle(heat.get(name, 0.0), seconds)
        for one in watched:
            self._watch(one)
        if self.autotune.left > 0:
            self._tune(seconds)

    # -- outputs

    def _drive(self, output: Output, seconds: float) -> None:
        settings, number = self.settings, output.number
        ramp_on, rate = settings.get("RAMP", number)
        zone = output.zone(settings)
        rate = zone[7] if zone is not None else rate
        if output.move_setpoint(self.setpoint_in_kelvin(output), rate if ramp_on else None, seconds):
            self.status.operation_events |= {1: Operation.RAMP_1_DONE, 2: Operation.RAMP_2_DONE}.get(
                number, 0
            )
        if not self._active(output):
            output.off()
        elif output.heater_error:
            output.heater_status = output.heater_error
            self.switch_off(output)
        else:
            self._regulate(output, seconds)

    def _regulate(self, output: Output, seconds: float) -> None:
        settings, number = self.settings, output.number
        mode = settings.get("OUTMODE", number)[0]
        sensor = self._input(output.control_input(settings))
        if mode == OPEN_LOOP:
            output.percent = settings.get("MOUT", number)[0]
        elif mode == MONITOR:
            source, units, high, low, polarity = settings.get("ANALOG", number)
            value = self._in_units(source, units)
            output.monitor(value, high, low, bool(polarity))
        elif sensor is None or self.reading_status(sensor.name):
            output.off()  # never heat blindly
        elif mode in (CLOSED_LOOP, ZONE):
            zone = output.zone(settings)
            pid = settings.get("PID", number) if zone is None else zone[1:4]
            manual = settings.get("MOUT", number)[0] if zone is None else zone[4]
            output.regulate(sensor.lump.temperature, pid, manual, seconds)
        elif mode == WARM_UP:
            continuous, percent = settings.get("WARMUP", number)
            if output.warm_up(sensor.lump.temperature, bool(continuous), percent):
                self.switch_off(output)

    def switch_off(self, output: Output) -> None:
        """Sets the range of an output to off, as the instrument does by itself when something is wrong."""
        self.settings.set("RANGE", output.number, values=(0,))
        output.off()

    def _heat(self, working: list[Output]) -> dict[str, float]:
        """Returns the heat into each input's lump [W]: a heater warms what it controls, else its own namesake."""
        heat: dict[str, float] = {}
        for output in working:
            if output.percent:
                sensor = self._input(output.control_input(self.settings) or output.number)
                if sensor is not None:
                    heat[sensor.name] = heat.get(sensor.name, 0.0) + output.power(self.settings)
        return heat

    def _tune(self, seconds: float) -> None:
        tune = self.autotune
        tune.left -= seconds
        if not self._active(self.outputs[tune.output]):
            tune.left, tune.failed = 0.0, True
        elif tune.left <= 0:
            before = self.settings.get("PID", tune.output)
            found = (*TUNED[: tune.mode + 1], *before[tune.mode + 1 :])
            self.settings.set("PID", tune.output, values=found)
            self.status.operation_events |= Operation.AUTOTUNE_DONE

    def start_autotune(self, number: int, mode: int) -> None:
        """Starts tuning; it fails at once when the output is not in closed loop or switched off."""
        closed = self.settings.get("OUTMODE", number)[0] == CLOSED_LOOP
        failed = not (closed and self.settings.get("RANGE", number)[0])
        self.autotune = Autotune(number, mode, 0.0 if failed else AUTOTUNE_SECONDS, failed)

    def setpoint_in_kelvin(self, output: Output) -> float:
        """Returns the commanded set point [K]; it is commanded in the units of the control input."""
        value = float(self.settings.get("SETP", output.number)[0])
        sensor = self._input(output.control_input(self.settings))
        units = self.settings.get("INTYPE", sensor.name)[4] if sensor is not None else 1
        if units == 2:
            return value + ZERO_CELSIUS
        points = self._curve(sensor.name) if sensor is not None else []
        return to_kelvin(points, value) if units == 3 and len(points) >= 2 else value

    # -- inputs

    def _input(self, number: int) -> Input | None:
        return self.inputs[self._names[number - 1]] if 1 <= number <= len(self._names) else None

    def _curve(self, name: str) -> list[tuple[float, float]]:
        return self.curves.points(int(self.settings.get("INCRV", name)[0]))

    def reading_status(self, name: str) -> int:
        """Returns the bits of `RDGST?` for an input."""
        points = self._curve(name)
        if self.settings.get("INTYPE", name)[0] == 0 or len(points) < 2:
            return INVALID
        fault = self.inputs[name].fault
        if fault:
            return UNITS_HIGH if fault == "open" else UNITS_ZERO
        temperature = self.inputs[name].lump.temperature
        if temperature < points[0][1]:
            return TEMPERATURE_LOW
        return TEMPERATURE_HIGH if temperature > points[-1][1] else 0

    def kelvin(self, name: str) -> float:
        """Returns the reading of an input [K]; 0 when there is none."""
        if self.reading_status(name) & (INVALID | UNITS_ZERO | UNITS_HIGH):
            return 0.0
        one = self.inputs[name]
        value = one.lump.temperature if one.filtered is None else one.filtered
        noise = random.Random(f"{self._seed}/{name}/{self._ticks}").gauss(0.0, NOISE)
        return value + noise

    def celsius(self, name: str) -> float:
        """Returns the reading of an input [degC]; 0 when there is none."""
        kelvin = self.kelvin(name)
        return kelvin - ZERO_CELSIUS if kelvin else 0.0

    def sensor_units(self, name: str) -> float:
        """Returns the reading of an input in the units of its sensor (V, ohm, mV)."""
        points = self._curve(name)
        if self.reading_status(name) & (INVALID | UNITS_ZERO | UNITS_HIGH) or len(points) < 2:
            return 0.0
        return to_sensor(points, self.kelvin(name))

    def _in_units(self, number: int, units: int) -> float:
        one = self._input(number)
        if one is None:
            return 0.0
        return {1: self.kelvin, 2: self.celsius, 3: self.sensor_units}[units](one.name)

    def _watch(self, one: Input) -> None:
        value = one.lump.temperature
        filter_on, points, window = self.settings.get("FILTER", one.name)
        if not filter_on:
            one.filtered = None
        elif one.filtered is None or abs(value - one.filtered) > window / 100.0 * value:
            one.filtered = value
        else:
            one.filtered += (value - one.filtered) / points
        self._watch_alarm(one, value)
        limit = self.settings.get("TLIMIT", one.name)[0]
        if limit and value > limit:
            for output in self.outputs.values():
                self.switch_off(output)

    def _watch_alarm(self, one: Input, value: float) -> None:
        enabled, high, low, deadband, latching, _, _ = self.settings.get("ALARM", one.name)
        if not enabled:
            one.high = one.low = False
            return
        one.high = value > high or (one.high and (bool(latching) or value > high - deadband))
        one.low = value < low or (one.low and (bool(latching) or value < low + deadband))

    def operation_condition(self) -> int:
        """Returns the present state of the operation status register."""
        condition = 0
        if any(one.high or one.low for one in self.inputs.values()):
            condition |= Operation.ALARM
        if any(one.fault for one in self.inputs.values()):
            condition |= Operation.SENSOR_OVERLOAD
        return condition

    def relay_closed(self, number: int) -> bool:
        """Returns True when a relay is energised."""
        mode, name, kind = self.settings.get("RELAY", number)
        if mode != 2:
            return bool(mode)
        one = self.inputs[name]
        return {0: one.low, 1: one.high, 2: one.low or one.high}[kind]
