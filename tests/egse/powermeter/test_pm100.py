"""Thorlabs PM100: replies to the letter, spellings of other people's clients, the photodiode, the driver on TCP, VISA and memory."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator

import pytest

from egse.clock import VirtualClock
from egse.command import CommandError
from egse.device import DeviceConnectionError
from egse.deviceports import open_resource
from egse.powermeter.thorlabs import (
    PM100ConnectionError,
    PM100Error,
    ThorlabsPM100Controller,
    ThorlabsPM100Model,
    ThorlabsPM100Simulator,
)
from egse.powermeter.thorlabs.pm100a_cs import APP
from egse.powermeter.thorlabs.protocol import ThorlabsPM100Protocol
from egse.response import describe_error, restore_error
from egse.simulator import DeviceModel, FaultError, SimulatorServer

from ..conftest import LineBench

SPEED = 20.0


@pytest.fixture
def bench() -> LineBench:
    return LineBench(ThorlabsPM100Model())


@pytest.fixture
def server(over_tcp: Callable[..., SimulatorServer]) -> SimulatorServer:
    return over_tcp(ThorlabsPM100Model(), speed=SPEED)


def test_identities(bench: LineBench) -> None:
    assert bench.ask("*IDN?") == "Thorlabs,PM100A,SIM00001,1.6.0"
    for line in ("SYST:SENS:IDN?", "SYST:SENSOR:IDN?", "System:Sensor:IDN?"):
        name, _, _, kind, _, flags = bench.ask(line).split(",")
        assert (name, kind, flags) == ('"S120C"', "1", "289")


@pytest.mark.parametrize(
    ("line", "query", "answer"),
    [
        ("SENSE:CORR:WAV 700", "Sense:Correction:WAVelength?", "7.000000E+02"),
        ("SENS:CORR:WAV MAX", "SENS:CORR:WAV?", "1.100000E+03"),
        ("SENS:CORR:WAV 700 nm", "CORR:WAV?", "7.000000E+02"),
        ("Sense:Average:COUNt 10", "SENS:AVER:COUN?", "10"),
        ("Sense:Power:Dc:Range:UPPer 2e-4", "SENS:POW:RANG:UPP?", "5.000000E-04"),
        ("SENS:POW:RANG 3E-3", "SENS:POW:RANG:AUTO?", "0"),
        ("SENS:POW:RANG:AUTO ON", "Sense:Power:Dc:Range:AUTO?", "1"),
        ("SENS:CORR:BEAM 3", "SENS:CORR:BEAM?", "3.000000E+00"),
        ("SENS:CORR:POW:PDI:RESP 0.1", "SENS:CORR:POW:PDI:RESP?", "1.000000E-01"),
        ("INP:PDI:FILT:LPAS:STAT 1", "INP:PDI:FILT:LPAS:STAT?", "1"),
        ("SYST:LFR 60", "SYST:LFR?", "60"),
        ("STAT:OPER:ENAB 5", "Status:Operation:ENABle?", "5"),
        ("SENS:POW:UNIT DBM", "SENS:POW:UNIT?", "DBM"),
    ],
)
def test_settings_in_all_spellings(bench: LineBench, line: str, query: str, answer: str) -> None:
    assert bench.ask(line) == ""
    assert bench.ask(query) == answer
    assert bench.ask("SYST:ERR?") == '+0,"No error"'


def test_limits_of_the_sensor(bench: LineBench) -> None:
    assert bench.ask("SENS:CORR:WAV? MIN;WAV? MAX") == "4.000000E+02;1.100000E+03"
    for line, code in {
        "SENS:CORR:WAV 300": -222,
        "NONSENSE?": -113,
        "SENSO:POW?": -113,
        "MEAS:VOLT?": -221,
    }.items():
        assert bench.ask(line) == ""
        assert bench.ask("SYSTEM:ERROR?").startswith(f"{code},")


def test_a_reading_takes_its_time_and_can_be_fetched_once(bench: LineBench) -> None:
    bench.ask("SENS:AVER:COUN 100")
    power = float(bench.ask("MEAS:POW?"))
    assert power == pytest.approx(1e-4, rel=1e-3)
    assert bench.late == pytest.approx(0.305)
    bench.ask("CONF:POW")
    bench.ask("INIT")
    assert float(bench.ask("FETCh?")) == pytest.approx(1e-4, rel=1e-3)
    assert bench.ask("FETC?") == ""
    assert bench.ask("SYST:ERR?").startswith("-230")
    assert float(bench.ask("READ?")) == pytest.approx(1e-4, rel=1e-3)
    assert bench.ask("MEAS:TEMP?") == "2.200000E+01"
    bench.ask("SENS:POW:UNIT DBM")
    assert float(bench.ask("MEAS:SCAL:POW?")) == pytest.approx(-10.0, abs=0.05)


def test_a_wrong_wavelength_gives_a_wrong_power(bench: LineBench) -> None:
    right = float(bench.ask("MEAS:POW?"))
    bench.ask("SENS:CORR:WAV 800")
    assert float(bench.ask("MEAS:POW?")) < 0.8 * right


def test_over_range_and_zero(bench: LineBench) -> None:
    bench.ask("SENS:POW:RANG:UPP 1E-5")
    assert float(bench.ask("MEAS:POW?")) == 9.9e37
    bench.model.inject("light", {"power": 0.0}, bench.now)
    before = float(bench.ask("MEAS:POW?"))
    bench.ask("SENS:CORR:COLL:ZERO:INIT")
    assert bench.ask("SENS:CORR:COLL:ZERO:STAT?") == "1"
    bench.wait(3.1)
    assert bench.ask("SENS:CORR:COLL:ZERO:STAT?") == "0"
    assert float(bench.ask("SENS:CORR:COLL:ZERO:MAGN?")) == pytest.approx(2e-11, rel=0.1)
    assert abs(float(bench.ask("MEAS:POW?"))) < before
    bench.model.inject("sensor", {"present": False}, bench.now)
    assert bench.ask("MEAS:POW?") == ""
    assert bench.ask("SYST:SENS:IDN?").endswith(",0,0,0")
    with pytest.raises(FaultError):
        bench.model.inject("light", {}, bench.now)


@pytest.fixture(params=["tcp", "memory", "visa"])
def meter(request: pytest.FixtureRequest) -> Iterator[ThorlabsPM100Controller]:
    if request.param == "memory":
        with ThorlabsPM100Simulator(VirtualClock()) as simulator:
            yield simulator
        return
    host, port = request.getfixturevalue("server").address
    if request.param == "visa":
        wire = ThorlabsPM100Controller.network.wire
        transport = wire.to_resource(f"visa:TCPIP0::{host}::{port}::SOCKET?library=@py")
        controller = ThorlabsPM100Controller(transport=transport)
    else:
        controller = ThorlabsPM100Controller(host, port)
    with controller:
        yield controller


def test_driver(meter: ThorlabsPM100Controller) -> None:
    assert meter.is_simulator()
    assert meter.get_id().startswith('"S120C"')
    assert meter.get_config() == "POW"
    assert meter.get_value() == pytest.approx(1e-4, rel=0.01)
    assert meter.get_range() == {"range": 5e-4, "auto": True}
    meter.set_range("down")
    assert meter.get_range() == {"range": 5e-5, "auto": False}
    assert math.isnan(meter.get_value())
    meter.set_range("up")
    for _ in range(9):
        meter.set_range("up")
    assert meter.get_range()["range"] == 50e-3
    meter.set_range(None, auto=True)
    assert meter.get_range()["auto"] is True
    meter.set_average(4)
    meter.set_diameter(3.0)
    meter.set_wavelength(633.0)
    assert (meter.get_average(), meter.get_diameter(), meter.get_wavelength()) == (4, 3.0, 633.0)
    meter.set_zero(True)
    assert meter.get_autozero()["set"] is True
    meter.set_zero(False)
    assert meter.get_autozero() == {"set": False, "magnitude": 0.0}
    with pytest.raises(PM100Error, match="out of range"):
        meter.set_wavelength(300.0)
    with pytest.raises(CommandError):
        meter.set_average(0)
    assert meter.get_average() == 4


def test_a_question_that_is_refused_says_so_at_once() -> None:
    clock = VirtualClock()
    with ThorlabsPM100Simulator(clock) as meter:
        meter.model.inject("sensor", {"present": False}, 0.0)
        with pytest.raises(PM100Error, match="this sensor cannot do it"):
            meter.get_value()
        assert clock.monotonic() < 0.1
        assert meter.get_average() == 1


class Stranger(DeviceModel):
    def handle(self, command: bytes, now: float) -> bytes:
        return b"ACME,SCOPE,1,1\n"


def test_something_else_answers() -> None:
    with SimulatorServer(Stranger()) as server:
        thread = threading.Thread(target=server.serve)
        thread.start()
        host, port = server.address
        with pytest.raises(
            PM100Error, match=r"PM100, but 'ACME,SCOPE,1,1' answered.*PM100A Control Server"
        ) as caught:
            ThorlabsPM100Controller(transport=open_resource(f"tcp:{host}:{port}")).connect()
        assert isinstance(caught.value, DeviceConnectionError)
        server.stop()
        thread.join()


def test_housekeeping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "IAS")
    meter = APP.make_dry_controller(VirtualClock(), {})
    row = ThorlabsPM100Protocol(None, meter).get_housekeeping()  # type: ignore[arg-type]
    assert row.pop("GIAS_PM100A_PWR") == pytest.approx(1e-4, rel=0.01)
    assert row == {
        "GIAS_PM100A_WAVELENGTH": 633.0, "GIAS_PM100A_RANGE": 5e-4, "GIAS_PM100A_AUTO": True, "GIAS_PM100A_AVERAGE": 1,
    }  # fmt: skip


def test_a_meter_that_is_off_is_an_error_of_the_meter() -> None:
    with SimulatorServer(Stranger()) as server:
        host, port = server.address
    meter = ThorlabsPM100Controller(transport=open_resource(f"tcp:{host}:{port}"))
    for ask in (meter.connect, meter.get_value):
        with pytest.raises(PM100ConnectionError, match="cannot connect"):
            ask()
    restored = restore_error(describe_error(PM100ConnectionError("off")))
    assert type(restored) is PM100ConnectionError
