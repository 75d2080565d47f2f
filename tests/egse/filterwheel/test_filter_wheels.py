"""Eksma filter wheels: the XIMC protocol to the byte, motions on virtual time, both drivers, the manufacturer's library."""

from __future__ import annotations

import math
import socket
import struct
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from egse.clock import RealClock, VirtualClock
from egse.command import CommandError
from egse.device import DeviceConnectionError, DeviceTimeoutError
from egse.filterwheel.eksma import (
    FilterWheel8SMC4Controller,
    FilterWheel8SMC4Simulator,
    FilterWheel8SMC5Controller,
    FilterWheel8SMC5Simulator,
    FilterWheelError,
    TwoWheelModel,
    Wheels,
    XimcAxisModel,
)
from egse.filterwheel.eksma.axis import LibraryAxis
from egse.filterwheel.eksma.fw8smc4 import FilterWheel8SMC4EthernetInterface
from egse.filterwheel.eksma.fw8smc4_cs import APP as APP4
from egse.filterwheel.eksma.fw8smc4_protocol import FilterWheel8SMC4Protocol
from egse.filterwheel.eksma.fw8smc5_cs import APP as APP5
from egse.filterwheel.eksma.fw8smc5_protocol import FilterWheel8SMC5Protocol
from egse.filterwheel.eksma.two_wheels import moves_to
from egse.filterwheel.eksma.ximc import STATUS, STATUS_FIELDS, with_crc
from egse.settings import Settings
from egse.simulator import FaultError, SimulatorServer
from egse.simulator.motion import Motion

SPEED = 50.0


class Bench:
    """A model with a time of its own."""

    def __init__(self, model: XimcAxisModel | None = None) -> None:
        self.model = model or XimcAxisModel()
        self.now = 100.0
        self.framer = self.model.framer()

    def send(self, data: bytes) -> bytes:
        replies = b""
        for command in self.framer.feed(data):
            self.model.step(self.now)
            replies += self.model.handle(command, self.now)
        return replies

    def do(self, code: bytes, layout: str, *values: Any) -> bytes:
        return self.send(code + with_crc(struct.pack(layout, *values)))

    def status(self) -> SimpleNamespace:
        reply = self.send(b"gets")
        assert len(reply) == 4 + 48 + 2
        assert with_crc(reply[4:-2]) == reply[4:]
        return SimpleNamespace(**dict(zip(STATUS_FIELDS, STATUS.unpack(reply[4:-2]), strict=True)))

    def position(self) -> float:
        steps, micro = struct.unpack_from("<ih", self.send(b"gpos"), 4)
        return float(steps + micro / 256)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.model.step(self.now)

    def settle(self, step: float = 0.05) -> None:
        while self.status().MvCmdSts & 0x80:
            self.wait(step)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def serving(model: XimcAxisModel) -> Iterator[SimulatorServer]:
    with SimulatorServer(model, clock=RealClock(SPEED), max_clients=8) as running:
        thread = threading.Thread(target=running.serve)
        thread.start()
        yield running
        running.stop()
        thread.join()


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    yield from serving(TwoWheelModel())


# -- protocol ------------------------------------------------------------------------------------------------------------


def test_checksum() -> None:
    assert with_crc(b"123456789")[-2:] == b"\x37\x4b"


@pytest.mark.parametrize(
    ("code", "size"),
    [("gets", 48), ("gpos", 20), ("gmov", 24), ("geng", 28), ("gent", 8), ("ghom", 27), ("gpwr", 14), ("gsec", 22),
     ("geds", 20), ("gfbs", 12), ("geti", 30), ("gser", 4), ("gfwv", 4), ("gblv", 4)],
)  # fmt: skip
def test_answers_have_their_letters_size_and_checksum(bench: Bench, code: str, size: int) -> None:
    reply = bench.send(code.encode())
    assert reply[:4] == code.encode()
    assert len(reply) == 4 + size + 2
    assert with_crc(reply[4:-2]) == reply[4:]
    setting = b"s" + code[1:].encode()
    if code in ("gpos", "gmov", "geng", "gent", "ghom", "gpwr", "gsec", "geds", "gfbs"):
        assert bench.send(setting + reply[4:]) == setting
        assert bench.send(code.encode()) == reply


