"""Image sources for the special readouts of the N-FEE: charge injection, reverse clocking, trap pumping.

They wrap the source of an ordinary readout and change its pixels, so they hold for any detector. How much charge is
injected and where the traps are is not public: both are assumptions, kept here.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from egse.fee.geometry import COLUMNS_SIDE, ROWS, SERIAL_PRESCAN
from egse.fee.image import ImageSource, Pixels
from egse.fee.light import Exposure
from egse.spw import CCDSide

INJECTED: Final = 8000
"""Signal of an injected row [ADU] (assumption)."""

TRAPS_PER_SIDE: Final = 2000
"""Traps on one side of a CCD (assumption)."""

PUMPED: Final = 300
"""Charge that a trap moves to the neighbour while it is pumped [ADU] (assumption)."""

_FIRST: Final = SERIAL_PRESCAN
_STOP: Final = SERIAL_PRESCAN + COLUMNS_SIDE


def _add(
    out: Pixels, where: tuple[npt.NDArray[np.int64], ...], adu: npt.ArrayLike, twos_complement: bool
) -> None:
    """Adds signal to pixels, within 0..65535."""
    flip = 0x8000 if twos_complement else 0
    level = (out[where].astype(np.int64) ^ flip) + np.asarray(adu)
    out[where] = np.clip(level, 0, 0xFFFF) ^ flip


def _places(
    out: Pixels, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], ...]:
    return rows // out.shape[1], rows % out.shape[1], columns


class RepeatedPixels:
    """Pixels that are made once and sent again and again, the same for all CCDs: for links faster than a detector.

    Keeps one frame in memory (42 MB when both sides are read in full). Headers, rhythm and number of packets stay true.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[object, ...], Pixels] = {}

    def of(self, source: ImageSource) -> ImageSource:
        """Returns a source that asks `source` only for rows that were not made yet."""
        return _Repeated(source, self._kept)


class _Repeated:
    def __init__(self, source: ImageSource, kept: dict[tuple[object, ...], Pixels]) -> None:
        self._source = source
        self._kept = kept

    def fill(self, out: Pixels, exposure: Exposure, side: CCDSide, first_row: int) -> None:
        key = (side, first_row, out.shape)
        if key not in self._kept:
            self._source.fill(out, exposure, side, first_row)
            self._kept[key] = out.copy()
        else:
            out[...] = self._kept[key]


class ReverseClocking:
    """No charge reaches the register: only the offset and noise of the electronics, in all columns and rows."""

    def __init__(self, source: ImageSource) -> None:
        self._source = source

    def fill(self, out: Pixels, exposure: Exposure, side: CCDSide, first_row: int) -> None:
        self._source.fill(out, replace(exposure, exposure=0.0), side, first_row)


class ChargeInjection:
    """Blocks of injected rows, with gaps in between, counted from the first row read.

    Args:
        source: makes the pixels to which charge is added.
        width, gap: rows of a block, and rows between blocks.
        start: row where the first block begins.
        twos_complement: coding of the pixels.
    """

    def __init__(
        self, source: ImageSource, width: int, gap: int, start: int = 0, twos_complement: bool = False
    ) -> None:
        self._source = source
        self._width = width
        self._period = width + gap
        self._start = start
        self._twos_complement = twos_complement

    def fill(self, out: Pixels, exposure: Exposure, side: CCDSide, first_row: int) -> None:
        self._source.fill(out, exposure, side, first_row)
        rows = np.arange(out.shape[0] * out.shape[1])
        row = first_row + rows
        lit = (
            rows[((row - self._start) % self._period < self._width) & (row < ROWS)]
            if self._period
            else rows[:0]
        )
        columns = np.arange(_FIRST, min(_STOP, out.shape[2]))
        grid = [array.ravel() for array in np.meshgrid(lit, columns, indexing="ij")]
        _add(out, _places(out, grid[0], grid[1]), INJECTED, self._twos_complement)


class TrapPumping:
    """Charge shuffled to and fro: each trap makes a dark pixel and a bright one beside it.

    Args:
        source: makes the pixels.
        serial: the neighbour is in the next column (serial pumping), else in the next row.
        shift: 0 or 1 for the two pumping schemes: which pixel of the pair is the dark one.
        seed: of the places of the traps.
        twos_complement: coding of the pixels.
    """

    def __init__(
        self,
        source: ImageSource,
        *,
        serial: bool,
        shift: int = 0,
        seed: int = 0,
        twos_complement: bool = False,
    ) -> None:
        self._source = source
        self._serial = serial
        self._shift = shift
        self._seed = seed
        self._twos_complement = twos_complement

    def fill(self, out: Pixels, exposure: Exposure, side: CCDSide, first_row: int) -> None:
        self._source.fill(out, exposure, side, first_row)
        rng = np.random.default_rng([self._seed, 3, exposure.code, int(side)])
        rows = rng.integers(0, ROWS - 1, TRAPS_PER_SIDE)
        columns = rng.integers(_FIRST, _STOP - 1, TRAPS_PER_SIDE)
        for step, adu in ((self._shift, -PUMPED), (1 - self._shift, PUMPED)):
            row = rows + (0 if self._serial else step) - first_row
            column = columns + (step if self._serial else 0)
            inside = (row >= 0) & (row < out.shape[0] * out.shape[1]) & (column < out.shape[2])
            _add(out, _places(out, row[inside], column[inside]), adu, self._twos_complement)
