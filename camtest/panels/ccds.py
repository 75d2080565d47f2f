"""The display of the four CCDs in the browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anywidget
import numpy as np
import traitlets

from camtest.panels.board import STYLE, static
from camtest.panels.images import ZOOM, CCDImage, describe


class CCDDisplay(anywidget.AnyWidget):
    """Four CCDs, each image sent once, when it is complete.

    Args:
        sides: labels of the left and the right half.
        on_request: called with `clear` or `brightest` and the number of a CCD.
    """

    _esm = static("ccds.js")
    _css = STYLE
    sides = traitlets.List(["F", "E"]).tag(sync=True)
    meta = traitlets.Dict().tag(sync=True)
    image1 = traitlets.Bytes(b"").tag(sync=True)
    image2 = traitlets.Bytes(b"").tag(sync=True)
    image3 = traitlets.Bytes(b"").tag(sync=True)
    image4 = traitlets.Bytes(b"").tag(sync=True)
    zoom = traitlets.Dict().tag(sync=True)
    zoom_pixels = traitlets.Bytes(b"").tag(sync=True)

    def __init__(self, sides: list[str], on_request: Callable[[str, int], None]) -> None:
        super().__init__(sides=sides)
        self.on_msg(lambda _widget, content, _buffers: self._take(content, on_request))

    @staticmethod
    def _take(content: dict[str, Any], on_request: Callable[[str, int], None]) -> None:
        for what in ("clear", "brightest"):
            if content.get(what) in (1, 2, 3, 4):
                on_request(what, int(content[what]))

    def show(self, image: CCDImage) -> None:
        """Shows an image."""
        with self.hold_sync():
            self.meta = {**self.meta, str(image.ccd): describe(image)}
            setattr(self, f"image{image.ccd}", image.small.astype("<u2").tobytes())

    def clear(self, ccd: int) -> None:
        """Removes the image of a CCD."""
        with self.hold_sync():
            self.meta = {key: value for key, value in self.meta.items() if key != str(ccd)}
            setattr(self, f"image{ccd}", b"")

    def show_zoom(self, ccd: int, image: CCDImage | None) -> None:
        """Shows the surroundings of the brightest pixel of a CCD, or that they come with its next image."""
        found = None if image is None else image.cut_out()
        if found is None:
            self.zoom_pixels = b""
            self.zoom = {"ccd": ccd, "text": "with the next image"}
            return
        pixels, row, column = found
        low, high = int(pixels.min()), int(pixels.max())
        with self.hold_sync():
            self.zoom_pixels = np.ascontiguousarray(pixels).astype("<u2").tobytes()
            self.zoom = {
                "ccd": ccd,
                "size": ZOOM,
                "low": low,
                "high": high,
                "text": f"rows {row} to {row + ZOOM - 1}, columns {column} to {column + ZOOM - 1}, up to {high} ADU",
            }
