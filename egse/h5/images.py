"""From the packets of a frame to images: headers and pixels decoded in bulk, no loop per row or pixel.

Columns of a row as transmitted: 25 serial prescan, 2255 image, 15 serial overscan. Rows 0..4509 are image area, later ones parallel
overscan. The two amplifiers of a CCD transmit from the outer edge inwards, so in the CCD's own frame (origin lower left, register at
the bottom) the right half arrives mirrored; `SideImage` keeps the order of transmission, `SideImage.in_ccd_frame` undoes the mirror.

Source: ICD of the storage formats 8.4, 8.5; FEE operations reference 4, 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import h5py
import numpy as np
from numpy.typing import NDArray

from egse.h5.reader import get_attributes, packets

PRESCAN_COLUMNS = 25
IMAGE_COLUMNS = 2255
OVERSCAN_COLUMNS = 15
TRANSMITTED_COLUMNS = PRESCAN_COLUMNS + IMAGE_COLUMNS + OVERSCAN_COLUMNS
IMAGE_ROWS = 4510
HEADER_LENGTH = 10
PACKET_SIZE = 32140
"""Size of a full packet with header [byte] (register field packet_size); a packet carries whole rows only."""

CCD_BIN_TO_ID = (1, 2, 3, 4)
"""CCD code of the FEE (0..3) to the CGSE's number (1..4) for PFM and FM; the EM has (3, 4, 1, 2)."""

TYPE_DATA, TYPE_OVERSCAN, TYPE_HK = 0, 1, 2


@dataclass(frozen=True)
class Headers:
    """The packet headers of a frame as arrays, one element per packet.

    Attributes:
        length: length of the data field as the header states it [byte].
        packet_type: 0 data, 1 overscan, 2 housekeeping.
        frame_number: 0..3.
        ccd: CCD code of the FEE, 0..3.
        side: 0 for E, 1 for F.
        last: True for the last packet.
        mode: FEE mode id.
        frame_counter: 16 bit counter of frames.
        sequence_counter: 16 bit counter of packets.
    """

    length: NDArray[np.uint16]
    packet_type: NDArray[np.uint16]
    frame_number: NDArray[np.uint16]
    ccd: NDArray[np.uint16]
    side: NDArray[np.uint16]
    last: NDArray[np.bool_]
    mode: NDArray[np.uint16]
    frame_counter: NDArray[np.uint16]
    sequence_counter: NDArray[np.uint16]


def decode_headers(payloads: Sequence[NDArray[np.uint8]]) -> Headers:
    """Decodes the 10-byte headers of packets.

    Args:
        payloads: whole packets, uint8, at least 10 bytes each.

    Returns:
        Arrays of shape (number of packets,).
    """
    raw = np.empty((len(payloads), HEADER_LENGTH), dtype=np.uint8)
    for index, payload in enumerate(payloads):
        raw[index] = payload[:HEADER_LENGTH]
    words = raw.view(">u2").astype(np.uint16)
    kind = words[:, 2]
    return Headers(
        length=words[:, 1],
        packet_type=_bits(kind, 0, 0x3),
        frame_number=_bits(kind, 2, 0x3),
        ccd=_bits(kind, 4, 0x3),
        side=_bits(kind, 6, 0x1),
        last=_bits(kind, 7, 0x1).astype(np.bool_),
        mode=_bits(kind, 8, 0xF),
        frame_counter=words[:, 3],
        sequence_counter=words[:, 4],
    )


def _bits(words: NDArray[np.uint16], shift: int, mask: int) -> NDArray[np.uint16]:
    return ((words >> np.uint16(shift)) & np.uint16(mask)).astype(np.uint16)


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
        return self.pixels[:, self._columns(0, PRESCAN_COLUMNS)]

    @property
    def image(self) -> NDArray[np.uint16]:
        """Image area, shape (image rows, 2255)."""
        return self.pixels[: self.image_row_count, self._columns(PRESCAN_COLUMNS, IMAGE_COLUMNS)]

    @property
    def serial_overscan(self) -> NDArray[np.uint16]:
        """Serial overscan, shape (rows, 15), image and parallel overscan rows."""
        return self.pixels[:, self._columns(PRESCAN_COLUMNS + IMAGE_COLUMNS, OVERSCAN_COLUMNS)]

    @property
    def parallel_overscan(self) -> NDArray[np.uint16]:
        """Parallel overscan, shape (overscan rows, 2255)."""
        return self.pixels[self.image_row_count :, self._columns(PRESCAN_COLUMNS, IMAGE_COLUMNS)]

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
    ccd_bin_to_id: Sequence[int] = CCD_BIN_TO_ID,
    twos_complement: bool = False,
) -> list[SideImage]:
    """Reconstructs the images in the packets of one frame.

    Args:
        payloads: data and overscan packets, whole, in the order of arrival.
        attributes: register fields in effect: `v_start`, `v_end`, `h_end`.
        ccd_bin_to_id: CCD code of the FEE to the CGSE's number, from the Setup's `camera.fee.ccd_numbering`.
        twos_complement: True for the EM, whose samples are signed; they are shifted to 0..65535.

    Returns:
        One image per CCD and side, sides in the order E, F; empty without packets.
    """
    payloads = [payload for payload in payloads if payload.size >= HEADER_LENGTH]
    if not payloads:
        return []
    headers = decode_headers(payloads)
    keys = sorted(set(zip(headers.ccd.tolist(), headers.side.tolist(), strict=True)))
    images = [_side(payloads, headers, ccd, side, attributes, ccd_bin_to_id) for ccd, side in keys]
    if twos_complement:
        images = [replace(image, pixels=image.pixels ^ np.uint16(0x8000)) for image in images]
    return images


