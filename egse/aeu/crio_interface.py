"""The commands of the AEU's cRIO, defined once."""

from __future__ import annotations

from typing import Annotated, Any

from egse.aeu.lines import LEDS, LINES, LoopBack, OperatingMode, Six
from egse.aeu.messages import CRIO, six
from egse.command import Range, Unit, dynamic_interface
from egse.device import DeviceInterface
from egse.dialect import flag, floats, integer, integers, words

Switch = Annotated[int, Range(0, 1)]
Volts = Annotated[float, Range(-50, 50), Unit("V")]
Amps = Annotated[float, Range(-50, 50), Unit("A")]
_SIX = "${v_ccd}, ${v_clk}, ${v_an1}, ${v_an2}, ${v_an3}, ${v_dig}"


def _leds(text: str) -> dict[str, bool]:
    return {name: bool(state) for name, state in zip(LEDS, integers(len(LEDS))(text))}


def _data(text: str) -> dict[str, Any]:
    values = floats(24 + len(LEDS))(text)
    names = [f"{kind}_{camera}_{line}" for kind in "IV" for camera in "NF" for line in LINES]
    data: dict[str, Any] = dict(zip(names, values))
    return data | {name: bool(state) for name, state in zip(LEDS, values[24:])}


class _SystemCommands:
    @CRIO.question("*IDN?", words)
    def get_id(self) -> tuple[str, ...]:
        """Returns manufacturer, model, serial number and version."""

    @CRIO.setting("*RST")
    def reset(self) -> None:
        """Goes to stand-by and forgets what was commanded."""

    @CRIO.setting("*CLS")
    def clear_error_queue(self) -> None:
        """Empties the error queue."""

    @CRIO.question("SYST:ERR?", integer)
    def get_error_info(self) -> int:
        """Takes the oldest error out of the queue and returns its number; 0: none."""

    @CRIO.question("SYST:ERR:QUANT?", integer)
    def get_num_errors(self) -> int:
        """Returns how many errors are in the queue."""

    @CRIO.setting("CNTRL:MODE ${operating_mode}")
    def set_operating_mode(self, operating_mode: OperatingMode) -> None:
        """Changes the operating mode; stand-by lies between all others.

        Args:
            operating_mode: the mode.
        """

    @CRIO.question("CNTRL:MODE?", lambda text: OperatingMode(integer(text)))
    def get_operating_mode(self) -> OperatingMode:
        """Returns the operating mode."""

    @CRIO.setting("CNTRL:LOOPBACK ${option}")
    def set_loopback_option(self, option: LoopBack) -> None:
        """Sets which connector is plugged into the test port for the next self-test.

        Args:
            option: the connector.
        """

    @CRIO.question("CNTRL:LOOPBACK?", lambda text: LoopBack(integer(text)))
    def get_loopback_option(self) -> LoopBack:
        """Returns which connector is plugged into the test port."""

    @CRIO.question("SYST:TEST:RESULT?", integer)
    def get_selftest_result(self) -> int:
        """Returns the result of the last self-test: 0 none, 1 and 2 running, 3 and 4 passed, 7 and more failed."""

    @CRIO.question("SYST:PROT?", integers(4))
    def get_protection_status(self) -> tuple[int, ...]:
        """Returns four flags: emergency button, PSU over-voltage nominal, redundant, power distribution unit."""

    @CRIO.question("MEAS:LED?", _leds)
    def get_led_status(self) -> dict[str, bool]:
        """Returns which lamps are on, by name."""

    @CRIO.question("MEAS:ALL:ANALOG?", _data)
    def get_data(self) -> dict[str, Any]:
        """Returns everything at one moment: `I_N_V_CCD` [A], `V_F_V_DIG` [V] and so on, then the lamps by name."""

    @dynamic_interface
    def set_time(self, times: list[float]) -> None:
        """Sets after which time protections trip.

        Args:
            times: 72 times [ms]: OVP N, OVP F, UVP N, UVP F, OCP N, OCP F, six each, then the same at start-up.
        """

    @CRIO.question("SYST:TIME:PROT?", floats(72))
    def get_time(self) -> tuple[float, ...]:
        """Returns after which times protections trip [ms], in the order of `set_time`."""


