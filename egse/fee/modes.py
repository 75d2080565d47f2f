"""Modes of the N-FEE and the transitions between them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class n_fee_mode(IntEnum):
    """Field `ccd_mode_config` of the register map; also the mode in the type word and in the housekeeping."""

    ON_MODE = 0x0
    FULL_IMAGE_PATTERN_MODE = 0x1
    WINDOWING_PATTERN_MODE = 0x2
    STANDBY_MODE = 0x4
    FULL_IMAGE_MODE = 0x5
    WINDOWING_MODE = 0x6
    SOFT_RESET = 0x7
    IMMEDIATE_ON = 0x8
    PARALLEL_TRAP_PUMPING_1_MODE = 0x9
    PARALLEL_TRAP_PUMPING_2_MODE = 0xA
    SERIAL_TRAP_PUMPING_1_MODE = 0xB
    SERIAL_TRAP_PUMPING_2_MODE = 0xC


_ON_MODES: Final = frozenset({n_fee_mode.FULL_IMAGE_PATTERN_MODE, n_fee_mode.WINDOWING_PATTERN_MODE})
_STANDBY_MODES: Final = frozenset(
    {
        n_fee_mode.FULL_IMAGE_MODE,
        n_fee_mode.WINDOWING_MODE,
        n_fee_mode.PARALLEL_TRAP_PUMPING_1_MODE,
        n_fee_mode.PARALLEL_TRAP_PUMPING_2_MODE,
        n_fee_mode.SERIAL_TRAP_PUMPING_1_MODE,
        n_fee_mode.SERIAL_TRAP_PUMPING_2_MODE,
    }
)

TRANSITIONS: Final[dict[n_fee_mode, frozenset[n_fee_mode]]] = {
    n_fee_mode.ON_MODE: _ON_MODES | {n_fee_mode.STANDBY_MODE},
    n_fee_mode.STANDBY_MODE: _STANDBY_MODES | {n_fee_mode.ON_MODE},
    **dict.fromkeys(_ON_MODES, frozenset({n_fee_mode.ON_MODE})),
    **dict.fromkeys(_STANDBY_MODES, frozenset({n_fee_mode.STANDBY_MODE})),
}
"""From each mode, the modes that can be reached at the next long pulse. `IMMEDIATE_ON` leads to ON from any, at once."""

TRAP_PUMPING_MODES: Final = _STANDBY_MODES - {n_fee_mode.FULL_IMAGE_MODE, n_fee_mode.WINDOWING_MODE}
"""Parallel and serial trap pumping; all of them read the full image."""

IMAGE_MODES: Final = TRAP_PUMPING_MODES | {n_fee_mode.FULL_IMAGE_MODE, n_fee_mode.FULL_IMAGE_PATTERN_MODE}
"""Modes in which full-image packets are sent."""

WINDOWING_MODES: Final = frozenset({n_fee_mode.WINDOWING_MODE, n_fee_mode.WINDOWING_PATTERN_MODE})
"""Modes in which packets of windows are sent."""

PATTERN_MODES: Final = _ON_MODES
"""Modes in which a pattern is sent instead of pixels; the CCDs have no power."""


def is_legal_transition(old: int, new: int) -> bool:
    """Returns True when the FEE goes from mode `old` to mode `new` (staying is always legal)."""
    if new == n_fee_mode.IMMEDIATE_ON or old == new:
        return True
    return new in TRANSITIONS.get(n_fee_mode(old), frozenset())


def is_dump_mode(mode: int, dg_en: int, digitise_en: int) -> bool:
    """Returns True for DUMP: full-image mode, dump gate high, nothing digitised. All three are needed."""
    return mode == n_fee_mode.FULL_IMAGE_MODE and bool(dg_en) and not digitise_en
