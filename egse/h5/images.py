"""From the packets of a frame to images: headers and pixels decoded in bulk, no loop per row or pixel.

Columns of a row as transmitted: 25 serial prescan, 2255 image, 15 serial overscan. Rows 0..4509 are image area, later ones parallel
overscan. The two amplifiers of a CCD transmit from the outer edge inwards, so in the CCD's own frame (origin lower left, register at
the bottom) the right half arrives mirrored; `SideImage` keeps the order of transmission, `SideImage.in_ccd_frame` undoes the mirror.

Source: ICD of the storage formats 8.4, 8.5; FEE operations reference 4, 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from egse.fee.geometry import COLUMNS_SIDE, SERIAL_OVERSCAN, SERIAL_PRESCAN, FrameLayout, frame_layout
from egse.fee.numbering import FM_NUMBERING
from egse.h5.extents import Extents
from egse.h5.reader import get_attributes, packet_extents, packets
from egse.spw import HEADER_SIZE, CCDSide, PacketKind, decode_headers


@dataclass(frozen=True)
class SideImage:
    """What one half of one CCD sent in one readout.

    Attributes:
        ccd: CCD number of the CGSE, 1..4.
        side: "E" or "F".
        frame: frame number in the cycle, 0..3.
        row_start: CCD row of the first row in `pixels` (register field v_start).
        image_row_count: how many of the rows belong to the image area; the rest is parallel overscan.
        pixels: samples [ADU], uint16, shape (rows, h_end + 1), in the order of transmission.
        missing_rows: indices of rows that did not arrive (lost packets); they are 0 in `pixels`.
        mirrored: True when the columns were reversed by `in_ccd_frame`.
    """

    ccd: int
    side: str
    frame: int
    row_start: int
    image_row_count: int
    pixels: NDArray[np.uint16]
    missing_rows: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    mirrored: bool = False

    def _columns(self, start: int, count: int) -> slice:
        width = self.pixels.shape[1]
        stop = min(start + count, width)
        return slice(width - stop, width - start) if self.mirrored else slice(start, stop)

    @property
    def serial_prescan(self) -> NDArray[np.uint16]:
        """Serial prescan, shape (rows, 25), image and parallel overscan rows."""
        return self.pixels[:, self._columns(0, SERIAL_PRESCAN)]

    @property
    def image(self) -> NDArray[np.uint16]:
        """Image area, shape (image rows, 2255)."""
        return self.pixels[: self.image_row_count, self._columns(SERIAL_PRESCAN, COLUMNS_SIDE)]

    @property
    def serial_overscan(self) -> NDArray[np.uint16]:
        """Serial overscan, shape (rows, 15), image and parallel overscan rows."""
        return self.pixels[:, self._columns(SERIAL_PRESCAN + COLUMNS_SIDE, SERIAL_OVERSCAN)]

    @property
    def parallel_overscan(self) -> NDArray[np.uint16]:
        """Parallel overscan, shape (overscan rows, 2255)."""
        return self.pixels[self.image_row_count :, self._columns(SERIAL_PRESCAN, COLUMNS_SIDE)]

    def in_ccd_frame(self, right_side: str = "E") -> SideImage:
        """Returns the same image with columns running along +x of the CCD.

        Args:
            right_side: which side is the right half of the CCD with the register at the bottom: "E" for PFM, FM, "F" for EM.
        """
        if self.side != right_side or self.mirrored:
            return self
        return replace(self, pixels=self.pixels[:, ::-1], mirrored=True)


def sides_in_frame(
    payloads: Sequence[NDArray[np.uint8]],
    attributes: Mapping[str, int],
    ccd_bin_to_id: Sequence[int] = FM_NUMBERING.bin_to_id,
    twos_complement: bool = False,
) -> list[SideImage]:
    """Reconstructs the images in the packets of one frame.

    Args:
        payloads: data and overscan packets, whole, in the order of arrival.
        attributes: register fields in effect: `v_start`, `v_end`, `h_end`.
        ccd_bin_to_id: CCD code of the FEE to the CGSE's number, from the Setup's `camera.fee.ccd_numbering`; by default that of PFM and FM.
        twos_complement: True for the EM, whose samples are signed; they are shifted to 0..65535.

    Returns:
        One image per CCD and side, sides in the order E, F; empty without packets.
    """
    sign = np.uint16(0x8000 if twos_complement else 0)
    return [
        replace(image, pixels=image.pixels.astype(np.uint16) ^ sign)
        for image in raw_sides_in_frame(payloads, attributes, ccd_bin_to_id)
    ]


class Scratch:
    """Memory that is used again for every frame: to get it anew from the system takes as long as to fill it."""

    def __init__(self) -> None:
        self._arrays: dict[str, NDArray[np.uint8]] = {}

    def take(self, name: str, size: int) -> NDArray[np.uint8]:
        """Returns `size` bytes for the purpose `name`, with anything in them; the same memory each time."""
        array = self._arrays.get(name)
        if array is None or array.size < size:
            array = self._arrays[name] = np.empty(size, np.uint8)
        return array[:size]


def raw_sides_in_frame(
    payloads: Sequence[NDArray[np.uint8]],
    attributes: Mapping[str, int],
    ccd_bin_to_id: Sequence[int] = FM_NUMBERING.bin_to_id,
    scratch: Scratch | None = None,
) -> list[SideImage]:
    """Reconstructs the images of one frame with samples as they are on the link: big-endian, as the camera codes them.

    Args:
        payloads: as for `sides_in_frame`.
        attributes: as for `sides_in_frame`.
        ccd_bin_to_id: as for `sides_in_frame`.
        scratch: memory for the pixels, which last until the next call with it; memory of their own when None.
    """
    payloads = [payload for payload in payloads if payload.size >= HEADER_SIZE]
    if not payloads:
        return []
    headers = decode_headers([payload.data for payload in payloads])
    parts = _InMemory(payloads)
    return _sides(parts, headers, frame_layout(attributes), ccd_bin_to_id, scratch or Scratch())


class _Parts(Protocol):
    """The pixels of packets, by the number of the packet."""

    sizes: NDArray[np.int64]
    """How many bytes of pixels each packet has."""

    def part(self, number: int) -> NDArray[np.uint8]:
        """Returns the pixels of one packet, big-endian."""

    def join(self, numbers: list[int], out: NDArray[np.uint8]) -> None:
        """Puts the pixels of packets one after the other; they fill `out`."""


class _InMemory:
    """Packets in memory."""

    def __init__(self, payloads: Sequence[NDArray[np.uint8]]) -> None:
        self._payloads = payloads
        self.sizes = np.array([payload.size for payload in payloads]) - HEADER_SIZE

    def part(self, number: int) -> NDArray[np.uint8]:
        return self._payloads[number][HEADER_SIZE:]

    def join(self, numbers: list[int], out: NDArray[np.uint8]) -> None:
        np.concatenate([self.part(number) for number in numbers], out=out)


class _InFile:
    """Packets in a raw file: their pixels are read straight to where they belong."""

    def __init__(self, extents: Extents) -> None:
        self._extents = extents
        self.sizes = extents.sizes - HEADER_SIZE

    def part(self, number: int) -> NDArray[np.uint8]:
        pixels = np.empty(self.sizes[number], np.uint8)
        self._extents.read_into(number, HEADER_SIZE, pixels)
        return pixels

    def join(self, numbers: list[int], out: NDArray[np.uint8]) -> None:
        start = 0
        for number, size in zip(numbers, self.sizes[numbers].tolist(), strict=True):
            self._extents.read_into(number, HEADER_SIZE, out[start : start + size])
            start += size


def _sides(
    parts: _Parts,
    headers: NDArray[Any],
    layout: FrameLayout,
    ccd_bin_to_id: Sequence[int],
    scratch: Scratch,
) -> list[SideImage]:
    keys = sorted(set(zip(headers["ccd_number"].tolist(), headers["ccd_side"].tolist(), strict=True)))
    size = (layout.image_rows + layout.overscan_rows) * layout.columns * 2
    return [
        _side(parts, headers, ccd_bin_to_id[key[0]], key, layout, scratch.take(f"side {number}", size))
        for number, key in enumerate(keys)
    ]


def _side(
    parts: _Parts,
    headers: NDArray[Any],
    ccd: int,
    key: tuple[int, int],
    layout: FrameLayout,
    memory: NDArray[np.uint8],
) -> SideImage:
    """Reconstructs one half of one CCD; `key` is what the headers say, CCD code and side."""
    chosen = (headers["ccd_number"] == key[0]) & (headers["ccd_side"] == key[1])
    pixels = memory.view(">u2").reshape(-1, layout.columns)
    image = np.flatnonzero(chosen & (headers["packet_type"] == PacketKind.DATA))
    overscan = np.flatnonzero(chosen & (headers["packet_type"] == PacketKind.OVERSCAN))
    first = -(-layout.image_rows // _rows_per_packet(layout))
    missing = [
        _place_rows(parts, headers, image, pixels[: layout.image_rows], 0, layout),
        _place_rows(parts, headers, overscan, pixels[layout.image_rows :], first, layout) + layout.image_rows,
    ]
    return SideImage(
        ccd=ccd,
        side=CCDSide(key[1]).name,
        frame=int(headers["frame_number"][chosen][0]),
        row_start=layout.v_start,
        image_row_count=layout.image_rows,
        pixels=pixels,
        missing_rows=np.concatenate(missing),
    )


def _rows_per_packet(layout: FrameLayout) -> int:
    return max(1, layout.rows_per_packet)


def _place_rows(
    parts: _Parts,
    headers: NDArray[Any],
    indices: NDArray[np.intp],
    pixels: NDArray[np.uint16],
    first_slot: int,
    layout: FrameLayout,
) -> NDArray[np.intp]:
    """Puts the rows of packets in their place; sets rows that did not arrive to 0.

    When the packets fill the rows exactly, their order tells the place. Otherwise (some are missing, repeated or cut short)
    the sequence counter does: it counts all packets of the readout, sides alternating, image before overscan, so it tells the
    slot of a packet, its number within its side. One that points outside is not placed.

    Returns:
        Indices of the rows that did not arrive.
    """
    numbers = indices.tolist()
    if int(parts.sizes[indices].sum()) == pixels.nbytes:
        if numbers:
            parts.join(numbers, pixels.reshape(-1).view(np.uint8))
        return np.empty(0, dtype=np.intp)
    width, expected, rows_per_packet = layout.columns, len(pixels), _rows_per_packet(layout)
    slots = headers["sequence_counter"][indices].astype(np.intp) // len(layout.sides) - first_slot
    present = np.zeros(expected, dtype=np.bool_)
    for number, slot in zip(numbers, slots.tolist(), strict=True):
        part = parts.part(number)
        start = slot * rows_per_packet
        count = min(part.size // (2 * width), rows_per_packet, expected - start)
        if start < 0 or count <= 0:
            continue
        pixels[start : start + count] = part[: count * width * 2].view(">u2").reshape(count, width)
        present[start : start + count] = True
    pixels[~present] = 0
    return np.flatnonzero(~present)


def read_images(
    file: h5py.File,
    frame: int,
    ccd_bin_to_id: Sequence[int] = FM_NUMBERING.bin_to_id,
    twos_complement: bool = False,
) -> list[SideImage]:
    """Reconstructs the images of one frame of a raw file.

    Args:
        file: open raw file.
        frame: frame number 0..3.
        ccd_bin_to_id: CCD code of the FEE to the CGSE's number.
        twos_complement: True for EM data.

    Returns:
        One image per CCD and side; empty when the frame has no data.
    """
    return sides_in_frame(packets(file, frame), get_attributes(file, frame), ccd_bin_to_id, twos_complement)


def read_raw_images(
    file: h5py.File,
    frame: int,
    ccd_bin_to_id: Sequence[int],
    scratch: Scratch,
    attributes: Mapping[str, int] | None = None,
) -> list[SideImage]:
    """Reconstructs the images of one frame of a raw file, see `raw_sides_in_frame`.

    Args:
        file: open raw file.
        frame: frame number 0..3.
        ccd_bin_to_id: CCD code of the FEE to the CGSE's number.
        scratch: memory for packets and pixels, which last until the next call with it.
        attributes: the register fields of the frame when they are known already; read from the file when None.
    """
    fields = get_attributes(file, frame) if attributes is None else attributes
    extents = packet_extents(file, frame)
    if extents is None or int(extents.sizes.min(initial=HEADER_SIZE)) < HEADER_SIZE:
        payloads = packets(file, frame, lambda size: scratch.take("packets", size))
        return raw_sides_in_frame(payloads, fields, ccd_bin_to_id, scratch)
    headers = decode_headers(extents.heads(HEADER_SIZE))
    return _sides(_InFile(extents), headers, frame_layout(fields), ccd_bin_to_id, scratch)
