"""Housekeeping of the AEU's control servers."""

from __future__ import annotations

from typing import Any

from egse.aeu.driver import AWGController, CRIOController, PSUController
from egse.aeu.lines import LEDS, LINES
from egse.instrument import InstrumentProtocol


class CRIOProtocol(InstrumentProtocol):
    """One row: currents and voltages of both cameras, lamps, mode, protection and clocks.

    `GAEU_I_CCD_NFEE` [A], `GAEU_V_CCD_NFEE` [V] and so on for the N-CAM, `..._FFEE` for the F-CAM; lamps (`GAEU_NCAM`,
    `GAEU_V_CCD`, ...) are booleans, qualities 0 when fine.
    """

    controller: CRIOController
    prefix, synoptics_kind = "GAEU_", ""

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        crio = self.controller
        data = crio.get_data()
        hk: dict[str, Any] = {}
        for kind in "IV":
            for camera in "NF":
                for line in LINES:
                    hk[f"{kind}_{line.removeprefix('V_')}_{camera}FEE"] = data[f"{kind}_{camera}_{line}"]
        hk |= {name.upper().replace("-", "").removeprefix("S_"): data[name] for name in LEDS}
        hk["MODE"] = int(crio.get_operating_mode())
        clocks = crio.get_n_cam_clock_quality()
        hk |= {"CLK_50MHZ_NFEE_QUALITY": clocks[0], "CLK_CCDREAD_NFEE_QUALITY": clocks[1]}
        return hk


class PSUProtocol(InstrumentProtocol):
    """One row: measured current and voltage, output, set points, protection, alarms; `GAEU_PSU1_*` to `GAEU_PSU6_*`."""

    controller: PSUController
    prefix, synoptics_kind = "GAEU_PSU{unit}_", ""

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        psu = self.controller
        return {
            "CURRENT": psu.get_current(),
            "VOLTAGE": psu.get_voltage(),
            "OUTPUT_STATUS": psu.get_output_status(),
            "CURRENT_SETPOINT": psu.get_current_config(),
            "VOLTAGE_SETPOINT": psu.get_voltage_config(),
            "OCP": psu.get_ocp(),
            "OVP": psu.get_ovp(),
            "ALARMS": psu.questionable_status_register(),
        }


class AWGProtocol(InstrumentProtocol):
    """One row: the channel that is selected, its waveform, frequency, amplitude and output; `GAEU_AWG1_*`, `..AWG2_*`.

    Asking for the other channel would select it, under the hands of whoever is commanding.
    """

    controller: AWGController
    prefix, synoptics_kind = "GAEU_AWG{unit}_", ""

    def get_row(self) -> dict[str, Any]:
        """Returns one row."""
        awg = self.controller
        with awg.transport.lock:
            return {
                "CHANNEL": awg.get_channel(),
                "OUTPUT_STATUS": awg.get_output_status(),
                "WAVEFORM": awg.get_waveform_type(),
                "FREQUENCY": awg.get_frequency(),
                "AMPLITUDE": awg.get_amplitude(),
                "DC_OFFSET": awg.get_dc_offset(),
            }