class _NCamCommands:
    @CRIO.question("MEAS:N:CURR?", six)
    def get_n_cam_current(self) -> Annotated[Six, Unit("A")]:
        """Returns the currents to the N-CAM [A], one for each line."""

    @CRIO.question("MEAS:N:VOLT?", six)
    def get_n_cam_voltage(self) -> Annotated[Six, Unit("V")]:
        """Returns the voltages at the N-CAM [V], one for each line."""

    @CRIO.setting("CNTRL:N:OUTP ${output_status}")
    def set_n_cam_secondary_power_status(self, output_status: Switch) -> None:
        """Switches the lines to the N-CAM.

        Args:
            output_status: 1 on, 0 off.
        """

    @CRIO.question("CNTRL:N:OUTP?", flag)
    def get_n_cam_secondary_power_status(self) -> bool:
        """Returns whether the lines to the N-CAM are on."""

    @CRIO.question("MEAS:N:VOLT:QUAL?", integers(6))
    def get_n_cam_voltage_quality(self) -> tuple[int, ...]:
        """Returns for each line to the N-CAM: 0 fine, 1 over-voltage, 2 under-voltage has tripped."""

    @CRIO.question("MEAS:N:CURR:QUAL?", integers(6))
    def get_n_cam_current_quality(self) -> tuple[int, ...]:
        """Returns for each line to the N-CAM: 0 fine, 1 over-current has tripped."""

    @CRIO.setting(f"CNTRL:N:CURR:PROT {_SIX}")
    def set_n_cam_ocp(
        self, v_ccd: Amps, v_clk: Amps, v_an1: Amps, v_an2: Amps, v_an3: Amps, v_dig: Amps
    ) -> None:
        """Sets the over-current limit of each line to the N-CAM.

        Args:
            v_ccd, v_clk, v_an1, v_an2, v_an3, v_dig: limits; those of V_AN3 are negative.
        """

    @CRIO.question("CNTRL:N:CURR:PROT?", six)
    def get_n_cam_ocp(self) -> Annotated[Six, Unit("A")]:
        """Returns the over-current limit of each line to the N-CAM [A]."""

    @CRIO.setting(f"CNTRL:N:VOLT:PROT:OV {_SIX}")
    def set_n_cam_ovp(
        self, v_ccd: Volts, v_clk: Volts, v_an1: Volts, v_an2: Volts, v_an3: Volts, v_dig: Volts
    ) -> None:
        """Sets the over-voltage limit of each line to the N-CAM.

        Args:
            v_ccd, v_clk, v_an1, v_an2, v_an3, v_dig: limits; those of V_AN3 are negative.
        """

    @CRIO.question("CNTRL:N:VOLT:PROT:OV?", six)
    def get_n_cam_ovp(self) -> Annotated[Six, Unit("V")]:
        """Returns the over-voltage limit of each line to the N-CAM [V]."""

    @CRIO.setting(f"CNTRL:N:VOLT:PROT:UV {_SIX}")
    def set_n_cam_uvp(
        self, v_ccd: Volts, v_clk: Volts, v_an1: Volts, v_an2: Volts, v_an3: Volts, v_dig: Volts
    ) -> None:
        """Sets the under-voltage limit of each line to the N-CAM.

        Args:
            v_ccd, v_clk, v_an1, v_an2, v_an3, v_dig: limits; those of V_AN3 are negative.
        """

    @CRIO.question("CNTRL:N:VOLT:PROT:UV?", six)
    def get_n_cam_uvp(self) -> Annotated[Six, Unit("V")]:
        """Returns the under-voltage limit of each line to the N-CAM [V]."""


class _FCamCommands:
    @CRIO.question("MEAS:F:CURR?", six)
    def get_f_cam_current(self) -> Annotated[Six, Unit("A")]:
        """Returns the currents to the F-CAM [A], one for each line."""

    @CRIO.question("MEAS:F:VOLT?", six)
    def get_f_cam_voltage(self) -> Annotated[Six, Unit("V")]:
        """Returns the voltages at the F-CAM [V], one for each line."""

    @CRIO.setting("CNTRL:F:OUTP ${output_status}")
    def set_f_cam_secondary_power_status(self, output_status: Switch) -> None:
        """Switches the lines to the F-CAM.

        Args:
            output_status: 1 on, 0 off.
        """

    @CRIO.question("CNTRL:F:OUTP?", flag)
    def get_f_cam_secondary_power_status(self) -> bool:
        """Returns whether the lines to the F-CAM are on."""

    @CRIO.question("MEAS:F:VOLT:QUAL?", integers(6))
    def get_f_cam_voltage_quality(self) -> tuple[int, ...]:
        """Returns for each line to the F-CAM: 0 fine, 1 over-voltage, 2 under-voltage has tripped."""

    @CRIO.question("MEAS:F:CURR:QUAL?", integers(6))
    def get_f_cam_current_quality(self) -> tuple[int, ...]:
        """Returns for each line to the F-CAM: 0 fine, 1 over-current has tripped."""

    @CRIO.setting(f"CNTRL:F:CURR:PROT {_SIX}")
    def set_f_cam_ocp(
        self, v_ccd: Amps, v_clk: Amps, v_an1: Amps, v_an2: Amps, v_an3: Amps, v_dig: Amps
    ) -> None:
        """Sets the over-current limit of each line to the F-CAM.

        Args:
            v_ccd, v_clk, v_an1, v_an2, v_an3, v_dig: limits; those of V_AN3 are negative.
        """

    @CRIO.question("CNTRL:F:CURR:PROT?", six)
    def get_f_cam_ocp(self) -> Annotated[Six, Unit("A")]:
        """Returns the over-current limit of each line to the F-CAM [A]."""

    @CRIO.setting(f"CNTRL:F:VOLT:PROT:OV {_SIX}")
    def set_f_cam_ovp(
        self, v_ccd: Volts, v_clk: Volts, v_an1: Volts, v_an2: Volts, v_an3: Volts, v_dig: Volts
    ) -> None:
        """Sets the over-voltage limit of each line to the F-CAM.

        Args:
            v_ccd, v_clk, v_an1, v_an2, v_an3, v_dig: limits; those of V_AN3 are negative.
        """

    @CRIO.question("CNTRL:F:VOLT:PROT:OV?", six)
    def get_f_cam_ovp(self) -> Annotated[Six, Unit("V")]:
        """Returns the over-voltage limit of each line to the F-CAM [V]."""

    @CRIO.setting(f"CNTRL:F:VOLT:PROT:UV {_SIX}")
    def set_f_cam_uvp(
        self, v_ccd: Volts, v_clk: Volts, v_an1: Volts, v_an2: Volts, v_an3: Volts, v_dig: Volts
    ) -> None:
        """Sets the under-voltage limit of each line to the F-CAM.

        Args:
            v_ccd, v_clk, v_an1, v_an2, v_an3, v_dig: limits; those of V_AN3 are negative.
        """

    @CRIO.question("CNTRL:F:VOLT:PROT:UV?", six)
    def get_f_cam_uvp(self) -> Annotated[Six, Unit("V")]:
        """Returns the under-voltage limit of each line to the F-CAM [V]."""