def test_what_is_not_understood(bench: Bench) -> None:
    assert bench.send(b"gnmf") == b"errc"
    assert bench.send(b"snmf" + bytes(40)) == b"errc"
    assert bench.send(b"\0\0\0") == b"\0\0\0"
    assert bench.send(b"move" + struct.pack("<ih6x", 10, 0) + b"\0\0") == b"errd"
    assert bench.do(b"smov", "<IBHHIB10x", 0, 0, 0, 0, 0, 0) == b"errv"
    assert bench.status().Flags == 7
    assert bench.send(b"gent") == b"gent" + with_crc(bytes([3, 2, 0, 0, 0, 0, 0, 0]))
    assert bench.send(b"geti")[4:18] == b"XIMCSM8SMC4\0\0\0"


def test_pieces_and_packets(server: SimulatorServer) -> None:
    move = b"movr" + with_crc(struct.pack("<ih6x", 0, 0))
    stream = b"gser" + move + b"\0" + b"gfwv" + b"zero" + b"gser"
    for size in (1, 5, len(stream)):
        with socket.create_connection(server.address, timeout=5) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(stream), size):
                client.sendall(stream[start : start + size])
            received = b""
            while len(received) < 10 + 4 + 1 + 10 + 4 + 10:
                received += client.recv(100)
        assert [received[i : i + n] for i, n in ((0, 4), (10, 4), (14, 1), (15, 4), (25, 4), (29, 4))] == [
            b"gser", b"movr", b"\0", b"gfwv", b"zero", b"gser",
        ]  # fmt: skip


def test_motion_is_reported_while_it_lasts(bench: Bench) -> None:
    assert bench.do(b"move", "<ih6x", 200, 0) == b"move"
    status = bench.status()
    assert (status.MvCmdSts, status.MoveSts, status.PWRSts) == (0x81, 1, 3)
    before = -1.0
    while bench.status().MvCmdSts & 0x80:
        assert before <= bench.position() <= 200
        before = bench.position()
        bench.wait(0.1)
    assert (bench.status().MvCmdSts, bench.status().MoveSts, bench.position()) == (1, 0, 200.0)
    assert bench.now == pytest.approx(102.3, abs=0.15)  # 200 steps at 100/s, and 0.25 s for the ramps
    bench.do(b"movr", "<ih6x", -3, -128)
    bench.settle()
    assert bench.position() == 196.5
    bench.send(b"zero")
    status = bench.status()
    assert (status.CurPosition, status.uCurPosition, status.EncPosition) == (0, 0, 0)
    bench.send(b"left")
    bench.wait(1.0)
    assert bench.status().CurSpeed == -100
    bench.send(b"sstp")
    bench.settle()
    assert bench.status().MvCmdSts == 8
    assert bench.position() == pytest.approx(-100.0, abs=1)  # 87.5 in the second, and 12.5 to stop
    bench.do(b"spos", "<ihqB5x", 42, 0, 840, 0)
    assert (bench.position(), bench.status().EncPosition) == (42.0, 840)


def test_home_alarm_and_stall(bench: Bench) -> None:
    bench.send(b"home")
    assert bench.status().MvCmdSts == 0x86
    assert not bench.status().Flags & 0x20
    bench.settle()
    assert bench.status().Flags & 0x20
    assert bench.model.angle(bench.now) % 200 == 0
    bench.model.inject("alarm", {}, bench.now)
    bench.do(b"move", "<ih6x", 10, 0)
    assert (bench.status().MvCmdSts, bench.status().Flags) == (0x41, 0x60)
    bench.send(b"home")
    bench.settle()
    assert bench.status().Flags == 0x20
    bench.model.inject("stall", {"stalled": True}, bench.now)
    bench.do(b"move", "<ih6x", 10, 0)
    assert bench.status().MvCmdSts & 0x40
    with pytest.raises(FaultError):
        bench.model.inject("temperature", {}, bench.now)


