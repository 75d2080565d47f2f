"""Images of the CCDs from the packets of the data stream, made small enough for a screen while they arrive.

A pixel on the screen is the brightest of a block of 7 x 7 (one packet has 7 full rows): no star gets lost. Rows are placed by the
sequence counter of their packet, so that lost packets leave gaps and shift nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from egse.fee.geometry import FrameLayout, frame_layout
from egse.fee.numbering import FM_NUMBERING
from egse.reg import RegisterMap
from egse.spw import HEADER_SIZE

BLOCK: Final = 7
"""Pixels of a CCD to one on the screen, in both directions."""
ROWS, COLUMNS = 4540, 2295
"""Rows and columns of one side, overscans included (developer manual; FEE operations reference 4)."""
SMALL_ROWS, SMALL_COLUMNS = -(-ROWS // BLOCK), -(-COLUMNS // BLOCK)
ZOOM: Final = 41
"""Width and height of the cut-out around the brightest pixel [pixels]."""

Pixels = NDArray[np.uint16]


@dataclass
class CCDImage:
    """The image of one CCD.

    Attributes:
        ccd: its CGSE number, 1..4.
        frame_counter: of the readout.
        frame_number: in the cycle, 0..3.
        timestamp: reception of its first packet, UTC text.
        small: brightest of each block, shape (649, 656), register at row 0, left side first, right side mirrored.
        packets: that have come.
        complete: the last packet of each side has come, or another readout has begun.
        full: all pixels, shape (4540, 4590); None unless wanted.
    """

    ccd: int
    frame_counter: int
    frame_number: int = 0
    timestamp: str = ""
    small: Pixels = field(default_factory=lambda: np.zeros((SMALL_ROWS, 2 * SMALL_COLUMNS), np.uint16))
    packets: int = 0
    complete: bool = False
    full: Pixels | None = None

    def stretch(self) -> tuple[int, int]:
        """Returns the values that are shown darkest and brightest: percentiles 1 and 99.5 of what has come [ADU]."""
        seen = self.small[self.small > 0]
        if not seen.size:
            return 0, 1
        low, high = np.percentile(seen[:: max(1, seen.size // 50_000)], (1.0, 99.5))
        return int(low), max(int(high), int(low) + 1)

    def cut_out(self) -> tuple[Pixels, int, int] | None:
        """Returns the surroundings of the brightest image pixel with row and column of their lower left; None without `full`."""
        if self.full is None:
            return None
        row, column = np.unravel_index(int(np.argmax(self.full[:4510])), self.full[:4510].shape)
        top = int(np.clip(row - ZOOM // 2, 0, ROWS - ZOOM))
        left = int(np.clip(column - ZOOM // 2, 0, 2 * COLUMNS - ZOOM))
        return self.full[top : top + ZOOM, left : left + ZOOM], top, left


class ImageAssembler:
    """Puts packets into images.

    Args:
        left_side: side label of the left half, `F` for PFM and FM, `E` for EM.
        bin_to_id: CCD code of the FEE to the CGSE's number.
        signed: True for the EM, whose samples are two's complement.

    Attributes:
        images: the newest image of each CCD.
        wanted_in_full: CCDs whose next images are kept in full.
    """

    def __init__(
        self, left_side: str = "F", bin_to_id: Sequence[int] = FM_NUMBERING.bin_to_id, signed: bool = False
    ) -> None:
        self.images: dict[int, CCDImage] = {}
        self.wanted_in_full: set[int] = set()
        self.layout = FrameLayout(0, ROWS - 1)
        self._left = left_side
        self._bin_to_id = bin_to_id
        self._sign = 0x8000 if signed else 0
        self._ended: dict[int, set[tuple[int, int]]] = {}

    def follow_registers(self, registers: RegisterMap) -> None:
        """Takes over how readouts are cut into packets from the register map of the cycle."""
        names = ("v_start", "v_end", "h_end", "sensor_sel")
        self.layout = frame_layout({name: registers.get_value(name) for name in names})

    def add(self, packet: bytes, timestamp: str = "") -> CCDImage | None:
        """Takes a data packet; returns the image that it completes.

        Args:
            packet: as it came over SpaceWire, with its header.
            timestamp: of its reception.
        """
        if len(packet) <= HEADER_SIZE:
            return None
        word = int.from_bytes(packet[4:6], "big")
        counter, sequence = int.from_bytes(packet[6:8], "big"), int.from_bytes(packet[8:10], "big")
        side, kind = (word >> 6) & 1, word & 3
        code = (word >> 4) & 3
        if kind > 1 or code >= len(self._bin_to_id):
            return None
        ccd = int(self._bin_to_id[code])
        image = self.images.get(ccd)
        if image is None or image.frame_counter != counter:
            image = self._begin(ccd, counter, (word >> 2) & 3, timestamp)
        self._place(image, packet, side, kind, sequence)
        image.packets += 1
        return self._end(image, side, kind) if word & 0x80 else None

    def _begin(self, ccd: int, counter: int, frame: int, timestamp: str) -> CCDImage:
        image = CCDImage(ccd, counter, frame, timestamp)
        if ccd in self.wanted_in_full:
            image.full = np.zeros((ROWS, 2 * COLUMNS), np.uint16)
        self.images = {**self.images, ccd: image}
        self._ended[ccd] = set()
        return image

    def _place(self, image: CCDImage, packet: bytes, side: int, kind: int, sequence: int) -> None:
        layout = self.layout
        columns, per_packet = layout.columns, max(1, layout.rows_per_packet)
        count = (len(packet) - HEADER_SIZE) // (2 * columns)
        if not count:
            return
        pixels = np.frombuffer(packet, ">u2", count * columns, HEADER_SIZE).astype(np.uint16)
        pixels = (pixels ^ np.uint16(self._sign)).reshape(count, columns)
        sides = len(layout.sides)
        if kind == 0:
            row = layout.v_start + sequence // sides * per_packet
        else:
            before = sides * -(-layout.image_rows // per_packet)
            row = max(layout.v_start, layout.height) + (sequence - before) // sides * per_packet
        count = min(count, ROWS - row)
        if row < 0 or count <= 0:
            return
        is_left = ("E", "F")[side] == self._left
        reduce_into(image.small, pixels[:count], row, is_left)
        if image.full is not None:
            target = image.full[row : row + count]
            if is_left:
                target[:, :columns] = pixels[:count]
            else:
                target[:, 2 * COLUMNS - columns :] = pixels[:count, ::-1]

    def _end(self, image: CCDImage, side: int, kind: int) -> CCDImage | None:
        ended = self._ended[image.ccd]
        ended.add((side, kind))
        kinds = [0] * (self.layout.image_rows > 0) + [1] * (self.layout.overscan_rows > 0)
        if image.complete or len(ended) < len(kinds) * len(self.layout.sides):
            return None
        image.complete = True
        return image


def reduce_into(small: Pixels, pixels: Pixels, row: int, is_left: bool) -> None:
    """Puts the brightest of each block of pixels into the small image."""
    count, columns = pixels.shape
    padded = np.zeros((count, -(-columns // BLOCK) * BLOCK), np.uint16)
    padded[:, :columns] = pixels
    first, last = row // BLOCK, (row + count - 1) // BLOCK
    starts = [0, *(BLOCK * block - row for block in range(first + 1, last + 1))]
    by_row = (
        padded.max(axis=0, keepdims=True) if len(starts) == 1 else np.maximum.reduceat(padded, starts, axis=0)
    )
    blocks = by_row.reshape(len(starts), -1, BLOCK).max(axis=2)
    width = blocks.shape[1]
    target = small[first : last + 1, :width] if is_left else small[first : last + 1, : -width - 1 : -1]
    np.maximum(target, blocks, out=target)


def as_png(image: CCDImage) -> bytes:
    """Returns an image as PNG in shades of grey, stretched, register at the bottom."""
    import struct
    import zlib

    low, high = image.stretch()
    shades = np.clip((image.small.astype(np.float32) - low) * (255.0 / (high - low)), 0, 255).astype(
        np.uint8
    )[::-1]
    height, width = shades.shape
    raw = np.hstack([np.zeros((height, 1), np.uint8), shades]).tobytes()

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(raw, 6))
        + chunk(b"IEND", b"")
    )


def describe(image: CCDImage) -> dict[str, Any]:
    """Returns what the browser has to know of an image besides its pixels."""
    low, high = image.stretch()
    return {
        "ccd": image.ccd,
        "rows": SMALL_ROWS,
        "columns": 2 * SMALL_COLUMNS,
        "block": BLOCK,
        "low": low,
        "high": high,
        "frame": image.frame_number,
        "counter": image.frame_counter,
        "at": image.timestamp,
        "packets": image.packets,
        "complete": image.complete,
    }
