"""CCD images: all CCDs in their layout, reduced to the screen, or a window of one side pixel by pixel.

A full frame of four CCDs has 81 million pixels; what is shown of it is the largest value of each block, so that stars and cosmics
stay visible. In the browser the stretch can be changed, the picture zoomed, and the value under the pointer read; where scripts
do not run, the picture itself is there. Everything is in the notebook, nothing comes from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from camtest.analysis.images import SIDES, image_statistics
from camtest.display.canvas import Layer, interactive, png
from camtest.display.markup import block, columns, table
from egse.h5 import SideImage

SCREEN = 400
"""Size of a CCD on the screen at most [points], rows and columns."""
STRETCHES = ("asinh", "linear", "log")
_GAP = 6

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Stretch:
    """How values become brightness.

    Attributes:
        kind: `asinh`, `linear` or `log`.
        low, high: values that are black and white [ADU].
    """

    kind: str
    low: float
    high: float

    def __call__(self, values: Floats) -> NDArray[np.uint8]:
        """Returns brightness 0..255; missing values are 0."""
        span = max(self.high - self.low, 1e-6)
        part = np.clip((np.nan_to_num(values, nan=self.low) - self.low) / span, 0.0, 1.0)
        if self.kind == "asinh":
            part = np.arcsinh(50.0 * part) / np.arcsinh(50.0)
        elif self.kind == "log":
            part = np.log1p(1000.0 * part) / np.log1p(1000.0)
        return np.asarray(255.0 * part + 0.5, np.uint8)


def stretch_for(values: Iterable[Floats], kind: str = "asinh") -> Stretch:
    """Returns a stretch in which 1 % of the values are black and 0.1 % white.

    Raises:
        ValueError: when there is no such kind.
    """
    if kind not in STRETCHES:
        raise ValueError(f"{kind!r} is no stretch: {', '.join(STRETCHES)}")
    found = [array[np.isfinite(array)] for array in values]
    every = np.concatenate(found) if found else np.zeros(1, np.float32)
    if not every.size:
        return Stretch(kind, 0.0, 1.0)
    low, high = np.percentile(every, (1.0, 99.9))
    return Stretch(kind, float(low), float(max(high, low + 1.0)))


def reduced(image: SideImage, screen: int = SCREEN) -> tuple[Floats, int]:
    """Returns the image area of a side in the frame of its CCD, offset subtracted, reduced to the screen.

    Args:
        image: of one side.
        screen: size of a CCD on the screen [points].

    Returns:
        The largest value of each block [ADU], shape (rows, columns), and the size of a block [pixels]. Lost rows are nan.
    """
    framed = image.in_ccd_frame()
    area = framed.image.astype(np.float32)
    area[framed.missing_rows[framed.missing_rows < area.shape[0]]] = np.nan
    offset = _offset(framed)
    step = max(1, -(-max(area.shape[0], 2 * area.shape[1]) // screen))
    rows, width = (-(-size // step) * step for size in area.shape)
    padded = np.pad(area, ((0, rows - area.shape[0]), (0, width - area.shape[1])), constant_values=-np.inf)
    blocks = padded.reshape(rows // step, step, width // step, step)
    with np.errstate(invalid="ignore"):
        largest = np.fmax.reduce(np.fmax.reduce(blocks, axis=3), axis=1) - offset
    return np.where(np.isneginf(largest), np.nan, largest).astype(np.float32), step


class FocalPlaneView:
    """The CCDs of one cycle, to be shown; see `focal_plane`.

    Args:
        images: of the CCD sides; the last one of each counts.
        title: above the picture.
        stretch: `asinh`, `linear` or `log`.
        screen: size of a CCD on the screen [points].
    """

    def __init__(
        self, images: Iterable[SideImage], title: str = "", stretch: str = "asinh", screen: int = SCREEN
    ) -> None:
        self.images = {(image.ccd, image.side): image for image in images}
        self.title = title
        parts = {key: reduced(image, screen) for key, image in self.images.items()}
        self.stretch = stretch_for([values for values, _ in parts.values()], stretch)
        self.layers = _lay_out(parts, {key: image.row_start for key, image in self.images.items()})

    def _statistics(self) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
        head = ("CCD", "side", "rows", "lost rows", "offset [ADU]", "noise [ADU]", "signal [ADU]")
        if not self.images:
            return head, []
        found = image_statistics(self.images.values())
        return head, [
            (
                f"{row.ccd}",
                f"{row.side}",
                f"{row.rows}",
                f"{row.missing_rows}",
                f"{row.offset:.1f}",
                f"{row.noise:.2f}",
                f"{row.signal:.1f}",
            )
            for row in found.itertuples()
        ]

    def __repr__(self) -> str:
        return "\n".join(filter(None, (self.title or "Focal plane", columns(*self._statistics(), left=2))))

    def picture(self) -> bytes:
        """Returns the picture as PNG."""
        return png(_compose(self.layers, self.stretch))

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, object]:
        picture = self.picture()
        html = block(
            f"<b>{escape(self.title or 'Focal plane')}</b>, above offset",
            interactive(self.layers, self.stretch.kind, self.stretch.low, self.stretch.high, picture),
            table(*self._statistics(), left=2),
        )
        return {"text/plain": repr(self), "text/html": html, "image/png": picture}


class ImageView(FocalPlaneView):
    """A window of one CCD side, pixel by pixel; see `zoom`."""


def focal_plane(images: Iterable[SideImage], title: str = "", *, stretch: str = "asinh") -> FocalPlaneView:
    """Returns the CCDs in their layout, to be shown: F half left and E half right, readout register at the bottom.

    Args:
        images: as from `camtest.analysis.read_cycle`; the last one of each CCD side is shown.
        title: above the picture.
        stretch: `asinh` (default), `linear` or `log`; it can be changed in the browser.

    Raises:
        ValueError: when there is no such stretch.
    """
    return FocalPlaneView(images, title, stretch)


def zoom(
    image: SideImage, rows: tuple[int, int], columns: tuple[int, int], *, stretch: str = "linear"
) -> ImageView:
    """Returns a window of one CCD side to be shown, a point for each pixel up to 400 x 400 of them.

    Args:
        image: of one side.
        rows: first and last row of the CCD.
        columns: first and last column of the image area in the frame of the CCD, from 0.
        stretch: `asinh`, `linear` or `log`.

    Raises:
        ValueError: when the window has no pixel of this image.
    """
    framed = image.in_ccd_frame()
    area = framed.image
    top, left = rows[0] - framed.row_start, columns[0]
    part = area[max(top, 0) : rows[1] - framed.row_start + 1, max(left, 0) : columns[1] + 1]
    if not part.size:
        raise ValueError(
            f"CCD {image.ccd} side {image.side} has rows {framed.row_start} to {framed.row_start + len(area) - 1} and "
            f"columns 0 to {area.shape[1] - 1}, not {rows} and {columns}"
        )
    view = ImageView([], f"CCD {image.ccd} side {image.side}, rows {rows}, columns {columns}")
    step = max(1, -(-max(part.shape) // SCREEN))
    offset = _offset(framed)
    values = part[::step, ::step].astype(np.float32) - np.float32(offset)
    view.images = {(image.ccd, image.side): image}
    view.stretch = stretch_for([values], stretch)
    view.layers = [
        Layer(
            f"CCD {image.ccd} {image.side}", values, 0, 0, step, max(rows[0], framed.row_start), max(left, 0)
        )
    ]
    return view


def _offset(image: SideImage) -> float:
    """Returns the median of the serial overscan of the rows that arrived [ADU]."""
    scan = np.delete(image.serial_overscan, image.missing_rows, axis=0)
    return float(np.median(scan)) if scan.size else 0.0


def _lay_out(
    parts: dict[tuple[int, str], tuple[Floats, int]], row_starts: dict[tuple[int, str], int]
) -> list[Layer]:
    """Returns the sides where they belong: CCDs side by side, the halves of each next to each other."""
    layers: list[Layer] = []
    left = 0
    for ccd in sorted({ccd for ccd, _ in parts}):
        width = max((parts[ccd, side][0].shape[1] for side in SIDES if (ccd, side) in parts), default=0)
        for position, side in enumerate(SIDES):
            if (ccd, side) not in parts:
                continue
            values, step = parts[ccd, side]
            layers.append(
                Layer(
                    f"CCD {ccd} {side}",
                    values,
                    left + position * (width + 1),
                    0,
                    step,
                    row_starts[ccd, side],
                    0,
                )
            )
        left += 2 * width + 1 + _GAP
    return layers


def _compose(layers: Sequence[Layer], stretch: Stretch) -> NDArray[np.uint8]:
    """Returns the whole picture, first row at the top as in a file; the register is at the bottom."""
    height = max((layer.values.shape[0] for layer in layers), default=1)
    width = max((layer.left + layer.values.shape[1] for layer in layers), default=1)
    picture = np.full((height, width), 40, np.uint8)
    for layer in layers:
        rows, count = layer.values.shape
        picture[height - rows :, layer.left : layer.left + count] = stretch(layer.values)[::-1]
    return picture
