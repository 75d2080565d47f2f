"""The point source of the lab in the simulated camera: one spot, where the mechanisms point it, as sharp as the focus is.

The spot is a Gaussian, integrated over each pixel, so that its centre can be measured to a hundredth of a pixel. Its total light stays
the same while it widens: the light of a defocused spot covers a disc of diameter dz / F, whose variance is added to that of the spot in
focus [own proposal].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from egse.coordinates.focalplane import CCDS, FocalPlane
from egse.fee.geometry import COLUMNS, COLUMNS_SIDE, LEFT_SIDE, ROWS
from egse.fee.numbering import NUMBERINGS
from egse.fee.scene import FloatArray, Scene, Sparse
from egse.spw import CCDSide

FLUX: Final = 150_000.0
"""Light of the spot in a nominal exposure at light level 1 [ADU, own proposal]: some 20 000 in the brightest pixel."""
SHARPEST: Final = 1.1
"""Width (standard deviation) of the spot in focus [pixels, own proposal]."""
F_NUMBER: Final = 2.06
"""Focal length by diameter of the pupil: 247.52 mm / 120 mm."""
LARGEST_DEFOCUS: Final = 5.0
"""Further out of focus the spot gets no wider [mm]: nothing is seen of it there."""
REACH: Final = 5.0
"""The spot is cut off so many widths from its centre."""

_NOTHING = Sparse(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32))


@dataclass(frozen=True)
class PointSource:
    """Where the source is and how it is imaged.

    Attributes:
        theta, phi: field angles [deg].
        light: which part of the pupil it fills, 0..1.
        defocus: distance of the detector from the best focus [mm].
    """

    theta: float
    phi: float
    light: float = 1.0
    defocus: float = 0.0


class SourceScene:
    """The scene of a camera in the lab: another one until a source is pointed at the camera, then only that source.

    Args:
        before: what is seen until then.
        camera: "em", "pfm" or "fm": numbers of the CCDs, orientation of their sides.
        plane: the focal plane.

    Attributes:
        source: None until a source is pointed at the camera.
        version: changes with what is seen.
    """

    def __init__(self, before: Scene, camera: str = "fm", plane: FocalPlane | None = None) -> None:
        self.before = before
        self.plane = plane or FocalPlane()
        self.source: PointSource | None = None
        self.version = 0
        self._left = LEFT_SIDE[camera]
        self._id_to_bin = NUMBERINGS[camera].id_to_bin
        self._lit: dict[tuple[int, CCDSide], Sparse] = {}

    def show(self, source: PointSource) -> None:
        """Shows a source from now on."""
        if source == self.source:
            return
        lit = {}
        x, y = self.plane.image_of(source.theta, source.phi)
        width = spot_width(source.defocus, self.plane.pixel_size)
        for ccd in CCDS:
            row, column = self.plane.pixel_of(x, y, ccd)
            for side in CCDSide:
                spot = self._spot(row, column, width, FLUX * source.light, side)
                if spot is not None:
                    lit[self._id_to_bin[ccd], side] = spot
        self._lit, self.source = lit, source
        self.version += 1

    def sparse(self, code: int, side: CCDSide) -> Sparse | None:
        """See `Scene.sparse`."""
        return (
            self.before.sparse(code, side) if self.source is None else self._lit.get((code, side), _NOTHING)
        )

    def image(self, code: int, side: CCDSide, first_row: int, stop_row: int) -> FloatArray:
        """See `Scene.image`."""
        return self.before.image(code, side, first_row, stop_row)

    def _spot(self, row: float, column: float, width: float, flux: float, side: CCDSide) -> Sparse | None:
        """Returns the pixels of a side that are lit by a spot at a place of its CCD, None when there are none."""
        is_left = side.name == self._left
        limits = (0, COLUMNS_SIDE) if is_left else (COLUMNS_SIDE, COLUMNS)
        rows, light_y = _profile(row, width, 0, ROWS)
        columns, light_x = _profile(column, width, *limits)
        if not len(rows) or not len(columns) or flux <= 0:
            return None
        values = (flux * light_y[:, None] * light_x[None, :]).astype(np.float32)
        places = columns if is_left else COLUMNS - 1 - columns
        grid_rows, grid_columns = np.meshgrid(rows, places, indexing="ij")
        return Sparse(grid_rows.ravel(), grid_columns.ravel(), values.ravel())


def spot_width(defocus: float, pixel_size: float) -> float:
    """Returns the width (standard deviation) of the spot [pixels] at a distance from the best focus [mm]."""
    disc = (
        abs(defocus) / (2 * F_NUMBER) / 2 / pixel_size
    )  # half the radius of a disc is its standard deviation
    return math.hypot(SHARPEST, disc)


def _profile(
    centre: float, width: float, first: int, stop: int
) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Returns the pixels of a line that are lit, from `first` up to, but not including, `stop`, and the share of each."""
    low = max(first, math.floor(centre - REACH * width))
    high = min(stop, math.ceil(centre + REACH * width) + 1)
    pixels = np.arange(low, max(low, high), dtype=np.int64)
    edges = np.append(pixels, pixels[-1:] + 1) - 0.5 - centre
    steps = np.array([math.erf(edge / (width * math.sqrt(2))) for edge in edges])
    return pixels, 0.5 * np.diff(steps)
