"""Keithley DAQ6510: the dialogue of the device reference to the letter, driver, scans, acquisition."""

from __future__ import annotations

import math
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from egse.clock import VirtualClock
from egse.command import CommandError
from egse.device import DeviceTimeoutError
from egse.simulator import FaultError, SimulatorServer
from egse.site.layout import SiteLayout
from egse.tempcontrol.keithley import (
    DAQ6510,
    DAQ6510Controller,
    DAQ6510Error,
    DAQ6510Model,
    DAQ6510Simulator,
    count_number_of_channels,
    create_channel_list,
    get_channel_names,
)
from egse.tempcontrol.keithley.daq6510_cs import APP
from egse.tempcontrol.keithley.das import DAQ6510_SCAN, FacilityScan
from egse.tempcontrol.keithley.protocol import DAQ6510Protocol

from ..conftest import LineBench

SPEED = 20.0
TWO = "(@101:102)"
FOUR_WIRE = {"TEMPERATURE": [("TRANSDUCER", "FRTD"), ("RTD:FOUR", "PT100")]}
SCAN = """\
TRACE:MAKE "test1", 1000
SENSE:FUNCTION "TEMPERATURE", (@101:102)
SENSE:TEMPERATURE:TRANSDUCER FRTD, (@101:102)
SENSE:TEMPERATURE:RTD:FOUR PT100, (@101:102)
ROUTE:SCAN:BUFFER "test1"
ROUTE:SCAN:CREATE (@101:102)
ROUTE:CHANNEL:OPEN (@101:102)
ROUTE:CHANNEL:STATE? (@101:102)
ROUTE:SCAN:START:STIMULUS NONE
ROUTE:SCAN:COUNT:SCAN 1
ROUTE:SCAN:INTERVAL 1
INITIATE:IMMEDIATE
*WAI
TRAC:ACTUAL? "defbuffer1"
TRACE:DATA? 1, 1, "test1", CHANNEL, TSTAMP, READING, UNIT
TRACE:DATA? 2, 2, "test1", CHANNEL, TSTAMP, READING, UNIT
"""


@pytest.fixture
def bench() -> LineBench:
    return LineBench(DAQ6510Model())


@pytest.fixture
def server(over_tcp: Callable[..., SimulatorServer]) -> SimulatorServer:
    return over_tcp(DAQ6510Model(), speed=SPEED)


def test_the_dialogue_of_a_scan_line_by_line(bench: LineBench) -> None:
    replies = {line: bench.ask(line) for line in SCAN.splitlines()}
    assert replies.pop("ROUTE:CHANNEL:STATE? (@101:102)") == "0,0"
    assert replies.pop('TRAC:ACTUAL? "defbuffer1"') == "0"
    first, second = (replies.pop(line) for line in SCAN.splitlines()[-2:])
    channel, stamp, value, unit = first.split(",")
    assert (channel, stamp, unit) == ("101", "01/01/2024 00:00:00.050000000", "Celsius")
    assert float(value) == pytest.approx(20.1, abs=0.1)
    assert second.startswith("102,01/01/2024 00:00:00.100000000,2.0")
    assert bench.late == pytest.approx(0.1)  # held back until the scan has ended
    assert set(replies.values()) == {""}
    assert bench.ask("SYST:ERR?") == '0,"No error;0;0 0"'


def test_the_dialogue_of_a_scan_in_one_packet_and_byte_by_byte(server: SimulatorServer) -> None:
    for whole in (True, False):
        with socket.create_connection(server.address, timeout=5) as client, client.makefile("rb") as lines:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            client.sendall(b'TRAC:DEL "test1"\r\n')
            data = SCAN.replace("\n", "\r\n").encode()
            for piece in [data] if whole else [data[i : i + 1] for i in range(len(data))]:
                client.sendall(piece)
            replies = [next(lines).decode().strip() for _ in range(4)]
        assert replies[:2] == ["0,0", "0"]
        assert [reply.split(",")[0] for reply in replies[2:]] == ["101", "102"]


@pytest.mark.parametrize("line", ["*idn?", "*IDN?", "*Idn?"])
def test_identification(bench: LineBench, line: str) -> None:
    assert bench.ask(line).startswith("KEITHLEY INSTRUMENTS,MODEL DAQ6510,")


def test_keywords_in_short_and_long_form_and_nothing_between(bench: LineBench) -> None:
    for line in (
        "SENS:FUNC 'TEMP', (@101)",
        ':sense:function:on "temperature" , (@101)',
        "FUNC 'TEMP',(@101)",
    ):
        assert bench.ask(line) == ""
        assert bench.ask("SENS:FUNC? (@101)") == '"TEMP"'
    assert bench.ask("SENS:FUNC?") == '"VOLT:DC"'
    assert bench.ask("SENSO:FUNC?") == ""
    assert bench.ask("SYST:ERR?").startswith('-113,"Undefined header;1;2024/01/01 00:00:')
    assert bench.ask(":SENS:VOLT:RANG:AUTO 0;:SENS:VOLT:RANG 1") == ""
    assert bench.ask("SENS:VOLT:RANG?;RANG:AUTO?;:*OPC?;*LANG?") == "1.000000E+00;0;SCPI"
    assert bench.ask("SYST:ERR?").startswith("-113")  # `:*OPC?` is none
    assert bench.ask("SENS:VOLT:DC:NPLC 0.5;NPLC?;NPLC? MAX") == "5.000000E-01;1.500000E+01"


