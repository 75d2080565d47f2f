"""The AEU test EGSE: power and synchronisation of the camera (section 6 of the operations reference).

Six values are always in the order CCD, CLK, AN1, AN2, AN3, DIG. Set points and limits are those of the Setup
(`gse.aeu.n_cam`, `gse.aeu.f_cam`); what it does not say is the default of `egse.aeu.lines`.

Start of the day: `n_cam_swon`, then `n_cam_sync_enable`; end of the day: `n_cam_sync_disable`, then `n_cam_swoff`.
"""

from __future__ import annotations

import logging
from typing import Annotated, Literal

from camtest.commanding.aeu_units import (
    awg,
    camera_calls,
    camera_lines,
    check_lines,
    crio,
    get_f_cam_currents,
    get_f_cam_ocp,
    get_f_cam_ovp,
    get_f_cam_sync_quality,
    get_f_cam_sync_status,
    get_f_cam_uvp,
    get_f_cam_voltages,
    get_n_cam_currents,
    get_n_cam_ocp,
    get_n_cam_ovp,
    get_n_cam_sync_quality,
    get_n_cam_sync_status,
    get_n_cam_uvp,
    get_n_cam_voltages,
    get_operating_mode,
    get_psu_current_setpoints,
    get_psu_currents,
    get_psu_ocp,
    get_psu_ovp,
    get_psu_voltage_setpoints,
    get_psu_voltages,
    get_svm_sync_quality,
    get_svm_sync_status,
    log_report,
    psu,
    psus,
)
from camtest.commanding.utilities import wait_until
from camtest.core.exec import Abort, building_block, recovery
from egse.aeu.aeu import AWGProxy, LoopBack, OperatingMode
from egse.aeu.lines import LINES, Camera, CameraLines
from egse.aeu.selftest import RUNNING, describe_selftest
from egse.aeu.waveforms import AMPLITUDE, CLOCK_FREQUENCY, F_CAM_PERIOD, OFFSET, SyncWaveforms, sync_waveforms
from egse.command import Range, Unit

__all__ = [
    "LoopBack",
    "OperatingMode",
    "awg",
    "camera_lines",
    "check_lines",
    "crio",
    "f_cam_swoff",
    "f_cam_swon",
    "f_cam_sync_disable",
    "f_cam_sync_enable",
    "get_f_cam_currents",
    "get_f_cam_ocp",
    "get_f_cam_ovp",
    "get_f_cam_sync_quality",
    "get_f_cam_sync_status",
    "get_f_cam_uvp",
    "get_f_cam_voltages",
    "get_n_cam_currents",
    "get_n_cam_ocp",
    "get_n_cam_ovp",
    "get_n_cam_sync_quality",
    "get_n_cam_sync_status",
    "get_n_cam_uvp",
    "get_n_cam_voltages",
    "get_operating_mode",
    "get_psu_current_setpoints",
    "get_psu_currents",
    "get_psu_ocp",
    "get_psu_ovp",
    "get_psu_voltage_setpoints",
    "get_psu_voltages",
    "get_svm_sync_quality",
    "get_svm_sync_status",
    "log_report",
    "n_cam_swoff",
    "n_cam_swon",
    "n_cam_sync_disable",
    "n_cam_sync_enable",
    "psu",
    "selftest",
    "set_hk_frequency",
    "set_operating_mode",
]

LOGGER = logging.getLogger(__name__)

POWER_TIMEOUT = 10.0
"""Longest time for the voltages to come up [s]; a supply takes 0.1 s, an answer some time on a busy machine."""
SELFTEST_TIMEOUT = 300.0
"""Longest time of a self-test [s]."""
SETTLED = 0.02
"""A supply is up when its voltage is as close to the set point [relative]."""

Switch = Literal[0, 1]
ImageCycleTime = Annotated[float, Unit("s")]


# -- operating mode ----------------------------------------------------------------------------------------------------


@building_block
def set_operating_mode(mode: OperatingMode) -> None:
    """Changes the operating mode of the AEU; stand-by lies between all others.

    Args:
        mode: the mode; leaving for stand-by takes power and clocks from the camera.
    """
    crio().set_operating_mode(mode)


def _require_mode(mode: OperatingMode, action: str) -> None:
    present = get_operating_mode()
    if present != mode:
        raise Abort(f"The AEU is in mode {present.name}: to {action} it must be in {mode.name}")


# -- power -------------------------------------------------------------------------------------------------------------


@building_block
def n_cam_swon() -> None:
    """Switches the N-CAM on; the AEU must be in stand-by and is in FC_TVAC afterwards.

    Raises:
        Abort: when the AEU is in another mode, a supply has an alarm, or a line trips; then all is off again.
    """
    _switch_on("N")


@building_block
def n_cam_swoff() -> None:
    """Switches the N-CAM off; the AEU is in stand-by afterwards.

    Raises:
        Abort: while the camera is still synchronised.
    """
    _switch_off("N")


