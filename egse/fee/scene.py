"""What the simulated camera looks at: a random star field, or images from a FITS file.

A scene says how many ADU a pixel of one side collects in a nominal exposure at light level 1. Coordinates are those of
the readout: row from the register, column from the edge at which the amplifier sits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from egse.fee.geometry import COLUMNS, COLUMNS_SIDE, LEFT_SIDE, ROWS
from egse.fee.timing import LONG_PULSE, readout_time
from egse.spw import CCDSide

NOMINAL_EXPOSURE: Final = 25.0 - LONG_PULSE - readout_time(0, ROWS + 29)
"""Exposure for which a scene is given [s]: 25 s cycle, full frames."""

FloatArray = npt.NDArray[np.float32]


class SceneError(ValueError):
    """A scene file cannot be used."""


@dataclass(frozen=True, slots=True)
class Sparse:
    """Light in few pixels, in order of rows.

    Attributes:
        rows: row of each lit pixel.
        columns: image column of each lit pixel, 0..2254.
        values: ADU in a nominal exposure.
    """

    rows: npt.NDArray[np.int64]
    columns: npt.NDArray[np.int64]
    values: FloatArray

    def between(self, first_row: int, stop_row: int) -> slice:
        """Returns which pixels lie in the rows from `first_row` up to, but not including, `stop_row`."""
        low, high = np.searchsorted(self.rows, [first_row, stop_row])
        return slice(int(low), int(high))


class Scene(Protocol):
    """The light on the four CCDs."""

    def sparse(self, code: int, side: CCDSide) -> Sparse | None:
        """Returns the lit pixels of a side (code: FEE code of the CCD), or None for an image."""

    def image(self, code: int, side: CCDSide, first_row: int, stop_row: int) -> FloatArray:
        """Returns rows of a side in ADU, shape (rows, 2255); only for scenes that are images."""


class StarField:
    """Stars at random places, the same for the same seed.

    Args:
        seed: of the random numbers.
        stars: number of stars on each side of each CCD.
        brightest: peak of the brightest star in a nominal exposure [ADU].
        sigma: width of the point spread function [pixels].
    """

    def __init__(
        self, seed: int = 0, stars: int = 150, brightest: float = 20_000.0, sigma: float = 1.1
    ) -> None:
        self._seed = seed
        self._stars = stars
        self._brightest = brightest
        self._sigma = sigma
        self._sides: dict[tuple[int, CCDSide], Sparse] = {}

    def sparse(self, code: int, side: CCDSide) -> Sparse | None:
        key = (code, side)
        if key not in self._sides:
            self._sides[key] = self._build(code, side)
        return self._sides[key]

    def image(self, code: int, side: CCDSide, first_row: int, stop_row: int) -> FloatArray:
        raise SceneError("a star field is no image")

    def _build(self, code: int, side: CCDSide) -> Sparse:
        """Draws positions and magnitudes, adds up the point spread functions, and sorts the pixels by row."""
        rng = np.random.default_rng([self._seed, code, int(side)])
        reach = int(np.ceil(5 * self._sigma))
        y = rng.uniform(reach, ROWS - 1 - reach, self._stars)
        x = rng.uniform(reach, COLUMNS_SIDE - 1 - reach, self._stars)
        peak = self._brightest * 10 ** (-0.4 * rng.uniform(0, 6, self._stars))
        offsets = np.arange(-reach, reach + 1)
        rows = np.rint(y).astype(np.int64)[:, None, None] + offsets[:, None]
        columns = np.rint(x).astype(np.int64)[:, None, None] + offsets[None, :]
        distance = (rows - y[:, None, None]) ** 2 + (columns - x[:, None, None]) ** 2
        light = peak[:, None, None] * np.exp(-distance / (2 * self._sigma**2))
        flat = (rows * COLUMNS_SIDE + columns).ravel()
        places, index = np.unique(flat, return_inverse=True)
        values = np.bincount(index.ravel(), light.ravel()).astype(np.float32)
        return Sparse(places // COLUMNS_SIDE, places % COLUMNS_SIDE, values)


class ImageScene:
    """Images as the scene.

    Args:
        images: one image for all CCDs, or four in the order of CCD 1 to 4; shape (4510, 4510), in the frame `CCDn_PIX`,
            in ADU above the bias for a nominal exposure.
        id_to_bin: CGSE number to FEE code of the camera, element 0 unused.
        camera: "em", "pfm" or "fm", for the orientation of the sides.

    Raises:
        SceneError: when the number or the shape of the images does not fit.
    """

    def __init__(
        self, images: Sequence[npt.NDArray[np.floating[Any]]], id_to_bin: tuple[int, ...], camera: str = "fm"
    ) -> None:
        if len(images) not in (1, 4):
            raise SceneError(f"a scene has one image for all CCDs or four, got {len(images)}")
        for number, image in enumerate(images):
            if image.shape != (ROWS, COLUMNS):
                raise SceneError(
                    f"image {number} of the scene has shape {image.shape}, a CCD has {ROWS} rows and {COLUMNS} columns"
                )
        prepared = [np.nan_to_num(image).astype(np.float32) for image in images]
        self._by_code: dict[int, FloatArray] = {
            id_to_bin[ccd]: prepared[ccd - 1 if len(prepared) == 4 else 0] for ccd in (1, 2, 3, 4)
        }
        self._left = LEFT_SIDE[camera]

    def sparse(self, code: int, side: CCDSide) -> Sparse | None:
        return None

    def image(self, code: int, side: CCDSide, first_row: int, stop_row: int) -> FloatArray:
        rows = self._by_code[code][first_row:stop_row]
        if side.name == self._left:
            return rows[:, :COLUMNS_SIDE]
        return rows[:, : COLUMNS_SIDE - 1 : -1]


def load_scene(path: str | Path, id_to_bin: tuple[int, ...], camera: str = "fm") -> ImageScene:
    """Reads a FITS file as scene.

    Args:
        path: FITS file with one two-dimensional image for all CCDs, or four (one a CCD, in order) as separate
            extensions or as a cube of four planes.
        id_to_bin: CGSE number to FEE code of the camera.
        camera: "em", "pfm" or "fm".

    Raises:
        SceneError: when the file cannot be read, or number or shape of its images do not fit.
    """
    from astropy.io import fits

    try:
        with fits.open(path) as hdus:
            images = [np.asarray(hdu.data) for hdu in hdus if hdu.is_image and hdu.data is not None]
    except (OSError, TypeError, ValueError) as error:
        raise SceneError(f"cannot read the scene {path}: {error}") from error
    if len(images) == 1 and images[0].ndim == 3:
        images = list(images[0])
    if not images:
        raise SceneError(f"{path} holds no image")
    return ImageScene(images, id_to_bin, camera)
