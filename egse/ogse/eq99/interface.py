"""The commands of the Energetiq EQ-99 lamp, defined once (device reference, section 12.6)."""

from __future__ import annotations

from typing import Annotated, Any

from egse.command import Range, Unit
from egse.device import DeviceInterface
from egse.dialect import flag
from egse.ogse.eq99.messages import EQ99, conditions

Hours = Annotated[float, Range(0, 9999), Unit("h")]


class LampEQ99Interface(DeviceInterface):
    """All commands of the lamp."""

    @EQ99.question("*IDN?")
    def get_id(self) -> str:
        """Returns manufacturer, model, serial number, version and build."""

    @EQ99.question("*IDN?")
    def info(self) -> str:
        """Same as `get_id`."""

    @EQ99.setting("*RST")
    def ldls_reset(self) -> None:
        """Brings back the factory settings; the light goes out."""

    @EQ99.question("ERRSTR?")
    def lamp_errors(self) -> str:
        """Returns the errors since the last question, number and text of each; `0` for none."""

    @EQ99.question("LDLS:COND?", conditions)
    def get_lamp_status(self) -> dict[str, Any]:
        """Returns the state of the lamp.

        Returns:
            Keys interlock (True: open), controller_absent, controller_fault, lamp_fault, output (switched on), lamp (burns),
            laser (on), laser_stable, shutter (open) [bool].
        """

    @EQ99.setting("LDLS:OUTput {on:d}", use_format=True)
    def set_lamp(self, on: bool) -> None:
        """Switches the light on or off; it burns some seconds after it was switched on, and is stable later.

        Args:
            on: True to switch on; refused with an open interlock or a fault.
        """

    @EQ99.question("LDLS:OUTput?", flag)
    def get_lamp(self) -> bool:
        """Returns True when the light is switched on, also before it burns (see `get_lamp_status`)."""

    @EQ99.setting("LDLS:LAMPTIME {hours:g}", use_format=True)
    def set_lamp_time(self, hours: Hours) -> None:
        """Sets the counter of the time that the lamp has burnt, after it was replaced.

        Args:
            hours: 0 for a new lamp [h].
        """

    @EQ99.question("LDLS:LAMPTIME?", float)
    def get_lamp_time(self) -> Hours:
        """Returns how long the lamp has burnt [h]."""

    @EQ99.setting("BEEP 2")
    def beep(self) -> None:
        """Lets the manager beep once."""
