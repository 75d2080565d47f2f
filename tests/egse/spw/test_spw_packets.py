"""Packets one by one and in bulk, against the worked examples of the storage ICD."""

from __future__ import annotations

import random

import numpy as np
import pytest

from egse.rmap import RMAPTarget, read_command, rmw_command, write_command
from egse.spw import (
    CCDSide,
    CRCVerdict,
    DataDataPacket,
    DataPacket,
    HousekeepingPacket,
    OverscanDataPacket,
    PacketError,
    PacketKind,
    PacketType,
    ReadRequest,
    ReadRequestReply,
    SpaceWirePacket,
    TimecodePacket,
    WriteRequest,
    WriteRequestReply,
    decode_headers,
    decode_headers_at,
    decode_pixels,
    encode_header,
    rmap_crc_verdicts,
)


def data_packet(
    rows: int, columns: int = 4, *, kind: int = 0, last: bool = False, sequence: int = 0
) -> bytes:
    word = PacketType(5, last, CCDSide.F, 2, 1, kind).word
    pixels = (np.arange(rows * columns) + 1000 * sequence).astype(">u2")
    return encode_header(2 * rows * columns, word, 7, sequence) + pixels.tobytes()


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        (0x0582, PacketType(5, True, CCDSide.E, 0, 0, PacketKind.HOUSEKEEPING)),
        (0x053C, PacketType(5, False, CCDSide.E, 3, 3, PacketKind.DATA)),
    ],
)
def test_type_words_of_the_icd(word: int, expected: PacketType) -> None:
    assert PacketType.from_word(word) == expected
    assert expected.word == word


def test_every_type_word_survives() -> None:
    for word in range(0x1000):
        assert PacketType.from_word(word).word == word


def test_housekeeping_of_the_icd() -> None:
    raw = bytes.fromhex("50F0 0090 0582 0105 0000") + bytes(144)
    packet = SpaceWirePacket.create_packet(raw)
    assert isinstance(packet, HousekeepingPacket)
    assert (packet.length, packet.frame_counter, packet.sequence_counter) == (144, 0x105, 0)
    assert packet.type.mode == 5
    assert packet.is_complete
    assert len(packet) == 154
    assert bytes(packet) == raw
    assert "0x0582" in str(packet)


def test_first_pixel_of_the_icd() -> None:
    packet = SpaceWirePacket.create_packet(bytes.fromhex("50F0 0002 053C 0001 0000 79D6"))
    assert isinstance(packet, DataDataPacket)
    assert packet.pixels.tolist() == [31190]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\x91\x2a", TimecodePacket),
        (data_packet(1), DataDataPacket),
        (data_packet(1, kind=1), OverscanDataPacket),
        (data_packet(1, kind=3), SpaceWirePacket),
        (read_command(0, 4).encode(), ReadRequest),
        (write_command(0, b"1234").encode(), WriteRequest),
        (bytes.fromhex("67012C00FE0000ED"), WriteRequestReply),
        (bytes.fromhex("67010C00FE0001000000106D") + bytes(17), ReadRequestReply),
        (b"", SpaceWirePacket),
        (b"\x50", SpaceWirePacket),
        (b"\x50\xf0\x00\x90", SpaceWirePacket),
        (b"\x00" * 20, SpaceWirePacket),
    ],
)
def test_create_packet_finds_the_class(data: bytes, kind: type[SpaceWirePacket]) -> None:
    packet = SpaceWirePacket.create_packet(data)
    assert type(packet) is kind
    assert packet.packet_as_bytes == data
    assert f"{len(data)} bytes" in str(packet)
    assert kind.__name__ in repr(packet)
    assert packet == SpaceWirePacket(data)


def test_classes_of_data_packets() -> None:
    assert issubclass(DataDataPacket, DataPacket)
    assert issubclass(OverscanDataPacket, DataPacket)


def test_timecodes() -> None:
    assert TimecodePacket.from_timecode(63).packet_as_bytes == b"\x91\x3f"
    packet = SpaceWirePacket.create_packet(b"\x91\x3f")
    assert isinstance(packet, TimecodePacket)
    assert packet.timecode == 63
    with pytest.raises(PacketError, match="0 to 63"):
        TimecodePacket.from_timecode(64)


