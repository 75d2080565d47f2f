"""Assembly of image packets: all packets of a stretch of rows in one array, no loop per packet, row or pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from egse.fee.geometry import FrameLayout, PacketGroup
from egse.fee.image import ImageSource
from egse.fee.light import Exposure
from egse.rmap import DPU_LOGICAL_ADDRESS
from egse.spw import HEADER_SIZE, PacketKind, PacketType
from egse.spw.bulk import RAW_HEADER_DTYPE
from egse.spw.packets import DATA_PROTOCOL_ID


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some packets of a readout, all sides.

    Attributes:
        kind: image or parallel overscan.
        first, stop: packets of each side, counted within the kind; stop is not included.
        sequence: sequence counter of the first packet.
        rows_done: rows of the readout that are read when the chunk is complete.
    """

    kind: PacketKind
    first: int
    stop: int
    sequence: int
    rows_done: int


def plan_chunks(layout: FrameLayout, max_packets: int = 64) -> list[Chunk]:
    """Cuts a readout into chunks of at most `max_packets` packets, in the order of sending."""
    groups = layout.groups()
    chunks = []
    sequence, rows_before = 0, 0
    step = max(1, max_packets // max(1, len(layout.sides)))
    for kind in (PacketKind.DATA, PacketKind.OVERSCAN):
        members = [group for group in groups if group.kind is kind]
        if not members:
            continue
        packets, rows = members[0].packets, members[0].rows
        for first in range(0, packets, step):
            stop = min(first + step, packets)
            done = rows_before + min(rows, stop * layout.rows_per_packet)
            chunks.append(Chunk(kind, first, stop, sequence, done))
            sequence += (stop - first) * len(members)
        rows_before += rows
    return chunks


@dataclass(frozen=True, slots=True)
class Frame:
    """One readout to be sent.

    Attributes:
        layout: how it is cut into packets.
        mode: mode for the type word.
        frame_number: 0..3.
        frame_counter: counter of readouts.
        exposure: what the image source has to know.
        source: makes the pixels.
    """

    layout: FrameLayout
    mode: int
    frame_number: int
    frame_counter: int
    exposure: Exposure
    source: ImageSource

    def packets(self, chunk: Chunk) -> list[memoryview]:
        """Returns the packets of a chunk; the two sides alternate."""
        members = [group for group in self.layout.groups() if group.kind is chunk.kind]
        count = chunk.stop - chunk.first
        columns, per_packet = self.layout.columns, self.layout.rows_per_packet
        size = HEADER_SIZE + 2 * columns * per_packet
        buffer = np.empty((count, len(members), size), np.uint8)
        for index, group in enumerate(members):
            pixels: npt.NDArray[np.uint16] = np.ndarray(
                (count, per_packet, columns),
                ">u2",
                buffer.data,
                offset=index * size + HEADER_SIZE,
                strides=(len(members) * size, 2 * columns, 2),
            )
            self.source.fill(pixels, self.exposure, group.side, group.first_row + chunk.first * per_packet)
        rows = _rows(members[0], chunk, per_packet)
        self._write_headers(buffer, members, chunk, rows)
        flat = buffer.reshape(-1, size)
        sizes = HEADER_SIZE + 2 * columns * np.repeat(rows, len(members))
        return [packet.data[:length] for packet, length in zip(flat, sizes.tolist(), strict=True)]

    def _write_headers(
        self,
        buffer: npt.NDArray[np.uint8],
        members: list[PacketGroup],
        chunk: Chunk,
        rows: npt.NDArray[np.int64],
    ) -> None:
        headers = np.zeros(buffer.shape[:2], RAW_HEADER_DTYPE)
        headers["logical_address"] = DPU_LOGICAL_ADDRESS
        headers["protocol_id"] = DATA_PROTOCOL_ID
        headers["length"] = (2 * self.layout.columns * rows)[:, None]
        words = [
            PacketType(self.mode, False, group.side, self.exposure.code, self.frame_number, group.kind).word
            for group in members
        ]
        last = np.arange(chunk.first, chunk.stop) == members[0].packets - 1
        headers["type"] = np.array(words) | (last[:, None] * 0x80)
        headers["frame_counter"] = self.frame_counter & 0xFFFF
        headers["sequence_counter"] = (
            chunk.sequence + np.arange(headers.size).reshape(headers.shape)
        ) & 0xFFFF
        buffer[..., :HEADER_SIZE] = headers.view(np.uint8).reshape(*buffer.shape[:2], HEADER_SIZE)


def _rows(group: PacketGroup, chunk: Chunk, per_packet: int) -> npt.NDArray[np.int64]:
    """Returns the number of rows in each packet of a chunk."""
    starts = np.arange(chunk.first, chunk.stop) * per_packet
    return np.minimum(group.rows - starts, per_packet)
