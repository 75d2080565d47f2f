"""The commands of an AEU power supply (KIKUSUI PMX-A), defined once."""

from __future__ import annotations

from typing import Annotated, Literal

from egse.aeu.messages import PSU
from egse.command import Range, Unit
from egse.device import DeviceInterface
from egse.dialect import error_code, flag, floats, integer, words
from egse.security.roles import changes

Volts = Annotated[float, Range(0, 40), Unit("V")]
Amps = Annotated[float, Range(0, 6), Unit("A")]
Memory = Annotated[int, Range(1, 3)]
Switch = Annotated[int, Range(0, 1)]


def _error(text: str) -> tuple[int, str]:
    return error_code(text), text.partition(",")[2].strip('"')


class _SystemCommands:
    @PSU.question("*IDN?", words)
    def get_id(self) -> tuple[str, ...]:
        """Returns manufacturer, model, serial number and firmware."""

    @PSU.setting("*RST")
    def reset(self) -> None:
        """Puts all settings to those of the factory; the output is off then."""

    @changes
    @PSU.question("*TST?", integer)
    def selftest(self) -> int:
        """Runs a self-test; returns 0 when all is well."""

    @PSU.question("SYST:ERR?", _error)
    def get_error_info(self) -> tuple[int, str]:
        """Takes the oldest error out of the queue; returns its number (0: none) and text."""

    @PSU.setting("*CLS")
    def clear(self) -> None:
        """Empties the error queue."""

    @PSU.setting("INST ${channel}")
    def set_channel(self, channel: Annotated[int, Range(0, 255)]) -> None:
        """Selects a channel; there is only 0.

        Args:
            channel: number of the channel.
        """

    @PSU.question("INST?", integer)
    def get_channel(self) -> int:
        """Returns the selected channel."""

    @PSU.question("INST:CAT?", words)
    def get_channel_list(self) -> tuple[str, ...]:
        """Returns the channels there are."""

    @PSU.question("INST:INFO?", floats(2))
    def get_channel_info(self) -> tuple[float, ...]:
        """Returns rated voltage [V] and current [A]."""


class _MemoryCommands:
    @PSU.setting("MEM:REC ${memory}")
    def recall_memory(self, memory: Memory) -> None:
        """Takes over the settings in a memory.

        Args:
            memory: 1, 2, 3 for A, B, C.
        """

    @PSU.setting("MEM:SAVE ${memory}")
    def save_memory(self, memory: Memory) -> None:
        """Keeps the present settings in a memory.

        Args:
            memory: 1, 2, 3 for A, B, C.
        """

    @PSU.setting("MEM:REC:CONF ${confirm}")
    def conf_settings(self, confirm: Switch) -> None:
        """Has a recall at the front panel ask for confirmation.

        Args:
            confirm: 1 to ask, 0 not to.
        """

    @PSU.question("MEM:REC:CONF?", flag)
    def get_memory_config(self) -> bool:
        """Returns whether a recall at the front panel asks for confirmation."""

    @PSU.question("MEM:REC:PREV? ${memory}", floats(4))
    def get_memory_setting(self, memory: Memory) -> tuple[float, ...]:
        """Returns the settings in a memory: current [A], voltage [V], OCP [A], OVP [V].

        Args:
            memory: 1, 2, 3 for A, B, C.
        """


class PSUInterface(_SystemCommands, _MemoryCommands, DeviceInterface):
    """All commands of a power supply."""

    @PSU.question("MEAS:CURR?", float)
    def get_current(self) -> Annotated[float, Unit("A")]:
        """Returns the measured current [A]."""

    @PSU.question("MEAS:VOLT?", float)
    def get_voltage(self) -> Annotated[float, Unit("V")]:
        """Returns the measured voltage [V]."""

    @PSU.setting("CURR ${current}")
    def set_current(self, current: Amps) -> None:
        """Sets the limit of the current.

        Args:
            current: more does not flow.
        """

    @PSU.question("CURR?", float)
    def get_current_config(self) -> Annotated[float, Unit("A")]:
        """Returns the set point of the current [A]."""

    @PSU.setting("CURR:PROT ${ocp}")
    def set_ocp(self, ocp: Amps) -> None:
        """Sets the over-current protection.

        Args:
            ocp: at this current the output is switched off.
        """

    @PSU.question("CURR:PROT?", float)
    def get_ocp(self) -> Annotated[float, Unit("A")]:
        """Returns the over-current protection [A]."""

    @PSU.setting("VOLT ${voltage}")
    def set_voltage(self, voltage: Volts) -> None:
        """Sets the voltage.

        Args:
            voltage: at the terminals; positive also for V_AN3.
        """

    @PSU.question("VOLT?", float)
    def get_voltage_config(self) -> Annotated[float, Unit("V")]:
        """Returns the set point of the voltage [V]."""

    @PSU.setting("VOLT:PROT ${ovp}")
    def set_ovp(self, ovp: Volts) -> None:
        """Sets the over-voltage protection.

        Args:
            ovp: above this voltage the output is switched off.
        """

    @PSU.question("VOLT:PROT?", float)
    def get_ovp(self) -> Annotated[float, Unit("V")]:
        """Returns the over-voltage protection [V]."""

    @PSU.setting("OUTP ${output_status}")
    def set_output_status(self, output_status: Switch) -> None:
        """Switches the output.

        Args:
            output_status: 1 on, 0 off.
        """

    @PSU.question("OUTP?", flag)
    def get_output_status(self) -> bool:
        """Returns whether the output is on."""

    @PSU.setting("SYST:CONF:STAR:PRI ${mode}")
    def set_priority_mode(self, mode: Literal["CC", "CV"]) -> None:
        """Sets what is reached first when the output is switched on.

        Args:
            mode: CC constant current, CV constant voltage.
        """

    @PSU.question("SYST:CONF:STAR:PRI?", str)
    def get_priority_mode(self) -> str:
        """Returns what is reached first when the output is switched on, CC or CV."""

    @PSU.setting("OUTP:PROT:CLE")
    def clear_alarms(self) -> None:
        """Ends the alarm of a protection that has tripped; the output stays off."""

    @PSU.question("STAT:QUES:COND?", integer)
    def questionable_status_register(self) -> int:
        """Returns the alarms: bit 0 OVP, 1 OCP, 2 AC failure, 4 over-temperature."""
