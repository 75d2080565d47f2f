"""What the pixels of a readout have collected before noise: scene, background, dark current; smear and charge transfer.

Coordinates are those of the readout: row from the register, column from the edge at which the amplifier sits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from egse.fee.geometry import COLUMNS_SIDE, COLUMNS_TRANSMITTED, ROWS
from egse.fee.scene import NOMINAL_EXPOSURE, FloatArray, Scene
from egse.fee.timing import TIME_PIXEL_READOUT, TIME_ROW_PARALLEL
from egse.spw import CCDSide

_ROW_TIME = TIME_ROW_PARALLEL + COLUMNS_TRANSMITTED * TIME_PIXEL_READOUT


@dataclass(frozen=True, slots=True)
class Exposure:
    """One readout as an image source sees it.

    Attributes:
        code: FEE code of the CCD.
        timecode: timecode of the pulse.
        exposure: time since the CCD was read or dumped before [s]; 0 for rows read with the dump gate on.
        light_level: attenuation of everything that comes from outside, 0..1.
    """

    code: int
    timecode: int
    exposure: float
    light_level: float


class LightPath:
    """Adds up what reaches a pixel.

    Args:
        scene: the light.
        background: uniform light at light level 1 [ADU/s].
        smear: a row collects, while it waits for its turn at each row below, what falls there: rate times 0.89 ms a row.
        cti: part of the charge that one parallel transfer leaves behind; it arrives one row late.
    """

    def __init__(self, scene: Scene, background: float, *, smear: bool = False, cti: float = 0.0) -> None:
        self._scene = scene
        self._background = background
        self._smear = smear
        self._cti = cti
        self._passed = lru_cache(maxsize=2)(self._light_passed)

    @property
    def is_dense(self) -> bool:
        """True when every row has a signal of its own, also under a scene of few lit pixels."""
        return self._smear or self._cti > 0

    @property
    def reaches_overscan(self) -> bool:
        """True when there is charge in the parallel overscan rows."""
        return self.is_dense

    def rows(self, exposure: Exposure, side: CCDSide, between: tuple[int, int], thermal: float) -> FloatArray:
        """Returns the charge of rows, parallel overscan rows included [ADU], shape (rows, 2255).

        Args:
            exposure: the readout.
            side: E or F.
            between: first row, and the one after the last.
            thermal: charge of the dark current [ADU].
        """
        first, stop = between
        if not self._cti:
            return self._collected(exposure, side, first, stop, thermal)
        charge = np.zeros((stop - first + 1, COLUMNS_SIDE), np.float32)
        start = max(first - 1, 0)
        charge[start - first + 1 :] = self._collected(exposure, side, start, stop, thermal)
        transfers = np.arange(first, stop + 1, dtype=np.float32)[:, None]  # row r is shifted r + 1 times
        lost = charge * np.minimum(np.float32(self._cti) * transfers, np.float32(1))
        charge -= lost
        charge[1:] += lost[:-1]
        return charge[1:]

    def _collected(
        self, exposure: Exposure, side: CCDSide, first: int, stop: int, thermal: float
    ) -> FloatArray:
        charge = np.zeros((stop - first, COLUMNS_SIDE), np.float32)
        last = min(stop, ROWS)
        if first < last:
            rate = self._rate(exposure.code, side, first, last)
            charge[: last - first] = rate * np.float32(exposure.light_level * exposure.exposure)
            charge[: last - first] += np.float32(thermal)
        if self._smear:
            passed = self._passed(exposure.code, side, getattr(self._scene, "version", 0))[
                np.minimum(np.arange(first, stop), ROWS)
            ]
            charge += passed * np.float32(exposure.light_level * _ROW_TIME)
        return charge

    def _rate(self, code: int, side: CCDSide, first: int, stop: int) -> FloatArray:
        """Returns what falls on rows at light level 1 [ADU/s]."""
        sparse = self._scene.sparse(code, side)
        if sparse is None:
            scene = self._scene.image(code, side, first, stop)
            rate: npt.NDArray[np.float32] = scene / np.float32(NOMINAL_EXPOSURE)
        else:
            rate = np.zeros((stop - first, COLUMNS_SIDE), np.float32)
            which = sparse.between(first, stop)
            place = sparse.rows[which] - first, sparse.columns[which]
            rate[place] = sparse.values[which] / np.float32(NOMINAL_EXPOSURE)
        return rate + np.float32(self._background)

    def _light_passed(self, code: int, side: CCDSide, version: int) -> FloatArray:
        """Returns for each row, and for overscan rows (index 4510), the sum of the rates of all rows below [ADU/s]."""
        passed = np.zeros((ROWS + 1, COLUMNS_SIDE), np.float32)
        np.cumsum(self._rate(code, side, 0, ROWS), axis=0, out=passed[1:])
        return passed
