"""Pictures for the browser: as PNG, and as a canvas with stretch, zoom and values, without any library.

The script of a canvas is part of its HTML and only touches its own element. Where scripts are not run (a notebook that is
not trusted, a mail) the PNG stays.
"""

from __future__ import annotations

import base64
import json
import secrets
import struct
import zlib
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MISSING = 0xFFFF
"""Value of a point without data."""


class Layer(NamedTuple):
    """A part of a picture with its values.

    Attributes:
        name: what it is, `CCD 1 F`.
        values: above the offset [ADU], shape (rows, columns), first row at the bottom; nan where there is none.
        left, bottom: where it is in the picture [points].
        step: size of the block of pixels that a point stands for.
        row, column: of the pixel in its lower left corner.
    """

    name: str
    values: NDArray[np.float32]
    left: int
    bottom: int
    step: int
    row: int
    column: int


def png(picture: NDArray[np.uint8]) -> bytes:
    """Returns a picture in shades of grey as PNG, shape (rows, columns), first row at the top."""
    rows, width = picture.shape
    lines = np.zeros((rows, width + 1), np.uint8)  # each line begins with its filter, 0 for none
    lines[:, 1:] = picture
    header = struct.pack(">IIBBBBB", width, rows, 8, 0, 0, 0, 0)
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)),
            _chunk(b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def interactive(layers: Sequence[Layer], kind: str, low: float, high: float, picture: bytes) -> str:
    """Returns a picture whose stretch can be changed, which can be zoomed and tells the value under the pointer.

    Args:
        layers: its parts.
        kind: stretch to begin with.
        low, high: values that are black and white [ADU].
        picture: the same as PNG, for where scripts are not run.
    """
    name = f"camtest-{secrets.token_hex(6)}"
    height = max((layer.bottom + layer.values.shape[0] for layer in layers), default=1)
    width = max((layer.left + layer.values.shape[1] for layer in layers), default=1)
    description = {
        "width": width,
        "height": height,
        "kind": kind,
        "low": low,
        "high": high,
        "missing": MISSING,
        "layers": [_packed(layer) for layer in layers],
    }
    image = base64.b64encode(picture).decode()
    labels = ", ".join(layer.name for layer in layers) or "nothing was read"
    script = files("camtest.display").joinpath("canvas.js").read_text(encoding="utf-8")
    return (
        f'<div id="{name}" class="camtest-image" tabindex="0" style="max-width:100%">'
        f'<img alt="{escape(labels)}" style="max-width:100%;image-rendering:pixelated" src="data:image/png;base64,{image}">'
        f'</div><script>({script})(document.getElementById("{name}"), {json.dumps(description)});</script>'
    )


def _packed(layer: Layer) -> dict[str, object]:
    """Returns a layer with its values as 16-bit numbers: value = base + unit * number."""
    finite = layer.values[np.isfinite(layer.values)]
    base = float(finite.min()) if finite.size else 0.0
    reach = float(finite.max()) - base if finite.size else 0.0
    unit = max(reach / (MISSING - 1), 0.25)  # a quarter ADU is finer than the readout noise
    numbers = np.rint((np.nan_to_num(layer.values, nan=base) - base) / unit)
    packed = np.where(np.isfinite(layer.values), numbers, MISSING).astype("<u2")
    rows, columns = layer.values.shape
    return {
        "name": layer.name,
        "left": layer.left,
        "bottom": layer.bottom,
        "rows": rows,
        "columns": columns,
        "step": layer.step,
        "row": layer.row,
        "column": layer.column,
        "base": base,
        "unit": unit,
        "data": base64.b64encode(packed.tobytes()).decode(),
    }