@building_block
def f_cam_swon() -> None:
    """Switches the F-CAM on; the AEU must be in stand-by and is in FC_TVAC afterwards.

    Raises:
        Abort: when the AEU is in another mode, a supply has an alarm, or a line trips; then all is off again.
    """
    _switch_on("F")


@building_block
def f_cam_swoff() -> None:
    """Switches the F-CAM off; the AEU is in stand-by afterwards.

    Raises:
        Abort: while the camera is still synchronised.
    """
    _switch_off("F")


def _switch_on(camera: Camera) -> None:
    _require_mode(OperatingMode.STANDBY, f"switch the {camera}-CAM on")
    lines = camera_lines(camera)
    _set_up_supplies(lines)
    rio = crio()
    rio.set_operating_mode(OperatingMode.FC_TVAC)
    try:
        for supply in psus():
            supply.set_output_status(1)
        wait_until(lambda: _are_up(lines), timeout=POWER_TIMEOUT, interval=0.2, what="the power supplies")
        calls = camera_calls(camera)
        for name in ("ovp", "uvp", "ocp"):
            calls[f"set_{name}"](*getattr(lines, name))
        calls["switch"](1)
        wait_until(
            lambda: _is_settled(camera, lines),
            timeout=POWER_TIMEOUT,
            interval=0.2,
            what=f"the {camera}-CAM lines",
        )
    except (Abort, TimeoutError) as exc:
        _power_down(camera)
        raise Abort(f"The {camera}-CAM was not switched on, everything is off again: {exc}") from exc
    report = log_report(camera)
    LOGGER.info("The %s-CAM is on: %s", camera, report)


def _set_up_supplies(lines: CameraLines) -> None:
    for index, supply in enumerate(psus()):
        alarms = supply.questionable_status_register()
        if alarms:
            raise Abort(
                f"Power supply {index + 1} ({LINES[index]}) has an alarm (questionable status {alarms}): find the "
                "reason, then clear_alarms"
            )
        supply.reset()
        supply.set_priority_mode("CV")
        supply.set_ovp(lines.set_ovp[index])
        supply.set_ocp(lines.set_ocp[index])
        supply.set_voltage(lines.set_voltage[index])
        supply.set_current(lines.set_current[index])


def _are_up(lines: CameraLines) -> bool:
    for wanted, supply, name in zip(lines.set_voltage, psus(), LINES):
        if not supply.get_output_status():
            raise Abort(f"the power supply of {name} has switched itself off")
        if abs(supply.get_voltage() / wanted - 1) > SETTLED:
            return False
    return True


def _is_settled(camera: Camera, lines: CameraLines) -> bool:
    calls = camera_calls(camera)
    quality, current_quality = calls["voltage_quality"](), calls["current_quality"]()
    tripped = [name for name, volts, amps in zip(LINES, quality, current_quality) if volts or amps]
    if tripped:
        raise Abort(
            f"{', '.join(tripped)} tripped (voltages {list(quality)}, currents {list(current_quality)})"
        )
    volts = calls["voltage"]()
    return all(abs(low) <= abs(v) <= abs(high) for low, v, high in zip(lines.uvp, volts, lines.ovp))


def _switch_off(camera: Camera) -> None:
    if any(_clocks(camera)):
        raise Abort(f"The {camera}-CAM is still synchronised: call {camera.lower()}_cam_sync_disable first")
    log_report(camera)
    _power_down(camera)
    log_report(camera)


def _power_down(camera: Camera) -> None:
    """Takes the power away, in the order of the switch-off log: lines, supplies 1 to 6, stand-by."""
    camera_calls(camera)["switch"](0)
    for supply in psus():
        supply.set_output_status(0)
    crio().set_operating_mode(OperatingMode.STANDBY)


# -- synchronisation ---------------------------------------------------------------------------------------------------


@building_block
def n_cam_sync_enable(image_cycle_time: ImageCycleTime, svm_nom: Switch, svm_red: Switch) -> None:
    """Gives the N-CAM its clocks; the first pulse is a long one.

    Args:
        image_cycle_time: 25, 31.25, 37.5, 43.75 or 50.
        svm_nom: 1 for clocks on the nominal connector of the service module, 0 for none.
        svm_red: the same for the redundant connector.

    Raises:
        Abort: when the camera is off, the time is none of these, or a clock is missing.
    """
    if image_cycle_time == F_CAM_PERIOD:
        raise Abort(f"{F_CAM_PERIOD} s is the cycle of the F-CAM: call f_cam_sync_enable")
    waves = _waveforms("N", float(image_cycle_time))
    _stop_generators()
    rio = crio()
    rio.set_n_cam_clock_status(1, 1)
    rio.set_svm_clock_status(svm_nom, svm_red, svm_nom, svm_red)
    _start_generators(waves)  # now, so that the first pulse that the camera sees is a long one
    faulty = [*rio.get_n_cam_clock_quality(), *rio.get_svm_clock_quality()]
    if any(faulty):
        raise Abort(
            f"Clocks are faulty (N-CAM 50 MHz, ccdread, SVM 50 MHz, heater, nominal and redundant): {faulty}"
        )