def test_trapezoid() -> None:
    motion = Motion(0.0, -100.0, 10.0, 10.0, 5.0, 2.5)
    assert motion.end == pytest.approx(10 + 2 + 7 + 4)
    assert motion.position(11.0) == pytest.approx(-2.5)
    assert motion.velocity(15.0) == -10.0
    assert motion.position(motion.end) == -100.0
    stopped = motion.stopped(15.0)
    assert stopped.position(15.0) == pytest.approx(motion.position(15.0))
    assert stopped.end == pytest.approx(19.0)
    assert Motion(0.0, 0.1, 0.0, 10.0, 5.0, 5.0).end == pytest.approx(2 * math.sqrt(0.1 / 5))
    assert not Motion(1.0, 1.0, 0.0, 1.0, 1.0, 1.0).moving(0.0)


# -- wheels --------------------------------------------------------------------------------------------------------------


def test_levels_of_the_default_tables() -> None:
    wheels = Wheels()
    factors = [level.factor for level in wheels.levels]
    numbers = [f for f in factors if not isinstance(f, str)]
    assert numbers == sorted(set(numbers))
    assert factors[-5:] == [1.0, "4000 K", "5000 K", "6000 K", "6500 K"]
    assert wheels.factor((1, 3)) == pytest.approx(1e-7)
    assert wheels.levels[wheels.closest(0.5)].factor == pytest.approx(10**-0.3)
    for n, level in enumerate(wheels.levels):
        assert wheels.index(level.positions) == n
    assert wheels.beside(27, 1) == 27
    assert wheels.beside(0, -1) == 0
    assert wheels.beside(28, 1) == 28
    with pytest.raises(ValueError, match="8 positions"):
        Wheels([0.0], [0.0])


def test_all_pairs_are_reached_by_the_wheels_on_one_motor() -> None:
    bench = Bench(TwoWheelModel(seed=5))
    for wheel1 in range(8):
        for wheel2 in range(8):
            bench.send(b"home")
            bench.settle(0.5)
            bench.send(b"zero")
            for target in moves_to(wheel1, wheel2):
                bench.do(b"move", "<ih6x", target, 0)
                bench.settle(0.5)
            assert bench.model.positions(bench.now) == (wheel1, wheel2)  # type: ignore[attr-defined]


def settle(wheels: Any, sleep: Any) -> None:
    for _ in range(400):
        if not wheels.is_moving():
            return
        sleep(0.2)
    raise AssertionError("the wheels do not arrive")


@pytest.fixture(params=["tcp", "memory"])
def one_motor(
    request: pytest.FixtureRequest,
) -> Iterator[tuple[FilterWheel8SMC4Controller, TwoWheelModel, Any]]:
    if request.param == "memory":
        clock = VirtualClock()
        with FilterWheel8SMC4Simulator(clock) as simulator:
            yield simulator, simulator.model, clock.sleep
    else:
        server = request.getfixturevalue("server")
        with FilterWheel8SMC4Controller(*server.address) as controller:
            yield controller, server.model, RealClock(SPEED).sleep


def test_driver_of_the_wheels_on_one_motor(
    one_motor: tuple[FilterWheel8SMC4Controller, TwoWheelModel, Any],
) -> None:
    wheels, model, sleep = one_motor
    assert wheels.is_simulator()
    assert wheels.get_id().startswith("XIMC 8SMC4 99001 ")
    assert wheels.get_position() == [-1, -1]
    level = wheels.att_get_level()
    assert (level["att_moving"], level["att_index"], math.isnan(level["att_factor"])) == (False, -1, True)
    wheels.set_position(3, 5)
    assert wheels.is_moving()
    assert wheels.get_position() == [3, 5]
    settle(wheels, sleep)
    assert model.describe()["wheels"] == [3, 5]
    wheels.att_set_level_factor(0.01)
    settle(wheels, sleep)
    assert wheels.att_get_level() == {"att_moving": False, "att_factor": 0.01, "att_index": 12}
    wheels.att_level_up()
    settle(wheels, sleep)
    assert wheels.att_get_level()["att_index"] == 13
    assert model.describe()["wheels"] == wheels.get_position()
    wheels.att_level_down()
    wheels.att_set_level_position(4, 0)  # while it moves: begins anew
    settle(wheels, sleep)
    assert wheels.wheel_factors()[wheels.att_get_level()["att_index"]] == "4000 K"
    assert len(wheels.load_wheels()["wheel1"]) == 8
    wheels.move_wheel(10)
    settle(wheels, sleep)
    assert wheels.get_status()[0] == 10
    wheels.command_zero()
    assert wheels.get_status()[0] == 0
    assert wheels.get_speed() == 0
    assert wheels.get_position() == [-1, -1]
    wheels.homing()
    wheels.stop()
    assert wheels.att_status() == "att: OK"
    with pytest.raises((CommandError, FilterWheelError)):
        wheels.att_set_level_index(40)


