"""The camera: modes of the N-FEE, readouts, and synchronisation with the readout cycle.

A change of mode or readout parameters takes effect at the next long pulse, up to one cycle (25 s nominal) after it was
commanded; the building blocks here return when it is in effect. Arguments are those of the ground tests commanding
manual: rows count from 0 at the readout register and are inclusive; CCDs are numbered 1..4 as in all of the CGSE.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any, Literal, cast

from camtest.commanding.utilities import device, wait_until
from camtest.core.exec import Abort, building_block, recovery
from camtest.core.prompts import confirm
from camtest.state import GlobalState
from egse.command import Range, Unit
from egse.dpu import DPUProxy
from egse.dpu.maps import FEEMaps
from egse.fee import CYCLE_TIMES, camera_model, n_fee_mode
from egse.fee.geometry import PARALLEL_OVERSCAN, ROWS
from egse.reg import FieldChange, RegisterMap

LOGGER = logging.getLogger(__name__)

CCDSide = Literal["E", "F", "BOTH"]
CCDOrder = list[Annotated[int, Range(1, 4)]]
NumCycles = Annotated[int, Range(0, 100_000)]
Row = Annotated[int, Range(0, ROWS + PARALLEL_OVERSCAN - 1), Unit("row")]
RowCount = Annotated[int, Range(0, 65535), Unit("row")]

LAST_IMAGE_ROW = ROWS - 1
LONGEST_CYCLE = CYCLE_TIMES[-1]
"""Longest image cycle time that the AEU can give [s]."""
LEAST_PATIENCE = 60.0
"""Shortest time-out, in seconds of the wall [s]."""
CLEARED_BY_DPU = "clear_error_flag"
"""A register field that is not compared: the DPU sets it in every command slot, to clear the error flags."""
POLL_INTERVAL = 0.5
"""Time between two questions for the state of the camera [s]; they are answered from the DPU's mirror."""


def dpu() -> DPUProxy:
    """Returns the DPU of the active Setup (`camera.dpu.device`)."""
    return cast(DPUProxy, device("camera.dpu"))


def n_fee_get_mode() -> n_fee_mode:
    """Returns the mode in which the N-FEE is now."""
    return n_fee_mode(dpu().n_fee_get_mode())


def n_fee_is_on_mode() -> bool:
    """Returns True when the N-FEE is in ON mode (powered, CCDs not)."""
    return n_fee_get_mode() == n_fee_mode.ON_MODE


def n_fee_is_standby_mode() -> bool:
    """Returns True when the N-FEE is in STANDBY mode (CCDs biased, not read)."""
    return n_fee_get_mode() == n_fee_mode.STANDBY_MODE


def n_fee_is_dump_mode() -> bool:
    """Returns True when the N-FEE is in DUMP mode: full image, dump gate high, no digitisation."""
    return dpu().n_fee_is_dump_mode()


def _patience(seconds: float) -> float:
    """Returns a time-out [s] that a simulated camera with a fast clock can keep, too: the computers stay as slow as they are."""
    return max(seconds, LEAST_PATIENCE * GlobalState.clock.speed)


def _wait_for_mode(condition: Callable[[], bool], name: str) -> None:
    # Commanded in the slot of this cycle at best, in effect at the next long pulse.
    timeout = _patience(2.5 * LONGEST_CYCLE)
    wait_until(condition, timeout=timeout, interval=POLL_INTERVAL, what=f"N-FEE mode {name}")


@building_block
def n_fee_to_on_mode() -> None:
    """Brings the N-FEE to ON mode; the N-FEE must be powered."""
    dpu().n_fee_set_on_mode()
    _wait_for_mode(n_fee_is_on_mode, "ON")


@building_block
def n_fee_to_standby_mode() -> None:
    """Brings the N-FEE to STANDBY mode, from ON or from an image mode."""
    dpu().n_fee_set_standby_mode()
    _wait_for_mode(n_fee_is_standby_mode, "STANDBY")


@building_block
def n_fee_to_dump_mode() -> None:
    """Brings the N-FEE to DUMP mode in external sync: 25 s cycle over the four CCDs, charge dumped, nothing digitised.

    Raises:
        Abort: when the N-FEE is in ON mode; it has to pass through STANDBY.
    """
    if n_fee_is_on_mode():
        raise Abort(
            "The N-FEE is in ON mode and cannot go to DUMP directly: call n_fee_to_standby_mode first"
        )
    dpu().n_fee_set_dump_mode()
    _wait_for_mode(n_fee_is_dump_mode, "DUMP")


@building_block
def n_cam_to_on_mode() -> None:
    """Brings the camera to ON mode: the name of `n_fee_to_on_mode` in the switch-off sequence."""
    n_fee_to_on_mode()


