"""Many packets at once: headers and pixels as arrays, no object per packet and no loop per row or pixel."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from egse.rmap import RMAP_PROTOCOL_ID, header_crc, rmap_crc
from egse.spw.errors import PacketError
from egse.spw.packets import DATA_PROTOCOL_ID, HEADER_SIZE

RAW_HEADER_DTYPE: Final = np.dtype(
    [
        ("logical_address", "u1"),
        ("protocol_id", "u1"),
        ("length", ">u2"),
        ("type", ">u2"),
        ("frame_counter", ">u2"),
        ("sequence_counter", ">u2"),
    ]
)
"""The header as it is on the link: 10 bytes, big-endian."""

HEADER_DTYPE: Final = np.dtype(
    [
        ("logical_address", "u1"),
        ("protocol_id", "u1"),
        ("length", "u2"),
        ("type", "u2"),
        ("frame_counter", "u2"),
        ("sequence_counter", "u2"),
        ("mode", "u1"),
        ("last_packet", "?"),
        ("ccd_side", "u1"),
        ("ccd_number", "u1"),
        ("frame_number", "u1"),
        ("packet_type", "u1"),
        ("size", "u4"),
        ("valid", "?"),
    ]
)
"""Decoded header: fields of the link and of the type word, the size of the whole packet [bytes], and whether it has a
header of protocol 0xF0 whose length is right."""

Packet = bytes | bytearray | memoryview


def decode_headers(packets: Sequence[Packet] | npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Decodes the headers of many packets.

    Args:
        packets: a list of packets of any kind and size, or a uint8 array of shape (packets, size) with packets of the
            same size.

    Returns:
        Array of `HEADER_DTYPE`, one element a packet. Packets shorter than a header (timecodes) give zeros and
        `valid` False.
    """
    if isinstance(packets, np.ndarray):
        raw = np.ascontiguousarray(packets[:, :HEADER_SIZE])
        sizes = np.full(len(packets), packets.shape[1], np.uint32)
    else:
        heads = b"".join([bytes(packet[:HEADER_SIZE]).ljust(HEADER_SIZE, b"\0") for packet in packets])
        raw = np.frombuffer(heads, np.uint8)
        sizes = np.fromiter(map(len, packets), np.uint32, count=len(packets))
    return _decode(raw.reshape(-1).view(RAW_HEADER_DTYPE), sizes)


def decode_headers_at(
    buffer: Packet | npt.NDArray[np.uint8],
    offsets: npt.NDArray[np.integer[Any]],
    sizes: npt.NDArray[np.integer[Any]],
) -> npt.NDArray[Any]:
    """Decodes the headers of packets that lie in one buffer (a spool, a frame).

    Args:
        buffer: the bytes.
        offsets: where each packet starts [bytes], shape (packets,).
        sizes: size of each packet [bytes], shape (packets,).

    Returns:
        As `decode_headers`.

    Raises:
        PacketError: when a packet lies outside the buffer.
    """
    flat = np.frombuffer(buffer, np.uint8) if not isinstance(buffer, np.ndarray) else buffer
    offsets, sizes = np.asarray(offsets, np.int64), np.asarray(sizes, np.int64)
    if offsets.size and (offsets.min() < 0 or sizes.min() < 0 or (offsets + sizes).max() > flat.size):
        raise PacketError("a packet reaches beyond the buffer")
    raw = np.zeros((len(offsets), HEADER_SIZE), np.uint8)
    whole = sizes >= HEADER_SIZE
    raw[whole] = flat[offsets[whole, None] + np.arange(HEADER_SIZE)]
    return _decode(raw.reshape(-1).view(RAW_HEADER_DTYPE), sizes)


def decode_pixels(
    packets: Sequence[Packet], columns: int, *, twos_complement: bool = False
) -> npt.NDArray[np.uint16]:
    """Joins the rows of data or overscan packets of one side.

    Args:
        packets: packets in the order of their rows.
        columns: pixels per row, `h_end` + 1.
        twos_complement: the camera sends two's complement (EM): converted to offset binary, 0..65535.

    Returns:
        Pixels, shape (rows, columns), native byte order.

    Raises:
        PacketError: when the pixels do not fill whole rows.
    """
    payload = b"".join([memoryview(packet)[HEADER_SIZE:] for packet in packets])
    if len(payload) % (2 * columns):
        raise PacketError(
            f"{len(payload)} bytes of pixels are not a whole number of rows of {columns} columns"
        )
    pixels = np.frombuffer(payload, ">u2").astype(np.uint16).reshape(-1, columns)
    if twos_complement:
        pixels ^= np.uint16(0x8000)
    return pixels


class CRCVerdict(IntEnum):
    """What the CRCs of a packet say; housekeeping and data packets have none."""

    NONE = 0
    GOOD = 1
    HEADER_WRONG = 2
    DATA_WRONG = 3


def rmap_crc_verdicts(packets: Sequence[Packet]) -> npt.NDArray[np.uint8]:
    """Checks header and data CRC of many packets.

    Args:
        packets: packets of any kind, without path bytes in front.

    Returns:
        A `CRCVerdict` for each packet, shape (packets,). RMAP packets too short for their header have a wrong one, and
        those too short or too long for their data a wrong data CRC.
    """
    return np.fromiter(map(_verdict, packets), np.uint8, count=len(packets))


def _verdict(packet: Packet) -> int:
    if len(packet) < 3 or packet[1] != RMAP_PROTOCOL_ID:
        return CRCVerdict.NONE
    instruction = packet[2]
    command, write = instruction & 0x40, instruction & 0x20
    size = 16 + 4 * (instruction & 3) if command else (8 if write else 12)
    if len(packet) < size or header_crc(packet[:size], 0):
        return CRCVerdict.HEADER_WRONG
    has_data = instruction & 0x30 if command else not write
    length = int.from_bytes(packet[size - 4 : size - 1], "big") + 1 if has_data else 0
    if len(packet) != size + length or (has_data and rmap_crc(packet[size:])):
        return CRCVerdict.DATA_WRONG
    return CRCVerdict.GOOD


def _decode(raw: npt.NDArray[Any], sizes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    headers = np.zeros(len(raw), HEADER_DTYPE)
    for name in RAW_HEADER_DTYPE.names or ():
        headers[name] = raw[name]
    word = headers["type"]
    headers["mode"] = (word >> 8) & 0xF
    headers["last_packet"] = (word & 0x80) != 0
    headers["ccd_side"] = (word >> 6) & 1
    headers["ccd_number"] = (word >> 4) & 3
    headers["frame_number"] = (word >> 2) & 3
    headers["packet_type"] = word & 3
    headers["size"] = sizes
    headers["valid"] = (
        (headers["protocol_id"] == DATA_PROTOCOL_ID)
        & (headers["size"] == headers["length"].astype(np.uint32) + HEADER_SIZE)
        & (headers["packet_type"] < 3)
    )
    return headers
