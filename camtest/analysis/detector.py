"""Bias, darks and flats: offset, read noise, dark current, gain and full well of each CCD side.

Noise is corrected for the rounding of the ADC, whose variance is 1/12 ADU^2. Conversion of units: gain in electrons per ADU.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from egse.h5 import SideImage

if TYPE_CHECKING:
    import pandas as pd

ROUNDING = 1.0 / 12.0
"""Variance of the rounding to whole ADU [ADU^2]."""

LINEAR_PART = 0.6
"""Part of the range, up to the highest signal, in which the photon transfer curve is fitted."""

CLIP = 5.0
"""Pixels further from the median than so many standard deviations are left out (stars, cosmics)."""


@dataclass(frozen=True)
class PhotonTransfer:
    """What a photon transfer curve tells of one CCD side.

    Attributes:
        ccd: CCD number, 1..4.
        side: "E" or "F".
        gain: electrons per ADU.
        read_noise: [electrons], from the curve at zero signal.
        full_well: [electrons]; NaN when no flat was saturated.
        signal: mean signal above the offset of each pair, ascending [ADU].
        variance: of one frame, without rounding [ADU^2].
    """

    ccd: int
    side: str
    gain: float
    read_noise: float
    full_well: float
    signal: NDArray[np.float64]
    variance: NDArray[np.float64]


def read_noise(images: Iterable[SideImage], gain: float | None = None) -> pd.DataFrame:
    """Returns offset and read noise from the serial prescan, which no light reaches.

    Args:
        images: of any exposure; those of the same CCD side are taken together.
        gain: electrons per ADU; None for noise in ADU only.

    Returns:
        One row a CCD side: ccd, side, frames, offset [ADU], noise [ADU], and noise_e [electrons] with a gain.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for (ccd, side), group in _by_side(images).items():
        scans = [_kept_rows(image, image.serial_prescan) for image in group]
        noise = float(np.sqrt(np.mean([_variance(scan) for scan in scans])))
        row = {"ccd": ccd, "side": side, "frames": len(group), "offset": _mean(scans), "noise": noise}
        rows.append(row if gain is None else {**row, "noise_e": noise * gain})
    return pd.DataFrame(rows)


def dark_current(images: Sequence[SideImage], exposures: Sequence[float], gain: float) -> pd.DataFrame:
    """Returns the dark current: the slope of the signal over the exposure time.

    Args:
        images: darks.
        exposures: exposure time of each of them [s]; at least two different ones for each CCD side.
        gain: electrons per ADU.

    Returns:
        One row a CCD side: ccd, side, frames, dark_current [electrons/s], uncertainty [electrons/s].

    Raises:
        ValueError: when the exposure times of a side are all the same, or their number is not that of the images.
    """
    import pandas as pd

    times = dict(zip(map(id, images), exposures, strict=True))
    rows: list[dict[str, Any]] = []
    for (ccd, side), group in _by_side(images).items():
        x = np.array([times[id(image)] for image in group])
        if np.ptp(x) == 0:
            raise ValueError(f"CCD {ccd} side {side}: darks of one exposure time only ({x[0]:g} s)")
        y = np.array([_signal(image) for image in group]) * gain
        slope, offset = np.polyfit(x, y, 1)
        spread = np.std(y - slope * x - offset) / (np.std(x) * np.sqrt(max(len(x) - 2, 1)))
        rows.append(
            {
                "ccd": ccd,
                "side": side,
                "frames": len(group),
                "dark_current": float(slope),
                "uncertainty": float(spread),
            }
        )
    return pd.DataFrame(rows)


