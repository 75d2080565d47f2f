"""The commands of the LakeShore 336, defined once.

Names are those of the successor project's driver (`get_temperature_setpoint`, `get_pid_parameters`, ...) and of PLATO's
older class (`get_setpoint`, `get_params_pid`, ...) where they do not clash.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Any, Literal

from egse.command import Range, Unit
from egse.device import DeviceInterface
from egse.tempcontrol.lsci336.configuration import ConfigurationCommands
from egse.tempcontrol.lsci336.messages import flag, named, question, row, setting

Channel = Literal["A", "B", "C", "D"]
OutputNumber = Annotated[int, Range(1, 4)]
HeaterNumber = Annotated[int, Range(1, 2)]
Kelvin = Annotated[float, Unit("K")]
Percent = Annotated[float, Range(0, 100), Unit("%")]
Gain = Annotated[float, Range(0.1, 1000)]
ResetRate = Annotated[float, Range(0.1, 1000)]
Derivative = Annotated[float, Range(0, 200)]


class AutotuneMode(IntEnum):
    """Which control parameters an autotune determines."""

    P = 0
    PI = 1
    PID = 2


class HeaterRange(IntEnum):
    """Heater range: 100 %, 10 % or 1 % of the maximum power; outputs 3 and 4 know OFF and LOW (on) only."""

    OFF = 0
    LOW = 1
    MEDIUM = 2
    HIGH = 3


class OutputMode(IntEnum):
    """What an output does; MONITOR and WARM_UP exist on outputs 3 and 4 only."""

    OFF = 0
    CLOSED_LOOP = 1
    ZONE = 2
    OPEN_LOOP = 3
    MONITOR = 4
    WARM_UP = 5


class HeaterStatus(IntEnum):
    """What the instrument found out about a heater."""

    OK = 0
    OPEN = 1
    SHORT = 2


HEATERS = (1, 2)
OVERVIEW = ";".join(
    ["KRDG? 0", *(f"RDGST? {c}" for c in "ABCD"), *(f"SETP? {n};HTR? {n};RANGE? {n}" for n in HEATERS)]
)


def _overview(text: str) -> dict[str, Any]:
    temperatures, *rest = text.split(";")
    overview: dict[str, Any] = {
        f"temp_{c}": float(t) for c, t in zip("ABCD", temperatures.split(","), strict=True)
    }
    names = [f"status_{c}" for c in "ABCD"]
    names += [f"{name}_{n}" for n in HEATERS for name in ("setpoint", "heater", "range")]
    for name, field in zip(names, rest, strict=True):
        overview[name] = float(field) if name.startswith(("setpoint", "heater")) else int(field)
    return overview


class SystemCommands:
    """Identification, reset, self-test, tuning."""

    @question("*IDN?", row(*[str] * 4))
    def info(self) -> tuple[str, str, str, str]:
        """Returns manufacturer, model, serial numbers and firmware of the instrument."""

    @question("*IDN?", str)
    def get_id(self) -> str:
        """Returns the identification as the instrument sends it."""

    @setting("*CLS")
    def clear_interface(self) -> None:
        """Clears the event registers of the instrument."""

    @setting("*RST")
    def reset_instrument(self) -> None:
        """Brings the instrument into its power-up state; heaters go off."""

    @question("*TST?", int)
    def get_selftest_result(self) -> int:
        """Returns 0 when the self-test found no error, 1 otherwise."""

    @setting("ATUNE {output},{mode:d}")
    def autotune(self, output: OutputNumber, mode: AutotuneMode) -> None:
        """Starts tuning the control parameters of an output that is in closed loop and switched on.

        Args:
            output: number of the output.
            mode: which parameters.
        """

    @setting("ATUNE {output},{mode:d}")
    def set_autotune(self, output: OutputNumber, mode: AutotuneMode) -> None:
        """Same as `autotune`."""

    @question("TUNEST?", named(tuning=flag, output=int, error=flag, stage=int))
    def get_tuning_status(self) -> dict[str, Any]:
        """Returns whether a tuning runs, of which output, whether it failed, and its stage.

        Returns:
            Keys tuning [bool], output [int], error [bool], stage [int].
        """


class InputCommands:
    """Temperature readings."""

    @question("KRDG? {channel}", float)
    def get_temperature(self, channel: Channel) -> Kelvin:
        """Returns the temperature at an input [K]; 0 when the input has no valid reading (see `get_reading_status`).

        Args:
            channel: letter of the input.
        """

    @question("KRDG? 0", row(*[float] * 4))
    def get_all_temperatures(self) -> Annotated[tuple[float, float, float, float], Unit("K")]:
        """Returns the temperatures at inputs A, B, C and D [K], of one moment."""

    @question(OVERVIEW, _overview)
    def get_overview(self) -> dict[str, Any]:
        """Returns what housekeeping needs, in one message.

        Returns:
            Keys temp_A..D [K], status_A..D [int, see `get_reading_status`], setpoint_1..2 [K], heater_1..2 [%],
            range_1..2 [int, see `HeaterRange`].
        """

    @question("CRDG? {channel}", float)
    def get_temperature_celsius(self, channel: Channel) -> Annotated[float, Unit("deg_C")]:
        """Returns the temperature at an input [deg C]; 0 when the input has no valid reading.

        Args:
            channel: letter of the input.
        """

    @question("SRDG? {channel}", float)
    def get_sensor_reading(self, channel: Channel) -> float:
        """Returns the reading of an input in the units of its sensor: V for a diode, ohm for a resistor, mV.

        Args:
            channel: letter of the input.
        """

    @question("RDGST? {channel}", int)
    def get_reading_status(self, channel: Channel) -> int:
        """Returns 0 for a valid reading, else the sum of what is wrong with it.

        1 invalid, 16 temperature under range, 32 over range, 64 sensor units zero, 128 sensor units over range.

        Args:
            channel: letter of the input.
        """

    @question("INNAME? {channel}", str.rstrip)
    def get_input_name(self, channel: Channel) -> str:
        """Returns the name that the front panel shows for an input.

        Args:
            channel: letter of the input.
        """

    @setting('INNAME {channel},"{name}"')
    def set_input_name(self, channel: Channel, name: str) -> None:
        """Names an input on the front panel.

        Args:
            channel: letter of the input.
            name: up to 15 characters, no double quotes among them.
        """

    @question("TLIMIT? {channel}", float)
    def get_temperature_limit(self, channel: Channel) -> Kelvin:
        """Returns the temperature above which all outputs are switched off [K]; 0 for no limit.

        Args:
            channel: letter of the input.
        """

    @setting("TLIMIT {channel},{limit}")
    def set_temperature_limit(
        self, channel: Channel, limit: Annotated[float, Range(0, 9999), Unit("K")]
    ) -> None:
        """Sets the temperature above which all outputs are switched off.

        Args:
            channel: letter of the input.
            limit: limit [K]; 0 for no limit.
        """


class ControlCommands:
    """Set points, control parameters, ramps."""

    @question("SETP? {output}", float)
    def get_temperature_setpoint(self, output: OutputNumber) -> Kelvin:
        """Returns the set point of an output, in the units of its control input (K unless configured otherwise).

        Args:
            output: number of the output.
        """

    @question("SETP? {output}", float)
    def get_setpoint(self, output: OutputNumber) -> Kelvin:
        """Same as `get_temperature_setpoint`."""

    @setting("SETP {output},{value}")
    def set_temperature_setpoint(self, output: OutputNumber, value: Kelvin) -> None:
        """Sets the set point of an output; heating starts when its range is not off (`set_range`).

        Args:
            output: number of the output.
            value: in the units of its control input (K unless configured otherwise).
        """

    @setting("SETP {output},{value}")
    def set_setpoint(self, output: OutputNumber, value: Kelvin) -> None:
        """Same as `set_temperature_setpoint`."""

    @question("PID? {output}", row(float, float, float))
    def get_pid_parameters(self, output: OutputNumber) -> tuple[float, float, float]:
        """Returns P, I and D of an output.

        Args:
            output: number of the output.
        """

    @question("PID? {output}", row(float, float, float))
    def get_params_pid(self, output: OutputNumber) -> tuple[float, float, float]:
        """Same as `get_pid_parameters`."""

    @setting("PID {output},{p},{i},{d}")
    def set_pid_parameters(self, output: OutputNumber, p: Gain, i: ResetRate, d: Derivative) -> None:
        """Sets P, I and D of an output: percent = P [e + (I/1000) integral(e dt) + D de/dt].

        Args:
            output: number of the output.
            p: gain [% per unit of the control input].
            i: reset.
            d: rate, in percent.
        """

    @setting("PID {output},{p},{i},{d}")
    def set_params_pid(self, output: OutputNumber, p: Gain, i: ResetRate, d: Derivative) -> None:
        """Same as `set_pid_parameters`."""

    @question("RAMP? {output}", named(on=flag, rate=float))
    def get_ramp(self, output: OutputNumber) -> dict[str, Any]:
        """Returns whether the set point of an output is ramped, and how fast.

        Args:
            output: number of the output.

        Returns:
            Keys on [bool], rate [float, K/min].
        """

    @setting("RAMP {output},{on:d},{rate}")
    def set_ramp(
        self, output: OutputNumber, on: bool, rate: Annotated[float, Range(0.1, 100), Unit("K/min")]
    ) -> None:
        """Makes the effective set point of an output move at a rate instead of jumping.

        Args:
            output: number of the output.
            on: ramp or jump.
            rate: how fast [K/min].
        """

    @question("RAMPST? {output}", flag)
    def is_ramping(self, output: OutputNumber) -> bool:
        """Returns True while the effective set point of an output is on its way.

        Args:
            output: number of the output.
        """


class OutputCommands:
    """Heaters and voltage outputs."""

    @question("HTR? {output}", float)
    def get_heater_output(self, output: HeaterNumber) -> Percent:
        """Returns what a heater puts out [% of the full current or power of its range].

        Args:
            output: 1 or 2.
        """

    @question("HTR? {output}", float)
    def get_heater(self, output: HeaterNumber) -> Percent:
        """Same as `get_heater_output`."""

    @question("MOUT? {output}", float)
    def get_manual_output(self, output: OutputNumber) -> Percent:
        """Returns the manual output, which open loop puts out and closed loop adds [%].

        Args:
            output: number of the output.
        """

    @setting("MOUT {output},{percent}")
    def set_heater_output(self, output: OutputNumber, percent: Percent) -> None:
        """Sets the manual output, which open loop puts out and closed loop adds.

        Args:
            output: number of the output.
            percent: of the full range [%].
        """

    @question("RANGE? {output}", lambda text: HeaterRange(int(text)))
    def get_range(self, output: OutputNumber) -> HeaterRange:
        """Returns the range of an output.

        Args:
            output: number of the output.
        """

    @setting("RANGE {output},{range:d}")
    def set_range(self, output: OutputNumber, range: HeaterRange) -> None:
        """Switches an output on or off.

        Args:
            output: number of the output.
            range: range; OFF switches off.
        """

    @setting("RANGE 1,0;RANGE 2,0;RANGE 3,0;RANGE 4,0")
    def switch_off(self) -> None:
        """Switches all four outputs off, in one message."""

    @question("OUTMODE? {output}", named(mode=int, input=int, powerup=flag))
    def get_output_mode(self, output: OutputNumber) -> dict[str, Any]:
        """Returns how an output works.

        Args:
            output: number of the output.

        Returns:
            Keys mode [int, see `OutputMode`], input [int, 0 none, 1..4 for A..D], powerup [bool, stays on at power-up].
        """

    @setting("OUTMODE {output},{mode:d},{input},{powerup:d}")
    def set_output_mode(
        self,
        output: OutputNumber,
        mode: OutputMode,
        input: Annotated[int, Range(0, 8)],
        powerup: bool = False,
    ) -> None:
        """Sets how an output works.

        Args:
            output: number of the output.
            mode: mode.
            input: control input, 0 none, 1..4 for A..D, 5..8 of the scanner option.
            powerup: the output stays on when the instrument is powered up.
        """

    @question("HTRSET? {output}", named(resistance=int, max_current=int, max_user_current=float, display=int))
    def get_heater_setup(self, output: HeaterNumber) -> dict[str, Any]:
        """Returns how a heater is connected; keys as the arguments of `set_heater_setup`.

        Args:
            output: 1 or 2.
        """

    @setting("HTRSET {output},{resistance},{max_current},{max_user_current},{display}")
    def set_heater_setup(
        self,
        output: HeaterNumber,
        resistance: Annotated[int, Range(1, 2)],
        max_current: Annotated[int, Range(0, 4)],
        max_user_current: Annotated[float, Range(0, 2), Unit("A")],
        display: Annotated[int, Range(1, 2)],
    ) -> None:
        """Tells the instrument how a heater is connected.

        Args:
            output: 1 or 2.
            resistance: 1 for 25 ohm, 2 for 50 ohm.
            max_current: 0 user value, 1 0.707 A, 2 1 A, 3 1.141 A, 4 2 A.
            max_user_current: the user value [A].
            display: what the front panel shows: 1 current, 2 power.
        """

    @question("HTRST? {output}", lambda text: HeaterStatus(int(text)))
    def get_heater_status(self, output: HeaterNumber) -> HeaterStatus:
        """Returns what was found out about a heater since the last call; reading clears it.

        Args:
            output: 1 or 2.
        """


class LakeShore336Interface(
    SystemCommands, InputCommands, ControlCommands, OutputCommands, ConfigurationCommands, DeviceInterface
):
    """All commands of the LakeShore 336."""
