"""Geometry of the N-CAM detectors, and how a readout is cut into packets.

Sources: user manual (detector chapter) and storage ICD, section 8.5. Frame of coordinates: `CCDn_PIX`, one per CCD over
both halves, origin lower left with the readout register at the bottom, x = column and y = row, from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from egse.coordinates.focalplane import COLUMNS as COLUMNS
from egse.coordinates.focalplane import ROWS as ROWS
from egse.spw.packets import HEADER_SIZE, CCDSide, PacketKind

COLUMNS_SIDE: Final = COLUMNS // 2
"""Light-sensitive columns of one side."""

SERIAL_PRESCAN: Final = 25
"""Columns transmitted before the image columns of a row."""

SERIAL_OVERSCAN: Final = 15
"""Columns transmitted after the image columns of a row."""

COLUMNS_TRANSMITTED: Final = SERIAL_PRESCAN + COLUMNS_SIDE + SERIAL_OVERSCAN
"""Columns of one side in the packets: 2295 = `h_end` + 1."""

PARALLEL_OVERSCAN: Final = 30
"""Standard number of parallel overscan rows, 4510..4539."""

PACKET_SIZE: Final = 32140
"""Largest packet with header [bytes]."""

LEFT_SIDE: Final[dict[str, str]] = {"em": "E", "pfm": "F", "fm": "F"}
"""Side label of the left half, register at the bottom (figures of the user manual)."""


@dataclass(frozen=True, slots=True)
class PacketGroup:
    """The packets of one side and one kind in a readout.

    Attributes:
        side: E or F.
        kind: image rows or parallel overscan rows; never both in one packet.
        first_row: first row.
        rows: number of rows.
        packets: number of packets.
    """

    side: CCDSide
    kind: PacketKind
    first_row: int
    rows: int
    packets: int


@dataclass(frozen=True, slots=True)
class FrameLayout:
    """How one readout is cut into packets.

    The two sides are read at the same time, so their packets alternate (E, F, E, F, ...); the overscan packets come
    after the image packets. The last packet of each group carries the last-packet flag and may be shorter.

    Attributes:
        v_start: first row transmitted.
        v_end: last row transmitted, inclusive; rows above 4509 are parallel overscan.
        h_end: last column transmitted, inclusive.
        sides: the sides transmitted.
        packet_size: largest packet with header [bytes].
        height: rows of the image area; those above are parallel overscan.
    """

    v_start: int
    v_end: int
    h_end: int = COLUMNS_TRANSMITTED - 1
    sides: tuple[CCDSide, ...] = (CCDSide.E, CCDSide.F)
    packet_size: int = PACKET_SIZE
    height: int = ROWS

    @property
    def columns(self) -> int:
        """Columns of a row."""
        return self.h_end + 1

    @property
    def rows_per_packet(self) -> int:
        """Rows of a full packet; 0 when not even one fits, in which case nothing is sent."""
        return max(0, self.packet_size - HEADER_SIZE) // (2 * self.columns)

    @property
    def image_rows(self) -> int:
        """Number of image rows."""
        return max(0, min(self.v_end, self.height - 1) - self.v_start + 1)

    @property
    def overscan_rows(self) -> int:
        """Number of parallel overscan rows."""
        return max(0, self.v_end - max(self.v_start, self.height) + 1)

    def groups(self) -> list[PacketGroup]:
        """Returns the groups of packets; empty when nothing is sent."""
        per_packet = self.rows_per_packet
        if not per_packet:
            return []
        parts = [
            (PacketKind.DATA, self.v_start, self.image_rows),
            (PacketKind.OVERSCAN, max(self.v_start, self.height), self.overscan_rows),
        ]
        return [
            PacketGroup(side, kind, first, rows, -(-rows // per_packet))
            for kind, first, rows in parts
            if rows
            for side in self.sides
        ]

    @property
    def packets(self) -> int:
        """Number of packets of the readout, all sides."""
        return sum(group.packets for group in self.groups())

    @property
    def size(self) -> int:
        """Size of the readout in bytes, with the headers."""
        groups = self.groups()
        return sum(group.packets * HEADER_SIZE + group.rows * self.columns * 2 for group in groups)


def sides_of(sensor_sel: int) -> tuple[CCDSide, ...]:
    """Returns the sides that a value of `sensor_sel` transmits: 1 is F, 2 is E, 3 is both (see `FEE_SENSOR_SEL`)."""
    return tuple(side for side, bit in ((CCDSide.E, 0b10), (CCDSide.F, 0b01)) if sensor_sel & bit)


def frame_layout(attributes: Mapping[str, int]) -> FrameLayout:
    """Returns how a readout was cut into packets.

    Args:
        attributes: register fields in effect: `v_start`, `v_end`, `h_end`, `sensor_sel`; those of whole rows of one side
            where they lack.
    """
    return FrameLayout(
        attributes.get("v_start", 0),
        attributes.get("v_end", 0),
        attributes.get("h_end", COLUMNS_TRANSMITTED - 1),
        sides_of(attributes.get("sensor_sel", 0)) or (CCDSide.E,),
    )


def pixel_to_readout(x: int, y: int, camera: str = "fm") -> tuple[CCDSide, int, int]:
    """Returns where a pixel of `CCDn_PIX` is found in the packets.

    In the left half charge moves towards smaller x, in the right half towards larger x, so column 0 of the image
    columns of either side is at the outer edge of the CCD.

    Args:
        x: column, 0..4509.
        y: row, 0..4509.
        camera: "em", "pfm" or "fm".

    Returns:
        (side, row, column): column as transmitted, with the 25 columns of serial prescan counted.

    Raises:
        ValueError: when the pixel is not on the CCD.
    """
    if not (0 <= x < COLUMNS and 0 <= y < ROWS):
        raise ValueError(f"pixel ({x}, {y}) is not on the CCD: {COLUMNS} columns, {ROWS} rows")
    left = LEFT_SIDE[camera]
    if x < COLUMNS_SIDE:
        return CCDSide[left], y, SERIAL_PRESCAN + x
    return CCDSide["E" if left == "F" else "F"], y, SERIAL_PRESCAN + COLUMNS - 1 - x


def readout_to_pixel(side: CCDSide, row: int, column: int, camera: str = "fm") -> tuple[int, int] | None:
    """Returns (x, y) in `CCDn_PIX` of a transmitted pixel, or None for scan pixels; the reverse of `pixel_to_readout`."""
    index = column - SERIAL_PRESCAN
    if not (0 <= index < COLUMNS_SIDE and 0 <= row < ROWS):
        return None
    return (index if LEFT_SIDE[camera] == side.name else COLUMNS - 1 - index), row


def locate_pixel(layout: FrameLayout, packet: int, byte: int) -> tuple[CCDSide, int, int]:
    """Returns which pixel a byte of a packet belongs to.

    Args:
        layout: layout of the readout.
        packet: index of the packet in the readout, data packets only (timecode and housekeeping are not counted).
        byte: offset in the packet, header included.

    Returns:
        (side, row, column) as transmitted.

    Raises:
        IndexError: when there is no such packet, or the byte is in the header or beyond the end.
    """
    if packet < 0:
        raise IndexError(f"no packet {packet}")
    index, groups = packet, layout.groups()
    for kind in (PacketKind.DATA, PacketKind.OVERSCAN):
        members = [group for group in groups if group.kind is kind]
        count = sum(group.packets for group in members)
        if index < count:
            group, number = members[index % len(members)], index // len(members)
            break
        index -= count
    else:
        raise IndexError(f"no packet {packet}: the readout has {layout.packets}")
    row, column = divmod((byte - HEADER_SIZE) // 2, layout.columns)
    row += number * layout.rows_per_packet
    if byte < HEADER_SIZE or row >= min(group.rows, (number + 1) * layout.rows_per_packet):
        raise IndexError(f"byte {byte} is no pixel of packet {packet}")
    return group.side, group.first_row + row, column