def test_a_motion_that_fails(one_motor: tuple[FilterWheel8SMC4Controller, TwoWheelModel, Any]) -> None:
    wheels, model, _ = one_motor
    model.inject("stall", {"stalled": True}, 0.0)
    wheels.set_position(1, 1)
    with pytest.raises(FilterWheelError, match="a motion failed"):
        wheels.is_moving()
    assert wheels.att_status() == "att: ERROR"
    assert wheels.get_position() == [-1, -1]
    model.inject("crc", {}, 0.0)
    with pytest.raises(FilterWheelError, match="wrong checksum"):
        wheels.get_speed()
    assert wheels.get_speed() == 0.0


@pytest.mark.parametrize("fault", ["drop", "garbage", "partial", "silence"])
def test_faults_of_the_line(server: SimulatorServer, fault: str) -> None:
    transport = FilterWheel8SMC4EthernetInterface(*server.address, timeout=0.8)
    with FilterWheel8SMC4Controller(transport=transport) as wheels:
        server.faults.arm(fault)
        with pytest.raises((DeviceConnectionError, DeviceTimeoutError, FilterWheelError)):
            wheels.get_status()
        assert len(wheels.get_status()) == 6


def test_driver_of_the_wheels_with_a_motor_each() -> None:
    clock = VirtualClock()
    with FilterWheel8SMC5Simulator(clock) as wheels:
        assert wheels.is_simulator()
        assert wheels.get_idn().count("8SMC5") == 2
        assert wheels.get_position_wheels() == [-1, -1]
        assert wheels.get_position_index() == -1
        with pytest.raises(FilterWheelError, match="call home"):
            wheels.set_position_wheel(1, 2)
        wheels.home()
        assert wheels.get_position_wheels() == [-1, -1]
        settle(wheels, clock.sleep)
        assert wheels.get_position_wheels() == [0, 0]
        assert wheels.get_relative_intensity() == 1.0
        wheels.set_position_wheels(7, 3)
        assert wheels.is_moving()
        settle(wheels, clock.sleep)
        assert wheels.get_position_wheels() == [7, 3]
        assert wheels.get_position_steps(1) == 525
        wheels.set_relative_intensity(0.01)
        settle(wheels, clock.sleep)
        assert wheels.get_relative_intensity() == 0.01
        wheels.intensity_level_down()
        settle(wheels, clock.sleep)
        assert wheels.get_position_index() == 11
        wheels.intensity_level_up()
        wheels.stop()
        wheels.set_position_steps(2, 10)
        settle(wheels, clock.sleep)
        assert wheels.get_position_wheels()[1] == -1
        assert wheels.get_error_flags() == [0, 0]
        wheels.model.second.inject("alarm", {}, 0.0)
        assert wheels.get_error_flags() == [0, 0x40]
        assert wheels.wheel_factors()[-1] == "6500 K"


def test_offsets_and_both_addresses_come_from_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = serving(XimcAxisModel(1, 600)), serving(XimcAxisModel(2, 600))
    one, two = next(first), next(second)
    local = tmp_path / "local.yaml"
    local.write_text(
        f"FW8SMC5 Control Server:\n  DEVICE_PORT: {one.address[1]}\n  OFFSETS: [10, -20]\n"
        f"FW8SMC5 WHEEL 2:\n  DEVICE_RESOURCE: serial:socket://127.0.0.1:{two.address[1]}\n"
    )
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(local))
    Settings.load(force=True)
    with FilterWheel8SMC5Controller() as wheels:
        wheels.home()
        settle(wheels, RealClock(SPEED).sleep)
        wheels.set_position_wheels(1, 0)
        settle(wheels, RealClock(SPEED).sleep)
        assert [wheels.get_position_steps(id) for id in (1, 2)] == [85, 580]
        assert wheels.get_position_wheels() == [1, 0]
    for generator in (first, second):
        assert next(generator, None) is None
    monkeypatch.undo()
    Settings.load(force=True)


