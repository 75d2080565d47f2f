"""The commands of the OGSE, defined once (manual, section 16.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ParamSpec, TypeVar

from egse.command import Range, dynamic_command, dynamic_interface
from egse.device import DeviceInterface
from egse.ogse.messages import decoded, done, level, pairs, readings, status

P = ParamSpec("P")
R = TypeVar("R")

Factor = Annotated[float, Range(0, 1)]
LevelIndex = Annotated[int, Range(0, 46)]
WheelPosition = Annotated[int, Range(1, 8)]


def _question(
    cmd_string: str, convert: Callable[[str], Any] = str
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    return dynamic_command(cmd_type="query", cmd_string=cmd_string, process_response=decoded(convert))


def _setting(cmd_string: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    return dynamic_command(cmd_type="transaction", cmd_string=cmd_string, process_response=done)


class LampCommands:
    """The laser-driven light source and its links."""

    @_question("ldls status")
    def ldls_status(self) -> str:
        """Returns the state of the link to the lamp: `ldls: OK` or `ldls: ERROR`."""

    @_question("get interlock")
    def get_interlock(self) -> str:
        """Returns `interlock: OPEN` or `interlock: CLOSE`; light needs a closed interlock."""

    @_question("get power")
    def get_power(self) -> str:
        """Returns `power: ON` or `power: OFF`."""

    @_question("get lamp")
    def get_lamp(self) -> str:
        """Returns `lamp: ON` or `lamp: OFF`; the lamp needs some seconds after `operate_on`."""

    @_question("get laser")
    def get_laser(self) -> str:
        """Returns `laser: ON` or `laser: OFF`."""

    @_question("get lamp-fault")
    def get_lamp_fault(self) -> str:
        """Returns `lamp-fault: NO-ERROR` or `lamp-fault: ERROR`."""

    @_question("get controller-fault")
    def get_controller_fault(self) -> str:
        """Returns `controller-fault: NO-ERROR` or `controller-fault: ERROR`."""

    @_question("get psu")
    def get_psu(self) -> str:
        """Returns `psu: ON` or `psu: OFF`."""

    @_question("get operate")
    def get_operate(self) -> str:
        """Returns `operate: ON` or `operate: OFF`."""

    @_question("get flags")
    def get_flags(self) -> str:
        """Returns all states in one number, hexadecimal and binary: `flags: 0x80  1000 0000`.

        From the most significant bit: interlock open, power, lamp, laser, lamp fault, controller fault, psu, operate.
        """

    @_setting("power on")
    def power_on(self) -> None:
        """Turns the power supply on."""

    @_setting("power off")
    def power_off(self) -> None:
        """Turns the power supply off, and the light with it."""

    @_setting("operate on")
    def operate_on(self) -> None:
        """Turns the laser on; power must be on and the interlock closed. Does not wait for the light."""

    @_setting("operate off")
    def operate_off(self) -> None:
        """Turns the laser off."""

    @_setting("reset")
    def reset(self) -> None:
        """Clears faults."""


class AttenuatorCommands:
    """The two filter wheels; a move takes 6 to 9 s, commands return on acceptance."""

    @_question("att status")
    def att_status(self) -> str:
        """Returns the state of the link to the attenuator: `att: OK` or `att: ERROR`."""

    @_question("level", level)
    def att_get_level(self) -> dict[str, Any]:
        """Returns the attenuation.

        Returns:
            Keys att_moving [bool], att_factor [float, transmission 0..1], att_index [int, 0 opaque .. 46 clear].
        """

    @_setting("level ${factor}")
    def att_set_level_factor(self, factor: Factor) -> None:
        """Selects the level closest to a transmission.

        Args:
            factor: 0 opaque, 1 clear.
        """

    @_setting("level #${index}")
    def att_set_level_index(self, index: LevelIndex) -> None:
        """Selects a level.

        Args:
            index: 0 opaque .. 46 clear.
        """

    @_setting("level ${wheel1} ${wheel2}")
    def att_set_level_position(self, wheel1: WheelPosition, wheel2: WheelPosition) -> None:
        """Turns the two filter wheels.

        Args:
            wheel1: position 1..8 of the first wheel.
            wheel2: position 1..8 of the second wheel.
        """

    @_setting("level up")
    def att_level_up(self) -> None:
        """Selects the next higher transmission; no effect at the highest."""

    @_setting("level down")
    def att_level_down(self) -> None:
        """Selects the next lower transmission; no effect at the lowest."""


class MeterCommands:
    """The two power meters: channel 1 (source) and 2 (to the collimator, valid for transmissions from 2e-3)."""

    @_question("pm status", pairs)
    def pm_status(self) -> dict[str, str]:
        """Returns the states of the links to the power meters, OK or ERROR; keys pm1, pm2."""

    @_question("read", readings)
    def get_power_and_temperature(self) -> dict[str, float]:
        """Returns the readings of both power meters.

        Returns:
            Keys power1, power2 [W], temp1, temp2 [deg C]; nan for an absent meter.
        """


class OGSEInterface(LampCommands, AttenuatorCommands, MeterCommands, DeviceInterface):
    """All commands of the OGSE."""

    @_question("version")
    def version(self) -> str:
        """Returns the version of the hardware controller software."""

    @_question("status", status)
    def status(self) -> dict[str, Any]:
        """Returns the state of power, lamp, interlock, attenuator and power meters, taken at one moment.

        Returns:
            Keys power, lamp, interlock, psu (ON or OFF; interlock ON means open), att_moving [bool], att_factor
            [0..1], att_index [0..46], power1, power2 [W], temp1, temp2 [deg C].
        """

    @dynamic_interface
    def quit(self) -> None:
        """Ends the dialogue: the OGSE closes the connection and takes the next client."""

    @dynamic_interface
    def exit(self) -> None:
        """Same as `quit`."""
