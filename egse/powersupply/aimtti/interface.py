"""The commands of Aim-TTi bench supplies (PL-P, QL-P), defined once (device reference, section 13)."""

from __future__ import annotations

from typing import Annotated, Literal

from egse.command import Range, Unit
from egse.device import DeviceInterface
from egse.dialect import flag, integer, words
from egse.powersupply.aimtti.messages import TTI, measured, setpoint
from egse.security.roles import changes

Channel = Annotated[int, Range(1, 3)]
Volts = Annotated[float, Range(0, 60), Unit("V")]
Amps = Annotated[float, Range(0, 12), Unit("A")]
Memory = Annotated[int, Range(0, 9)]


class SystemCommands:
    """Identification, errors, who is in control."""

    @TTI.question("*IDN?", words)
    def get_id(self) -> tuple[str, ...]:
        """Returns manufacturer, model, serial number and firmware."""

    @TTI.question("*IDN?")
    def info(self) -> str:
        """Returns the identification as the instrument sends it."""

    @TTI.setting("*RST")
    def reset(self) -> None:
        """Brings back the factory settings; the outputs go off."""

    @changes
    @TTI.question("*TST?", integer)
    def selftest(self) -> int:
        """Runs a self-test; returns 0 when all is well."""

    @TTI.question("EER?", integer)
    def get_execution_error(self) -> int:
        """Returns the number of the last refused command since the last question, 0 for none."""

    @TTI.setting("LOCAL")
    def local(self) -> None:
        """Gives the front panel back to people, until the next command."""

    @changes
    @TTI.question("IFLOCK", integer)
    def lock(self) -> int:
        """Asks to be the only one in control; returns 1 when that is granted, -1 when another one is."""

    @changes
    @TTI.question("IFUNLOCK", integer)
    def unlock(self) -> int:
        """Gives the lock back; returns 0 when that is done, -1 when it is not ours."""

    @TTI.question("IFLOCK?", integer)
    def get_lock(self) -> int:
        """Returns 1 when we have the lock, 0 when nobody has, -1 when another one has."""


class OutputCommands:
    """Set points, measured values, switching."""

    @TTI.setting("V${channel} ${voltage}")
    def set_voltage(self, channel: Channel, voltage: Volts) -> None:
        """Sets the voltage of an output.

        Args:
            channel: number of the output.
            voltage: [V].
        """

    @TTI.setting("V${channel}V ${voltage}")
    def set_voltage_verified(self, channel: Channel, voltage: Volts) -> None:
        """Sets the voltage of an output and, when it is on, waits until it is reached.

        Args:
            channel: number of the output.
            voltage: [V].
        """

    @TTI.question("V${channel}?", setpoint)
    def get_voltage_setpoint(self, channel: Channel) -> Volts:
        """Returns the set point of the voltage [V]."""

    @TTI.question("V${channel}O?", measured)
    def get_voltage(self, channel: Channel) -> Volts:
        """Returns the measured voltage [V]."""

    @TTI.setting("I${channel} ${current}")
    def set_current(self, channel: Channel, current: Amps) -> None:
        """Sets the limit of the current of an output.

        Args:
            channel: number of the output.
            current: more does not flow [A].
        """

    @TTI.question("I${channel}?", setpoint)
    def get_current_setpoint(self, channel: Channel) -> Amps:
        """Returns the limit of the current [A]."""

    @TTI.question("I${channel}O?", measured)
    def get_current(self, channel: Channel) -> Amps:
        """Returns the measured current [A]."""

    @TTI.setting("IRANGE${channel} ${range}")
    def set_current_range(self, channel: Channel, range: Literal[1, 2]) -> None:
        """Sets the range of the current; the output must be off.

        Args:
            channel: number of the output.
            range: 1 low (500 mA), 2 high.
        """

    @TTI.question("IRANGE${channel}?", integer)
    def get_current_range(self, channel: Channel) -> int:
        """Returns the range of the current: 1 low (500 mA), 2 high."""

    @TTI.setting("OP{channel} {on:d}", use_format=True)
    def set_output(self, channel: Channel, on: bool) -> None:
        """Switches an output.

        Args:
            channel: number of the output.
            on: True to switch on.
        """

    @TTI.question("OP${channel}?", flag)
    def get_output(self, channel: Channel) -> bool:
        """Returns True while an output is on."""

    @TTI.setting("OPALL {on:d}", use_format=True)
    def set_all_outputs(self, on: bool) -> None:
        """Switches all outputs at once.

        Args:
            on: True to switch on.
        """

    @TTI.question("LSR${channel}?", integer)
    def get_limit_events(self, channel: Channel) -> int:
        """Returns what has happened at an output since the last question: 1 constant voltage, 2 constant current, 4 OVP, 8 OCP."""


