"""The commands of the Thorlabs PM100A and PM100D, defined once (device reference, section 7.4)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from egse.command import Range, Unit, dynamic_interface
from egse.device import DeviceInterface
from egse.dialect import integer
from egse.powermeter.thorlabs.messages import PM, overview, power_range, reading, zero

OVERVIEW = "MEAS:POW?;:SENS:CORR:WAV?;:SENS:POW:RANG:UPP?;:SENS:POW:RANG:AUTO?;:SENS:AVER:COUN?"


class ThorlabsPM100Interface(DeviceInterface):
    """All commands of the power meter."""

    @PM.question("*IDN?")
    def info(self) -> str:
        """Returns manufacturer, model, serial number and firmware, separated by commas."""

    @PM.question("SYST:SENS:IDN?")
    def get_id(self) -> str:
        """Returns the identity of the sensor: name, serial number, date of calibration, type, sub-type, flags."""

    @PM.question("MEAS:POW?", reading)
    def get_value(self) -> Annotated[float, Unit("W")]:
        """Measures the power [W]; nan over the range."""

    @PM.question(OVERVIEW, overview)
    def get_overview(self) -> dict[str, Any]:
        """Measures the power and returns it with the settings that it depends on, in one message.

        Returns:
            Keys power [W, nan over the range], wavelength [nm], range [W], auto [bool], average [readings].
        """

    @PM.question("CONF?")
    def get_config(self) -> str:
        """Returns what is measured: POW for power."""

    @PM.question("SENS:CORR:WAV?", float)
    def get_wavelength(self) -> Annotated[float, Unit("nm")]:
        """Returns the wavelength that the meter reckons with [nm]."""

    @PM.setting("SENS:CORR:WAV ${wavelength}")
    def set_wavelength(self, wavelength: Annotated[float, Range(100, 20_000), Unit("nm")]) -> None:
        """Sets the wavelength that the meter reckons with; a wrong one gives a wrong power.

        Args:
            wavelength: within the limits of the sensor [nm].
        """

    @PM.question("SENS:AVER:COUN?", integer)
    def get_average(self) -> int:
        """Returns how many readings of about 3 ms are averaged."""

    @PM.setting("SENS:AVER:COUN ${average}")
    def set_average(self, average: Annotated[int, Range(1, 10_000)]) -> None:
        """Sets how many readings of about 3 ms are averaged.

        Args:
            average: number of readings.
        """

    @PM.question("SENS:CORR:BEAM?", float)
    def get_diameter(self) -> Annotated[float, Unit("mm")]:
        """Returns the diameter of the beam [mm]."""

    @PM.setting("SENS:CORR:BEAM ${diameter}")
    def set_diameter(self, diameter: Annotated[float, Range(0.1, 200), Unit("mm")]) -> None:
        """Sets the diameter of the beam, for power densities.

        Args:
            diameter: of the beam [mm].
        """

    @PM.question("SENS:POW:RANG:UPP?;:SENS:POW:RANG:AUTO?", power_range)
    def get_range(self) -> dict[str, Any]:
        """Returns the measuring range.

        Returns:
            Keys range [W, the largest power], auto [bool].
        """

    @dynamic_interface
    def set_range(self, range: Literal["up", "down"] | None = None, auto: bool = False) -> None:
        """Goes to the next range, or lets the meter choose.

        Args:
            range: up to the next larger, down to the next smaller one; no effect at the last. None: the same.
            auto: the meter chooses its range by itself from now on.
        """

    @PM.question("SENS:CORR:COLL:ZERO:STAT?;:SENS:CORR:COLL:ZERO:MAGN?", zero)
    def get_autozero(self) -> dict[str, Any]:
        """Returns the dark adjustment.

        Returns:
            Keys set [bool, True while it runs], magnitude [A or W, what is subtracted].
        """

    @dynamic_interface
    def set_zero(self, zero: bool) -> None:
        """Starts the dark adjustment, which takes some seconds; the sensor must be covered.

        Args:
            zero: True to start it, False to break it off.
        """
