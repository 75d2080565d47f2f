"""The table of a frame's packets in format 3.0: where each one is, its header, its CRC; and the gaps between them.

A data packet of the N-FEE carries no CRC of its own (ICD of the storage formats, 8.4). `crc` is the CRC-32 of the whole packet
as it was received: what is read later can be checked against it, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import anycrc
import numpy as np
from numpy.typing import NDArray

from egse.fee.geometry import FrameLayout
from egse.spw import PacketKind, decode_headers

PACKET_DTYPE: Final = np.dtype(
    [
        ("offset", "<u8"),
        ("size", "<u4"),
        ("crc", "<u4"),
        ("logical_address", "u1"),
        ("protocol_id", "u1"),
        ("length", "<u2"),
        ("type", "<u2"),
        ("frame_counter", "<u2"),
        ("sequence_counter", "<u2"),
        ("mode", "u1"),
        ("last_packet", "u1"),
        ("ccd_side", "u1"),
        ("ccd_number", "u1"),
        ("frame_number", "u1"),
        ("packet_type", "u1"),
        ("valid", "u1"),
    ]
)
"""One row a packet: first byte in `packets`, size [bytes], CRC-32, the header of the link and its type word taken apart;
`valid` is 1 for a packet of protocol 0xF0 with the right length and a known type."""

GAP_DTYPE: Final = np.dtype([("first", "<u4"), ("count", "<u4")])
"""A run of packets that did not arrive: sequence counter of the first one, and how many."""

_crc: Final = anycrc.CRC(
    width=32, poly=0x04C11DB7, init=0xFFFFFFFF, refin=True, refout=True, xorout=0xFFFFFFFF
).calc

Buffer = bytes | bytearray | memoryview


def packet_crc(payload: Buffer) -> int:
    """Returns the CRC-32 (ISO-HDLC, that of zlib) of a packet."""
    crc: int = _crc(payload)
    return crc


def packet_table(payloads: Sequence[Buffer]) -> NDArray[Any]:
    """Returns the table of packets that lie one after the other.

    Args:
        payloads: the packets, whole, of any size; contiguous bytes.

    Returns:
        Array of `PACKET_DTYPE`; offsets begin at 0.
    """
    headers = decode_headers(payloads)
    table = np.zeros(len(payloads), PACKET_DTYPE)
    for name in PACKET_DTYPE.names or ():
        if name in (headers.dtype.names or ()):
            table[name] = headers[name]
    table["crc"] = np.fromiter(map(_crc, payloads), np.uint32, count=len(payloads))
    table["offset"][1:] = np.cumsum(table["size"][:-1], dtype=np.uint64)
    return table


def find_gaps(sequence: NDArray[np.integer[Any]], expected: int) -> NDArray[Any]:
    """Returns which packets of a readout did not arrive.

    Args:
        sequence: sequence counters of the valid packets that did; they count all packets of a readout from 0.
        expected: how many packets the readout should have.

    Returns:
        Array of `GAP_DTYPE`, in order.
    """
    present = np.zeros(expected + 2, np.int8)
    present[0] = present[-1] = 1
    known = np.asarray(sequence, np.int64)
    present[1 + known[known < expected]] = 1
    edges = np.diff(present)
    starts, stops = np.flatnonzero(edges == -1), np.flatnonzero(edges == 1)
    gaps = np.zeros(len(starts), GAP_DTYPE)
    gaps["first"], gaps["count"] = starts, stops - starts
    return gaps


def expected_packets(layout: FrameLayout, attributes_known: bool, table: NDArray[Any]) -> int:
    """Returns how many packets a readout should have.

    Args:
        layout: how it was cut into packets.
        attributes_known: False when the register fields are not known: then the highest sequence counter counts.
        table: the packets that arrived.
    """
    if attributes_known:
        return layout.packets
    good = data_packets(table)
    return 1 + int(good["sequence_counter"].max()) if good.size else 0


def data_packets(table: NDArray[Any]) -> NDArray[Any]:
    """Returns the rows of valid data and overscan packets."""
    kinds = table["packet_type"]
    wanted = (kinds == PacketKind.DATA) | (kinds == PacketKind.OVERSCAN)
    rows: NDArray[Any] = table[(table["valid"] != 0) & wanted]
    return rows
