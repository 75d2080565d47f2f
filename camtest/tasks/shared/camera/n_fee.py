"""The N-FEE beyond its modes: reset, DUMP mode in either synchronisation, registers, temperatures and voltages."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from camtest.commanding import dpu
from camtest.commanding.utilities import wait_until
from camtest.core.exec import Abort, building_block
from camtest.display.registers import as_text
from camtest.state import GlobalState
from camtest.tasks.blocks import in_observation
from camtest.tasks.exec import exec_ui
from egse.command import Range, Unit
from egse.dpu.maps import FEEMaps
from egse.dpu.n_fee_hk import NFEEHKProxy
from egse.fee.calibration import SUFFIX
from egse.fee.hk import PREFIX
from egse.fee.timing import LONG_PULSE
from egse.reg import RegisterMap

LOGGER = logging.getLogger(__name__)

INTERNAL_CYCLE = 6.25
"""Time between two pulses in internal synchronisation, as between two external ones [s]."""
LAST_ROW_INTERNAL = 9
"""Ten rows are read in the DUMP mode of internal synchronisation, before all are dumped."""
TEMPERATURES = ("CCD1_TS", "CCD2_TS", "CCD3_TS", "CCD4_TS")
VOLTAGES = ("VCCD_POS_RAW", "VCLK_POS_RAW", "VAN1_POS_RAW", "VAN2_POS_RAW", "VAN3_NEG_MON", "VDIG_RAW")


def _timeout(cycles: float = 2.5) -> float:
    return max(cycles * dpu.LONGEST_CYCLE, dpu.LEAST_PATIENCE * GlobalState.clock.speed)


def registers() -> RegisterMap:
    """Returns the registers of the N-FEE as the DPU has them."""
    return RegisterMap("N-FEE", FEEMaps.of(GlobalState.setup).layout, dpu.dpu().n_fee_get_register_map())


def _differences() -> dict[str, int]:
    """Returns the values after power-on of the fields that are different now."""
    now = registers()
    fresh = RegisterMap("N-FEE", now.layout)
    return {change.name: change.new for change in now.diff(fresh) if change.name != dpu.CLEARED_BY_DPU}


@building_block
def n_fee_reset() -> None:
    """Brings the N-FEE to ON mode, from any other, and all its registers to their values after power-on.

    FPGA defaults are to be written anew afterwards.

    Raises:
        Abort: when registers keep other values.
    """
    _wait_for_registers()
    dpu.n_fee_to_on_mode()
    values = _differences()
    if values:
        dpu.dpu().n_fee_set_register_values(values)
    left = _differences()
    if left:
        raise Abort(f"The N-FEE was not reset, not as after power-on: {', '.join(left)}")
    LOGGER.info("The N-FEE is as after power-on; fields that were not: %s", ", ".join(values) or "none")


@building_block
def n_fee_to_dump_mode_int_sync(
    cycle_time: Annotated[float, Range(1.0, 65.0), Unit("s")],
) -> None:
    """Brings the N-FEE to DUMP mode in internal synchronisation: ten rows read, then all dumped, nothing digitised.

    Each pulse is a long one then, and the CCD is always the first of the readout order: the DPU does not turn from one CCD to
    the next.

    Args:
        cycle_time: time between two pulses.

    Raises:
        Abort: when the N-FEE is in ON mode; it has to pass through STANDBY.
    """
    if dpu.n_fee_is_on_mode():
        raise Abort("The N-FEE is in ON mode and cannot go to DUMP directly: bring it to STANDBY first")
    camera = dpu.dpu()
    with camera.batch():
        camera.n_fee_set_dump_mode()
        camera.n_fee_set_register_values({"v_end": LAST_ROW_INTERNAL})
        camera.n_fee_set_internal_sync(round((cycle_time - LONG_PULSE) * 1000))
    wait_until(
        lambda: dpu.n_fee_is_dump_mode() and camera.n_fee_get_sync_mode() == 1,
        timeout=_timeout(),
        interval=dpu.POLL_INTERVAL,
        what="N-FEE mode DUMP in internal synchronisation",
    )


def _wait_for_registers() -> None:
    wait_until(
        lambda: bool(dpu.dpu().get_status_summary()["known"]),
        timeout=_timeout(),
        interval=dpu.POLL_INTERVAL,
        what="the registers of the N-FEE",
    )


@exec_ui(display_name="To DUMP mode")
def to_dump_mode(description: str = "CAM switch on: FEE to DUMP MODE", int_sync: bool = False) -> None:
    """Brings the N-FEE to DUMP mode.

    Args:
        description: of the observation.
        int_sync: in internal synchronisation; each pulse is a long one, and only the first CCD of the order is dumped.
    """
    kind = "internal" if int_sync else "external"
    text = f"{description} ({kind} sync)"
    if int_sync:
        in_observation(n_fee_to_dump_mode_int_sync, text, cycle_time=INTERNAL_CYCLE)
    else:
        in_observation(dpu.n_fee_to_dump_mode, text)


@exec_ui(display_name="Sync N-FEE Register Map")
def sync_register_map() -> str:
    """Waits until the DPU has read the registers of the N-FEE and one more cycle has passed, and shows them.

    The DPU reads them by itself when the camera comes up, and writes what it changes into its mirror.
    """
    _wait_for_registers()
    dpu.wait_cycles(1)
    return as_text(registers())


@exec_ui(display_name="Print register map", immediate_run=True)
def print_register_map() -> str:
    """Shows the registers of the N-FEE as the DPU has them; the N-FEE is not asked."""
    return as_text(registers())


@exec_ui(display_name="CCD Temperatures and N-FEE Voltages", immediate_run=True)
def temperatures_and_voltages() -> Any:
    """Shows the temperatures of the CCDs and the supply voltages in the last housekeeping of the N-FEE."""
    from rich.table import Table

    with NFEEHKProxy() as housekeeping:
        row = housekeeping.get_last_row()
    table = Table("parameter", "value", title=f"N-FEE at {row.get('timestamp', 'no time yet')}")
    for names, unit in ((TEMPERATURES, "degC"), (VOLTAGES, "V")):
        for name in names:
            value = row.get(f"{PREFIX}{name}{SUFFIX}")
            table.add_row(f"{PREFIX}{name} [{unit}]", "not known" if value is None else f"{float(value):.5f}")
    return table