def _side(
    payloads: Sequence[NDArray[np.uint8]],
    headers: Headers,
    ccd: int,
    side: int,
    attributes: Mapping[str, int],
    ccd_bin_to_id: Sequence[int],
) -> SideImage:
    """Reconstructs one half of one CCD."""
    width = attributes.get("h_end", TRANSMITTED_COLUMNS - 1) + 1
    chosen = (headers.ccd == ccd) & (headers.side == side)
    rows_per_packet = max(1, (PACKET_SIZE - HEADER_LENGTH) // (2 * width))
    sides = 2 if attributes.get("sensor_sel") == 3 else 1
    layout = (width, rows_per_packet, sides)
    image_rows, overscan_rows = _image_rows(attributes), _overscan_rows(attributes)
    image = chosen & (headers.packet_type == TYPE_DATA)
    overscan = chosen & (headers.packet_type == TYPE_OVERSCAN)
    area, lost = _rows(payloads, headers, image, image_rows, 0, layout)
    first = -(-image_rows // rows_per_packet)
    over, over_lost = _rows(payloads, headers, overscan, overscan_rows, first, layout)
    return SideImage(
        ccd=ccd_bin_to_id[ccd],
        side="EF"[side],
        frame=int(headers.frame_number[chosen][0]),
        row_start=attributes.get("v_start", 0),
        image_row_count=area.shape[0],
        pixels=np.concatenate([area, over]),
        missing_rows=np.concatenate([lost, over_lost + area.shape[0]]),
    )


def _image_rows(attributes: Mapping[str, int]) -> int:
    start, end = attributes.get("v_start", 0), attributes.get("v_end", 0)
    return max(0, min(end, IMAGE_ROWS - 1) - start + 1)


def _overscan_rows(attributes: Mapping[str, int]) -> int:
    start, end = attributes.get("v_start", 0), attributes.get("v_end", 0)
    return max(0, end - max(start, IMAGE_ROWS) + 1)


def _rows(
    payloads: Sequence[NDArray[np.uint8]],
    headers: Headers,
    chosen: NDArray[np.bool_],
    expected: int,
    first_slot: int,
    layout: tuple[int, int, int],
) -> tuple[NDArray[np.uint16], NDArray[np.intp]]:
    """Returns the rows of the chosen packets, shape (expected, width), and the indices of those that are missing."""
    width, rows_per_packet, sides = layout
    indices = np.flatnonzero(chosen)
    nothing = np.empty(0, dtype=np.intp)
    if not indices.size:
        return np.zeros((0, width), dtype=np.uint16), nothing
    parts = [payloads[index][HEADER_LENGTH:] for index in indices.tolist()]
    whole = np.concatenate(parts)
    if whole.size == expected * width * 2:
        return whole.view(">u2").astype(np.uint16).reshape(expected, width), nothing
    slots = headers.sequence_counter[indices].astype(np.intp) // sides - first_slot
    return _place_rows(parts, slots, expected, width, rows_per_packet)


def _place_rows(
    parts: Sequence[NDArray[np.uint8]],
    slots: NDArray[np.intp],
    expected: int,
    width: int,
    rows_per_packet: int,
) -> tuple[NDArray[np.uint16], NDArray[np.intp]]:
    """Puts packets in their rows when some are missing, repeated or cut short.

    The sequence counter counts all packets of the readout, sides alternating, image before overscan; so it tells the slot of a
    packet (its number within its side). One that points outside is not placed.
    """
    pixels = np.zeros((expected, width), dtype=np.uint16)
    present = np.zeros(expected, dtype=np.bool_)
    for part, slot in zip(parts, slots, strict=True):
        start = int(slot) * rows_per_packet
        count = min(part.size // (2 * width), rows_per_packet, expected - start)
        if start < 0 or count <= 0:
            continue
        pixels[start : start + count] = part[: count * width * 2].view(">u2").reshape(count, width)
        present[start : start + count] = True
    return pixels, np.flatnonzero(~present)


def read_images(
    file: h5py.File, frame: int, ccd_bin_to_id: Sequence[int] = CCD_BIN_TO_ID, twos_complement: bool = False
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
