"""RMAP packets against the test patterns of ECSS-E-ST-50-52C, annex A, and CRC against its bitwise definition."""

from __future__ import annotations

import dataclasses
import random

import pytest

from egse.rmap import (
    RMAPDecodeError,
    count_path_bytes,
    decode_command,
    decode_reply,
    header_crc,
    is_rmap_packet,
    is_rmap_reply,
    read_command,
    rmap_crc,
    rmw_command,
    write_command,
)
from egse.rmap.codec import RMAPCommand, pad_reply_address

DATA_A = bytes.fromhex("0123456789ABCDEF1011121314151617")
DATA_B = bytes(range(0xA0, 0xB0))

# name, packet, number of path bytes in front
COMMANDS = [
    ("write with reply", "FE016C0067000000A00000000000109F" + DATA_A.hex() + "56", 0),
    ("read", "FE014C0067000100A0000000000010C9", 0),
    (
        "write with reply, SpaceWire addresses",
        "11223344556677FE016E000099AABBCCDDEE0067000200A00000100000107F" + DATA_B.hex() + "B4",
        7,
    ),
    ("read, SpaceWire addresses", "11223344FE014D0099AABBCC67000300A0000010000010F7", 4),
]
REPLIES = [
    ("read", "67010C00FE0001000000106D" + DATA_A.hex() + "56", 0),
    ("write, SpaceWire addresses", "99AABBCCDDEE0067012E00FE00021D", 7),
    ("read, SpaceWire addresses", "99AABBCC67010D00FE00030000001052" + DATA_B.hex() + "B4", 4),
]


def bitwise_crc(data: bytes) -> int:
    """The CRC as the standard draws it: a shift register, least significant bit of each byte first."""
    crc = 0
    for byte in data:
        for bit in range(8):
            feedback = (crc ^ (byte >> bit)) & 1
            crc >>= 1
            if feedback:
                crc ^= 0xE0
    return crc


@pytest.mark.parametrize("size", [0, 1, 15, 154, 512, 513, 4096, 32140])
def test_crc_equals_the_bitwise_definition(size: int) -> None:
    data = random.Random(size).randbytes(size)
    crc = rmap_crc(data)
    assert crc == bitwise_crc(data)
    assert rmap_crc(data + bytes((crc,))) == 0
    assert header_crc(data, 0) == crc


@pytest.mark.parametrize(
    ("data", "crc"),
    [
        ("0102030405060708", 0xB0),
        ("5370616365576972652069732062656175746966756C2121", 0x84),
        ("1056C395A57538632F867B0132DE357A", 0x18),
    ],
)
def test_crc_of_the_patterns_of_the_standard(data: str, crc: int) -> None:
    assert rmap_crc(bytes.fromhex(data)) == crc


@pytest.mark.parametrize(("name", "text", "path"), COMMANDS, ids=[c[0] for c in COMMANDS])
def test_commands_of_the_standard_decode_and_encode(name: str, text: str, path: int) -> None:
    packet = bytes.fromhex(text)
    command = decode_command(packet, path)
    assert command.encode() == packet
    assert command.target == 0xFE
    assert command.initiator == 0x67
    assert command.key == 0
    assert command.length == 16
    assert command.address == (0xA0000010 if path else 0xA0000000)
    assert command.is_write is ("write" in name)
    assert command.is_read is ("read" in name)
    assert command.increment
    assert command.acknowledge
    assert not command.verify
    assert command.data_crc_ok


@pytest.mark.parametrize(("name", "text", "path"), REPLIES, ids=[r[0] for r in REPLIES])
def test_replies_of_the_standard_decode_and_encode(name: str, text: str, path: int) -> None:
    packet = bytes.fromhex(text)
    reply = decode_reply(packet, path)
    assert reply.encode() == packet
    assert reply.status == 0
    assert reply.target == 0xFE
    assert reply.initiator == 0x67
    assert len(reply.data) == (0 if "write" in name else 16)
    assert is_rmap_reply(packet[path:])