def test_errors_are_silent_and_the_next_command_works(bench: LineBench) -> None:
    for line, code in {
        'TRAC:ACT? "nobody"': 1115,
        'TRAC:MAKE "defbuffer1", 100': 1115,
        'TRAC:MAKE "small", 5': -222,
        'TRAC:MAKE "1st", 50': -104,
        'TRAC:DATA? 1, 1, "defbuffer1"': -222,
        "ROUT:CLOS (@150)": -222,
        "ROUT:CLOS 101": -222,
        "SENS:TEMP:TRAN WOOD, (@101)": -104,
        "SYST:TIME 2024, 13, 1, 0, 0, 0": -222,
        "TRAC:DATA?": -109,
    }.items():
        assert bench.ask(line) == "", line
        assert bench.ask("SYST:ERR?").startswith(f"{code},"), line
    assert bench.ask("*OPC?") == "1"


def test_clock(bench: LineBench) -> None:
    bench.ask("SYST:TIME 2024, 2, 1, 12, 10, 0")
    assert bench.ask("SYST:TIME? 1") == "Thu Feb  1 12:10:00 2024"
    bench.wait(65)
    assert bench.ask("SYSTEM:TIME? 1") == "Thu Feb  1 12:11:05 2024"


def test_a_scan_goes_on_in_the_background(bench: LineBench) -> None:
    for line in ("ROUT:SCAN:CRE (@101:103,201)", "ROUT:SCAN:COUN:SCAN 3", "ROUT:SCAN:INT 10", "INIT"):
        bench.ask(line)
    assert bench.ask("TRIG:STAT?") == "RUNNING;RUNNING;0"
    assert bench.ask("INIT:IMM") == ""
    assert bench.ask("SYST:ERR?").startswith("-221")
    bench.wait(0.11)
    assert bench.ask("TRAC:ACT?") == "2"
    bench.wait(10.0)
    assert bench.ask("TRAC:ACT?") == "6"
    assert bench.ask("*OPC?") == "1"
    assert bench.late == pytest.approx(20.2 - 10.11)
    bench.wait(11)
    assert bench.ask("TRAC:ACT?") == "12"
    assert bench.ask('TRAC:DATA? 4, 5, "defbuffer1", CHAN, REL') == "201,0.150000,101,10.000000"
    bench.ask("INIT")
    bench.ask("ABOR")
    assert bench.ask("TRIG:STAT?").startswith("IDLE")


def test_full_buffers_keep_the_newest(bench: LineBench) -> None:
    for line in (
        'TRAC:MAKE "ten", 10',
        'ROUT:SCAN:BUFF "ten"',
        "ROUT:SCAN:CRE (@101:104)",
        "ROUT:SCAN:COUN:SCAN 5",
    ):
        bench.ask(line)
    bench.ask("INIT")
    bench.ask("*WAI")
    assert bench.ask('TRAC:ACT? "ten";POIN? "ten"') == "10;10"
    assert bench.ask('TRAC:DATA? 10,10,"ten",CHAN') == "104"
    both = bench.ask('TRAC:DATA? 1,1,"ten",READ,READING').split(",")
    assert both[0] == both[1]


def test_a_broken_sensor_overflows(bench: LineBench) -> None:
    bench.model.inject("sensor_open", {"channel": 101}, bench.now)
    bench.model.inject("temperature", {"channel": 102, "temperature": -50}, bench.now)
    for line in ("FUNC 'TEMP',(@101:103,111)", "ROUT:SCAN:CRE (@101:103,111)", "INIT", "*WAI"):
        bench.ask(line)
    one, two, three, four = map(float, bench.ask('TRAC:DATA? 1,4,"defbuffer1"').split(","))
    assert one == four == 9.9e37
    assert two == pytest.approx(-50, abs=0.1)
    assert three == pytest.approx(20.3, abs=0.1)
    for arguments in ({"channel": 99}, {}, {"channel": "x"}):
        with pytest.raises(FaultError):
            bench.model.inject("sensor_open", arguments, bench.now)


@pytest.fixture(params=["tcp", "memory"])
def daq(request: pytest.FixtureRequest) -> Iterator[DAQ6510Controller]:
    if request.param == "memory":
        with DAQ6510Simulator(VirtualClock()) as simulator:
            yield simulator
    else:
        with DAQ6510Controller(*request.getfixturevalue("server").address) as controller:
            yield controller


