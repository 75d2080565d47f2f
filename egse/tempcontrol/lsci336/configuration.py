"""The commands of the LakeShore 336 by which it is set up: sensors, curves, alarms, zones, voltage outputs, relays."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, Literal

from egse.command import Range, Unit
from egse.tempcontrol.lsci336.messages import flag, named, question, row, setting

Channel = Literal["A", "B", "C", "D"]
OutputNumber = Annotated[int, Range(1, 4)]
VoltageOutput = Annotated[int, Range(3, 4)]
RelayNumber = Annotated[int, Range(1, 2)]
CurveNumber = Annotated[int, Range(1, 59)]
UserCurve = Annotated[int, Range(21, 59)]
PointNumber = Annotated[int, Range(1, 200)]
InputNumber = Annotated[int, Range(0, 8)]
Percent = Annotated[float, Range(0, 100), Unit("%")]


class SensorType(IntEnum):
    """Kind of sensor at an input."""

    OFF = 0
    DIODE = 1
    PLATINUM_RTD = 2
    NTC_RTD = 3
    THERMOCOUPLE = 4
    CAPACITANCE = 5


class SensorUnits(IntEnum):
    """Units of a control input and of its set point."""

    KELVIN = 1
    CELSIUS = 2
    SENSOR = 3


class InterfaceMode(IntEnum):
    """Who may use the front panel."""

    LOCAL = 0
    REMOTE = 1
    LOCKED = 2


class SensorCommands:
    """What is connected to the inputs, and how it is read."""

    @question("INTYPE? {channel}", named(sensor=int, autorange=flag, range=int, compensation=flag, units=int))
    def get_input_type(self, channel: Channel) -> dict[str, Any]:
        """Returns how an input is set up; keys as the arguments of `set_input_type`.

        Args:
            channel: letter of the input.
        """

    @setting("INTYPE {channel},{sensor:d},{autorange:d},{range},{compensation:d},{units:d}")
    def set_input_type(
        self,
        channel: Channel,
        sensor: SensorType,
        autorange: bool,
        range: Annotated[int, Range(0, 8)],
        compensation: bool,
        units: SensorUnits,
    ) -> None:
        """Says what is connected to an input.

        Args:
            channel: letter of the input.
            sensor: kind of sensor.
            autorange: the instrument chooses the range.
            range: index: diode 0 to 1, resistors 0 to 8 (10 ohm to 100 kohm), thermocouple 0.
            compensation: reverses the current (or compensates the room, for thermocouples).
            units: of the control input.
        """

    @question("INCRV? {channel}", int)
    def get_input_curve(self, channel: Channel) -> int:
        """Returns the number of the curve of an input, 0 for none.

        Args:
            channel: letter of the input.
        """

    @setting("INCRV {channel},{curve}")
    def set_input_curve(self, channel: Channel, curve: Annotated[int, Range(0, 59)]) -> None:
        """Chooses the curve of an input.

        Args:
            channel: letter of the input.
            curve: number; 0 none, 1 to 20 standard, 21 to 59 user.
        """

    @question("FILTER? {channel}", named(on=flag, points=int, window=int))
    def get_filter(self, channel: Channel) -> dict[str, Any]:
        """Returns the filter of an input; keys as the arguments of `set_filter`.

        Args:
            channel: letter of the input.
        """

    @setting("FILTER {channel},{on:d},{points},{window}")
    def set_filter(
        self,
        channel: Channel,
        on: bool,
        points: Annotated[int, Range(2, 64)],
        window: Annotated[int, Range(1, 10), Unit("%")],
    ) -> None:
        """Averages the readings of an input.

        Args:
            channel: letter of the input.
            on: filter or not.
            points: over so many readings.
            window: a step larger than this starts the average anew.
        """

    @question("DIOCUR? {channel}", flag)
    def is_diode_current_high(self, channel: Channel) -> bool:
        """Returns True when a diode gets 1 mA, False for 10 uA.

        Args:
            channel: letter of the input.
        """

    @setting("DIOCUR {channel},{high:d}")
    def set_diode_current(self, channel: Channel, high: bool) -> None:
        """Chooses the current of a diode.

        Args:
            channel: letter of the input.
            high: 1 mA instead of 10 uA.
        """

    @question("MDAT? {channel}", named(minimum=float, maximum=float))
    def get_extremes(self, channel: Channel) -> dict[str, float]:
        """Returns the lowest and highest temperature since the last reset [K]; keys minimum, maximum.

        Args:
            channel: letter of the input.
        """

    @setting("MNMXRST")
    def reset_extremes(self) -> None:
        """Minima and maxima of all inputs begin anew."""

    @question("TEMP?", float)
    def get_terminal_temperature(self) -> Annotated[float, Unit("K")]:
        """Returns the temperature of the terminal block, to which thermocouples are compared [K]."""


class AlarmCommands:
    """Alarms and relays."""

    @question(
        "ALARM? {channel}",
        named(on=flag, high=float, low=float, deadband=float, latch=flag, audible=flag, visible=flag),
    )
    def get_alarm(self, channel: Channel) -> dict[str, Any]:
        """Returns the alarm of an input; keys as the arguments of `set_alarm`.

        Args:
            channel: letter of the input.
        """

    @setting("ALARM {channel},{on:d},{high},{low},{deadband},{latch:d},{audible:d},{visible:d}")
    def set_alarm(
        self,
        channel: Channel,
        on: bool,
        high: float,
        low: float,
        deadband: float,
        latch: bool,
        audible: bool,
        visible: bool,
    ) -> None:
        """Sets the alarm of an input, in the units of that input.

        Args:
            channel: letter of the input.
            on: alarm or none.
            high, low: limits.
            deadband: the alarm ends so far inside of them.
            latch: it stays until `reset_alarms`.
            audible, visible: how it is told.
        """

    @question("ALARMST? {channel}", named(high=flag, low=flag))
    def get_alarm_status(self, channel: Channel) -> dict[str, bool]:
        """Returns which alarms of an input there are; keys high, low.

        Args:
            channel: letter of the input.
        """

    @setting("ALMRST")
    def reset_alarms(self) -> None:
        """Ends the alarms that are latched."""

    @question("RELAY? {relay}", named(mode=int, channel=str.strip, alarm=int))
    def get_relay(self, relay: RelayNumber) -> dict[str, Any]:
        """Returns what switches a relay; keys as the arguments of `set_relay`.

        Args:
            relay: 1 or 2.
        """

    @setting("RELAY {relay},{mode},{channel},{alarm}")
    def set_relay(
        self,
        relay: RelayNumber,
        mode: Annotated[int, Range(0, 2)],
        channel: Channel,
        alarm: Annotated[int, Range(0, 2)],
    ) -> None:
        """Says what switches a relay.

        Args:
            relay: 1 or 2.
            mode: 0 off, 1 on, 2 by alarm.
            channel: input whose alarm it is.
            alarm: 0 low, 1 high, 2 both.
        """

    @question("RELAYST? {relay}", flag)
    def is_relay_on(self, relay: RelayNumber) -> bool:
        """Returns True while a relay is energised.

        Args:
            relay: 1 or 2.
        """


class CurveCommands:
    """Sensor curves; 21 to 59 are those of the user."""

    @question(
        "CRVHDR? {curve}", named(name=str.rstrip, serial=str.rstrip, format=int, limit=float, coefficient=int)
    )
    def get_curve_header(self, curve: CurveNumber) -> dict[str, Any]:
        """Returns the header of a curve; keys as the arguments of `set_curve_header`.

        Args:
            curve: number.
        """

    @setting('CRVHDR {curve},"{name}","{serial}",{format},{limit},{coefficient}')
    def set_curve_header(
        self,
        curve: UserCurve,
        name: str,
        serial: str,
        format: Annotated[int, Range(1, 4)],
        limit: Annotated[float, Range(0, 9999), Unit("K")],
        coefficient: Annotated[int, Range(1, 2)],
    ) -> None:
        """Begins a curve.

        Args:
            curve: number.
            name: up to 15 characters.
            serial: up to 10 characters.
            format: 1 mV/K, 2 V/K, 3 ohm/K, 4 log ohm/K.
            limit: highest temperature.
            coefficient: 1 negative, 2 positive.
        """

    @question("CRVPT? {curve},{point}", row(float, float))
    def get_curve_point(self, curve: CurveNumber, point: PointNumber) -> tuple[float, float]:
        """Returns a point of a curve: sensor units and temperature [K]; zeros for none.

        Args:
            curve, point: numbers.
        """

    @setting("CRVPT {curve},{point},{value},{temperature}")
    def set_curve_point(
        self,
        curve: UserCurve,
        point: PointNumber,
        value: float,
        temperature: Annotated[float, Range(0, 9999), Unit("K")],
    ) -> None:
        """Writes a point of a curve.

        Args:
            curve, point: numbers.
            value: in sensor units.
            temperature: at that value.
        """

    @setting("CRVDEL {curve}")
    def delete_curve(self, curve: UserCurve) -> None:
        """Removes a curve.

        Args:
            curve: number.
        """


class OutputSetupCommands:
    """Zones, warm-up, voltage outputs, front panel."""

    @question(
        "ZONE? {output},{zone}",
        named(upper=float, p=float, i=float, d=float, manual=float, range=int, input=int, rate=float),
    )
    def get_zone(self, output: OutputNumber, zone: Annotated[int, Range(1, 10)]) -> dict[str, Any]:
        """Returns a zone of an output; keys as the arguments of `set_zone`.

        Args:
            output, zone: numbers.
        """

    @setting("ZONE {output},{zone},{upper},{p},{i},{d},{manual},{range},{input},{rate}")
    def set_zone(
        self,
        output: OutputNumber,
        zone: Annotated[int, Range(1, 10)],
        upper: Annotated[float, Unit("K")],
        p: Annotated[float, Range(0.1, 1000)],
        i: Annotated[float, Range(0.1, 1000)],
        d: Annotated[float, Range(0, 200)],
        manual: Percent,
        range: Annotated[int, Range(0, 3)],
        input: InputNumber,
        rate: Annotated[float, Range(0.1, 100), Unit("K/min")],
    ) -> None:
        """Sets a zone: how an output in zone mode controls up to a temperature.

        Args:
            output, zone: numbers.
            upper: the zone ends here.
            p, i, d: control parameters.
            manual: manual output.
            range: heater range.
            input: control input, 0 for that of the output mode.
            rate: of ramps.
        """

    @question("WARMUP? {output}", named(continuous=flag, percent=float))
    def get_warmup(self, output: VoltageOutput) -> dict[str, Any]:
        """Returns the warm-up of a voltage output; keys as the arguments of `set_warmup`.

        Args:
            output: 3 or 4.
        """

    @setting("WARMUP {output},{continuous:d},{percent}")
    def set_warmup(self, output: VoltageOutput, continuous: bool, percent: Percent) -> None:
        """Sets the warm-up of a voltage output.

        Args:
            output: 3 or 4.
            continuous: it goes on after the set point was reached, instead of switching off.
            percent: what is put out.
        """

    @question("ANALOG? {output}", named(input=int, units=int, high=float, low=float, bipolar=flag))
    def get_monitor_output(self, output: VoltageOutput) -> dict[str, Any]:
        """Returns what a voltage output monitors; keys as the arguments of `set_monitor_output`.

        Args:
            output: 3 or 4.
        """

    @setting("ANALOG {output},{input},{units:d},{high},{low},{bipolar:d}")
    def set_monitor_output(
        self,
        output: VoltageOutput,
        input: InputNumber,
        units: SensorUnits,
        high: float,
        low: float,
        bipolar: bool,
    ) -> None:
        """Says what a voltage output monitors, in monitor mode.

        Args:
            output: 3 or 4.
            input: which input.
            units: of the limits.
            high, low: value at full and at no (bipolar: full negative) output.
            bipolar: -10 to 10 V instead of 0 to 10 V.
        """

    @question("AOUT? {output}", float)
    def get_analog_output(self, output: VoltageOutput) -> Annotated[float, Unit("%")]:
        """Returns what a voltage output puts out [%].

        Args:
            output: 3 or 4.
        """

    @question("MODE?", lambda text: InterfaceMode(int(text)))
    def get_interface_mode(self) -> InterfaceMode:
        """Returns who may use the front panel."""

    @setting("MODE {mode:d}")
    def set_interface_mode(self, mode: InterfaceMode) -> None:
        """Says who may use the front panel.

        Args:
            mode: local, remote, or remote with the front panel locked.
        """

    @question("OPST?", int)
    def get_operation_status(self) -> int:
        """Returns the operation status: 1 alarm, 2 sensor overload, 4 and 8 ramps done, 16 new reading, 32 autotune done."""


class ConfigurationCommands(SensorCommands, AlarmCommands, CurveCommands, OutputSetupCommands):
    """All commands that set the instrument up."""
