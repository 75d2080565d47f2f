"""The link over ZeroMQ: between sockets, between processes, and with one end killed and restarted."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
import zmq

from egse.rmap import RMAPAddressError, RMAPError, RMAPTarget, RMAPTimeoutError
from egse.spw import (
    EEP,
    EOP,
    SpaceWireBufferFullError,
    SpaceWireLinkError,
    SpaceWireOverZeroMQ,
)

FEE = """
import sys
from egse.rmap import RMAPTarget
from egse.spw import SpaceWireLinkError, SpaceWireOverZeroMQ
target = RMAPTarget(bytearray(range(256)) * 8)
with SpaceWireOverZeroMQ(sys.argv[1], "TEST", bind=True) as link:
    print(link.endpoint, flush=True)
    timecode = 0
    while True:
        _, data = link.read_packet(20)
        try:
            if data:
                reply = target.handle(data)
                if reply:
                    link.write_packet(reply)
            else:
                link.send_timecode(timecode % 64)
                timecode += 1
        except SpaceWireLinkError:
            pass
"""


class FEEProcess:
    """The other end of a link in a process of its own."""

    def __init__(self, endpoint: str = "tcp://127.0.0.1:0") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", FEE, endpoint], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.endpoint = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def fee() -> Iterator[FEEProcess]:
    process = FEEProcess()
    yield process
    process.kill()


@pytest.fixture
def pair() -> Iterator[tuple[SpaceWireOverZeroMQ, SpaceWireOverZeroMQ]]:
    with SpaceWireOverZeroMQ("tcp://127.0.0.1:0", "TEST", bind=True, high_water_mark=50) as fee_end:
        dpu_end = SpaceWireOverZeroMQ(fee_end.endpoint, "TEST", high_water_mark=50, rmap_timeout=2.0)
        with dpu_end:
            wait_until_sent(dpu_end, b"hello")
            assert fee_end.read_packet(2000) == (EOP, b"hello")
            yield fee_end, dpu_end


def wait_until_sent(link: SpaceWireOverZeroMQ, data: bytes, timeout: float = 30.0) -> None:
    """Sends when the other end has come up: there is no event for it, so it is tried."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            link.write_packet(data)
            return
        except SpaceWireLinkError:
            assert time.monotonic() < deadline, "the other end did not come up"
            link.read_packet(10)


def test_packets_and_flags(pair: tuple[SpaceWireOverZeroMQ, SpaceWireOverZeroMQ]) -> None:
    fee_end, dpu_end = pair
    big = bytes(range(256)) * 125
    fee_end.write_packet(memoryview(big))
    fee_end.write_packet(b"cut", EEP)
    fee_end.send_timecode(63)
    fee_end.write_packet(b"\x91\x05")
    assert dpu_end.read_packet(2000) == (EOP, big)
    assert dpu_end.read_packet(2000) == (EEP, b"cut")
    assert dpu_end.read_packet(2000) == (EOP, b"\x91\x3f")
    assert dpu_end.read_packet(2000) == (EOP, b"\x91\x05")
    assert dpu_end.read_packet(0) == (EOP, b"")
    with pytest.raises(ValueError, match="0 to 63"):
        fee_end.send_timecode(64)


def test_many_packets_are_drained_at_once_in_order(
    pair: tuple[SpaceWireOverZeroMQ, SpaceWireOverZeroMQ],
) -> None:
    fee_end, dpu_end = pair
    for number in range(40):
        fee_end.write_packet(b"%d" % number)
    got: list[tuple[int, bytes]] = []
    while len(got) < 40:
        packets = dpu_end.read_packets(16, 2000)
        assert 0 < len(packets) <= 16
        got += packets
    assert [int(data) for _, data in got] == list(range(40))
    assert dpu_end.read_packets(16) == []


def test_flush(pair: tuple[SpaceWireOverZeroMQ, SpaceWireOverZeroMQ]) -> None:
    fee_end, dpu_end = pair
    for _ in range(10):
        fee_end.write_packet(b"old")
    fee_end.write_packet(b"last")
    while dpu_end.read_packet(2000)[1] != b"last":
        pass
    fee_end.write_packet(b"old")
    dpu_end.poll(2.0)
    dpu_end.flush()
    assert dpu_end.read_packet(0) == (EOP, b"")