class ProtectionCommands:
    """Protection, steps, memories."""

    @TTI.setting("OVP${channel} ${voltage}")
    def set_ovp(self, channel: Channel, voltage: Volts) -> None:
        """Sets the over-voltage protection: above this the output is switched off.

        Args:
            channel: number of the output.
            voltage: [V].
        """

    @TTI.question("OVP${channel}?", setpoint)
    def get_ovp(self, channel: Channel) -> Volts:
        """Returns the over-voltage protection [V]."""

    @TTI.setting("OCP${channel} ${current}")
    def set_ocp(self, channel: Channel, current: Amps) -> None:
        """Sets the over-current protection: above this the output is switched off.

        Args:
            channel: number of the output.
            current: [A].
        """

    @TTI.question("OCP${channel}?", setpoint)
    def get_ocp(self, channel: Channel) -> Amps:
        """Returns the over-current protection [A]."""

    @TTI.setting("TRIPRST")
    def reset_trips(self) -> None:
        """Ends the state after a protection has tripped; the outputs stay off."""

    @TTI.setting("DELTAV${channel} ${voltage}")
    def set_voltage_step(self, channel: Channel, voltage: Volts) -> None:
        """Sets the step of `increase_voltage` and `decrease_voltage`.

        Args:
            channel: number of the output.
            voltage: [V].
        """

    @TTI.setting("INCV${channel}")
    def increase_voltage(self, channel: Channel) -> None:
        """Raises the voltage by its step."""

    @TTI.setting("DECV${channel}")
    def decrease_voltage(self, channel: Channel) -> None:
        """Lowers the voltage by its step."""

    @TTI.setting("DELTAI${channel} ${current}")
    def set_current_step(self, channel: Channel, current: Amps) -> None:
        """Sets the step of `increase_current` and `decrease_current`.

        Args:
            channel: number of the output.
            current: [A].
        """

    @TTI.setting("INCI${channel}")
    def increase_current(self, channel: Channel) -> None:
        """Raises the limit of the current by its step."""

    @TTI.setting("DECI${channel}")
    def decrease_current(self, channel: Channel) -> None:
        """Lowers the limit of the current by its step."""

    @TTI.setting("DAMPING{channel} {on:d}", use_format=True)
    def set_damping(self, channel: Channel, on: bool) -> None:
        """Averages the measured current.

        Args:
            channel: number of the output.
            on: True to average.
        """

    @TTI.setting("SAV${channel} ${memory}")
    def save(self, channel: Channel, memory: Memory) -> None:
        """Keeps the settings of an output in a memory.

        Args:
            channel: number of the output.
            memory: 0 to 9.
        """

    @TTI.setting("RCL${channel} ${memory}")
    def recall(self, channel: Channel, memory: Memory) -> None:
        """Takes over the settings of an output in a memory.

        Args:
            channel: number of the output.
            memory: 0 to 9.
        """


class AimTTiInterface(SystemCommands, OutputCommands, ProtectionCommands, DeviceInterface):
    """All commands of a bench supply."""
