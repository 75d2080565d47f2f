"""What each command means for the registers of the FEE.

An `Operation` is worked out when it is sent, not when it is queued: it depends on the mode in effect by then.

Source: FEE operations reference 2, 9, 10 (mapping of building blocks to registers).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from egse.dpu.errors import FEEModeError
from egse.dpu.maps import FEEMaps
from egse.dpu.state import LATCHED_ON_EVERY_PULSE, NFEEState
from egse.dpu.tickets import Effect
from egse.fee import FEE_SENSOR_SEL, is_legal_transition, n_fee_mode
from egse.fee.geometry import COLUMNS_TRANSMITTED, ROWS
from egse.reg import RegisterMap, RegisterWrite

LOGGER = logging.getLogger(__name__)

LAST_COLUMN = COLUMNS_TRANSMITTED - 1
DUMP_ROWS = ROWS
MAX_ROW = 0xFFFF


@dataclass(frozen=True)
class Operation:
    """Register fields to write in one command slot.

    Attributes:
        name: the command it comes from.
        values: new values by field.
        num_cycles: number of image cycles to count from the next long pulse on (0: do not count); None to leave the
            counter alone.
    """

    name: str
    values: Mapping[str, int] = field(default_factory=dict)
    num_cycles: int | None = None


def _to_mode(state: NFEEState, mode: n_fee_mode) -> int:
    if is_legal_transition(state.mode, mode):
        return int(mode)
    old = n_fee_mode(state.mode).name
    note = ""
    if state.commanded_mode not in (state.mode, mode):
        pending = n_fee_mode(state.commanded_mode).name
        note = f"; {pending} was commanded and is in effect from the next long pulse on: wait for it"
    raise FEEModeError(f"the N-FEE has no transition from {old} to {mode.name}{note}")


def _on(name: str, state: NFEEState) -> Operation:
    legal = is_legal_transition(state.mode, n_fee_mode.ON_MODE)
    mode = n_fee_mode.ON_MODE if legal else n_fee_mode.IMMEDIATE_ON
    return Operation(name, {"ccd_mode_config": int(mode)}, num_cycles=0)


def _standby(name: str, state: NFEEState) -> Operation:
    mode = _to_mode(state, n_fee_mode.STANDBY_MODE)
    return Operation(name, {"ccd_mode_config": mode, "DG_en": 0}, num_cycles=0)


def _ordinary(state: NFEEState) -> dict[str, int]:
    """Ordinary readout: clocks forward, no charge injection; fields that the camera's register map lacks are left out."""
    fields = {"ccd_read_en": 1, "charge_injection_en": 0, "img_clk_dir": 0, "reg_clk_dir": 0}
    return {name: value for name, value in fields.items() if name in state.registers}


def _dump(name: str, state: NFEEState) -> Operation:
    values = {
        "v_start": 0,
        "v_end": 0,
        "h_end": LAST_COLUMN,
        "n_final_dump": DUMP_ROWS,
        "ccd_readout_order": state.numbering.default_readout_order,
        "sensor_sel": FEE_SENSOR_SEL["BOTH"],
        "sync_sel": 0,
        "DG_en": 1,
        "digitise_en": 0,
        **_ordinary(state),
        "ccd_mode_config": _to_mode(state, n_fee_mode.FULL_IMAGE_MODE),
    }
    return Operation(name, values, num_cycles=0)


def _check_rows(row_start: int, row_end: int) -> None:
    if row_end < row_start:
        raise ValueError(f"row_end ({row_end}) is smaller than row_start ({row_start})")


def _full_image(
    name: str,
    state: NFEEState,
    num_cycles: int,
    row_start: int,
    row_end: int,
    rows_final_dump: int,
    ccd_order: list[int],
    ccd_side: str,
) -> Operation:
    _check_rows(row_start, row_end)
    if ccd_side not in FEE_SENSOR_SEL:
        raise ValueError(f'ccd_side must be "E", "F" or "BOTH", got {ccd_side!r}')
    values = {
        "v_start": row_start,
        "v_end": row_end,
        "h_end": LAST_COLUMN,
        "n_final_dump": rows_final_dump,
        "ccd_readout_order": state.numbering.encode_order(ccd_order),
        "sensor_sel": FEE_SENSOR_SEL[ccd_side],
        "DG_en": 0,
        "digitise_en": 1,
        **_ordinary(state),
        "ccd_mode_config": _to_mode(state, n_fee_mode.FULL_IMAGE_MODE),
    }
    return Operation(name, values, num_cycles=num_cycles)