@building_block
def n_cam_to_standby_mode() -> None:
    """Brings the camera to STANDBY mode: the name of `n_fee_to_standby_mode` in the switch-on and switch-off sequences."""
    n_fee_to_standby_mode()


@building_block
def n_cam_to_dump_mode() -> None:
    """Brings the camera to DUMP mode in external sync: the name of `n_fee_to_dump_mode` in the switch-on sequence."""
    n_fee_to_dump_mode()


def fpga_default_changes() -> list[FieldChange]:
    """Returns which register fields have other values than the FPGA defaults of the camera.

    The defaults are whole words by register, those that are not listed are 0 (`camera.fee.fpga_defaults` of the Setup).

    Returns:
        Old values (those in the N-FEE, as the DPU's mirror has them) and new ones (the defaults), in the order of the register map.

    Raises:
        Abort: when the Setup has no FPGA defaults (there are none for the EM: leave this step out), or they do not fit the
            register map.
    """
    setup = GlobalState.setup
    fee = setup.camera.fee if setup is not None else {}
    content = fee.get("fpga_defaults")
    if not content:
        raise Abort(
            "The Setup has no camera.fee.fpga_defaults. For an engineering model leave this step out; for others name the file of "
            "your camera there"
        )
    layout = FEEMaps.of(setup).layout
    current = RegisterMap("N-FEE", layout, dpu().n_fee_get_register_map())
    wanted = current.copy()
    words = content.get("registers", content)
    try:
        for register in layout.addresses:
            wanted.set_register(register, 0)
        for register in words:
            wanted.set_register(str(register), int(str(words[register]), 16))
    except (KeyError, ValueError) as exc:
        raise Abort(f"camera.fee.fpga_defaults does not fit camera.fee.register_map: {exc}") from exc
    return [change for change in current.diff(wanted) if change.name != CLEARED_BY_DPU]


def format_changes(changes: list[FieldChange]) -> str:
    """Returns changes of register fields as a table: registers, field, old and new value."""
    lines = [f"{'register':<28} {'field':<30} {'old':>8} {'new':>8}"]
    lines += [f"{', '.join(c.registers):<28} {c.name:<30} {c.old:>8} {c.new:>8}" for c in changes]
    return "\n".join(lines)


@building_block
def n_fee_set_fpga_defaults() -> None:
    """Writes the FPGA defaults of the camera into the registers of the N-FEE, all in one slot, when the operator agrees.

    Shows the table of old and new values and asks; unattended runs agree. Nothing is asked when there is nothing to change.

    Raises:
        Abort: when the operator does not agree; when the N-FEE is not in ON mode (the defaults would put it there); see
            `fpga_default_changes` for others.
    """
    wait_until(
        _registers_are_known, timeout=_patience(2.5 * LONGEST_CYCLE), what="the registers of the N-FEE"
    )
    if not n_fee_is_on_mode():
        raise Abort(f"The N-FEE is in {n_fee_get_mode().name}: its FPGA defaults are written in ON mode only")
    changes = fpga_default_changes()
    if not changes:
        LOGGER.info("The registers of the N-FEE hold the FPGA defaults already")
        return
    table = format_changes(changes)
    LOGGER.info("FPGA defaults of the N-FEE:\n%s", table)
    if not confirm(f"{table}\nWrite these FPGA defaults into the N-FEE?", default=True):
        raise Abort("The operator does not want the FPGA defaults in the N-FEE: nothing was written")
    dpu().n_fee_set_register_values({change.name: change.new for change in changes})
    left = fpga_default_changes()
    if left:
        raise Abort(f"The FPGA defaults are not in effect:\n{format_changes(left)}")


def _registers_are_known() -> bool:
    """True when the DPU has read the registers: a camera that was just switched on has not told them yet."""
    return bool(dpu().get_status_summary()["known"])


def is_engineering_model() -> bool:
    """Returns True for an EM (`PLATO_CAMERA_IS_EM`), which has no FPGA defaults."""
    return camera_model() == "em"


@building_block
def n_cam_full_ccd(
    num_cycles: NumCycles,
    ccd_order: CCDOrder,
    ccd_side: CCDSide,
    rows_overscan: Annotated[int, Range(0, PARALLEL_OVERSCAN), Unit("row")],
) -> None:
    """Reads full CCDs at the nominal cycle of 25 s.

    Args:
        num_cycles: number of cycles, then back to DUMP by itself; 0 until commanded otherwise.
        ccd_order: the CCD read at each of the four pulses; repeats are allowed.
        ccd_side: which side is recorded.
        rows_overscan: parallel overscan rows after the 4510 image rows.
    """
    _start_readout(num_cycles, 0, LAST_IMAGE_ROW + rows_overscan, 0, ccd_order, ccd_side)


