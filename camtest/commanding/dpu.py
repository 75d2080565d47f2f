"""The camera: modes of the N-FEE, readouts, and synchronisation with the readout cycle.

A change of mode or readout parameters takes effect at the next long pulse, up to one cycle (25 s nominal) after it was
commanded; the building blocks here return when it is in effect. Arguments are those of the ground tests commanding
manual: rows count from 0 at the readout register and are inclusive; CCDs are numbered 1..4 as in all of the CGSE.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, cast

from camtest.commanding.utilities import device, wait_until
from camtest.core.exec import Abort, building_block
from camtest.state import GlobalState
from egse.command import Range, Unit
from egse.dpu import DPUProxy
from egse.fee import CYCLE_TIMES, n_fee_mode
from egse.fee.geometry import PARALLEL_OVERSCAN, ROWS

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
    return n_fee_get_mode() == n_fee_mode.FULL_IMAGE_MODE and not n_fee_is_dump_mode()


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
