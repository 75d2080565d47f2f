"""RMAP packets, bytes to fields and back, without any I/O (ECSS-E-ST-50-52C, clause 5).

A command or reply on the wire is `[path address] [target/initiator logical address] 0x01 [instruction] ...`. Path bytes
are used up by routers, so a packet normally arrives without them; where they are still there their number has to be
given (a number), or guessed (None: all bytes below 32 in front are taken as path, since logical addresses begin at 32).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from egse.rmap.constants import (
    DPU_LOGICAL_ADDRESS,
    FEE_LOGICAL_ADDRESS,
    RMAP_KEY,
    RMAP_PROTOCOL_ID,
)
from egse.rmap.crc import header_crc, rmap_crc
from egse.rmap.errors import RMAPDecodeError

COMMAND: Final = 0x40
WRITE: Final = 0x20
VERIFY: Final = 0x10
REPLY: Final = 0x08
INCREMENT: Final = 0x04
REPLY_ADDRESS_MASK: Final = 0x03

MAX_LENGTH: Final = 0xFF_FFFF
"""Largest data field [bytes]: the length is a 24-bit number."""

FIRST_LOGICAL_ADDRESS: Final = 32
"""Smallest logical address; bytes below address the ports of a router."""


class _Instruction:
    """The meaning of the bits of an instruction byte."""

    __slots__ = ()
    instruction: int

    @property
    def is_write(self) -> bool:
        """Write command or its reply (read and read-modify-write have the bit at 0)."""
        return bool(self.instruction & WRITE)

    @property
    def is_read(self) -> bool:
        """Read command or its reply."""
        return not self.instruction & (WRITE | VERIFY)

    @property
    def is_rmw(self) -> bool:
        """Read-modify-write command or its reply: no write, but the verify bit set."""
        return not self.instruction & WRITE and bool(self.instruction & VERIFY)

    @property
    def verify(self) -> bool:
        """Data are checked before they are written (at most a buffer full)."""
        return bool(self.instruction & VERIFY)

    @property
    def acknowledge(self) -> bool:
        """A reply is wanted."""
        return bool(self.instruction & REPLY)

    @property
    def increment(self) -> bool:
        """The address goes up with each word (else all go to or come from the same address)."""
        return bool(self.instruction & INCREMENT)


@dataclass(frozen=True, slots=True)
class RMAPCommand(_Instruction):
    """An RMAP command: what the initiator (DPU) asks of the target (FEE).

    Attributes:
        instruction: instruction byte: command, write, verify, reply, increment, reply address length.
        address: 40-bit memory address, extended address byte on top.
        length: length of the data to read or write [bytes].
        data: data field of a write, else empty.
        transaction_id: 0..65535, comes back in the reply.
        target: logical address of the target.
        initiator: logical address of the initiator.
        key: authorises the command.
        reply_address: path address of the reply without padding, at most 12 bytes. The field has as many words as the
            instruction says, or as many as it takes when these are more.
        target_path: path bytes in front of the packet.
        data_crc_ok: False when the data field arrived with a wrong CRC.
    """

    instruction: int
    address: int
    length: int
    data: bytes = b""
    transaction_id: int = 0
    target: int = FEE_LOGICAL_ADDRESS
    initiator: int = DPU_LOGICAL_ADDRESS
    key: int = RMAP_KEY
    reply_address: bytes = b""
    target_path: bytes = b""
    data_crc_ok: bool = True

    def encode(self) -> bytes:
        """Returns the packet with header and data CRC.

        Raises:
            ValueError: when a field does not fit.
        """
        if not 0 <= self.address < 1 << 40:
            raise ValueError(f"RMAP address {self.address:#x} does not fit into 40 bits")
        if not 0 <= self.length <= MAX_LENGTH:
            raise ValueError(f"RMAP length {self.length} does not fit into 24 bits")
        words, padded = pad_reply_address(self.reply_address, self.instruction & REPLY_ADDRESS_MASK)
        header = bytearray(
            (self.target, RMAP_PROTOCOL_ID, (self.instruction & ~REPLY_ADDRESS_MASK) | words, self.key)
        )
        header += padded
        header.append(self.initiator)
        header += self.transaction_id.to_bytes(2, "big")
        header += self.address.to_bytes(5, "big")
        header += self.length.to_bytes(3, "big")
        header.append(header_crc(header, 0))
        packet = self.target_path + bytes(header)
        if self.is_write or self.is_rmw:
            packet += self.data + bytes((rmap_crc(self.data),))
        return packet


@dataclass(frozen=True, slots=True)
class RMAPReply(_Instruction):
    """An RMAP reply.

    Attributes:
        instruction: that of the command with the command bit cleared.
        status: 0 when the command was executed, else see `RMAPStatus`.
        data: data read; empty for a write.
        transaction_id: that of the command.
        initiator: logical address of the initiator, to whom the reply goes.
        target: logical address of the target, from whom it comes.
        reply_path: path bytes in front of the packet.
        data_crc_ok: False when the data field arrived with a wrong CRC.
    """

    instruction: int
    status: int
    data: bytes = b""
    transaction_id: int = 0
    initiator: int = DPU_LOGICAL_ADDRESS
    target: int = FEE_LOGICAL_ADDRESS
    reply_path: bytes = b""
    data_crc_ok: bool = True

    def encode(self) -> bytes:
        """Returns the packet with header and (unless it answers a write) data CRC."""
        header = bytearray((self.initiator, RMAP_PROTOCOL_ID, self.instruction, self.status, self.target))
        header += self.transaction_id.to_bytes(2, "big")
        if self.is_write:
            header.append(header_crc(header, 0))
            return self.reply_path + bytes(header)
        header.append(0)
        header += len(self.data).to_bytes(3, "big")
        header.append(header_crc(header, 0))
        return self.reply_path + bytes(header) + self.data + bytes((rmap_crc(self.data),))


def pad_reply_address(path: bytes, min_words: int = 0) -> tuple[int, bytes]:
    """Returns the number of 32-bit words and the reply-address field, padded in front with zeros.

    Args:
        path: path address of the reply.
        min_words: size that the field has at least [32-bit words].

    Raises:
        ValueError: when `path` is longer than 12 bytes.
    """
    words = max(min_words, -(-len(path) // 4))
    if words > 3:
        raise ValueError(f"a reply address has at most 12 bytes, got {len(path)}")
    return words, path.rjust(4 * words, b"\0")


def read_command(
    address: int,
    length: int,
    transaction_id: int = 0,
    *,
    increment: bool = True,
    reply_address: bytes = b"",
    target_path: bytes = b"",
) -> RMAPCommand:
    """Returns the command to read `length` bytes from `address`.

    Args:
        address: memory address, 40 bits.
        length: number of bytes.
        transaction_id: comes back in the reply.
        increment: the address goes up; else all is read from the same one.
        reply_address: path address of the reply.
        target_path: path bytes in front of the packet.
    """
    instruction = COMMAND | REPLY | (INCREMENT if increment else 0)
    return RMAPCommand(
        instruction,
        address,
        length,
        transaction_id=transaction_id,
        reply_address=reply_address,
        target_path=target_path,
    )


def write_command(
    address: int,
    data: bytes,
    transaction_id: int = 0,
    *,
    verify: bool = True,
    acknowledge: bool = True,
    increment: bool = True,
    reply_address: bytes = b"",
    target_path: bytes = b"",
) -> RMAPCommand:
    """Returns the command to write `data` to `address`; `verify`: checked before written, `acknowledge`: answered."""
    instruction = COMMAND | WRITE | (VERIFY if verify else 0) | (REPLY if acknowledge else 0)
    instruction |= INCREMENT if increment else 0
    return RMAPCommand(
        instruction,
        address,
        len(data),
        bytes(data),
        transaction_id,
        reply_address=reply_address,
        target_path=target_path,
    )


def rmw_command(
    address: int, data: bytes, mask: bytes, transaction_id: int = 0, *, reply_address: bytes = b""
) -> RMAPCommand:
    """Returns the read-modify-write command: bits of `data` where `mask` is 1 replace those at `address`.

    The reply carries what was there before.

    Raises:
        ValueError: unless `data` and `mask` have the same length of 0 to 4 bytes.
    """
    if len(data) != len(mask) or len(data) > 4:
        raise ValueError(f"data and mask have the same length, at most 4 bytes, got {len(data)}, {len(mask)}")
    instruction = COMMAND | VERIFY | REPLY | INCREMENT
    body = bytes(data) + bytes(mask)
    return RMAPCommand(
        instruction, address, len(body), body, transaction_id=transaction_id, reply_address=reply_address
    )


def count_path_bytes(packet: bytes | memoryview) -> int:
    """Returns how many bytes in front can only be path address: those below 32 (ECSS-E-ST-50-12C, logical addresses)."""
    return next((index for index, byte in enumerate(packet) if byte >= FIRST_LOGICAL_ADDRESS), len(packet))


def is_rmap_packet(packet: bytes | memoryview) -> bool:
    """Returns True when protocol identifier and size are those of an RMAP packet (CRCs are not looked at)."""
    return len(packet) >= 8 and packet[1] == RMAP_PROTOCOL_ID


def is_rmap_reply(packet: bytes | memoryview) -> bool:
    """Returns True for an RMAP packet whose command bit is 0."""
    return is_rmap_packet(packet) and not packet[2] & COMMAND


def decode_command(packet: bytes, path_length: int | None = 0) -> RMAPCommand:
    """Takes an RMAP command apart and checks its header CRC.

    A wrong data CRC or a data field of the wrong length does not raise, since the target has to answer it with a
    status: compare `data` with `length`, and see `data_crc_ok`.

    Args:
        packet: the packet, with `path_length` path bytes in front.
        path_length: number of path bytes; None to guess it.

    Raises:
        RMAPDecodeError: not an RMAP command, too short, or wrong header CRC.
    """
    path, body = _split_path(packet, path_length)
    _check_start(body, command=True)
    words = body[2] & REPLY_ADDRESS_MASK
    size = 16 + 4 * words
    _check_header(body, size)
    rest = 4 + 4 * words
    data, crc_ok = _split_data(body[size:]) if body[2] & (WRITE | VERIFY) else (b"", True)
    reply_address = body[4:rest].lstrip(b"\0")
    return RMAPCommand(
        instruction=body[2],
        address=int.from_bytes(body[rest + 3 : rest + 8], "big"),
        length=int.from_bytes(body[rest + 8 : rest + 11], "big"),
        data=data,
        transaction_id=int.from_bytes(body[rest + 1 : rest + 3], "big"),
        target=body[0],
        initiator=body[rest],
        key=body[3],
        reply_address=reply_address or (b"\0" if words else b""),
        target_path=path,
        data_crc_ok=crc_ok,
    )


def decode_reply(packet: bytes, path_length: int | None = 0) -> RMAPReply:
    """Takes an RMAP reply apart and checks its header CRC and the length of its data.

    Args:
        packet: the packet, with `path_length` path bytes in front.
        path_length: number of path bytes; None to guess it.

    Raises:
        RMAPDecodeError: not an RMAP reply, too short, wrong header CRC, or data that do not have the announced length.
    """
    path, body = _split_path(packet, path_length)
    _check_start(body, command=False)
    data, crc_ok = b"", True
    if body[2] & WRITE:
        _check_header(body, 8)
        if len(body) != 8:
            raise RMAPDecodeError(f"an RMAP write reply has 8 bytes, got {len(body)}")
    else:
        _check_header(body, 12)
        data, crc_ok = _split_data(body[12:])
        announced = int.from_bytes(body[8:11], "big")
        if len(body) != 13 + announced:
            raise RMAPDecodeError(
                f"an RMAP read reply announces {announced} bytes of data and carries {len(body) - 13}"
            )
    return RMAPReply(
        instruction=body[2],
        status=body[3],
        data=data,
        transaction_id=int.from_bytes(body[5:7], "big"),
        initiator=body[0],
        target=body[4],
        reply_path=path,
        data_crc_ok=crc_ok,
    )


def _split_path(packet: bytes, path_length: int | None) -> tuple[bytes, bytes]:
    size = count_path_bytes(packet) if path_length is None else path_length
    return packet[:size], packet[size:]


def _check_start(body: bytes, *, command: bool) -> None:
    if not is_rmap_packet(body):
        raise RMAPDecodeError(f"no RMAP packet: {len(body)} bytes, starting with {body[:4].hex(' ')}")
    if bool(body[2] & COMMAND) is not command or body[2] & 0x80:
        wanted = "command" if command else "reply"
        raise RMAPDecodeError(f"no RMAP {wanted}: instruction {body[2]:#04x}")


def _check_header(body: bytes, size: int) -> None:
    if len(body) < size:
        raise RMAPDecodeError(f"RMAP packet too short: {len(body)} bytes, header alone has {size}")
    if header_crc(body[:size], 0) != 0:
        raise RMAPDecodeError(
            f"RMAP header CRC is {body[size - 1]:#04x}, expected {header_crc(body[: size - 1], 0):#04x}"
        )


def _split_data(field: bytes) -> tuple[bytes, bool]:
    """Returns the data of a data field and whether its CRC (the last byte) is right."""
    return field[:-1], bool(field) and rmap_crc(field) == 0