def test_driver(daq: DAQ6510Controller) -> None:
    assert daq.is_simulator()
    assert "DAQ6510" in daq.get_idn()
    daq.set_time(2024, 2, 1, 12, 10, 0)
    assert daq.get_time().startswith("Thu Feb  1 12:10:0")
    daq.create_buffer("test1", 1000)
    with pytest.raises(DAQ6510Error, match=r"already.*1115"):
        daq.create_buffer("test1", 1000)
    daq.configure_sensors(TWO, sense=FOUR_WIRE)
    assert daq.setup_measurements(buffer_name="test1", channel_list=TWO) == [0, 0]
    rows = daq.perform_measurement(buffer_name="test1", channel_list=TWO, count=2, interval=1)
    assert [row[0] for row in rows] == ["101", "102", "101", "102"]
    assert [row[3] for row in rows] == ["Celsius"] * 4
    assert rows[0][1].startswith("02/01/2024 12:10:")
    assert rows[0][2] == pytest.approx(20.1, abs=0.1)
    assert daq.get_buffer_count("test1") == 4
    assert daq.get_buffer_capacity("test1") == 1000
    assert daq.read_buffer(1, 2, "test1", ["CHANNEL", "UNIT"]) == ["101", "Celsius", "102", "Celsius"]
    daq.clear_buffer("test1")
    assert daq.get_buffer_count("test1") == 0
    daq.setup_measurements(channel_list=TWO)
    daq.delete_buffer("test1")
    assert daq.send_command("*LANG?", True) == "SCPI"
    assert daq.send_command("NONSENSE", False) is None
    assert daq.get_error().startswith("-113")
    daq.reset()
    assert set(daq.get_last_readings()) == {"101", "102"}


def test_driver_says_what_is_wrong(daq: DAQ6510Controller) -> None:
    with pytest.raises(DAQ6510Error, match="out of range"):
        daq.setup_measurements(channel_list="(@150)")
    with pytest.raises(DAQ6510Error, match="wrong kind"):
        daq.configure_sensors(TWO, sense={"WEATHER": []})
    with pytest.raises(CommandError):
        daq.create_buffer("x\n*RST", 100)
    with pytest.raises(CommandError, match="pairs of name and value"):
        daq.configure_sensors(TWO, sense={"TEMPERATURE": ["TRANSDUCER"]})
    with pytest.raises(CommandError):
        daq.create_buffer("x", 5)
    daq.setup_measurements(channel_list="(@101)")
    with pytest.raises(DAQ6510Error, match="has 1 readings after a scan of 2"):
        daq.perform_measurement(channel_list=TWO)


def test_a_question_that_is_refused_says_so_and_does_not_spoil_the_next_setting(
    server: SimulatorServer,
) -> None:
    with DAQ6510Controller(transport=DAQ6510(*server.address, timeout=0.8)) as daq:
        for question in (daq.get_buffer_count, daq.get_buffer_capacity):
            with pytest.raises(DAQ6510Error, match="1115"):
                question("nobody")
        with pytest.raises(DAQ6510Error, match="a reading that is not there"):
            daq.read_buffer(1, 5)
        with pytest.raises(DeviceTimeoutError):
            daq.send_command("NONSENSE?", True)
        daq.clear_buffer()


def test_channel_lists() -> None:
    assert get_channel_names("(@101:103, 201)") == ["101", "102", "103", "201"]
    assert count_number_of_channels("(@119:202)") == 4
    assert create_channel_list(101, (103, 105)) == "(@101,103:105)"
    for wrong in ("101", "(@)", "(@1)", "(@101:)", "(@121)", "(@102:101)"):
        with pytest.raises(ValueError):
            get_channel_names(wrong)


class Rows(list[dict[str, Any]]):
    def save(self, row: dict[str, Any], /) -> None:
        self.append(row)


def test_acquisition_stores_scans_and_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SITE_ID", "CSL1")
    clock, shared, rows = VirtualClock(), {}, Rows()  # type: ignore[var-annotated]
    daq = APP.make_dry_controller(clock, shared)
    row = DAQ6510Protocol(None, daq).get_housekeeping()  # type: ignore[arg-type]
    assert len(row) == 7
    assert all(math.isnan(value) for value in row.values())
    source = FacilityScan(daq)
    daq.transport.faults.arm("drop", {"count": 1})
    shared["daq6510"].inject("sensor_open", {"channel": 107}, 0.0)
    stored, missed = DAQ6510_SCAN.acquire(
        source, rows, threading.Event(), interval=10.0, clock=clock, count=4
    )
    assert (stored, missed) == (3, 1)
    assert clock.monotonic() == pytest.approx(30.0, abs=2.0)
    assert [set(one) for one in rows] == [set(row)] * 3
    assert rows[-1]["GCSL1_DAQ6510_TRP1"] == pytest.approx(20.1, abs=0.1)
    assert math.isnan(rows[-1]["GCSL1_DAQ6510_TEB_FEE"])
    assert (
        DAQ6510Protocol(None, daq).get_housekeeping()["GCSL1_DAQ6510_TRP1"] == rows[-1]["GCSL1_DAQ6510_TRP1"]
    )  # type: ignore[arg-type]


def test_the_process_goes_on_without_a_server_and_ends_on_a_signal(site: SiteLayout) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "egse.das", "daq6510", "--interval", "0.5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "READY das daq6510\n"
        process.terminate()
        assert process.wait(30) == 0