class _ClockCommands:
    @CRIO.setting("CNTRL:N:CLOCK ${clk_50mhz}, ${clk_ccdread}")
    def set_n_cam_clock_status(self, clk_50mhz: Switch, clk_ccdread: Switch) -> None:
        """Lets clocks through to the N-CAM.

        Args:
            clk_50mhz, clk_ccdread: 1 on, 0 off.
        """

    @CRIO.question("CNTRL:N:CLOCK?", integers(2))
    def get_n_cam_clock_status(self) -> tuple[int, ...]:
        """Returns which clocks go through to the N-CAM: clk_50mhz, clk_ccdread."""

    @CRIO.question("MEAS:N:CLOCK:QUAL?", integers(2))
    def get_n_cam_clock_quality(self) -> tuple[int, ...]:
        """Returns which clocks to the N-CAM are faulty (1): clk_50mhz, clk_ccdread."""

    @CRIO.setting("CNTRL:F:CLOCK ${clk_50mhz_nom}, ${clk_50mhz_red}, ${clk_ccdread_nom}, ${clk_ccdread_red}")
    def set_f_cam_clock_status(
        self, clk_50mhz_nom: Switch, clk_50mhz_red: Switch, clk_ccdread_nom: Switch, clk_ccdread_red: Switch
    ) -> None:
        """Lets clocks through to the F-CAM.

        Args:
            clk_50mhz_nom, clk_50mhz_red, clk_ccdread_nom, clk_ccdread_red: 1 on, 0 off.
        """

    @CRIO.question("CNTRL:F:CLOCK?", integers(4))
    def get_f_cam_clock_status(self) -> tuple[int, ...]:
        """Returns which clocks go through to the F-CAM: clk_50mhz_nom, clk_50mhz_red, clk_ccdread_nom, clk_ccdread_red."""

    @CRIO.question("MEAS:F:CLOCK:QUAL?", integers(4))
    def get_f_cam_clock_quality(self) -> tuple[int, ...]:
        """Returns which clocks to the F-CAM are faulty (1): clk_50mhz_nom, clk_50mhz_red, clk_ccdread_nom, clk_ccdread_red."""

    @CRIO.setting("CNTRL:SVM:CLOCK ${clk_50mhz_nom}, ${clk_50mhz_red}, ${clk_heater_nom}, ${clk_heater_red}")
    def set_svm_clock_status(
        self, clk_50mhz_nom: Switch, clk_50mhz_red: Switch, clk_heater_nom: Switch, clk_heater_red: Switch
    ) -> None:
        """Lets clocks through to the service module.

        Args:
            clk_50mhz_nom, clk_50mhz_red, clk_heater_nom, clk_heater_red: 1 on, 0 off.
        """

    @CRIO.question("CNTRL:SVM:CLOCK?", integers(4))
    def get_svm_clock_status(self) -> tuple[int, ...]:
        """Returns which clocks go through to the service module: clk_50mhz_nom, clk_50mhz_red, clk_heater_nom, clk_heater_red."""

    @CRIO.question("MEAS:SVM:CLOCK:QUAL?", integers(4))
    def get_svm_clock_quality(self) -> tuple[int, ...]:
        """Returns which clocks to the service module are faulty (1): clk_50mhz_nom, clk_50mhz_red, clk_heater_nom, clk_heater_red."""


class CRIOInterface(_SystemCommands, _NCamCommands, _FCamCommands, _ClockCommands, DeviceInterface):
    """All commands of the cRIO; six values are in the order V_CCD, V_CLK, V_AN1, V_AN2, V_AN3, V_DIG."""
