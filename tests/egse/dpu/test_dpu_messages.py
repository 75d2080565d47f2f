"""Messages of the two streams."""

from __future__ import annotations

import numpy as np
import pytest

from egse.dpu.messages import (
    DATA_STREAM,
    MONITORING_STREAM,
    MessageIdentifier,
    decode_message,
    encode_message,
)
from egse.spw import DataDataPacket, HousekeepingPacket, encode_header

TIME = "2026-01-01T00:00:00.000+0000"


def round_trip(identifier: MessageIdentifier, payload: object) -> object:
    frames = encode_message(identifier, payload)
    assert frames[0] == identifier.to_bytes(1, byteorder="big")
    decoded, value = decode_message(frames)
    assert decoded is identifier
    return value


def test_payloads_are_those_of_the_manual() -> None:
    assert round_trip(MessageIdentifier.SYNC_TIMECODE, (17, TIME)) == (17, TIME)
    assert round_trip(MessageIdentifier.SYNC_ERROR_FLAGS, (3, 1000, TIME)) == (3, 1000, TIME)
    assert round_trip(MessageIdentifier.NUM_CYCLES, 0) == 0
    assert round_trip(MessageIdentifier.HDF5_FILENAMES, ["/a", "/b"]) == ["/a", "/b"]
    memory = round_trip(MessageIdentifier.N_FEE_REGISTER_MAP, bytes(range(256)) * 8)
    assert isinstance(memory, np.ndarray)
    assert (memory.dtype, memory.shape) == (np.uint8, (2048,))


def test_packets_come_as_packets() -> None:
    hk = encode_header(144, 0x0582, 7, 0) + bytes(144)
    packet, timestamp = round_trip(MessageIdentifier.SYNC_HK_PACKET, (hk, TIME))  # type: ignore[misc]
    assert isinstance(packet, HousekeepingPacket)
    assert (packet.frame_counter, timestamp) == (7, TIME)
    data = encode_header(4590, 0x053C, 7, 0) + bytes(4590)
    packet, _ = round_trip(MessageIdentifier.SYNC_DATA_PACKET, (memoryview(data), TIME))  # type: ignore[misc]
    assert isinstance(packet, DataDataPacket)


@pytest.mark.parametrize(
    "frames", [[], [b"\x80"], [b"\x80\x80", b""], [b"\x01", b"\xc0"], [b"\x80", b"\xc1"]]
)
def test_rubbish_is_refused(frames: list[bytes]) -> None:
    with pytest.raises(ValueError):
        decode_message(frames)


def test_streams() -> None:
    assert MessageIdentifier.SYNC_DATA_PACKET not in MONITORING_STREAM
    assert set(MessageIdentifier) == DATA_STREAM | MONITORING_STREAM
    assert len({identifier.value for identifier in MessageIdentifier}) == len(MessageIdentifier)
