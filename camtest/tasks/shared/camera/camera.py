"""The camera on and off, step by step, with a question after each; also to be imported and called.

    from camtest.tasks.shared.camera.camera import switch_on_camera
    switch_on_camera(hk_frequency=4.0)

The order is that of the operations reference, section 7. Either is one observation, or a part of the running one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from camtest.commanding import aeu, dpu, utilities
from camtest.core import exec as core
from camtest.core.exec import Abort
from camtest.core.prompts import confirm
from camtest.tasks.exec import exec_ui
from egse.command import Range, Unit
from egse.settings import Settings

LOGGER = logging.getLogger(__name__)

UI_MODULE_DISPLAY_NAME = "4 - Camera"

AEU = ("gse.aeu.crio", *(f"gse.aeu.psu{number}" for number in range(1, 7)), "gse.aeu.awg1", "gse.aeu.awg2")
"""What has to answer; the link of the DPU to the camera comes up with its power only."""

HKFrequency = Annotated[float, Range(0.1, 10), Unit("Hz")]


@exec_ui(display_name="Switch ON")
def switch_on_camera(hk_frequency: HKFrequency = 4.0) -> None:
    """Brings the camera from no power to DUMP mode, and takes five cycles of images (short functional test).

    The AEU must be in stand-by; core services, DPU, AEU, N-FEE-HK and FITS generation run. Power and clocks, FPGA defaults,
    STANDBY, DUMP; voltages and currents are shown after each, and it is asked whether to go on.

    Args:
        hk_frequency: how often the AEU writes housekeeping meanwhile.

    Raises:
        Abort: when something does not answer, a line is out of its limits, or the operator does not go on. The camera stays
            as it is; `switch_off_camera` is the way down.
    """
    with _observation("Camera switch-on"):
        _require_servers()
        aeu.set_hk_frequency(hk_frequency=hk_frequency)
        try:
            _go_to_dump_mode()
            dpu.n_cam_acquire_and_dump(
                num_cycles=5,
                row_start=0,
                row_end=4539,
                rows_final_dump=0,
                ccd_order=[1, 2, 3, 4],
                ccd_side="BOTH",
            )
        finally:
            _restore_hk_frequency()


def _go_to_dump_mode() -> None:
    aeu.n_cam_swon()
    aeu.n_cam_sync_enable(image_cycle_time=25.0, svm_nom=1, svm_red=0)
    engineering_model = dpu.is_engineering_model()
    _check_lines("STANDBY" if engineering_model else "the FPGA defaults")
    if not engineering_model:
        dpu.n_fee_set_fpga_defaults()
        _go_on("The FPGA defaults are in effect. Next is STANDBY.")
    dpu.n_cam_to_standby_mode()
    _check_lines("DUMP mode")
    dpu.n_cam_to_dump_mode()
    _check_lines("the short functional test, in the dark")


@exec_ui(display_name="Switch OFF")
def switch_off_camera() -> None:
    """Brings the camera from any mode to no power: STANDBY, ON, clocks off, power off; it is asked before each.

    Raises:
        Abort: when something does not answer, or the operator does not go on; the camera stays as it is.
    """
    with _observation("Camera switch-off"):
        _require_servers()
        if not dpu.n_fee_is_on_mode():
            if not dpu.n_fee_is_standby_mode():
                _go_on(f"The N-FEE is in {dpu.n_fee_get_mode().name}. Next is STANDBY.")
                dpu.n_cam_to_standby_mode()
            _go_on("The N-FEE is in STANDBY mode. Next is ON.")
            dpu.n_cam_to_on_mode()
        _go_on("The N-FEE is in ON mode. Next are clocks off and power off.")
        aeu.n_cam_sync_disable()
        aeu.n_cam_swoff()


@contextmanager
def _observation(description: str) -> Iterator[None]:
    """Starts and ends an observation, unless one is running in this process already."""
    if core.current_obsid() is not None:
        yield
        return
    with core.observation(description):
        yield


def _require_servers() -> None:
    utilities.require_devices(AEU)
    if not dpu.dpu().ping():
        raise Abort("The DPU does not answer: start its control server (`cgse device dpu_cs start`)")


def _check_lines(following: str) -> None:
    """Shows voltages and currents at the camera and asks whether to go on."""
    lines = aeu.check_lines("N")
    rows = [
        f"{name:8}{line['voltage']:9.3f} V{line['current']:9.3f} A  {'ok' if line['ok'] else 'OUT OF LIMITS'}"
        for name, line in lines.items()
    ]
    mode = dpu.n_fee_get_mode().name
    wrong = [name for name, line in lines.items() if not line["ok"]]
    table = "\n".join(rows)
    if wrong:
        raise Abort(f"{table}\n{', '.join(wrong)} out of limits with the N-FEE in {mode}: find the reason")
    _go_on(f"{table}\nThe N-FEE is in {mode}. Next is {following}.")


def _go_on(text: str) -> None:
    LOGGER.info(text)
    if not confirm(f"{text}\nGo on?", default=True):
        raise Abort("The operator did not go on; the camera stays as it is")


def _restore_hk_frequency() -> None:
    """Sets the rate of the Settings; what has failed before may forbid it."""
    try:
        aeu.set_hk_frequency(hk_frequency=1.0 / float(Settings.load("AEU CRIO Control Server")["HK_DELAY"]))
    except Exception as exc:  # what went wrong before is what counts
        LOGGER.warning("the housekeeping of the AEU keeps its rate, set it by hand: %s", exc, exc_info=exc)