def test_housekeeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "IAS")
    wheels = APP4.make_dry_controller(VirtualClock(), {})
    row = FilterWheel8SMC4Protocol(None, wheels).get_housekeeping()  # type: ignore[arg-type]
    assert math.isnan(row["GIAS_FW8SMC4_LVL"])
    assert (row["GIAS_FW8SMC4_WHEEL1"], row["GIAS_FW8SMC4_MOVING"], row["GIAS_FW8SMC4_TEMP"]) == (
        -1,
        False,
        31.5,
    )
    pair = APP5.make_dry_controller(VirtualClock(), {})
    row = FilterWheel8SMC5Protocol(None, pair).get_housekeeping()  # type: ignore[arg-type]
    assert (row["GIAS_FW8SMC5_WHEEL2"], row["GIAS_FW8SMC5_ERRORS"]) == (-1, 0)


# -- the manufacturer's library (manual, section 28.1) -------------------------------------------------------------------


class StandInAxis:
    """What `libximc.highlevel.Axis` offers, on a model."""

    def __init__(self, uri: str) -> None:
        assert uri == "xi-com:///dev/ttyACM0"
        self.bench = Bench(TwoWheelModel())

    def open_device(self) -> None:
        self.bench.wait(1.0)

    close_device = open_device

    def get_device_information(self) -> Any:
        return SimpleNamespace(Manufacturer="XIMC", ProductDescription="8SMC4", Major=4, Minor=6, Release=1)

    def get_serial_number(self) -> int:
        return 7

    def get_status(self) -> Any:
        self.bench.wait(5.0)
        return self.bench.status()

    def command_move(self, steps: int, micro: int) -> None:
        self.bench.do(b"move", "<ih6x", steps, micro)

    def command_home(self) -> None:
        self.bench.send(b"home")

    def command_zero(self) -> None:
        self.bench.send(b"zero")

    def command_stop(self) -> None:
        raise ConnectionError("device is lost")


@pytest.fixture
def library_resource(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    local = tmp_path / "local.yaml"
    local.write_text("FW8SMC4 Control Server:\n  DEVICE_RESOURCE: ximc:xi-com:///dev/ttyACM0\n")
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(local))
    Settings.load(force=True)
    yield
    monkeypatch.undo()
    Settings.load(force=True)


def test_the_library_moves_the_wheels(library_resource: None, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("libximc.highlevel")
    module.Axis = StandInAxis  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "libximc", ModuleType("libximc"))
    monkeypatch.setitem(sys.modules, "libximc.highlevel", module)
    wheels = FilterWheel8SMC4Controller()
    assert isinstance(wheels.transport, LibraryAxis)
    with wheels:
        assert wheels.get_id() == "XIMC 8SMC4 7 4.6.1"
        wheels.homing()
        wheels.move_wheel(-25)
        assert not wheels.is_moving()
        assert wheels.get_status()[0] == -25
        with pytest.raises(FilterWheelError, match="command_stop failed: device is lost"):
            wheels.stop()
        assert not wheels.is_connected()
        with pytest.raises(FilterWheelError, match="sends no bytes"):
            wheels.transport.write(b"gets")


def test_a_missing_library_is_an_error_of_this_device_alone(
    library_resource: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "libximc").mkdir()
    (tmp_path / "libximc" / "__init__.py").write_text(
        "raise SystemExit('libximc.so: cannot open shared object file')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("libximc", "libximc.highlevel"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    wheels = FilterWheel8SMC4Controller()  # importing and making it does no harm
    with pytest.raises(
        DeviceConnectionError, match=r"libximc\.so: cannot open shared object.*LD_LIBRARY_PATH"
    ):
        wheels.connect()
    with pytest.raises(DeviceConnectionError):
        wheels.get_status()
