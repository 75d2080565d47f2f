"""The memory transport behaves as a wire does, on virtual time."""

from __future__ import annotations

import pytest

from egse.clock import VirtualClock
from egse.device import DeviceConnectionError, DeviceTimeoutError
from egse.simulator import DeviceModel, HangUpError, MemoryTransport


class Parrot(DeviceModel):
    """Repeats what it hears; keeps silent for commands without a question mark."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, float]] = []
        self.clients = 0

    def connect(self, now: float) -> bytes:
        self.clients += 1
        return b"hello\n"

    def disconnect(self, now: float) -> None:
        self.clients -= 1

    def handle(self, command: bytes, now: float) -> bytes:
        self.heard.append((command, now))
        if command == b"bye":
            raise HangUpError(b"goodbye\n")
        return command + b"\n" if b"?" in command else b""


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def transport(clock: VirtualClock) -> MemoryTransport:
    return MemoryTransport(Parrot(), clock, banner=True)


def test_banner_query_and_silent_command(transport: MemoryTransport) -> None:
    transport.connect()
    assert transport.banner_text == b"hello\n"
    transport.write("set 1")
    assert transport.query("get?") == b"get?\n"
    assert transport.is_connected()


def test_connects_by_itself_and_disconnects(transport: MemoryTransport) -> None:
    model = transport.model
    assert isinstance(model, Parrot)
    assert transport.query(b"get?\n") == b"get?\n"
    assert model.clients == 1
    transport.disconnect()
    transport.disconnect()
    assert model.clients == 0
    with pytest.raises(DeviceConnectionError, match="not connected"):
        transport.read()


def test_no_reply_is_a_timeout_that_costs_virtual_time_only(
    transport: MemoryTransport, clock: VirtualClock
) -> None:
    with pytest.raises(DeviceTimeoutError, match="within 5 s"):
        transport.query("set 1")
    assert clock.monotonic() == pytest.approx(5.0)
    assert transport.query("again?") == b"again?\n"


def test_late_reply_advances_the_clock_and_too_late_is_a_timeout(
    transport: MemoryTransport, clock: VirtualClock
) -> None:
    transport.faults.arm("delay", {"seconds": 2.0})
    assert transport.query("late?") == b"late?\n"
    assert clock.monotonic() == pytest.approx(2.0)
    transport.faults.arm("delay", {"seconds": 9.0})
    with pytest.raises(DeviceTimeoutError):
        transport.query("later?")
    assert transport.query("next?") == b"next?\n"


def test_reply_in_two_writes_is_one_reply(transport: MemoryTransport) -> None:
    transport.faults.arm("split", {"seconds": 0.5})
    assert transport.query("get a long answer?") == b"get a long answer?\n"


@pytest.mark.parametrize("fault", ["partial", "silence"])
def test_lost_reply_is_a_timeout(transport: MemoryTransport, fault: str) -> None:
    transport.faults.arm(fault)
    with pytest.raises(DeviceTimeoutError):
        transport.query("get?")
    assert transport.query("next?") == b"next?\n"


def test_garbage_keeps_the_terminator(transport: MemoryTransport) -> None:
    transport.faults.arm("garbage", {"count": 2})
    for _ in range(2):
        reply = transport.query("get?")
        assert reply.endswith(b"\n")
        assert reply != b"get?\n"
    assert transport.query("get?") == b"get?\n"


def test_device_that_closes_the_connection(transport: MemoryTransport) -> None:
    transport.faults.arm("drop")
    with pytest.raises(DeviceConnectionError, match="closed the connection"):
        transport.query("get?")
    assert transport.query("bye") == b"goodbye\n"
    assert not transport.is_connected()
    assert transport.query("get?") == b"get?\n"
