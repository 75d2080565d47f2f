"""The units of the AEU, and what can be asked of them; used through `camtest.commanding.aeu`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any, cast

from camtest.commanding.utilities import device
from camtest.core.exec import Abort
from camtest.state import GlobalState
from egse.aeu.aeu import AWGProxy, CRIOProxy, OperatingMode, PSUProxy
from egse.aeu.lines import CAMERAS, LINES, Camera, CameraLines, Six

LOGGER = logging.getLogger(__name__)


def crio() -> CRIOProxy:
    """Returns the cRIO of the active Setup (`gse.aeu.crio.device`)."""
    return cast(CRIOProxy, device("gse.aeu.crio"))


def psu(number: int) -> PSUProxy:
    """Returns power supply 1 to 6 of the active Setup (`gse.aeu.psu1.device` and so on)."""
    return cast(PSUProxy, device(f"gse.aeu.psu{number}"))


def awg(number: int) -> AWGProxy:
    """Returns waveform generator 1 or 2 of the active Setup (`gse.aeu.awg1.device`)."""
    return cast(AWGProxy, device(f"gse.aeu.awg{number}"))


def psus() -> list[PSUProxy]:
    """Returns all power supplies."""
    return [psu(number) for number in range(1, 7)]


def camera_lines(camera: Camera) -> CameraLines:
    """Returns set points and limits of a camera: what the Setup says, the defaults for the rest.

    Args:
        camera: N or F.

    Raises:
        Abort: when the Setup has something else than six values.
    """
    lines = CAMERAS[camera]
    node: Any = GlobalState.setup
    for name in ("gse", "aeu", f"{camera.lower()}_cam"):
        node = node.get(name) if node is not None else None
    changes = {}
    for name in asdict(lines):
        if node is not None and name in node:
            values = tuple(float(value) for value in node[name])
            if len(values) != len(LINES):
                raise Abort(
                    f"gse.aeu.{camera.lower()}_cam.{name} of the Setup must have six values, not {len(values)}"
                )
            changes[name] = cast(Six, values)
    return replace(lines, **changes)


def camera_calls(camera: Camera) -> dict[str, Callable[..., Any]]:
    """Returns the commands of the cRIO for one camera."""
    rio = crio()
    if camera == "N":
        return {
            "switch": rio.set_n_cam_secondary_power_status,
            "is_on": rio.get_n_cam_secondary_power_status,
            "voltage": rio.get_n_cam_voltage,
            "current": rio.get_n_cam_current,
            "voltage_quality": rio.get_n_cam_voltage_quality,
            "current_quality": rio.get_n_cam_current_quality,
            "clocks": rio.get_n_cam_clock_status,
            "set_ovp": rio.set_n_cam_ovp,
            "set_uvp": rio.set_n_cam_uvp,
            "set_ocp": rio.set_n_cam_ocp,
        }
    return {
        "switch": rio.set_f_cam_secondary_power_status,
        "is_on": rio.get_f_cam_secondary_power_status,
        "voltage": rio.get_f_cam_voltage,
        "current": rio.get_f_cam_current,
        "voltage_quality": rio.get_f_cam_voltage_quality,
        "current_quality": rio.get_f_cam_current_quality,
        "clocks": rio.get_f_cam_clock_status,
        "set_ovp": rio.set_f_cam_ovp,
        "set_uvp": rio.set_f_cam_uvp,
        "set_ocp": rio.set_f_cam_ocp,
    }


def get_psu_voltage_setpoints() -> list[float]:
    """Returns the voltages that the power supplies shall give [V]."""
    return [supply.get_voltage_config() for supply in psus()]


def get_psu_current_setpoints() -> list[float]:
    """Returns the currents that the power supplies may give [A]."""
    return [supply.get_current_config() for supply in psus()]


def get_psu_ovp() -> list[float]:
    """Returns the over-voltage protection of the power supplies [V]."""
    return [supply.get_ovp() for supply in psus()]


def get_psu_ocp() -> list[float]:
    """Returns the over-current protection of the power supplies [A]."""
    return [supply.get_ocp() for supply in psus()]


def get_psu_voltages() -> list[float]:
    """Returns the voltages of the power supplies [V]."""
    return [supply.get_voltage() for supply in psus()]


def get_psu_currents() -> list[float]:
    """Returns the currents of the power supplies [A]."""
    return [supply.get_current() for supply in psus()]


def get_n_cam_voltages() -> Six:
    """Returns the voltages at the N-CAM [V]."""
    return crio().get_n_cam_voltage()


def get_n_cam_currents() -> Six:
    """Returns the currents of the N-CAM [A]."""
    return crio().get_n_cam_current()


def get_n_cam_uvp() -> Six:
    """Returns the under-voltage protection of the N-CAM [V]."""
    return crio().get_n_cam_uvp()


def get_n_cam_ovp() -> Six:
    """Returns the over-voltage protection of the N-CAM [V]."""
    return crio().get_n_cam_ovp()


def get_n_cam_ocp() -> Six:
    """Returns the over-current protection of the N-CAM [A]."""
    return crio().get_n_cam_ocp()


def get_f_cam_voltages() -> Six:
    """Returns the voltages at the F-CAM [V]."""
    return crio().get_f_cam_voltage()


def get_f_cam_currents() -> Six:
    """Returns the currents of the F-CAM [A]."""
    return crio().get_f_cam_current()


def get_f_cam_uvp() -> Six:
    """Returns the under-voltage protection of the F-CAM [V]."""
    return crio().get_f_cam_uvp()


def get_f_cam_ovp() -> Six:
    """Returns the over-voltage protection of the F-CAM [V]."""
    return crio().get_f_cam_ovp()


def get_f_cam_ocp() -> Six:
    """Returns the over-current protection of the F-CAM [A]."""
    return crio().get_f_cam_ocp()


def get_n_cam_sync_status() -> tuple[int, ...]:
    """Returns which clocks of the N-CAM are enabled: 50 MHz, ccdread."""
    return crio().get_n_cam_clock_status()


def get_n_cam_sync_quality() -> tuple[int, ...]:
    """Returns which clocks of the N-CAM have failed (1): 50 MHz, ccdread."""
    return crio().get_n_cam_clock_quality()


def get_f_cam_sync_status() -> tuple[int, ...]:
    """Returns which clocks of the F-CAM are enabled: 50 MHz nominal, redundant, ccdread nominal, redundant."""
    return crio().get_f_cam_clock_status()


def get_f_cam_sync_quality() -> tuple[int, ...]:
    """Returns which clocks of the F-CAM have failed (1): 50 MHz nominal, redundant, ccdread nominal, redundant."""
    return crio().get_f_cam_clock_quality()


def get_svm_sync_status() -> tuple[int, ...]:
    """Returns which clocks of the service module are enabled: 50 MHz nominal, redundant, heater nominal, redundant."""
    return crio().get_svm_clock_status()


def get_svm_sync_quality() -> tuple[int, ...]:
    """Returns which clocks of the service module have failed (1): 50 MHz nominal, redundant, heater nominal, redundant."""
    return crio().get_svm_clock_quality()


def get_operating_mode() -> OperatingMode:
    """Returns the operating mode of the AEU."""
    return OperatingMode(crio().get_operating_mode())


def log_report(camera: Camera) -> dict[str, Any]:
    """Writes the state of power and clocks of a camera into the log, in the order of the switch-off log.

    Args:
        camera: N or F.

    Returns:
        Keys mode, psu_outputs, secondary_power, voltages [V], currents [A], clocks, svm_clocks.
    """
    calls = camera_calls(camera)
    report = {
        "mode": int(get_operating_mode()),
        "psu_outputs": [int(supply.get_output_status()) for supply in psus()],
        "secondary_power": int(calls["is_on"]()),
        "voltages": list(calls["voltage"]()),
        "currents": list(calls["current"]()),
        "clocks": list(calls["clocks"]()),
        "svm_clocks": list(crio().get_svm_clock_status()),
    }
    for name, value in report.items():
        LOGGER.info("AEU, %s-CAM: %s %s", camera, name, value)
    return report


def check_lines(camera: Camera) -> dict[str, dict[str, Any]]:
    """Compares voltages and currents at a camera with its limits.

    Args:
        camera: N or F.

    Returns:
        For each line: voltage [V], current [A], and ok [bool].
    """
    lines, calls = camera_lines(camera), camera_calls(camera)
    rows = zip(LINES, calls["voltage"](), calls["current"](), lines.uvp, lines.ovp, lines.ocp)
    return {
        name: {"voltage": v, "current": i, "ok": abs(low) <= abs(v) <= abs(high) and abs(i) <= abs(most)}
        for name, v, i, low, high, most in rows
    }
