"""Pixels of a readout: a detector that looks at a scene, or the FEE's test pattern.

An image source fills rows of one side, prescan and overscan columns included, directly into the packets.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from egse.fee.geometry import COLUMNS_SIDE, ROWS, SERIAL_PRESCAN
from egse.fee.light import Exposure, LightPath
from egse.fee.scene import NOMINAL_EXPOSURE, Scene, StarField
from egse.spw import CCDSide

Pixels = npt.NDArray[Any]
"""Big-endian uint16, shape (packets, rows per packet, columns)."""

_POOL_SIZE: Final = 1 << 21
_FIRST: Final = SERIAL_PRESCAN
_STOP: Final = SERIAL_PRESCAN + COLUMNS_SIDE
_MAX_ADU: Final = 0xFFFF


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

    A pixel collects electrons: light and dark current, with shot noise, up to the full well. The electronics divides by the
    gain, adds read noise and bias, and the ADC cuts at 65535.

    Noise is drawn from a pool of random numbers made once, at a random offset for each stretch of rows: a full frame of
    both sides takes some 0.1 s, several times that with `smear` or `cti`.

    Args:
        scene: the light; a star field when not given.
        seed: of the noise.
        bias: offset of side E and F [ADU].
        gain: electrons per ADU.
        read_noise: read noise [electrons].
        background: uniform light at light level 1 [ADU/s].
        dark_current: electrons per pixel and second, also in the dark.
        full_well: saturation of a pixel [electrons].
        smear: pixels also collect light while they are shifted to the register, past the rows below them.
        cti: charge transfer inefficiency: part of the charge that each parallel transfer leaves to the row behind.
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
        dark_current: float = 0.0,
        full_well: float = 900_000.0,
        smear: bool = False,
        cti: float = 0.0,
        twos_complement: bool = False,
    ) -> None:
        if gain <= 0 or min(read_noise, background, dark_current, full_well, cti) < 0:
            raise ValueError("a detector has a gain above 0, and none of its other figures is negative")
        self.scene: Scene = scene if scene is not None else StarField(seed)
        self.bias = bias
        self.gain = gain
        self.read_noise = read_noise
        self.background = background
        self.dark_current = dark_current
        self.full_well = full_well
        self._light = LightPath(self.scene, background, smear=smear, cti=cti)
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
        image = out[..., _FIRST:stop]
        rows = packets * per_packet
        if not image.size:
            return
        if exposure.exposure <= 0 or (first_row >= ROWS and not self._light.reaches_overscan):
            self._noise(image, dark)
            return
        thermal = self.dark_current * exposure.exposure / self.gain
        sparse = self.scene.sparse(exposure.code, side)
        if sparse is None or self._light.is_dense:
            signal = self._light.rows(exposure, side, (first_row, first_row + rows), thermal)
            self._image(image, signal, bias)
            return
        sky = self.background * exposure.light_level * exposure.exposure + thermal
        self._noise(image, self._pool(bias, round(sky, 3)))
        which = sparse.between(first_row, first_row + min(rows, ROWS - first_row))
        columns_lit = sparse.columns[which]
        inside = columns_lit < stop - _FIRST
        scale = np.float32(exposure.light_level * exposure.exposure / NOMINAL_EXPOSURE)
        self._stars(
            image,
            sparse.rows[which][inside] - first_row,
            columns_lit[inside],
            sparse.values[which][inside] * scale,
            bias,
        )

    def _make_pool(self, bias: float, signal: float) -> Pixels:
        """Returns noise around bias and a uniform signal [ADU], big-endian."""
        return self._read_out(np.float32(signal), self._normal, np.roll(self._normal, _POOL_SIZE // 3), bias)

    def _read_out(
        self, signal: Any, shot: npt.NDArray[np.float32], read: npt.NDArray[np.float32], bias: float
    ) -> Pixels:
        """Returns samples of pixels with a signal [ADU], from standard normal numbers for shot noise and read noise."""
        gain = np.float32(self.gain)
        collected = signal + np.sqrt(signal / gain) * shot
        np.minimum(collected, np.float32(self.full_well) / gain, out=collected)
        collected += read * np.float32(self.read_noise / self.gain) + np.float32(bias)
        return self._quantise(collected)

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
        """Writes rows with a signal of their own [ADU]."""
        signal = signal[:, : out.shape[2]]
        numbers = [np.resize(self._normal[self._offset(1) :], signal.size) for _ in range(2)]
        shot, read = (number.reshape(signal.shape) for number in numbers)
        out[...] = self._read_out(np.maximum(signal, np.float32(0)), shot, read, bias).reshape(out.shape)

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