def _internal_sync(name: str, state: NFEEState, int_sync_period: int) -> Operation:
    return Operation(name, {"sync_sel": 1, "int_sync_period": int_sync_period})


def _external_sync(name: str, state: NFEEState) -> Operation:
    return Operation(name, {"sync_sel": 0})


def _register_values(name: str, state: NFEEState, values: dict[str, int]) -> Operation:
    if "ccd_mode_config" in values:
        _to_mode(state, n_fee_mode(values["ccd_mode_config"]))
    return Operation(name, dict(values))


def _clear_error_flags(name: str, state: NFEEState) -> Operation:
    return Operation(name, {"clear_error_flag": 1})


OPERATIONS: dict[str, Callable[..., Operation]] = {
    "n_fee_set_on_mode": _on,
    "n_fee_set_standby_mode": _standby,
    "n_fee_set_dump_mode": _dump,
    "n_fee_set_full_image_mode": _full_image,
    "n_fee_set_internal_sync": _internal_sync,
    "n_fee_set_external_sync": _external_sync,
    "n_fee_set_register_values": _register_values,
    "n_fee_clear_error_flags": _clear_error_flags,
}
"""The commands that go to the FEE, by name."""


def make_operation(name: str, arguments: Mapping[str, Any], state: NFEEState) -> Operation:
    """Works out what a command writes.

    Args:
        name: one of `OPERATIONS`.
        arguments: its arguments by name.
        state: the mirror of the FEE.

    Raises:
        FEEModeError: when the FEE would refuse the change of mode.
        ValueError, KeyError: when the command or an argument makes no sense; `egse.reg.RegisterMapError` is a ValueError.
    """
    make = OPERATIONS.get(name)
    if make is None:
        raise ValueError(f"the DPU knows no command {name!r}")
    operation = make(name, state, **arguments)
    state.registers.plan(
        operation.values
    )  # refuses fields and values that do not fit, before anything is sent
    return operation


@dataclass(frozen=True)
class Plan:
    """What a command, or a batch of them, writes: all of it in one slot, or nothing.

    Attributes:
        writes: the registers to write, in order, each with the name of its command.
        num_cycles: see `Operation`; that of the last command that sets it.
        effect: when all of it is in effect.
    """

    writes: tuple[tuple[str, RegisterWrite], ...]
    num_cycles: int | None
    effect: Effect


def make_plan(commands: Sequence[tuple[str, Mapping[str, Any]]], state: NFEEState) -> Plan:
    """Works out what commands write one after the other.

    Args:
        commands: name and arguments of each.
        state: the mirror of the FEE.

    Raises:
        FEEModeError, ValueError, KeyError: of the first command that cannot be; see `make_operation`.
    """
    registers = state.registers.copy()
    writes: list[tuple[str, RegisterWrite]] = []
    num_cycles: int | None = None
    effects = {Effect.NOW}
    for number, (name, arguments) in enumerate(commands, start=1):
        try:
            operation = make_operation(name, arguments, state)
        except (ValueError, KeyError, TypeError) as exc:
            if len(commands) > 1:
                LOGGER.error("nothing of the batch is sent: command %d of it, %s: %s", number, name, exc)
            raise
        for write in registers.plan(operation.values):
            registers.apply(write)
            writes.append((name, write))
        num_cycles = num_cycles if operation.num_cycles is None else operation.num_cycles
        effects.add(_effect_of(operation.values))
    slowest = max(effects, key=list(Effect).index)
    return Plan(tuple(writes), num_cycles, slowest)


def _effect_of(values: Mapping[str, int]) -> Effect:
    if values.get("ccd_mode_config") == n_fee_mode.IMMEDIATE_ON:
        return Effect.NOW
    if set(values) <= {"clear_error_flag"}:
        return Effect.NOW
    return Effect.PULSE if set(values) <= {*LATCHED_ON_EVERY_PULSE, "clear_error_flag"} else Effect.LONG_PULSE


def check_arguments(name: str, arguments: Mapping[str, Any], maps: FEEMaps) -> None:
    """Refuses arguments that can never work, before a command is queued.

    Args:
        name: one of `OPERATIONS`.
        arguments: its arguments by name.
        maps: of the FEE.

    Raises:
        ValueError, KeyError: naming the argument.
    """
    if name == "n_fee_set_full_image_mode":
        _check_rows(arguments["row_start"], arguments["row_end"])
        maps.numbering.encode_order(arguments["ccd_order"])
    elif name == "n_fee_set_register_values":
        RegisterMap("N-FEE", maps.layout).plan(arguments["values"])
