"""The commands of the KSC101 shutter controller, defined once (device reference, section 8.4)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from egse.command import Range, Unit, dynamic_interface
from egse.device import DeviceInterface
from egse.security.roles import observe
from egse.shutter.thorlabs.messages import LONGEST, MOST_CYCLES, SHORTEST

Milliseconds = Annotated[int, Range(SHORTEST, LONGEST), Unit("ms")]


class ShutterKSC101Interface(DeviceInterface):
    """All commands of the shutter controller."""

    @observe
    @dynamic_interface
    def info(self) -> str:
        """Returns model, serial number and firmware."""

    @dynamic_interface
    def blink(self) -> None:
        """Lets the display of the controller blink."""

    @dynamic_interface
    def set_mode(self, mode: Literal["manual", "single", "auto", "trigger"]) -> None:
        """Sets what opening means; the shutter closes.

        Args:
            mode: manual: open until it is closed; single: open for the on time; auto: alternates for the number of
                cycles; trigger: follows the trigger input.
        """

    @observe
    @dynamic_interface
    def get_mode(self) -> int:
        """Returns the operating mode: 1 manual, 2 single, 3 auto, 4 trigger."""

    @dynamic_interface
    def set_enable(self, enable: bool) -> None:
        """Opens or closes the shutter, or starts what the mode says.

        Args:
            enable: True to open.

        Raises:
            KSC101Error: when the interlock is required and open: the shutter stays closed.
        """

    @observe
    @dynamic_interface
    def get_enable(self) -> int:
        """Returns 1 while the shutter is open, 2 while it is closed."""

    @dynamic_interface
    def set_cycle(
        self,
        on: Milliseconds,
        off: Milliseconds,
        number: Annotated[int, Range(0, MOST_CYCLES)],
    ) -> None:
        """Sets the times of the modes single and auto.

        Args:
            on: open [ms].
            off: closed [ms].
            number: of cycles, 0 without end.
        """

    @observe
    @dynamic_interface
    def get_cycle(self) -> dict[str, int]:
        """Returns the times of the modes single and auto; keys Ontime [ms], Offtime [ms], Number of cycles."""

    @dynamic_interface
    def set_interlock(self, required: bool) -> None:
        """Sets whether the shutter opens with a closed interlock only.

        Args:
            required: True when it does.
        """

    @observe
    @dynamic_interface
    def get_interlock(self) -> bool:
        """Returns True when the shutter opens with a closed interlock only."""

    @dynamic_interface
    def set_channel(self, enabled: bool) -> None:
        """Switches the output to the solenoid on or off; off closes the shutter.

        Args:
            enabled: True to switch it on.
        """

    @observe
    @dynamic_interface
    def get_channel(self) -> bool:
        """Returns True while the output to the solenoid is on."""

    @observe
    @dynamic_interface
    def get_status(self) -> dict[str, Any]:
        """Returns the state of solenoid and interlock; keys open, interlock (True: closed) [bool]."""
