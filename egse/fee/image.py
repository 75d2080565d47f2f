"""Pixels of a readout: a detector that looks at a scene, or the FEE's test pattern.

An image source fills rows of one side, prescan and overscan columns included, directly into the packets.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from egse.fee.geometry import COLUMNS_SIDE, ROWS, SERIAL_PRESCAN
from egse.fee.scene import NOMINAL_EXPOSURE, Scene, StarField
from egse.spw import CCDSide

Pixels = npt.NDArray[Any]
"""Big-endian uint16, shape (packets, rows per packet, columns)."""

_POOL_SIZE: Final = 1 << 21
_FIRST: Final = SERIAL_PRESCAN
_STOP: Final = SERIAL_PRESCAN + COLUMNS_SIDE
_MAX_ADU: Final = 0xFFFF


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


class ImageSource(Protocol):
    """Something that makes pixels."""

    def fill(self, out: Pixels, exposure: Exposure, side: CCDSide, first_row: int) -> None:
        """Fills rows `first_row` ... of one side of a readout into `out`."""


class TestPattern:
    """The pattern of the FEE's pattern mode: each pixel tells where and when it was made.

    Bits 15-13: timecode modulo 8; 12-11: CCD code; 10: side; 9-5: row modulo 32; 4-0: column modulo 32 (the blocks of 32
    by 32 are what the reference shows, the use of the upper bits is an assumption).
    """

    __test__ = False

    def fill(self, out: Pixels, exposure: Exposure, side: CCDSide, first_row: int) -> None:
        packets, per_packet, columns = out.shape
        rows = first_row + np.arange(packets * per_packet).reshape(packets, per_packet, 1)
        head = (exposure.timecode & 7) << 13 | exposure.code << 11 | int(side) << 10
        out[...] = head | (rows & 31) << 5 | (np.arange(columns) & 31)


class Detector:
    """Bias, noise, light: a CCD with its electronics.

    Noise is drawn from a pool of random numbers made once, at a random offset for each stretch of rows: a full frame of
    both sides takes some 0.1 s.

    Args:
        scene: the light; a star field when not given.
        seed: of the noise.
        bias: offset of side E and F [ADU].
        gain: electrons per ADU.
        read_noise: read noise [electrons].
        background: uniform light at light level 1 [ADU/s].
        full_well: saturation of a pixel [electrons].
        twos_complement: send pixels as two's complement (EM) instead of offset binary.
    """

    def __init__(
        self,
        scene: Scene | None = None,
        *,
        seed: int = 0,
        bias: tuple[float, float] = (1000.0, 1020.0),
        gain: float = 25.0,
        read_noise: float = 45.0,
        background: float = 10.0,
        full_well: float = 900_000.0,
        twos_complement: bool = False,
    ) -> None:
        self.scene: Scene = scene if scene is not None else StarField(seed)
        self.bias = bias
        self.gain = gain
        self.read_noise = read_noise
        self.background = background
        self.full_well = full_well
        self._flip = np.uint16(0x8000 if twos_complement else 0)
        self._rng = np.random.default_rng([seed, 1])
        self._normal = self._rng.standard_normal(_POOL_SIZE, np.float32)
        self._pool = lru_cache(maxsize=8)(self._make_pool)

    def fill(self, out: Pixels, exposure: Exposure, side: CCDSide, first_row: int) -> None:
        packets, per_packet, columns = out.shape
        bias = self.bias[side]
        dark = self._pool(bias, 0.0)
        stop = min(_STOP, columns)
        self._noise(out[..., :_FIRST], dark)
        self._noise(out[..., stop:], dark)
        lit = exposure.light_level * exposure.exposure
        image = out[..., _FIRST:stop]
        light_rows = min(packets * per_packet, max(0, ROWS - first_row))
        if not image.size or lit <= 0 or not light_rows:
            self._noise(image, dark)
            return
        sky = min(self.background * lit, self.full_well / self.gain)
        scale = lit / NOMINAL_EXPOSURE
        sparse = self.scene.sparse(exposure.code, side)
        if sparse is None:
            rows = self.scene.image(exposure.code, side, first_row, first_row + light_rows)
            self._image(image, rows * np.float32(scale) + np.float32(sky), bias)
            return
        self._noise(image, self._pool(bias, round(sky, 3)))
        which = sparse.between(first_row, first_row + light_rows)
        columns_lit = sparse.columns[which]
        inside = columns_lit < stop - _FIRST
        rows_lit = sparse.rows[which][inside] - first_row
        self._stars(
            image, rows_lit, columns_lit[inside], sparse.values[which][inside] * np.float32(scale), bias
        )

    def _make_pool(self, bias: float, signal: float) -> Pixels:
        """Returns noise around bias and a uniform signal [ADU], big-endian."""
        sigma = np.float32(np.sqrt((self.read_noise / self.gain) ** 2 + signal / self.gain))
        return self._quantise(self._normal * sigma + np.float32(bias + signal))

    def _quantise(self, adu: npt.NDArray[np.floating[Any]]) -> Pixels:
        np.rint(adu, out=adu)
        np.clip(adu, 0, _MAX_ADU, out=adu)
        values = adu.astype(np.uint16)
        if self._flip:
            values ^= self._flip
        return values.astype(">u2")

    def _offset(self, size: int) -> int:
        return int(self._rng.integers(0, _POOL_SIZE - size + 1))

    def _noise(self, out: Pixels, pool: Pixels) -> None:
        """Copies a stretch of a pool into `out`."""
        size = out.size
        if size > _POOL_SIZE:
            for part in np.array_split(out, len(out)):
                self._noise(part, pool)
        elif size:
            start = self._offset(size)
            out[...] = pool[start : start + size].reshape(out.shape)

    def _image(self, out: Pixels, signal: npt.NDArray[np.float32], bias: float) -> None:
        """Writes rows with a signal of their own [ADU]; rows of `out` beyond are filler of a short last packet."""
        packets, per_packet, columns = out.shape
        full = np.zeros((packets * per_packet, columns), np.float32)
        full[: len(signal)] = np.minimum(signal[:, :columns], self.full_well / self.gain)
        sigma = np.sqrt((self.read_noise / self.gain) ** 2 + np.maximum(full, 0) / self.gain)
        start = self._offset(min(full.size, _POOL_SIZE))
        full += sigma * np.resize(self._normal[start : start + full.size], full.shape) + np.float32(bias)
        out[...] = self._quantise(full).reshape(out.shape)

    def _stars(
        self,
        out: Pixels,
        rows: npt.NDArray[np.int64],
        columns: npt.NDArray[np.int64],
        signal: npt.NDArray[np.float32],
        bias: float,
    ) -> None:
        """Adds light with its shot noise to single pixels."""
        if not rows.size:
            return
        place = (rows // out.shape[1], rows % out.shape[1], columns)
        level = (out[place].astype(np.uint16) ^ self._flip).astype(np.float32)
        noise = self._rng.standard_normal(rows.size, np.float32) * np.sqrt(signal / self.gain)
        limit = np.float32(bias + self.full_well / self.gain)
        out[place] = self._quantise(np.minimum(level + signal + noise, limit))