def photon_transfer(pairs: Iterable[tuple[SideImage, SideImage]]) -> list[PhotonTransfer]:
    """Returns gain, read noise and full well of each CCD side from pairs of flats.

    The variance comes from the difference of the two, so that fixed patterns cancel; where the signal is far below
    saturation it grows by 1/gain with the signal. A saturated pair is one whose variance has fallen below half of that line.

    Args:
        pairs: two flats each of the same CCD side, rows and light; signals from bias to saturation, at least three levels.

    Returns:
        One result a CCD side, in the order of CCD and side.

    Raises:
        ValueError: when the two of a pair do not fit, or there are too few levels.
    """
    points: dict[tuple[int, str], list[tuple[float, float]]] = {}
    for one, two in pairs:
        points.setdefault((one.ccd, one.side), []).append(_point(one, two))
    return [_fit(ccd, side, np.array(sorted(found))) for (ccd, side), found in sorted(points.items())]


def _point(one: SideImage, two: SideImage) -> tuple[float, float]:
    if (one.ccd, one.side, one.row_start, one.image.shape) != (
        two.ccd,
        two.side,
        two.row_start,
        two.image.shape,
    ):
        raise ValueError(
            f"these flats are no pair: CCD {one.ccd} side {one.side} {one.image.shape} from row {one.row_start}, and "
            f"CCD {two.ccd} side {two.side} {two.image.shape} from row {two.row_start}"
        )
    missing = np.union1d(one.missing_rows, two.missing_rows)
    rows = np.setdiff1d(np.arange(one.image.shape[0]), missing)
    difference = one.image[rows].astype(np.float32) - two.image[rows].astype(np.float32)
    return (_signal(one) + _signal(two)) / 2, max(_clipped(difference).var() / 2 - ROUNDING, 0.0)


def _fit(ccd: int, side: str, points: NDArray[np.float64]) -> PhotonTransfer:
    signal, variance = points[:, 0], points[:, 1]
    chosen = signal <= LINEAR_PART * signal.max()
    if chosen.sum() < 2 or len(points) < 3:
        raise ValueError(f"CCD {ccd} side {side}: {len(points)} levels of light are too few")
    weights = 1.0 / np.maximum(variance[chosen], ROUNDING)  # the variance of a variance goes with its square
    slope, floor = np.polyfit(signal[chosen], variance[chosen], 1, w=weights)
    if slope <= 0:
        raise ValueError(
            f"CCD {ccd} side {side}: the variance does not grow with the signal; are these flats?"
        )
    gain = 1.0 / slope
    saturated = variance < 0.5 * (floor + slope * signal)
    return PhotonTransfer(
        ccd=ccd,
        side=side,
        gain=float(gain),
        read_noise=float(np.sqrt(max(floor, 0.0)) * gain),
        full_well=float(np.median(signal[saturated]) * gain) if saturated.any() else float("nan"),
        signal=signal,
        variance=variance,
    )


def _by_side(images: Iterable[SideImage]) -> dict[tuple[int, str], list[SideImage]]:
    groups: dict[tuple[int, str], list[SideImage]] = {}
    for image in images:
        groups.setdefault((image.ccd, image.side), []).append(image)
    return dict(sorted(groups.items()))


def _kept_rows(image: SideImage, part: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Returns part of an image without the rows that did not arrive."""
    rows = np.setdiff1d(np.arange(len(part)), image.missing_rows)
    return part[rows].astype(np.float32)


def _clipped(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns the values that are near the median."""
    flat = values.ravel().astype(np.float64)
    middle = np.median(flat)
    spread = 1.4826 * np.median(np.abs(flat - middle))
    kept = flat[np.abs(flat - middle) <= CLIP * max(float(spread), 1.0)]
    return kept if kept.size else flat


def _variance(values: NDArray[np.float32]) -> float:
    return max(float(_clipped(values).var()) - ROUNDING, 0.0)


def _mean(parts: Sequence[NDArray[np.float32]]) -> float:
    return float(np.mean([_clipped(part).mean() for part in parts]))


def _signal(image: SideImage) -> float:
    """Returns the mean of the image area above the serial prescan [ADU]."""
    area = image.image
    rows = np.setdiff1d(np.arange(len(area)), image.missing_rows)
    offset = _clipped(_kept_rows(image, image.serial_prescan)).mean()
    return float(_clipped(area[rows].astype(np.float32)).mean() - offset)
