"""Windowing mode: the whole CCD is digitised, only windows of it are sent.

The lists of windows lie in the windowing memory (`egse.rmap.N_FEE_AREAS`), one per CCD: `ccdN_win_list_ptr` is the address
of its first word, `ccdN_win_list_length` the number of words, `ccdN_win_size_x/_y` the size of all windows of that CCD
(CCDN: FEE code + 1). Their layout is not public; **assumptions**: a word has the column in bits 0-15 (0..2294 on side E,
from 2295 on side F, as transmitted), the row in bits 16-31; windows are sent in the order of the list; a packet holds as
many whole windows as fit, row after row; `ccdN_last_Epacket/_Fpacket` limits the packets of a side unless it is 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from egse.fee.geometry import COLUMNS_TRANSMITTED, PARALLEL_OVERSCAN, ROWS
from egse.fee.image import ImageSource
from egse.fee.light import Exposure
from egse.spw import HEADER_SIZE, CCDSide, PacketKind, PacketType, encode_header

WINDOWING_ADDRESS: Final = 0x0080_0000
WINDOWING_SIZE: Final = 0x0080_0000
"""Windowing memory [bytes] (assumption, see `egse.rmap.N_FEE_AREAS`)."""

X_OUTSIDE: Final = 1 << 0
Y_OUTSIDE: Final = 1 << 1
TOO_MANY_OVERLAPPING: Final = 1 << 4
"""Error flags of windowing."""

MAX_OVERLAP: Final = 16
"""Most windows of one side that may share a row (assumption)."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows of a CCD.

    Attributes:
        size_x, size_y: size of a window [columns, rows].
        places: (column, row) of the lower left pixel of each window, by side, in the order of the list.
        error_flags: what was wrong with the list; windows outside of the CCD are left out.
    """

    size_x: int
    size_y: int
    places: dict[CCDSide, npt.NDArray[np.int64]]
    error_flags: int

    def per_packet(self, packet_size: int) -> int:
        """Returns how many windows fit into a packet; 0 when not one does."""
        size = 2 * self.size_x * self.size_y
        return max(0, packet_size - HEADER_SIZE) // size if size else 0


def read_windows(
    memory: bytes | bytearray,
    registers: Mapping[str, int],
    code: int,
    rows_of_ccd: int = ROWS + PARALLEL_OVERSCAN,
) -> Windows:
    """Returns the windows of a CCD.

    Args:
        memory: the windowing memory.
        registers: fields of the register map by name.
        code: FEE code of the CCD, 0..3.
        rows_of_ccd: rows that can be read, overscan included.
    """
    name = f"ccd{code + 1}_win"
    size_x, size_y = registers[f"{name}_size_x"], registers[f"{name}_size_y"]
    start = max(0, registers[f"{name}_list_ptr"] - WINDOWING_ADDRESS)
    count = min(registers[f"{name}_list_length"], (len(memory) - start) // 4) if start < len(memory) else 0
    words = np.frombuffer(memory, ">u4", count, start).astype(np.int64)
    columns, rows = words & 0xFFFF, words >> 16
    inside_x = ((columns % COLUMNS_TRANSMITTED) + size_x <= COLUMNS_TRANSMITTED) & (
        columns < 2 * COLUMNS_TRANSMITTED
    )
    inside_y = rows + size_y <= rows_of_ccd
    flags = (0 if inside_x.all() else X_OUTSIDE) | (0 if inside_y.all() else Y_OUTSIDE)
    places = {}
    for side in CCDSide:
        on_side = (columns // COLUMNS_TRANSMITTED == side) & inside_x & inside_y
        places[side] = np.stack([columns[on_side] % COLUMNS_TRANSMITTED, rows[on_side]], axis=1)
        flags |= _overlap(places[side][:, 1], size_y)
    return Windows(size_x, size_y, places, flags)


def _overlap(rows: npt.NDArray[np.int64], height: int) -> int:
    """Returns the error flag when too many windows share a row."""
    steps = np.zeros(ROWS + PARALLEL_OVERSCAN + 1, np.int64)
    np.add.at(steps, rows, 1)
    np.add.at(steps, rows + height, -1)
    return TOO_MANY_OVERLAPPING if steps.cumsum().max() > MAX_OVERLAP else 0


@dataclass(frozen=True, slots=True)
class WindowChunk:
    """One packet of windows.

    Attributes:
        side: its side.
        first, stop: its windows in the list of the side.
        last: it is the last one of its side.
        sequence: its sequence counter.
        rows_done: rows of the CCD that are read when the packet is complete.
    """

    side: CCDSide
    first: int
    stop: int
    last: bool
    sequence: int
    rows_done: int


@dataclass(frozen=True, slots=True)
class WindowFrame:
    """One readout in windowing mode.

    Attributes:
        windows: the windows.
        sides: the sides transmitted.
        packet_size: largest packet with header [bytes].
        mode, frame_number, frame_counter: for the headers.
        exposure: what the image source has to know.
        source: makes the pixels.
        limits: most packets of a side; 0 for no limit.
    """

    windows: Windows
    sides: tuple[CCDSide, ...]
    packet_size: int
    mode: int
    frame_number: int
    frame_counter: int
    exposure: Exposure
    source: ImageSource
    limits: Mapping[CCDSide, int] = field(default_factory=dict)

    def chunks(self) -> list[WindowChunk]:
        """Returns the packets in the order of sending: as soon as their last row is read, sides alternating."""
        per_packet = self.windows.per_packet(self.packet_size)
        if not per_packet:
            return []
        planned: list[tuple[int, int, CCDSide, int, int, bool]] = []
        for side in self.sides:
            rows = self.windows.places[side][:, 1]
            count = math.ceil(len(rows) / per_packet)
            count = min(count, self.limits.get(side) or count)
            done = 0
            for index in range(count):
                first, stop = index * per_packet, min((index + 1) * per_packet, len(rows))
                done = max(done, int(rows[first:stop].max()) + self.windows.size_y)
                planned.append((done, index, side, first, stop, index == count - 1))
        planned.sort(key=lambda item: item[:3])
        return [
            WindowChunk(side, first, stop, last, sequence, done)
            for sequence, (done, _, side, first, stop, last) in enumerate(planned)
        ]

    def packets(self, chunk: WindowChunk) -> list[bytes]:
        """Returns the packet of a chunk."""
        width, height = self.windows.size_x, self.windows.size_y
        parts = []
        for column, row in self.windows.places[chunk.side][chunk.first : chunk.stop].tolist():
            rows = np.empty((1, height, COLUMNS_TRANSMITTED), ">u2")
            self.source.fill(rows, self.exposure, chunk.side, row)
            parts.append(rows[0, :, column : column + width].tobytes())
        data = b"".join(parts)
        kind = PacketType(
            self.mode, chunk.last, chunk.side, self.exposure.code, self.frame_number, PacketKind.DATA
        )
        return [encode_header(len(data), kind.word, self.frame_counter, chunk.sequence) + data]


def pack_windows(places: npt.ArrayLike) -> bytes:
    """Returns a window list for the windowing memory.

    Args:
        places: (column, row) of each window, shape (windows, 2); columns of side F begin at 2295.
    """
    array = np.asarray(places, np.int64).reshape(-1, 2)
    return ((array[:, 1] << 16) | array[:, 0]).astype(">u4").tobytes()