@building_block
def n_cam_sync_disable() -> None:
    """Takes the clocks from the N-CAM and the service module, and switches the generators off."""
    log_report("N")
    rio = crio()
    rio.set_n_cam_clock_status(0, 0)
    rio.set_svm_clock_status(0, 0, 0, 0)
    _stop_generators()
    left = {"N-CAM": rio.get_n_cam_clock_status(), "SVM": rio.get_svm_clock_status()}
    if any(any(clocks) for clocks in left.values()):
        raise Abort(f"Clocks are still on: {left}")


@building_block
def f_cam_sync_enable() -> None:
    """Gives the F-CAM its nominal clocks, a cycle of 2.5 s.

    Raises:
        Abort: when the camera is off, or a clock is missing.
    """
    waves = _waveforms("F", F_CAM_PERIOD)
    _stop_generators()
    rio = crio()
    rio.set_f_cam_clock_status(1, 0, 1, 0)
    _start_generators(waves)
    faulty = list(rio.get_f_cam_clock_quality())
    if any(faulty):
        raise Abort(
            f"Clocks of the F-CAM are faulty (50 MHz nominal, redundant, ccdread nominal, redundant): {faulty}"
        )


@building_block
def f_cam_sync_disable() -> None:
    """Takes the clocks from the F-CAM, and switches the generators off."""
    log_report("F")
    crio().set_f_cam_clock_status(0, 0, 0, 0)
    _stop_generators()
    if any(_clocks("F")):
        raise Abort(f"Clocks of the F-CAM are still on: {_clocks('F')}")


def _clocks(camera: Camera) -> tuple[int, ...]:
    return tuple(camera_calls(camera)["clocks"]())


def _waveforms(camera: Camera, image_cycle_time: float) -> SyncWaveforms:
    """Returns the waveforms for a camera that may be synchronised."""
    _require_mode(OperatingMode.FC_TVAC, f"synchronise the {camera}-CAM")
    if not camera_calls(camera)["is_on"]():
        raise Abort(f"The {camera}-CAM is off: call {camera.lower()}_cam_swon first")
    try:
        return sync_waveforms(image_cycle_time)
    except ValueError as exc:
        raise Abort(str(exc)) from exc


def _start_generators(waves: SyncWaveforms) -> None:
    clock, sync = awg(1), awg(2)
    clock.set_channel(1)
    clock.set_waveform_type("SQUARE")
    clock.set_frequency(CLOCK_FREQUENCY)
    _switch_output_on(clock)
    sync.load_arb1_data(waves.readout)
    sync.load_arb2_data(waves.heater)
    for channel in (2, 1):
        sync.set_channel(channel)
        sync.set_waveform_type("ARB")
        sync.set_arb_waveform("ARB1" if channel == 1 else "ARB2")
        sync.set_frequency(waves.frequency)
        _switch_output_on(sync)
    sync.align()


def _switch_output_on(generator: AWGProxy) -> None:
    generator.set_amplitude(AMPLITUDE)
    generator.set_dc_offset(OFFSET)
    generator.set_output_status("ON")


def _stop_generators() -> None:
    for number, channels in ((1, (1,)), (2, (1, 2))):
        for channel in channels:
            awg(number).set_channel(channel)
            awg(number).set_output_status("OFF")


# -- housekeeping and self-test ----------------------------------------------------------------------------------------


@building_block
def set_hk_frequency(hk_frequency: Annotated[float, Range(0.01, 10), Unit("Hz")]) -> None:
    """Sets how often cRIO and power supplies write housekeeping, 4 Hz while the camera is switched on or off.

    Args:
        hk_frequency: rows per second.
    """
    for proxy in (crio(), *psus()):
        with proxy.get_service_proxy() as services:
            services.set_hk_frequency(hk_frequency)


@building_block
def selftest(loopback: LoopBack) -> int:
    """Runs a self-test; FEE and TCS must be unplugged, their connectors moved to the test port.

    Args:
        loopback: which connector is plugged into the test port.

    Returns:
        The result, 3 or 4 when passed (`egse.aeu.selftest.describe_selftest` says what it means).

    Raises:
        Abort: when the AEU is not in stand-by.
    """
    _require_mode(OperatingMode.STANDBY, "run a self-test")
    rio = crio()
    rio.set_loopback_option(loopback)
    rio.set_operating_mode(OperatingMode.SELFTEST)
    wait_until(
        lambda: rio.get_selftest_result() not in RUNNING and get_operating_mode() == OperatingMode.STANDBY,
        timeout=SELFTEST_TIMEOUT,
        interval=1.0,
        what="the self-test of the AEU",
    )
    result = rio.get_selftest_result()
    LOGGER.info("Self-test of the AEU: %s", describe_selftest(result))
    return result


for _block in (n_cam_swoff, f_cam_swoff, n_cam_sync_disable, f_cam_sync_disable):
    recovery(_block)