def test_a_reader_that_does_not_read_cannot_eat_the_memory(
    pair: tuple[SpaceWireOverZeroMQ, SpaceWireOverZeroMQ],
) -> None:
    fee_end, _ = pair
    packet = bytes(100_000)

    def write_without_end() -> None:
        for _ in range(2000):
            fee_end.write_packet(packet)

    with pytest.raises(SpaceWireBufferFullError):
        write_without_end()


def test_nobody_at_the_other_end() -> None:
    with SpaceWireOverZeroMQ("tcp://127.0.0.1:0", "TEST", bind=True) as fee_end:
        with pytest.raises(SpaceWireLinkError, match="nobody"):
            fee_end.write_packet(b"data")
        assert fee_end.read_packet(1) == (EOP, b"")


def test_a_link_to_nowhere() -> None:
    with SpaceWireOverZeroMQ("tcp://127.0.0.1:1", "TEST", rmap_timeout=0.05) as link:
        with pytest.raises(SpaceWireLinkError, match="away"):
            link.write_packet(b"data")
        with pytest.raises(SpaceWireLinkError):
            link.read_register(0)
        assert link.read_packet(1) == (EOP, b"")


def test_a_closed_link() -> None:
    link = SpaceWireOverZeroMQ("tcp://127.0.0.1:1", "TEST")
    link.disconnect()
    for call in (lambda: link.read_packet(0), lambda: link.write_packet(b"x"), link.flush):
        with pytest.raises(SpaceWireLinkError, match="not open"):
            call()


def test_an_endpoint_that_is_taken() -> None:
    with SpaceWireOverZeroMQ("tcp://127.0.0.1:0", "TEST", bind=True) as first:
        second = SpaceWireOverZeroMQ(first.endpoint, "TEST", bind=True)
        with pytest.raises(SpaceWireLinkError, match="cannot open"):
            second.connect()