def test_a_short_packet_is_refused() -> None:
    with pytest.raises(PacketError, match="10 bytes"):
        HousekeepingPacket(b"\x50\xf0")


def test_printing_never_fails_on_damaged_packets() -> None:
    reply = bytes.fromhex("67010C00FE0001000000106D") + bytes(17)
    for raw in (
        data_packet(2, last=True),
        read_command(0, 4).encode(),
        write_command(0, b"1234").encode(),
        reply,
    ):
        for cut in range(len(raw)):
            assert str(SpaceWirePacket.create_packet(raw[:cut]))


def test_rubbish_is_taken_without_an_exception() -> None:
    rng = random.Random(1)
    seeds = [
        data_packet(1),
        read_command(0, 4, 7).encode(),
        write_command(0x54, b"\0" * 4).encode(),
        bytes(20),
    ]
    target = RMAPTarget(bytearray(2048))
    for _ in range(3000):
        raw = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(4)):
            raw[rng.randrange(len(raw))] = rng.randrange(256)
        damaged = bytes(raw[: rng.randrange(len(raw) + 1)])
        assert str(SpaceWirePacket.create_packet(damaged))
        assert len(decode_headers([damaged])) == 1
        target.handle(damaged)


def test_headers_in_bulk_are_those_of_the_packets() -> None:
    packets = [data_packet(7, sequence=n, last=n == 4) for n in range(5)]
    packets += [b"\x91\x05", data_packet(3)[:-1], b"", bytes.fromhex("50F0 0090 0582 0105 0000") + bytes(144)]
    headers = decode_headers(packets)
    assert headers["sequence_counter"][:5].tolist() == [0, 1, 2, 3, 4]
    assert headers["last_packet"][:5].tolist() == [False] * 4 + [True]
    assert headers["ccd_side"][:5].tolist() == [1] * 5
    assert headers["valid"].tolist() == [True] * 5 + [False, False, False, True]
    assert headers["size"].tolist() == [len(packet) for packet in packets]
    assert headers["packet_type"][-1] == PacketKind.HOUSEKEEPING

    buffer = b"".join(packets)
    sizes = np.array([len(packet) for packet in packets])
    at = decode_headers_at(buffer, np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
    assert at[:5].tobytes() == headers[:5].tobytes()
    assert at["valid"].tolist() == headers["valid"].tolist()
    with pytest.raises(PacketError, match="beyond"):
        decode_headers_at(buffer, np.array([len(buffer) - 5]), np.array([10]))


def test_headers_of_an_array_of_packets() -> None:
    packets = [data_packet(7, sequence=n) for n in range(3)]
    array = np.frombuffer(b"".join(packets), np.uint8).reshape(3, -1)
    assert decode_headers(array).tobytes() == decode_headers(packets).tobytes()


def test_pixels_in_bulk() -> None:
    packets = [data_packet(2, sequence=0), data_packet(1, sequence=1)]
    pixels = decode_pixels(packets, 4)
    assert pixels.dtype == np.uint16
    assert pixels.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [1000, 1001, 1002, 1003]]
    signed = decode_pixels(packets, 4, twos_complement=True)
    assert (signed == pixels ^ 0x8000).all()
    with pytest.raises(PacketError, match="whole number of rows"):
        decode_pixels(packets, 5)


def test_crc_verdicts_of_many_packets() -> None:
    target = RMAPTarget(bytearray(2048), rmw=True)
    commands = [
        read_command(0x100, 16, 1, reply_address=b"\x05"),
        write_command(0x100, b"12345678", 2),
        rmw_command(0x100, b"ab12", b"cd34", 3),
    ]
    packets = [command.encode() for command in commands]
    packets += [target.handle(packet, 0) or b"" for packet in packets]
    packets[3] = packets[3][1:]  # its path byte is used up on the way
    assert rmap_crc_verdicts(packets).tolist() == [CRCVerdict.GOOD] * 6
    for packet in packets:
        for index in range(len(packet)):
            damaged = bytearray(packet)
            damaged[index] ^= 0x10
            assert rmap_crc_verdicts([damaged])[0] != CRCVerdict.GOOD
            assert rmap_crc_verdicts([packet[:index]])[0] != CRCVerdict.GOOD
    assert rmap_crc_verdicts([data_packet(1), b"\x91\x05", b""]).tolist() == [CRCVerdict.NONE] * 3
