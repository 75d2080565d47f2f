"""Timing of the N-FEE: pulses and readout time.

Source: user manual, timing chapter; the formula is a derivation that reproduces its 4 s for a full frame.
"""

from __future__ import annotations

from typing import Final

READOUT_PERIOD: Final = 6.25
"""Time between two sync pulses of a cycle [s]."""

FRAMES_PER_CYCLE: Final = 4
"""Sync pulses, and so readouts, in a cycle with external sync, whatever its length."""

CYCLE_TIMES: Final = (25.0, 31.25, 37.5, 43.75, 50.0)
"""Image cycle times with external sync [s]; beyond 25 s the extra time is exposure."""

LONG_PULSE: Final = 0.4
"""Length of the first pulse of a cycle [s]; the readout starts at its end."""

SHORT_PULSE: Final = 0.2
"""Length of the other pulses [s]."""

TIME_ROW_PARALLEL: Final = 110e-6
"""Parallel transfer of one row [s]."""

TIME_PIXEL_READOUT: Final = 0.34e-6
"""Serial readout of one pixel [s]."""

TIME_ROW_CLEAROUT: Final = 90e-6
"""Dump of one row [s]."""


def readout_time(v_start: int, v_end: int, n_final_dump: int = 0, columns: int = 2295) -> float:
    """Returns the time a readout takes [s]: rows skipped, rows read, rows dumped at the end.

    Args:
        v_start: first row read; the rows below are dumped.
        v_end: last row read, inclusive.
        n_final_dump: rows dumped after the readout.
        columns: columns read per row and side.
    """
    rows = max(0, v_end - v_start + 1)
    row = TIME_ROW_PARALLEL + columns * TIME_PIXEL_READOUT
    return v_start * TIME_ROW_CLEAROUT + rows * row + n_final_dump * TIME_ROW_CLEAROUT


def internal_period(int_sync_period: int) -> float:
    """Returns the real time between internal pulses [s]: the register value [ms] plus the 400 ms of the long pulse."""
    return int_sync_period / 1000 + LONG_PULSE