@pytest.mark.parametrize("endpoint", ["tcp://0.0.0.0:5000", "tcp://example.org:5000"])
def test_only_loopback_unless_asked_for(endpoint: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        SpaceWireOverZeroMQ(endpoint, "TEST")
    assert SpaceWireOverZeroMQ(endpoint, "TEST", allow_remote=True).endpoint == endpoint


@pytest.mark.parametrize("endpoint", ["5555", "tcp://localhost", "udp://localhost:5000"])
def test_nonsense_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(ValueError, match="endpoint"):
        SpaceWireOverZeroMQ(endpoint, "TEST")


def test_strangers_and_rubbish_are_dropped_and_counted(
    pair: tuple[SpaceWireOverZeroMQ, SpaceWireOverZeroMQ],
) -> None:
    fee_end, dpu_end = pair
    context = zmq.Context()
    stranger = context.socket(zmq.DEALER)
    stranger.linger = 0
    stranger.connect(fee_end.endpoint)
    for message in ([b"\x00", b"data"], [b""], [b"\x00\x00", b"x"], [b"a", b"b", b"c"]):
        stranger.send_multipart(message)
    assert fee_end.read_packet(300) == (EOP, b"")
    assert fee_end.unknown == 4
    dpu_end.write_packet(b"still alive")
    assert fee_end.read_packet(2000) == (EOP, b"still alive")
    stranger.close(0)
    context.term()


# --- RMAP over the link ---------------------------------------------------------------------------------------------


def answering(fee_end: SpaceWireOverZeroMQ, target: RMAPTarget, before: list[bytes]) -> threading.Thread:
    """Answers one command in another thread, sending other packets before the reply."""

    def run() -> None:
        _, command = fee_end.read_packet(5000)
        for packet in before:
            fee_end.write_packet(packet)
        reply = target.handle(command)
        if reply is not None:
            fee_end.write_packet(reply)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_packets_that_come_before_a_reply_are_kept_in_order(
    pair: tuple[SpaceWireOverZeroMQ, SpaceWireOverZeroMQ],
) -> None:
    fee_end, dpu_end = pair
    target = RMAPTarget(bytearray(range(256)) * 8)
    late = RMAPTarget(bytearray(2048)).handle(b"")
    assert late is None
    stale = bytes.fromhex("67012C00FE0000ED")
    thread = answering(fee_end, target, [b"\x91\x01", b"first", stale, b"second"])
    assert dpu_end.read_register(0x54) == bytes((0x54, 0x55, 0x56, 0x57))
    thread.join()
    assert dpu_end.stale_replies == 1
    assert [data for _, data in dpu_end.read_packets(10)] == [b"\x91\x01", b"first", b"second"]


def test_a_refusal_carries_the_status(pair: tuple[SpaceWireOverZeroMQ, SpaceWireOverZeroMQ]) -> None:
    fee_end, dpu_end = pair
    thread = answering(fee_end, RMAPTarget(bytearray(2048), key=0x55), [])
    with pytest.raises(RMAPError, match="invalid key") as caught:
        dpu_end.write_register(0x54, b"1234")
    assert caught.value.status == 3
    thread.join()


def test_no_reply_is_a_time_out(pair: tuple[SpaceWireOverZeroMQ, SpaceWireOverZeroMQ]) -> None:
    _, dpu_end = pair
    dpu_end.rmap_timeout = 0.05
    with pytest.raises(RMAPTimeoutError):
        dpu_end.read_register(0)


def test_rules_are_checked_before_anything_is_sent(
    pair: tuple[SpaceWireOverZeroMQ, SpaceWireOverZeroMQ],
) -> None:
    fee_end, dpu_end = pair
    with pytest.raises(RMAPAddressError):
        dpu_end.read_register(0, 8)
    with pytest.raises(RMAPAddressError):
        dpu_end.write_register(0x700, b"1234")
    with pytest.raises(ValueError, match="at least 4 bytes"):
        dpu_end.write_register(0, b"123")
    assert fee_end.read_packet(50) == (EOP, b"")


# --- two processes --------------------------------------------------------------------------------------------------


def test_registers_over_two_processes(fee: FEEProcess) -> None:
    with SpaceWireOverZeroMQ(fee.endpoint, "TEST") as link:
        wait_until_sent(link, b"hello")
        assert link.read_register(0x10) == bytes((0x10, 0x11, 0x12, 0x13))
        link.write_register(0x10, b"abcdXX")
        assert link.read_register(0x10) == b"abcd"
        assert link.read_register(0x14) == bytes((0x14, 0x15, 0x16, 0x17))
        memory = link.read_memory_map(0, 2048)
        assert memory == bytes(range(16)) + b"abcd" + bytes(range(20, 256)) + bytes(range(256)) * 7


def test_the_fee_is_killed_and_restarted(fee: FEEProcess) -> None:
    with SpaceWireOverZeroMQ(fee.endpoint, "TEST", rmap_timeout=0.3) as link:
        wait_until_sent(link, b"hello")
        assert link.read_packet(5000)[1][0] == 0x91
        fee.kill()
        with pytest.raises((SpaceWireLinkError, RMAPTimeoutError)):
            link.read_register(0)
        again = FEEProcess(fee.endpoint)
        try:
            link.flush()
            wait_until_sent(link, b"hello")
            assert link.read_register(0) == bytes((0, 1, 2, 3))
            assert link.read_packet(5000)[1][0] == 0x91
        finally:
            again.kill()


def test_the_dpu_is_replaced_by_a_newer_one(fee: FEEProcess) -> None:
    with SpaceWireOverZeroMQ(fee.endpoint, "TEST") as old:
        wait_until_sent(old, b"hello")
        assert old.read_packet(5000)[1][0] == 0x91
        with SpaceWireOverZeroMQ(fee.endpoint, "TEST") as new:
            wait_until_sent(new, b"hello")
            assert new.read_packet(5000)[1][0] == 0x91
            assert new.read_register(4) == bytes((4, 5, 6, 7))
