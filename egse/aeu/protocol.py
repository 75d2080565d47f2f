"""Housekeeping of the AEU's control servers."""

from __future__ import annotations

from typing import Any

from egse.aeu.driver import AWGController, CRIOController, PSUController
from egse.aeu.lines import LEDS, LINES
from egse.deviceprotocol import DeviceProtocol


class CRIOProtocol(DeviceProtocol):
    """One row: currents and voltages of both cameras, lamps, mode, protection and clocks.

    `GAEU_I_CCD_NFEE` [A], `GAEU_V_CCD_NFEE` [V] and so on for the N-CAM, `..._FFEE` for the F-CAM; lamps (`GAEU_NCAM`,
    `GAEU_V_CCD`, ...) are booleans, qualities 0 when fine.
    """

    controller: CRIOController

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one housekeeping row."""
        crio = self.controller
        data = crio.get_data()
        hk: dict[str, Any] = {}
        for kind in "IV":
            for camera in "NF":
                for line in LINES:
                    hk[f"GAEU_{kind}_{line.removeprefix('V_')}_{camera}FEE"] = data[f"{kind}_{camera}_{line}"]
        hk |= {f"GAEU_{name.upper().replace('-', '')}": data[name] for name in LEDS}
        hk["GAEU_MODE"] = int(crio.get_operating_mode())
        clocks = crio.get_n_cam_clock_quality()
        hk |= {"GAEU_CLK_50MHZ_NFEE_QUALITY": clocks[0], "GAEU_CLK_CCDREAD_NFEE_QUALITY": clocks[1]}
        return hk


class PSUProtocol(DeviceProtocol):
    """One row: measured current and voltage, output, set points, protection, alarms; `GAEU_PSU1_*` to `GAEU_PSU6_*`."""

    controller: PSUController

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one housekeeping row."""
        psu, prefix = self.controller, f"GAEU_PSU{self.controller.device_id}"
        return {
            f"{prefix}_CURRENT": psu.get_current(),
            f"{prefix}_VOLTAGE": psu.get_voltage(),
            f"{prefix}_OUTPUT_STATUS": psu.get_output_status(),
            f"{prefix}_CURRENT_SETPOINT": psu.get_current_config(),
            f"{prefix}_VOLTAGE_SETPOINT": psu.get_voltage_config(),
            f"{prefix}_OCP": psu.get_ocp(),
            f"{prefix}_OVP": psu.get_ovp(),
            f"{prefix}_ALARMS": psu.questionable_status_register(),
        }


class AWGProtocol(DeviceProtocol):
    """One row: the channel that is selected, its waveform, frequency, amplitude and output; `GAEU_AWG1_*`, `..AWG2_*`.

    Asking for the other channel would select it, under the hands of whoever is commanding.
    """

    controller: AWGController

    def get_housekeeping(self) -> dict[str, Any]:
        """Returns one housekeeping row."""
        awg, prefix = self.controller, f"GAEU_AWG{self.controller.device_id}"
        with awg.transport.lock:
            return {
                f"{prefix}_CHANNEL": awg.get_channel(),
                f"{prefix}_OUTPUT_STATUS": awg.get_output_status(),
                f"{prefix}_WAVEFORM": awg.get_waveform_type(),
                f"{prefix}_FREQUENCY": awg.get_frequency(),
                f"{prefix}_AMPLITUDE": awg.get_amplitude(),
                f"{prefix}_DC_OFFSET": awg.get_dc_offset(),
            }