def test_the_reply_address_is_padded_in_front() -> None:
    assert pad_reply_address(b"") == (0, b"")
    assert pad_reply_address(b"\x99") == (1, b"\0\0\0\x99")
    assert pad_reply_address(bytes(12)) == (3, bytes(12))
    with pytest.raises(ValueError, match="12 bytes"):
        pad_reply_address(bytes(13))


def test_bits_of_the_instruction() -> None:
    assert read_command(0, 4).instruction == 0x4C
    assert write_command(0, b"1234").instruction == 0x7C
    assert write_command(0, b"1234", verify=False, acknowledge=False).instruction == 0x64
    assert write_command(0, b"1234", increment=False).instruction == 0x78


def test_every_flipped_bit_of_a_header_is_found() -> None:
    packet = write_command(0x54, b"\x05\x5e\x50\x00", 77).encode()
    for bit in range(16 * 8):
        damaged = bytearray(packet)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(RMAPDecodeError):
            decode_command(bytes(damaged))


def test_a_flipped_bit_of_the_data_is_flagged() -> None:
    packet = bytearray(write_command(0x54, b"\x05\x5e\x50\x00", 77).encode())
    packet[-3] ^= 0x10
    assert decode_command(bytes(packet)).data_crc_ok is False


@pytest.mark.parametrize(
    "data", [b"", b"\x50", b"\x50\xf0" + bytes(152), b"\x51\x01\x4c\xd1\x50\x00\x01\x00"]
)
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(RMAPDecodeError):
        decode_command(data)
    with pytest.raises(RMAPDecodeError):
        decode_reply(data)
    assert not is_rmap_reply(data)


def test_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="40 bits"):
        read_command(1 << 40, 4).encode()
    with pytest.raises(ValueError, match="24 bits"):
        RMAPCommand(0x4C, 0, 1 << 24).encode()


def test_a_reply_is_a_reply() -> None:
    assert is_rmap_packet(read_command(0, 4).encode())
    assert not is_rmap_reply(read_command(0, 4).encode())


@pytest.mark.parametrize("words", [0, 1, 2, 3])
@pytest.mark.parametrize("reply_address", [b"", b"\x05", b"\x05\x00", b"\x01\x02\x03\x04\x05"])
@pytest.mark.parametrize("path", [b"", b"\x03", b"\x03\x11\x02"])
def test_any_command_is_encoded_as_it_was(words: int, reply_address: bytes, path: bytes) -> None:
    """Other people's encoders choose the size of the reply-address field; nothing of it may get lost."""
    for command in (
        read_command(0xAB_CDEF_0123, 16, 0xFFFF, reply_address=reply_address, target_path=path),
        write_command(
            0x54, b"\0\x01\x02\x03", 1, verify=False, reply_address=reply_address, target_path=path
        ),
        rmw_command(0x54, b"\x0f\0", b"\xff\x01", 2, reply_address=reply_address),
    ):
        given = dataclasses.replace(command, instruction=command.instruction | words)
        packet = given.encode()
        found = decode_command(packet, None)
        assert found.encode() == packet
        assert found.target_path == given.target_path
        assert found.address == command.address
        assert (found.reply_address or b"\0") == (reply_address or b"\0")


def test_read_modify_write() -> None:
    command = rmw_command(0xA0000010, b"\xc0\x18\x02\x09", b"\xf0\x3c\x03\x3d", 5)
    assert (command.instruction, command.length, command.is_rmw) == (0x5C, 8, True)
    found = decode_command(command.encode())
    assert (found.data, found.data_crc_ok) == (command.data, True)
    with pytest.raises(ValueError, match="same length"):
        rmw_command(0, b"12", b"1")


def test_path_bytes_are_those_below_the_logical_addresses() -> None:
    assert count_path_bytes(b"\x01\x1f\x20\x01") == 2
    assert count_path_bytes(b"\xfe\x01") == 0
    assert count_path_bytes(b"") == 0