@building_block
def n_cam_full_standard(num_cycles: NumCycles, ccd_side: CCDSide) -> None:
    """Reads full CCDs in the order 1-2-3-4 with 30 overscan rows, at the nominal cycle of 25 s.

    Args:
        num_cycles: number of cycles, then back to DUMP by itself; 0 until commanded otherwise.
        ccd_side: which side is recorded.
    """
    last_row = LAST_IMAGE_ROW + PARALLEL_OVERSCAN
    _start_readout(num_cycles, 0, last_row, 0, [1, 2, 3, 4], ccd_side)


@building_block
def n_cam_partial_ccd(
    num_cycles: NumCycles,
    row_start: Row,
    row_end: Row,
    rows_final_dump: RowCount,
    ccd_order: CCDOrder,
    ccd_side: CCDSide,
) -> None:
    """Reads a range of rows, with an optional clear-out afterwards.

    Args:
        num_cycles: number of cycles, then back to DUMP by itself; 0 until commanded otherwise.
        row_start: first row that is digitised; the rows below are dumped.
        row_end: last row that is digitised; above 4509 it includes parallel overscan.
        rows_final_dump: rows dumped after the readout, typically 0 or 4510.
        ccd_order: the CCD read at each of the four pulses; repeats are allowed.
        ccd_side: which side is recorded.
    """
    _start_readout(num_cycles, row_start, row_end, rows_final_dump, ccd_order, ccd_side)


@building_block
def n_cam_acquire_and_dump(
    num_cycles: Annotated[int, Range(1, 100_000)],
    row_start: Row,
    row_end: Row,
    rows_final_dump: RowCount,
    ccd_order: CCDOrder,
    ccd_side: CCDSide,
) -> None:
    """Acquires `num_cycles` cycles of images; returns when the camera is back in DUMP mode and the files are on disk.

    Args:
        num_cycles: number of cycles, at least 1.
        row_start: first row that is digitised.
        row_end: last row that is digitised; above 4509 it includes parallel overscan.
        rows_final_dump: rows dumped after the readout.
        ccd_order: the CCD read at each of the four pulses.
        ccd_side: which side is recorded.
    """
    _start_readout(num_cycles, row_start, row_end, rows_final_dump, ccd_order, ccd_side)
    wait_until(
        n_fee_is_dump_mode,
        timeout=_patience((num_cycles + 3) * LONGEST_CYCLE),
        interval=POLL_INTERVAL,
        what=f"the end of {num_cycles} cycles",
        progress=lambda: dpu().get_num_cycles(),
    )
    wait_until(
        lambda: dpu().get_unfinished_files() == 0,
        timeout=_patience(2 * LONGEST_CYCLE),
        interval=POLL_INTERVAL,
        what="the raw files",
    )


def _start_readout(
    num_cycles: int,
    row_start: int,
    row_end: int,
    rows_final_dump: int,
    ccd_order: list[int],
    ccd_side: CCDSide,
) -> None:
    if row_end < row_start:
        raise Abort(f"row_end ({row_end}) lies below row_start ({row_start}): there is nothing to read")
    if len(ccd_order) != 4:
        raise Abort(f"ccd_order names the CCD for each of the four pulses, got {ccd_order}")
    if n_fee_is_on_mode():
        raise Abort("The N-FEE is in ON mode and cannot take images: bring it to STANDBY and DUMP first")
    dpu().n_fee_set_full_image_mode(
        num_cycles=num_cycles,
        row_start=row_start,
        row_end=row_end,
        rows_final_dump=rows_final_dump,
        ccd_order=ccd_order,
        ccd_side=ccd_side,
    )
    _wait_for_mode(_is_reading_out, "FULL IMAGE")


def _is_reading_out() -> bool:
    return not n_fee_is_dump_mode() and n_fee_get_mode() == n_fee_mode.FULL_IMAGE_MODE


def wait_cycles(n: int) -> None:
    """Returns after `n` more cycles (long pulses).

    Args:
        n: how many long pulses to wait for; 0 returns at once.
    """
    camera = dpu()
    target = camera.get_cycle_count() + n
    wait_until(
        lambda: camera.get_cycle_count() >= target,
        timeout=_patience((n + 1) * LONGEST_CYCLE),
        interval=POLL_INTERVAL / 5,
        what=f"{n} camera cycle(s)",
    )


def on_long_pulse_do(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Waits for the next long pulse and then calls `function(*args, **kwargs)`.

    The call is aligned to the readout of the first CCD of the commanded order.

    Returns:
        The result of the function.
    """
    wait_cycles(1)
    return function(*args, **kwargs)


def camera_is_simulated() -> bool:
    """Returns True when the camera behind the DPU is a simulator."""
    return bool(dpu().is_simulator()) or GlobalState.dry_run


for _block in (n_fee_to_on_mode, n_fee_to_standby_mode, n_cam_to_on_mode, n_cam_to_standby_mode):
    recovery(_block)
