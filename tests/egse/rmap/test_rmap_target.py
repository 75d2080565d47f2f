"""The target's memory: answers, refusals and address rules."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from egse.rmap import (
    AddressRules,
    RMAPAddressError,
    RMAPError,
    RMAPStatus,
    RMAPTarget,
    decode_reply,
    read_command,
    rmw_command,
    write_command,
)


@pytest.fixture
def target() -> RMAPTarget:
    return RMAPTarget(bytearray(range(256)) * 8)


def status(target: RMAPTarget, packet: bytes) -> RMAPStatus:
    reply = target.handle(packet)
    assert reply is not None
    return RMAPStatus(decode_reply(reply).status)


def test_read_and_write(target: RMAPTarget) -> None:
    written: list[tuple[int, bytes]] = []
    target.on_write = lambda address, data: written.append((address, data))
    assert status(target, write_command(0x54, b"\x05\0\0\0", 1).encode()) is RMAPStatus.SUCCESS
    reply = decode_reply(target.handle(read_command(0x54, 4, 2).encode()) or b"")
    assert (reply.data, reply.transaction_id, reply.data_crc_ok) == (b"\x05\0\0\0", 2, True)
    assert written == [(0x54, b"\x05\0\0\0")]
    assert target.counters == {"write": 1, "read": 1}


def test_a_write_without_acknowledgement_is_done_silently(target: RMAPTarget) -> None:
    assert target.handle(write_command(8, b"abcd", acknowledge=False).encode()) is None
    assert target.memory[8:12] == b"abcd"


def test_refusals_leave_the_memory_alone(target: RMAPTarget) -> None:
    before = bytes(target.memory)
    good = write_command(8, b"abcd")
    wrong_crc = bytearray(good.encode())
    wrong_crc[-1] ^= 1
    cases = {
        RMAPStatus.INVALID_KEY: dataclasses.replace(good, key=0).encode(),
        RMAPStatus.INVALID_TARGET_ADDRESS: dataclasses.replace(good, target=0x60).encode(),
        RMAPStatus.INVALID_DATA_CRC: bytes(wrong_crc),
        RMAPStatus.EARLY_EOP: good.encode()[:-2],
        RMAPStatus.TOO_MUCH_DATA: good.encode() + b"x",
        RMAPStatus.NOT_AUTHORISED: write_command(0x700, b"abcd").encode(),
        RMAPStatus.UNUSED_COMMAND: dataclasses.replace(good, instruction=0x5C).encode(),
    }
    for expected, packet in cases.items():
        assert status(target, packet) is expected
    assert bytes(target.memory) == before


def test_a_damaged_header_gets_no_answer(target: RMAPTarget) -> None:
    packet = bytearray(read_command(0, 4).encode())
    packet[6] ^= 1
    assert target.handle(bytes(packet)) is None
    assert target.counters["dropped"] == 1


def test_the_reply_takes_the_reply_address(target: RMAPTarget) -> None:
    command = dataclasses.replace(read_command(0, 4), reply_address=b"\x05\x07")
    reply = target.handle(command.encode())
    assert reply is not None
    assert reply[:2] == b"\x05\x07"
    assert decode_reply(reply, path_length=2).data == bytes(range(4))


def test_every_status_of_the_standard_is_given() -> None:
    target = RMAPTarget(bytearray(2048), rmw=True)
    seen = {status(target, read_command(0, 4).encode()), RMAPStatus.GENERAL_ERROR}
    write = write_command(8, b"abcd")
    packets = [
        dataclasses.replace(write, instruction=0x58).encode(),
        dataclasses.replace(write, key=0).encode(),
        dataclasses.replace(write, target=0x60).encode(),
        write.encode()[:-1] + bytes((write.encode()[-1] ^ 1,)),
        write.encode()[:-2],
        write.encode() + b"x",
        write_command(8, b"abcdefgh").encode(),
        write_command(0x700, b"abcd").encode(),
        dataclasses.replace(rmw_command(8, b"ab", b"cd"), length=3).encode(),
    ]
    seen |= {status(target, packet) for packet in packets}
    reply = target.handle(write.encode(), eep=True)
    assert reply is not None
    seen.add(RMAPStatus(decode_reply(reply).status))
    assert seen == set(RMAPStatus)
    assert bytes(target.memory) == bytes(2048)


def test_read_modify_write_of_a_target_that_knows_it() -> None:
    target = RMAPTarget(bytearray(b"\xa0\xa1\xa2\xa3") * 512, rmw=True)
    command = rmw_command(8, b"\x0f\xff\x00\x55", b"\x0f\x00\xff\xff")
    reply = decode_reply(target.handle(command.encode()) or b"")
    assert (reply.status, reply.data) == (0, b"\xa0\xa1\xa2\xa3")
    assert target.memory[8:12] == b"\xaf\xa1\x00\x55"


def test_the_address_stays_when_it_is_not_incremented() -> None:
    target = RMAPTarget(bytearray(range(256)) * 8)
    reply = decode_reply(target.handle(read_command(0x100, 12, increment=False).encode()) or b"")
    assert reply.data == bytes((0, 1, 2, 3)) * 3
    assert status(target, write_command(0x100, b"abcdefgh", increment=False).encode()) is RMAPStatus.SUCCESS
    assert target.memory[0x100:0x108] == b"efgh\x04\x05\x06\x07"
    huge = dataclasses.replace(read_command(0x100, 1 << 20), instruction=0x48)
    assert status(target, huge.encode()) is RMAPStatus.NOT_AUTHORISED


def test_further_memory_is_served() -> None:
    target = RMAPTarget(bytearray(2048), more_memory={0x80_0000: bytearray(64)})
    assert status(target, write_command(0x80_0010, b"abcd", verify=False).encode()) is RMAPStatus.SUCCESS
    assert decode_reply(target.handle(read_command(0x80_0010, 4).encode()) or b"").data == b"abcd"
    assert status(target, read_command(0x80_003C, 8).encode()) is RMAPStatus.NOT_AUTHORISED


@pytest.mark.parametrize(
    ("address", "length", "write", "message"),
    [
        (0x0002, 4, False, "multiples of 4"),
        (0x0000, 8, False, "allows 4"),
        (0x0000, 0, False, "multiples of 4"),
        (0x0100, 260, False, "allows 256"),
        (0x06FC, 8, False, "beyond"),
        (0x0700, 4, True, "read-only"),
        (0x0800, 4, False, "outside"),
    ],
)
def test_address_rules(address: int, length: int, write: bool, message: str) -> None:
    with pytest.raises(RMAPAddressError, match=message):
        AddressRules().check(address, length, write=write)


def test_a_long_read_is_split_by_the_rules() -> None:
    parts = AddressRules().split(0, 2048)
    assert parts[:2] == [(0, 4), (4, 4)]
    assert len(parts) == 64 + 6 + 1
    assert sum(length for _, length in parts) == 2048
    assert all(a + n == b for (a, n), (b, _) in itertools.pairwise(parts))


def test_errors_carry_the_status() -> None:
    error = RMAPError.from_status(3, "read")
    assert error.status == 3
    assert "invalid key" in str(error)
    assert "unknown status" in str(RMAPError.from_status(99, "read"))
