"""SpaceWire: packets, the interface of a link, and the link over ZeroMQ (developer manual, chapter 15).

with SpaceWireOverZeroMQ("tcp://localhost:5555", "N-FEE") as link:
    flags, data = link.read_packet(timeout=2000)
    packet = SpaceWirePacket.create_packet(data)
"""

from egse.rmap import RMAPAddressError, RMAPError, RMAPTimeoutError
from egse.spw.bulk import HEADER_DTYPE, decode_headers, decode_headers_at, decode_pixels
from egse.spw.errors import (
    NoBytesReceivedError,
    PacketError,
    SpaceWireBufferFullError,
    SpaceWireError,
    SpaceWireLinkError,
    TimecodeTimeoutError,
)
from egse.spw.interface import EEP, EOP, RMAPLink, SpaceWireInterface
from egse.spw.packets import (
    HEADER_SIZE,
    HK_PACKET_SIZE,
    TIMECODE_MARKER,
    CCDSide,
    DataDataPacket,
    DataPacket,
    HousekeepingPacket,
    OverscanDataPacket,
    PacketKind,
    PacketType,
    ReadModifyWriteRequest,
    ReadModifyWriteRequestReply,
    ReadRequest,
    ReadRequestReply,
    SpaceWirePacket,
    TimecodePacket,
    WriteRequest,
    WriteRequestReply,
    encode_header,
    is_timecode,
)
from egse.spw.zeromq import DEFAULT_IDENTITY, SpaceWireOverZeroMQ

__all__ = [
    "DEFAULT_IDENTITY",
    "EEP",
    "EOP",
    "HEADER_DTYPE",
    "HEADER_SIZE",
    "HK_PACKET_SIZE",
    "TIMECODE_MARKER",
    "CCDSide",
    "DataDataPacket",
    "DataPacket",
    "HousekeepingPacket",
    "NoBytesReceivedError",
    "OverscanDataPacket",
    "PacketError",
    "PacketKind",
    "PacketType",
    "RMAPAddressError",
    "RMAPError",
    "RMAPLink",
    "RMAPTimeoutError",
    "ReadModifyWriteRequest",
    "ReadModifyWriteRequestReply",
    "ReadRequest",
    "ReadRequestReply",
    "SpaceWireBufferFullError",
    "SpaceWireError",
    "SpaceWireInterface",
    "SpaceWireLinkError",
    "SpaceWireOverZeroMQ",
    "SpaceWirePacket",
    "TimecodePacket",
    "TimecodeTimeoutError",
    "WriteRequest",
    "WriteRequestReply",
    "decode_headers",
    "decode_headers_at",
    "decode_pixels",
    "encode_header",
    "is_timecode",
]
