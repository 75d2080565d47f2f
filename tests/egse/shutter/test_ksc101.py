"""Thorlabs KSC101: frames to the byte, modes on virtual time, the driver on TCP, a serial line and in memory."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator

import pytest

from egse.clock import RealClock, VirtualClock
from egse.command import CommandError
from egse.device import DeviceConnectionError, DeviceTimeoutError
from egse.shutter.thorlabs import (
    KSC101Error,
    ShutterKSC101Controller,
    ShutterKSC101EthernetInterface,
    ShutterKSC101Model,
    ShutterKSC101Simulator,
)
from egse.shutter.thorlabs.apt import Frame, FrameFramer, frame_length
from egse.shutter.thorlabs.ksc101_cs import APP
from egse.shutter.thorlabs.protocol import ShutterKSC101Protocol
from egse.simulator import FaultError, SimulatorServer

SPEED = 10.0


class Bench:
    """A model with a time of its own."""

    def __init__(self) -> None:
        self.model = ShutterKSC101Model()
        self.now = 100.0
        self.framer = self.model.framer()

    def send(self, text: str) -> str:
        replies = b""
        for frame in self.framer.feed(bytes.fromhex(text)):
            self.model.step(self.now)
            replies += self.model.handle(frame, self.now)
        return replies.hex()

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.model.step(self.now)

    @property
    def open(self) -> bool:
        """By the state message: 04CC -> 04CD, channel 1, 1 open or 2 closed, to the host from the unit."""
        reply = self.send("cc0401005001")
        assert reply in ("cd0401010150", "cd0401020150")
        return reply == "cd0401010150"


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def server(over_tcp: Callable[..., SimulatorServer]) -> SimulatorServer:
    return over_tcp(ShutterKSC101Model(), speed=SPEED)


def test_hardware_information(bench: Bench) -> None:
    reply = bytes.fromhex(bench.send("050000005001"))
    assert len(reply) == 90
    assert reply[:6].hex() == "060054008150"
    serial, model, kind = struct.unpack_from("<I8sH", reply, 6)
    assert 68_000_000 <= serial < 69_000_000
    assert model == b"KSC101\0\0"
    assert kind
    assert struct.unpack("<HHH", reply[-6:])[2] == 1


@pytest.mark.parametrize(
    ("setting", "question", "answer"),
    [
        ("100201025001", "110201005001", "120201020150"),
        ("c00401035001", "c10401005001", "c20401030150"),
        ("c60401025001", "c70401005001", "c80401020150"),
        ("cb0401015001", "cc0401005001", "cd0401010150"),
        ("c3040e00d001 0100 64000000 c8000000 05000000", "c40401005001", "c5040e008150" "010064000000c800000005000000"),
        ("cb0401011101", "290401005001", "2a0406008150" "010001200000"),
    ],
)  # fmt: skip
def test_settings_and_questions(bench: Bench, setting: str, question: str, answer: str) -> None:
    assert bench.send(setting) == ""
    assert bench.send(question) == answer


def test_frames_are_cut_and_merged(server: SimulatorServer) -> None:
    stream = bytes.fromhex("230201005001ffff0400d001 01020304c3040e00d001 0100 64000000 c8000000 05000000")
    stream += bytes.fromhex("c20401045001cb0401005001cb0401015001cc0401005001c10401005001c40401005001")
    expected = bytes.fromhex("cd0401010150c20401010150c5040e008150010064000000c800000005000000")
    for size in (1, 7, len(stream)):
        with socket.create_connection(server.address, timeout=5) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(stream), size):
                client.sendall(stream[start : start + size])
            received = b""
            while len(received) < len(expected):
                received += client.recv(100)
            assert received == expected


def test_frames() -> None:
    frame = Frame(0x04C3, data=b"12345")
    assert Frame.unpack(frame.pack()) == frame
    assert frame_length(frame.pack()[:-1]) is None
    assert FrameFramer().feed(frame.pack() * 2 + b"x") == [frame.pack()] * 2
    with pytest.raises(ValueError, match="no frame"):
        Frame.unpack(b"12345")


def test_manual_mode_and_values_that_are_ignored(bench: Bench) -> None:
    bench.send("cb0401015001")
    assert bench.open
    assert bench.model.transmission(bench.now) in (0.0, 1.0)
    for ignored in ("cb0401005001", "cb0401055001", "c00401095001", "020000005001", "110001005001"):
        bench.send(ignored)
        assert bench.open
    bench.send("cb0401025001")
    assert not bench.open


def cycle(on: int, off: int, number: int) -> str:
    return "c3040e00d001" + struct.pack("<HIII", 1, on, off, number).hex()


def test_single_auto_and_trigger(bench: Bench) -> None:
    bench.send(cycle(200, 100, 2))
    bench.send("c00401025001")
    bench.send("cb0401015001")
    assert bench.open
    bench.wait(0.25)
    assert not bench.open
    bench.send("c00401035001")
    bench.send("cb0401015001")
    states = []
    bench.wait(0.05)
    for _ in range(8):
        states.append(bench.open)
        bench.wait(0.1)
    assert states == [True, True, False, True, True, False, False, False]
    bench.send(cycle(200, 100, 0))
    bench.send("cb0401015001")
    bench.wait(300.05)
    assert bench.open
    bench.send("c00401045001")
    assert not bench.open
    bench.model.inject("trigger", {"level": True}, bench.now)
    assert bench.open
    assert bench.send(cycle(5, 100, 0)) == ""  # too short: ignored
    assert bench.send("c40401005001").endswith("0100c80000006400000000000000")


def test_interlock_and_channel_close_the_shutter(bench: Bench) -> None:
    bench.send("cb0401015001")
    bench.model.inject("interlock", {"open": True}, bench.now)
    assert not bench.open
    assert bench.send("290401005001") == "2a0406008150010000000000"
    bench.model.inject("interlock", {"open": False}, bench.now)
    assert not bench.open  # until the next command
    bench.send("cb0401015001")
    bench.send("100201025001")
    assert not bench.open
    bench.send("100201015001")
    bench.send("cb0401015001")
    bench.model.inject("stuck", {"stuck": True}, bench.now)
    bench.send("cb0401025001")
    assert bench.open
    with pytest.raises(FaultError):
        bench.model.inject("interlock", {}, bench.now)


Wait = Callable[[float], None]


@pytest.fixture(params=["tcp", "serial", "memory"])
def shutter(
    request: pytest.FixtureRequest,
) -> Iterator[tuple[ShutterKSC101Controller, ShutterKSC101Model, Wait]]:
    if request.param == "memory":
        clock = VirtualClock()
        with ShutterKSC101Simulator(clock) as simulator:
            yield simulator, simulator.model, clock.sleep
        return
    server = request.getfixturevalue("server")
    host, port = server.address
    controller = ShutterKSC101Controller(host, port)
    if request.param == "serial":
        wire = ShutterKSC101Controller.network.wire
        controller = ShutterKSC101Controller(
            transport=wire.to_resource(f"serial:socket://{host}:{port}?baud=115200&rtscts=1")
        )
    with controller:
        yield controller, server.model, RealClock(SPEED).sleep


def test_driver(shutter: tuple[ShutterKSC101Controller, ShutterKSC101Model, Wait]) -> None:
    ksc, model, wait = shutter
    assert ksc.is_simulator()
    assert ksc.info() == "KSC101 68000001 1.0.3"
    ksc.blink()
    ksc.set_mode("manual")
    assert ksc.get_mode() == 1
    ksc.set_enable(True)
    assert ksc.get_enable() == 1
    assert ksc.get_status() == {"open": True, "interlock": True}
    ksc.set_enable(False)
    assert ksc.get_enable() == 2
    ksc.set_cycle(100, 50, 3)
    assert ksc.get_cycle() == {"Ontime": 100, "Offtime": 50, "Number of cycles": 3}
    ksc.set_mode("single")
    ksc.set_enable(True)
    wait(0.2)
    assert ksc.get_enable() == 2
    model.interlock_closed = False
    with pytest.raises(KSC101Error, match="interlock is open"):
        ksc.set_enable(True)
    ksc.set_interlock(False)
    assert ksc.get_interlock() is False
    ksc.set_mode("manual")
    ksc.set_enable(True)
    ksc.set_channel(False)
    assert ksc.get_channel() is False
    assert ksc.get_enable() == 2
    with pytest.raises((CommandError, KSC101Error)):
        ksc.set_cycle(1, 50, 3)
    with pytest.raises((CommandError, KeyError)):
        ksc.set_mode("fast")  # type: ignore[arg-type]


@pytest.mark.parametrize("fault", ["drop", "garbage", "partial", "silence"])
def test_faults_of_the_line(server: SimulatorServer, fault: str) -> None:
    ksc = ShutterKSC101Controller(transport=ShutterKSC101EthernetInterface(*server.address, timeout=0.8))
    with ksc:
        server.faults.arm(fault)
        with pytest.raises((DeviceConnectionError, DeviceTimeoutError, KSC101Error)):
            ksc.get_mode()
        assert ksc.get_mode() == 1


def test_housekeeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "IAS")
    ksc = APP.make_dry_controller(VirtualClock(), {})
    ksc.set_enable(True)
    row = ShutterKSC101Protocol(None, ksc).get_housekeeping()  # type: ignore[arg-type]
    assert row == {"GIAS_KSC101_OPEN": True, "GIAS_KSC101_MODE": 1, "GIAS_KSC101_INTERLOCK": True}
