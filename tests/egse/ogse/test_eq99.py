"""Energetiq EQ-99: replies, ignition and warm-up on virtual time, the driver on TCP, a serial line and in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from egse.clock import VirtualClock
from egse.ogse.eq99 import LampEQ99Controller, LampEQ99Error, LampEQ99Model, LampEQ99Simulator
from egse.ogse.eq99.eq99_cs import APP
from egse.ogse.eq99.protocol import LampEQ99Protocol
from egse.simulator import FaultError, SimulatorServer


class Bench:
    """A model with a time of its own."""

    def __init__(self) -> None:
        self.model = LampEQ99Model()
        self.now = 100.0

    def ask(self, line: str) -> str:
        self.model.step(self.now)
        reply = self.model.handle(line.encode(), self.now).decode()
        assert not reply or reply.endswith("\r\n")
        return reply.rstrip("\r\n")

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.model.step(self.now)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_replies(bench: Bench) -> None:
    assert bench.ask("*IDN?").startswith("Energetiq EQ-99")
    assert [bench.ask(q) for q in ("LDLS:COND?", "LDLS:OUTput?", "ldls:outp?", "ERRSTR?")] == [
        "0",
        "0",
        "",
        '123,"Command not found"',
    ]
    assert bench.ask("ERRSTR?") == "0"
    bench.ask("LDLS:LAMPTIME 9999.5")
    bench.ask("LDLS:LAMPTIME lots")
    assert bench.ask("ERRSTR?") == '201,"Out of range",202,"Wrong type"'
    bench.ask("LDLS:LAMPTIME 12")
    bench.wait(3661.5)
    assert (bench.ask("LDLS:LAMPTIME?"), bench.ask("TIME?")) == ("12.0", "01:01:01.50")
    for setting, query, answer in (
        ("BEEP 0", "BEEP?", "0"),
        ("LDLS:EXPOSURE 500", "LDLS:EXPOSURE?", "500"),
        ("LDLS:SHUTTER True", "LDLS:SHUTTER?", "1"),
        ("LDLS:SHUTTER 1", "LDLS:COND?", "256"),
        ("MESSAGE hello, world", "MESSAGE?", "hello,world"),
    ):
        assert bench.ask(setting) == ""
        assert bench.ask(query) == answer


def test_light(bench: Bench) -> None:
    bench.ask("LDLS:OUT 1")
    conditions = []
    for _ in range(4):
        conditions.append(bench.ask("LDLS:COND?"))
        bench.wait({0: 1.0, 1: 4.0, 2: 25.0}.get(len(conditions) - 1, 0.0))
    assert conditions == ["16", "80", "112", "240"]
    assert 0.95 < bench.model.flux(bench.now) < 1.0
    bench.wait(3600)
    assert bench.model.flux(bench.now) == pytest.approx(1.0, abs=0.001)
    assert bench.ask("LDLS:LAMPTIME?") == "37.0"
    bench.model.inject("lamp", {"ok": False}, bench.now)
    assert bench.ask("LDLS:COND?") == "8"
    assert bench.ask("LDLS:OUTPUT 1") == ""
    assert bench.ask("ERRSTR?").startswith("420,")
    assert bench.ask("LDLS:EVENT?") == str(8 + 16 + 32 + 64 + 128)
    bench.model.inject("lamp", {"ok": True}, bench.now)
    bench.ask("LDLS:OUTPUT True")
    bench.ask("*RST")
    assert bench.ask("LDLS:OUTPUT?") == "0"
    for arguments in ({}, {"open": True}):
        with pytest.raises(FaultError):
            bench.model.inject("lamp", arguments, bench.now)


@pytest.fixture
def server(over_tcp: Callable[..., SimulatorServer]) -> SimulatorServer:
    return over_tcp(LampEQ99Model(), speed=20.0)


@pytest.fixture(params=["tcp", "serial", "memory"])
def lamp(request: pytest.FixtureRequest) -> Iterator[tuple[LampEQ99Controller, LampEQ99Model]]:
    if request.param == "memory":
        with LampEQ99Simulator(VirtualClock()) as simulator:
            yield simulator, simulator.model
        return
    server = request.getfixturevalue("server")
    host, port = server.address
    controller = LampEQ99Controller(host, port)
    if request.param == "serial":
        way = LampEQ99Controller.network.wire.to_resource(f"serial:socket://{host}:{port}?baud=38400")
        controller = LampEQ99Controller(transport=way)
    with controller:
        yield controller, server.model


def test_driver(lamp: tuple[LampEQ99Controller, LampEQ99Model]) -> None:
    eq99, model = lamp
    assert eq99.is_simulator()
    assert eq99.info() == eq99.get_id()
    assert eq99.lamp_errors() == "0"
    eq99.set_lamp(True)
    assert eq99.get_lamp() is True
    assert eq99.get_lamp_status()["output"] is True
    eq99.set_lamp(False)
    eq99.set_lamp_time(12.5)
    assert eq99.get_lamp_time() == 12.5
    eq99.beep()
    model.inject("interlock", {"open": True}, 0.0)
    with pytest.raises(LampEQ99Error, match="open interlock"):
        eq99.set_lamp(True)
    eq99.ldls_reset()
    assert eq99.get_lamp_status()["interlock"] is True


def test_housekeeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "IAS")
    clock = VirtualClock()
    eq99 = APP.make_dry_controller(clock, {})
    eq99.set_lamp(True)
    clock.sleep(6.0)
    row = LampEQ99Protocol(None, eq99).get_housekeeping()  # type: ignore[arg-type]
    assert (row["GIAS_EQ99_LAMP"], row["GIAS_EQ99_LASER"], row["GIAS_EQ99_STABLE"]) == (True, True, False)
    assert (row["GIAS_EQ99_INTERLOCK"], row["GIAS_EQ99_HOURS"]) == (False, 36.0)
