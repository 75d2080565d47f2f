"""Gimbal: the line protocol that we assume, motions on virtual time, the driver over TCP and in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from egse.clock import RealClock, VirtualClock
from egse.command import CommandError
from egse.device import DeviceConnectionError, DeviceTimeoutError
from egse.mgse.gimbal import GimbalController, GimbalError, GimbalModel, GimbalSimulator
from egse.mgse.gimbal.driver import GimbalEthernetInterface
from egse.mgse.gimbal.gimbal_cs import APP
from egse.mgse.gimbal.protocol import GimbalProtocol
from egse.simulator import FaultError, SimulatorServer

SPEED = 50.0


class Bench:
    """A model with a time of its own."""

    def __init__(self) -> None:
        self.model = GimbalModel()
        self.now = 100.0

    def ask(self, line: str) -> str:
        self.model.step(self.now)
        reply = self.model.handle(line.encode(), self.now).decode()
        assert reply.endswith("\n")
        return reply[:-1]

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.model.step(self.now)

    def home(self) -> None:
        assert self.ask("HOME") == "OK"
        self.wait(30)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_dialogue(bench: Bench) -> None:
    assert bench.ask("*idn?") == "CGSE,GIMBAL,SIM0001,1.0"
    assert bench.ask("MOVE 1 1") == "ERR 4 not homed"
    bench.home()
    assert bench.ask("STAT?") == "0C"
    assert bench.ask("MOVE 2 -1") == "OK"
    assert bench.ask("STAT?") == "0F"
    assert bench.ask("MOVE 0 0") == "ERR 6 moving: STOP first"
    bench.wait(1.0)
    tip, tilt = map(float, bench.ask("POS?").split())
    assert (tip, tilt) == pytest.approx((0.75, -0.75), abs=0.01)
    bench.wait(5.0)
    assert bench.ask("TARGET?") == "+2.0000 -1.0000"
    assert [float(x) for x in bench.ask("POS?").split()] == pytest.approx([2.0, -1.0], abs=0.002)
    assert bench.ask("REL 9 0") == "ERR 3 out of limits: -10..10 deg"
    assert bench.ask("REL 1 1") == "OK"
    bench.wait(0.6)
    assert bench.ask("STOP") == "OK"
    bench.wait(2.0)
    assert bench.ask("STAT?") == "0C"
    assert bench.ask("LIM?") == "-10.0000 +10.0000 -10.0000 +10.0000"
    for line, reply in (
        ("DANCE", "ERR 1 unknown command"), ("MOVE 1", "ERR 2 expected 2 numbers"), ("MOVE a b", "ERR 2 not a number"),
        ("MOVE nan 0", "ERR 2 expected 2 numbers"), ("SPEED 20", "ERR 2 speed out of range"), ("SPEED 2", "OK"), ("SPEED?", "2.0000"),
    ):  # fmt: skip
        assert bench.ask(line) == reply


def test_faults_of_the_device(bench: Bench) -> None:
    bench.home()
    bench.model.inject("bump", {"axis": "tip", "angle": 12}, bench.now)
    assert bench.ask("STAT?") == "1C"
    bench.model.inject("motor", {}, bench.now)
    assert bench.ask("STAT?") == "30"
    assert bench.ask("HOME") == "ERR 5 fault: RESET, then HOME"
    assert bench.ask("RESET") == "OK"
    bench.home()
    assert bench.ask("STAT?") == "0C"
    for arguments in ({}, {"axis": "roll", "angle": 1}, {"axis": "tip", "angle": "x"}):
        with pytest.raises(FaultError):
            bench.model.inject("bump", arguments, bench.now)


@pytest.fixture
def server(over_tcp: Callable[..., SimulatorServer]) -> SimulatorServer:
    return over_tcp(GimbalModel(), speed=SPEED)


@pytest.fixture(params=["tcp", "memory"])
def gimbal(request: pytest.FixtureRequest) -> Iterator[tuple[GimbalController, Any]]:
    if request.param == "memory":
        clock = VirtualClock()
        with GimbalSimulator(clock) as simulator:
            yield simulator, clock.sleep
    else:
        with GimbalController(*request.getfixturevalue("server").address) as controller:
            yield controller, RealClock(SPEED).sleep


def settle(gimbal: GimbalController, sleep: Any) -> None:
    for _ in range(200):
        status = gimbal.get_status()
        if not (status["tip_moving"] or status["tilt_moving"]):
            return
        sleep(0.5)
    raise AssertionError("the gimbal does not arrive")


def test_driver(gimbal: tuple[GimbalController, Any]) -> None:
    stage, sleep = gimbal
    assert stage.is_simulator()
    with pytest.raises(GimbalError, match="not homed"):
        stage.move_absolute(1.0, 1.0)
    stage.homing()
    settle(stage, sleep)
    assert stage.get_status()["tip_homed"]
    stage.set_speed(2.0)
    assert stage.get_speed() == 2.0
    stage.move_absolute(3.0, -2.0)
    settle(stage, sleep)
    assert stage.get_position() == pytest.approx((3.0, -2.0), abs=0.002)
    stage.move_relative(-1.0, 0.0)
    stage.stop()
    settle(stage, sleep)
    assert stage.get_limits() == {"tip": (-10.0, 10.0), "tilt": (-10.0, 10.0)}
    with pytest.raises(GimbalError, match="out of limits"):
        stage.move_absolute(11.0, 0.0)
    with pytest.raises(CommandError):
        stage.move_absolute(91.0, 0.0)
    stage.clear_error()
    assert stage.get_target()[1] == -2.0


@pytest.mark.parametrize("fault", ["drop", "garbage", "partial", "silence"])
def test_faults_of_the_line(server: SimulatorServer, fault: str) -> None:
    with GimbalController(transport=GimbalEthernetInterface(*server.address, timeout=0.8)) as stage:
        server.faults.arm(fault)
        with pytest.raises((DeviceConnectionError, DeviceTimeoutError, GimbalError)):
            stage.get_position()
        assert len(stage.get_position()) == 2


def test_housekeeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "CSL2")
    clock = VirtualClock()
    stage = APP.make_dry_controller(clock, {})
    stage.homing()
    clock.sleep(30)
    row = GimbalProtocol(None, stage).get_housekeeping()  # type: ignore[arg-type]
    assert row["GCSL2_GIMBAL_TIP_POS"] == pytest.approx(0.0, abs=0.002)
    assert (row["GCSL2_GIMBAL_HOMED"], row["GCSL2_GIMBAL_MOVING"], row["GCSL2_GIMBAL_STATUS"]) == (
        True,
        False,
        12,
    )
