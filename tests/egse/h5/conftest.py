"""Packets of a small readout, made by hand from the ICD's tables."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np
import pytest

WIDTH = 2295
ROWS_PER_PACKET = 7


def header(length: int, type_word: int, frame_counter: int, sequence: int) -> bytes:
    return struct.pack(">BBHHHH", 0x50, 0xF0, length, type_word, frame_counter, sequence)


def type_word(ccd: int, side: int, frame: int, packet_type: int, last: bool) -> int:
    return 5 << 8 | last << 7 | side << 6 | ccd << 4 | frame << 2 | packet_type


def side_packets(pixels: np.ndarray, image_rows: int, ccd: int, side: int, frame: int) -> list[bytes]:
    """Packets of one side: image rows and overscan rows never share one."""
    parts = [(0, pixels[:image_rows]), (1, pixels[image_rows:])]
    packets: list[bytes] = []
    for packet_type, rows in parts:
        for start in range(0, len(rows), ROWS_PER_PACKET):
            data = rows[start : start + ROWS_PER_PACKET].astype(">u2").tobytes()
            last = start + ROWS_PER_PACKET >= len(rows) and (packet_type == 1 or not len(parts[1][1]))
            word = type_word(ccd, side, frame, packet_type, last)
            packets.append(header(len(data), word, 1000 + frame, 2 * len(packets) + side) + data)
    return packets


@pytest.fixture
def make_side() -> Callable[..., list[bytes]]:
    return side_packets


@pytest.fixture
def attributes() -> dict[str, int]:
    """Rows 4500..4519: 10 image rows and 10 rows of parallel overscan."""
    return {
        "DG_en": 0,
        "ccd_mode_config": 5,
        "ccd_read_en": 1,
        "ccd_readout_order": 228,
        "digitise_en": 1,
        "h_end": 2294,
        "int_sync_period": 6250,
        "n_final_dump": 0,
        "sensor_sel": 3,
        "sync_sel": 0,
        "v_end": 4519,
        "v_start": 4500,
    }
