"""SpaceWire: packets, the interface of a link, and its transports (developer manual, chapter 15).

with SpaceWireOverZeroMQ("tcp://localhost:5555", "N-FEE") as link:
    flags, data = link.read_packet(timeout=2000)
    packet = SpaceWirePacket.create_packet(data)
"""

from egse.rmap import RMAPAddressError, RMAPError, RMAPTimeoutError
from egse.spw.bulk import (
    HEADER_DTYPE,
    CRCVerdict,
    decode_headers,
    decode_headers_at,
    decode_pixels,
    rmap_crc_verdicts,
)
from egse.spw.dsi import SpaceWireOverDSI
from egse.spw.errors import (
    ESLError,
    NoBytesReceivedError,
    PacketError,
    SpaceWireBufferFullError,
    SpaceWireCharacterError,
    SpaceWireDisconnectError,
    SpaceWireEEPError,
    SpaceWireError,
    SpaceWireEscapeError,
    SpaceWireLinkError,
    SpaceWireParityError,
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
from egse.spw.transports import make_link, register_transport
from egse.spw.zeromq import DEFAULT_IDENTITY, SpaceWireOverZeroMQ

__all__ = [
    "DEFAULT_IDENTITY",
    "EEP",
    "EOP",
    "ESLError",
    "HEADER_DTYPE",
    "HEADER_SIZE",
    "HK_PACKET_SIZE",
    "TIMECODE_MARKER",
    "CCDSide",
    "CRCVerdict",
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
    "SpaceWireCharacterError",
    "SpaceWireDisconnectError",
    "SpaceWireEEPError",
    "SpaceWireError",
    "SpaceWireEscapeError",
    "SpaceWireInterface",
    "SpaceWireLinkError",
    "SpaceWireOverDSI",
    "SpaceWireOverZeroMQ",
    "SpaceWirePacket",
    "SpaceWireParityError",
    "TimecodePacket",
    "TimecodeTimeoutError",
    "WriteRequest",
    "WriteRequestReply",
    "decode_headers",
    "decode_headers_at",
    "decode_pixels",
    "encode_header",
    "is_timecode",
    "make_link",
    "register_transport",
    "rmap_crc_verdicts",
]
