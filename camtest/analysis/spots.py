"""The spot of the point source in images: where it is, how bright, how wide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from egse.coordinates import FocalPlane
from egse.fee.geometry import COLUMNS, COLUMNS_SIDE
from egse.h5 import SideImage

SMALLEST, LARGEST = 8, 80
"""Half the size of the window that is measured [pixels]."""
WIDTHS = 5.0
"""The window reaches so many widths of the spot from its centre."""
SIGNIFICANT = 10.0
"""A spot stands out of the noise so many times."""
ITERATIONS = 20

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Spot:
    """A measured spot.

    Attributes:
        ccd: number of the CCD.
        row, column: centre in the frame `CCDn_PIX` [pixels].
        flux: light [ADU].
        width: standard deviation, mean of both directions [pixels].
        peak: brightest pixel [ADU].
    """

    ccd: int
    row: float
    column: float
    flux: float
    width: float
    peak: float

    def focal_plane_position(self, plane: FocalPlane) -> tuple[float, float]:
        """Returns where it is in the focal plane [mm]."""
        return plane.ccd_to_focal_plane(self.row, self.column, self.ccd)

    def field_angles(self, plane: FocalPlane) -> tuple[float, float]:
        """Returns theta, phi [deg] of the source that it is the image of."""
        return plane.source_of(*self.focal_plane_position(plane))


def ccd_image(images: Iterable[SideImage], ccd: int, right_side: str = "E") -> tuple[Floats, int]:
    """Puts the sides of a CCD together, each above its offset.

    Args:
        images: of one readout; other CCDs are left out.
        ccd: number of the CCD.
        right_side: side that is the right half with the register at the bottom.

    Returns:
        ADU above offset, shape (rows, 4510), 0 where nothing is known, and the row of the CCD that is the first.

    Raises:
        LookupError: when there is no image of this CCD.
    """
    sides = [image.in_ccd_frame(right_side) for image in images if image.ccd == ccd]
    if not sides:
        raise LookupError(f"there is no image of CCD {ccd}")
    rows = max(len(side.image) for side in sides)
    whole = np.zeros((rows, COLUMNS))
    for side in sides:
        area = side.image.astype(np.float64) - np.median(side.serial_overscan)
        area[side.missing_rows[side.missing_rows < len(area)]] = 0.0
        first = COLUMNS_SIDE if side.side == right_side else 0
        whole[: len(area), first : first + area.shape[1]] = area
    return whole, sides[0].row_start


def find_spot(images: Sequence[SideImage], ccd: int, right_side: str = "E") -> Spot | None:
    """Measures the brightest spot of a CCD by the moments of its light.

    Args:
        images: of one readout.
        ccd: number of the CCD.
        right_side: side that is the right half with the register at the bottom.

    Returns:
        The spot, None when nothing stands out of the noise.

    Raises:
        LookupError: when there is no image of this CCD.
    """
    whole, row_start = ccd_image(images, ccd, right_side)
    smooth = whole.copy()  # 3 x 3, so that a single noisy pixel is no spot
    for axis in (0, 1):
        smooth += np.roll(whole, 1, axis) + np.roll(whole, -1, axis)
    row, column = (float(place) for place in np.unravel_index(int(np.argmax(smooth)), smooth.shape))
    noise = 1.4826 * float(np.median(np.abs(smooth - np.median(smooth))))
    if smooth[int(row), int(column)] - float(np.median(smooth)) < SIGNIFICANT * max(noise, 1e-9):
        return None
    width, spot = 1.0, None
    for _ in range(ITERATIONS):
        spot = _moments(whole, row, column, width, ccd)
        if spot is None:
            return None
        moved = math.hypot(spot.row - row, spot.column - column) + abs(spot.width - width)
        row, column, width = spot.row, spot.column, spot.width
        if moved < 1e-3:
            break
    return None if spot is None else replace(spot, row=row + row_start)


def _moments(whole: Floats, row: float, column: float, width: float, ccd: int) -> Spot | None:
    """Returns what is in a window of an image, None when there is no light in it."""
    half = min(max(math.ceil(WIDTHS * width), SMALLEST), LARGEST)
    top, left = max(0, round(row) - half), max(0, round(column) - half)
    window = whole[top : round(row) + half + 1, left : round(column) + half + 1]
    border = np.concatenate([window[0], window[-1], window[:, 0], window[:, -1]])
    light = window - _level(border)
    flux = float(light.sum())
    if flux <= 0:
        return None
    y, x = np.arange(window.shape[0]) + top, np.arange(window.shape[1]) + left
    across, along = light.sum(axis=1), light.sum(axis=0)
    centre_y, centre_x = float(across @ y) / flux, float(along @ x) / flux
    variance = float(across @ (y - centre_y) ** 2 + along @ (x - centre_x) ** 2) / (2 * flux) - 1 / 12
    return Spot(ccd, centre_y, centre_x, flux, math.sqrt(max(variance, 0.01)), float(light.max()))


def _level(values: Floats) -> float:
    """Returns the mean of values without outliers; a median of whole numbers would not be good enough."""
    middle = float(np.median(values))
    spread = max(1.4826 * float(np.median(np.abs(values - middle))), 1.0)
    return float(np.mean(values[np.abs(values - middle) <= 3 * spread]))


def best_focus(positions: Sequence[float], widths: Sequence[float]) -> tuple[float, float]:
    """Returns the position at which a spot is sharpest: the vertex of a parabola through the squares of its widths.

    Args:
        positions: of the detector [mm], at least three different ones.
        widths: of the spot there [pixels].

    Returns:
        The position [mm], and the width there [pixels].

    Raises:
        ValueError: when there are too few positions, or the widths have no minimum.
    """
    if len(set(positions)) < 3:
        raise ValueError(f"a best focus needs at least three different positions, got {len(set(positions))}")
    coefficients: Any = np.polynomial.Polynomial.fit(positions, np.square(widths), 2).convert().coef
    constant, slope, curvature = (float(one) for one in coefficients)
    if curvature <= 0:
        raise ValueError(
            "the width of the spot has no minimum: are the positions on both sides of the focus?"
        )
    position = -slope / (2 * curvature)
    return position, math.sqrt(max(constant - slope**2 / (4 * curvature), 0.0))
