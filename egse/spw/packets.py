"""SpaceWire packets of the N-FEE: timecode, housekeeping, data, overscan, and the RMAP packets.

Layout after the storage ICD, section 8.4; protocol identifiers after ECSS-E-ST-50-51C. For many packets at once use
`egse.spw.bulk`, which makes no object per packet.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from egse.rmap import (
    RMAP_PROTOCOL_ID,
    RMAPCommand,
    RMAPDecodeError,
    RMAPReply,
    decode_command,
    decode_reply,
    status_text,
)
from egse.spw.errors import PacketError

TIMECODE_MARKER: Final = 0x91
"""First byte of a timecode where it travels as a packet of two bytes."""

DATA_PROTOCOL_ID: Final = 0xF0
"""Protocol identifier of housekeeping and data packets."""

HEADER_SIZE: Final = 10
"""Header of housekeeping and data packets [bytes]."""

HK_PACKET_SIZE: Final = 154
"""Housekeeping packet with header [bytes]."""

_HEADER: Final = struct.Struct(">BBHHHH")


class PacketKind(IntEnum):
    """Packet type, bits 1-0 of the type word."""

    DATA = 0
    OVERSCAN = 1
    HOUSEKEEPING = 2


class CCDSide(IntEnum):
    """Side of the CCD, bit 6 of the type word."""

    E = 0
    F = 1


@dataclass(frozen=True, slots=True)
class PacketType:
    """The type word of a header: bytes 4-5 (storage ICD, section 8.4).

    Attributes:
        mode: mode of the FEE, 0..15 (bits 11-8).
        last_packet: last packet of its kind and side in this readout (bit 7).
        ccd_side: 0 = E, 1 = F (bit 6).
        ccd_number: number of the CCD by the FEE's count, 0..3 (bits 5-4); not the CGSE number 1..4.
        frame_number: index of the readout in the cycle, 0..3 (bits 3-2).
        packet_type: kind of packet (bits 1-0).
    """

    mode: int
    last_packet: bool
    ccd_side: int
    ccd_number: int
    frame_number: int
    packet_type: int

    @classmethod
    def from_word(cls, word: int) -> PacketType:
        """Returns the fields of a type word (16 bits)."""
        return cls(
            mode=(word >> 8) & 0xF,
            last_packet=bool(word & 0x80),
            ccd_side=(word >> 6) & 1,
            ccd_number=(word >> 4) & 3,
            frame_number=(word >> 2) & 3,
            packet_type=word & 3,
        )

    @property
    def word(self) -> int:
        """The type word (16 bits)."""
        return (
            (self.mode & 0xF) << 8
            | int(self.last_packet) << 7
            | (self.ccd_side & 1) << 6
            | (self.ccd_number & 3) << 4
            | (self.frame_number & 3) << 2
            | (self.packet_type & 3)
        )

    def __str__(self) -> str:
        kind = PacketKind(self.packet_type).name if self.packet_type in (0, 1, 2) else str(self.packet_type)
        return (
            f"{kind.lower()}, mode {self.mode}, {'last, ' if self.last_packet else ''}side {CCDSide(self.ccd_side).name},"
            f" CCD code {self.ccd_number}, frame {self.frame_number}"
        )


class SpaceWirePacket:
    """Any SpaceWire packet: bytes with a logical address and a protocol identifier in front.

    Args:
        data: the bytes of the packet, header included; kept as they are.
    """

    __slots__ = ("_bytes",)
    min_size: ClassVar[int] = 0

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._bytes = bytes(data)
        if len(self._bytes) < self.min_size:
            raise PacketError(f"{type(self).__name__} needs {self.min_size} bytes, got {len(self._bytes)}")

    @staticmethod
    def create_packet(data: bytes | bytearray | memoryview) -> SpaceWirePacket:
        """Returns the packet object that fits the bytes; a plain `SpaceWirePacket` when nothing else does.

        Args:
            data: the packet as `SpaceWireInterface.read_packet` returned it.
        """
        return _packet_class(data)(data)

    @property
    def packet_as_bytes(self) -> bytes:
        """All bytes of the packet."""
        return self._bytes

    @property
    def logical_address(self) -> int | None:
        """First byte; None for an empty packet."""
        return self._bytes[0] if self._bytes else None

    @property
    def protocol_id(self) -> int | None:
        """Second byte; None when there is none."""
        return self._bytes[1] if len(self._bytes) > 1 else None

    def __len__(self) -> int:
        return len(self._bytes)

    def __bytes__(self) -> bytes:
        return self._bytes

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SpaceWirePacket) and self._bytes == other._bytes

    def __hash__(self) -> int:
        return hash(self._bytes)

    def _describe(self) -> list[str]:
        return [
            f"logical address: {_hex(self.logical_address)}",
            f"protocol id:     {_hex(self.protocol_id)}",
        ]

    def __str__(self) -> str:
        head = self._bytes[:16].hex(" ") + (" ..." if len(self._bytes) > 16 else "")
        lines = [f"{type(self).__name__} ({len(self._bytes)} bytes): {head}"]
        return "\n  ".join(lines + self._describe())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self._bytes)} bytes: {self._bytes[:HEADER_SIZE].hex(' ')})"


class TimecodePacket(SpaceWirePacket):
    """A SpaceWire timecode as a packet of two bytes: 0x91 and the timecode, 0..63 (upper two bits are ignored)."""

    __slots__ = ()
    min_size = 2

    @classmethod
    def from_timecode(cls, timecode: int) -> TimecodePacket:
        """Returns the packet for a timecode.

        Raises:
            PacketError: when it is not in 0..63.
        """
        if not 0 <= timecode <= 63:
            raise PacketError(f"a timecode is a number from 0 to 63, got {timecode}")
        return cls(bytes((TIMECODE_MARKER, timecode)))

    @property
    def timecode(self) -> int:
        """The timecode, 0..63."""
        return self._bytes[1] & 0x3F

    def _describe(self) -> list[str]:
        return [f"timecode: {self.timecode}"]


class _HeaderPacket(SpaceWirePacket):
    """A packet with the 10-byte header of housekeeping and data packets."""

    __slots__ = ()
    min_size = HEADER_SIZE

    @property
    def length(self) -> int:
        """Length of the data field that the header announces [bytes]."""
        return int.from_bytes(self._bytes[2:4], "big")

    @property
    def type(self) -> PacketType:
        """The decoded type word."""
        return PacketType.from_word(int.from_bytes(self._bytes[4:6], "big"))

    @property
    def frame_counter(self) -> int:
        """Counter of readouts, 16 bits."""
        return int.from_bytes(self._bytes[6:8], "big")

    @property
    def sequence_counter(self) -> int:
        """Counter of packets within the readout, 16 bits."""
        return int.from_bytes(self._bytes[8:10], "big")

    @property
    def header(self) -> bytes:
        """The header (10 bytes)."""
        return self._bytes[:HEADER_SIZE]

    @property
    def data(self) -> bytes:
        """The data field."""
        return self._bytes[HEADER_SIZE:]

    @property
    def is_complete(self) -> bool:
        """True when the data field has the announced length."""
        return len(self._bytes) == HEADER_SIZE + self.length

    def _describe(self) -> list[str]:
        return [
            *super()._describe(),
            f"length:          {self.length}" + ("" if self.is_complete else f" (found {len(self.data)})"),
            f"type:            {self.type.word:#06x} ({self.type})",
            f"frame counter:   {self.frame_counter}",
            f"sequence counter: {self.sequence_counter}",
        ]


class HousekeepingPacket(_HeaderPacket):
    """Housekeeping sent after each timecode: header and 144 bytes (see `egse.fee.decode_hk`)."""

    __slots__ = ()


class DataPacket(_HeaderPacket):
    """Whole rows of one side of a CCD as big-endian 16-bit pixels, one row after the other."""

    __slots__ = ()

    @property
    def pixels(self) -> npt.NDArray[np.uint16]:
        """The pixels as transmitted, one-dimensional (EM cameras send two's complement)."""
        count = len(self.data) // 2
        return np.frombuffer(self._bytes, ">u2", count=count, offset=HEADER_SIZE).astype(np.uint16)


class DataDataPacket(DataPacket):
    """Data packet with rows of the image area."""

    __slots__ = ()


class OverscanDataPacket(DataPacket):
    """Data packet with rows of the parallel overscan."""

    __slots__ = ()


class _RMAPRequest(SpaceWirePacket):
    __slots__ = ()

    @property
    def command(self) -> RMAPCommand:
        """The decoded command.

        Raises:
            egse.rmap.RMAPDecodeError: when the packet is damaged.
        """
        return decode_command(self._bytes)

    def _describe(self) -> list[str]:
        try:
            command = self.command
        except RMAPDecodeError as error:
            return [*super()._describe(), f"damaged:         {error}"]
        return [
            *super()._describe(),
            f"instruction:     {command.instruction:#04x} (verify {command.verify}, reply {command.acknowledge},"
            f" increment {command.increment})",
            f"key:             {command.key:#04x}",
            f"initiator:       {command.initiator:#04x}"
            + (f", reply address {command.reply_address.hex(' ')}" if command.reply_address else ""),
            f"transaction id:  {command.transaction_id}",
            f"address, length: {command.address:#010x}, {command.length}",
            *([_data_line(command.data, command.data_crc_ok)] if command.is_write or command.is_rmw else []),
        ]


class ReadRequest(_RMAPRequest):
    """RMAP read command."""

    __slots__ = ()


class WriteRequest(_RMAPRequest):
    """RMAP write command, with or without verification and reply."""

    __slots__ = ()


class ReadModifyWriteRequest(_RMAPRequest):
    """RMAP read-modify-write command: data and mask, each half of the data field."""

    __slots__ = ()


class _RMAPAnswer(SpaceWirePacket):
    __slots__ = ()

    @property
    def reply(self) -> RMAPReply:
        """The decoded reply.

        Raises:
            egse.rmap.RMAPDecodeError: when the packet is damaged.
        """
        return decode_reply(self._bytes)

    def _describe(self) -> list[str]:
        try:
            reply = self.reply
        except RMAPDecodeError as error:
            return [*super()._describe(), f"damaged:         {error}"]
        return [
            *super()._describe(),
            f"instruction:     {reply.instruction:#04x}",
            f"status:          {reply.status} ({status_text(reply.status)})",
            f"target:          {reply.target:#04x}",
            f"transaction id:  {reply.transaction_id}",
            *([] if reply.is_write else [_data_line(reply.data, reply.data_crc_ok)]),
        ]


class ReadRequestReply(_RMAPAnswer):
    """Reply to an RMAP read command."""

    __slots__ = ()


class WriteRequestReply(_RMAPAnswer):
    """Reply to an RMAP write command."""

    __slots__ = ()


class ReadModifyWriteRequestReply(_RMAPAnswer):
    """Reply to an RMAP read-modify-write command: what was there before."""

    __slots__ = ()


def encode_header(length: int, type_word: int, frame_counter: int, sequence_counter: int) -> bytes:
    """Returns the header of a housekeeping or data packet.

    Args:
        length: length of the data field [bytes].
        type_word: see `PacketType`.
        frame_counter: counter of readouts; taken modulo 65536.
        sequence_counter: counter of packets; taken modulo 65536.
    """
    return _HEADER.pack(
        0x50, DATA_PROTOCOL_ID, length, type_word, frame_counter & 0xFFFF, sequence_counter & 0xFFFF
    )


def is_timecode(data: bytes | bytearray | memoryview) -> bool:
    """Returns True when the bytes are a timecode packet."""
    return len(data) == 2 and data[0] == TIMECODE_MARKER


_KINDS: Final[dict[int, type[SpaceWirePacket]]] = {
    PacketKind.DATA: DataDataPacket,
    PacketKind.OVERSCAN: OverscanDataPacket,
    PacketKind.HOUSEKEEPING: HousekeepingPacket,
}


def _packet_class(data: bytes | bytearray | memoryview) -> type[SpaceWirePacket]:
    if is_timecode(data):
        return TimecodePacket
    if len(data) >= HEADER_SIZE and data[1] == DATA_PROTOCOL_ID:
        return _KINDS.get(data[5] & 3, SpaceWirePacket)
    if len(data) >= 8 and data[1] == RMAP_PROTOCOL_ID and not data[2] & 0x80:
        command, write, verify = data[2] & 0x40, data[2] & 0x20, data[2] & 0x10
        if write:
            return WriteRequest if command else WriteRequestReply
        if verify:
            return ReadModifyWriteRequest if command else ReadModifyWriteRequestReply
        return ReadRequest if command else ReadRequestReply
    return SpaceWirePacket


def _data_line(data: bytes, crc_ok: bool) -> str:
    head = data[:32].hex(" ") + (" ..." if len(data) > 32 else "")
    return f"data:            {len(data)} bytes, CRC {'ok' if crc_ok else 'WRONG'}: {head}".rstrip(": ")


def _hex(value: int | None) -> str:
    return "-" if value is None else f"{value:#04x}"
