"""The LakeShore 336 model on virtual time: command set, formats, events, loops, ramps, alarms."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egse.simulator import FaultError
from egse.tempcontrol.lsci336 import LakeShore336Model

Ask = Callable[[str], str]


class Bench:
    """A model with a time of its own."""

    def __init__(self, **options: Any) -> None:
        self.model = LakeShore336Model(**options)
        self.now = 1000.0
        self.model.step(self.now)

    def ask(self, text: str) -> str:
        self.model.step(self.now)
        return self.model.handle(text.encode(), self.now).decode("ascii").removesuffix("\r\n")

    def number(self, text: str) -> float:
        return float(self.ask(text))

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.model.step(self.now)

    def inject(self, fault: str, **arguments: Any) -> None:
        self.model.inject(fault, arguments, self.now)


@pytest.fixture
def bench() -> Bench:
    return Bench()


ROUND_TRIPS = [
    ("SETP 1,25.5", "SETP? 1", "+25.500"),
    ("SETP 2,-4E1", "SETP? 2", "-40.000"),
    ("RANGE 1,3", "RANGE? 1", "3"),
    ("RANGE 4,1", "RANGE? 4", "1"),
    ("PID 1,50,20,0", "PID? 1", "+0050.0,+0020.0,+000"),
    ("PID 1 60 30 10", "PID? 1", "+0060.0,+0030.0,+010"),
    ("PID 1, 70, 40, 20", "PID? 1", "+0070.0,+0040.0,+020"),
    ("OUTMODE 2,1,3,1", "OUTMODE? 2", "1,3,1"),
    ("OUTMODE 3,5,1,0", "OUTMODE? 3", "5,1,0"),
    ("HTRSET 1,2,0,1.5,2", "HTRSET? 1", "2,0,+1.500,2"),
    ("MOUT 1,22.5", "MOUT? 1", "+22.50"),
    ("RAMP 1,1,0.5", "RAMP? 1", "1,+000.5"),
    ("ZONE 1,4,300,50,20,0,5,2,1,10", "ZONE? 1,4", "+0300.0,+0050.0,+0020.0,+000,+05.00,2,1,+010.0"),
    ("WARMUP 3,1,40", "WARMUP? 3", "1,+040.0"),
    ("ANALOG 4,1,1,400,100,0", "ANALOG? 4", "1,1,+400.000,+100.000,0"),
    ("RELAY 1,1,,", "RELAY? 1", "1,A,0"),
    ("RELAY 2,2,B,1", "RELAY? 2", "2,B,1"),
    ("INTYPE A,3,1,8,1,1", "INTYPE? A", "3,1,8,1,1"),
    ("intype 2,1,0,1,0,2", "intype? b", "1,0,1,0,2"),
    ('INNAME A,"cold; plate"', "INNAME? A", "cold; plate    "),
    ("INNAME B,TRP 1", "INNAME? B", "TRP 1          "),
    ("INCRV A,21", "INCRV? A", "21"),
    ("FILTER A,1,10,2", "FILTER? A", "1,10,02"),
    ("TLIMIT A,350", "TLIMIT? A", "+0350.0"),
    ("DIOCUR A,1", "DIOCUR? A", "1"),
    ("ALARM A,1,320,280,2,1,0,1", "ALARM? A", "1,+320.000,+280.000,+2.000,1,0,1"),
    ("CRVHDR 21,mine,SN42,2,350,1", "CRVHDR? 21", "mine           ,SN42      ,2,+350.000,1"),
    ("CRVPT 21,3,0.5,250", "CRVPT? 21,3", "+0.50000,+250.000"),
    ("MODE 2", "MODE?", "2"),
    ("LOCK 1,007", "LOCK?", "1,007"),
    ("DISPLAY 1", "DISPLAY?", "1,1,1"),
    ("DISPFLD 2,3,1", "DISPFLD? 2", "3,1"),
    ("BRIGT 3", "BRIGT?", "3"),
    ("LEDS 0", "LEDS?", "0"),
    ("INTSEL 0", "INTSEL?", "0"),
    ("IEEE 7", "IEEE?", "7"),
    ('WEBLOG "joe","secret"', "WEBLOG?", "joe            ,secret         "),
    ("NET 0,0,10.0.0.5", "NET?", "0,0,10.0.0.5,255.0.0.0,0.0.0.0,0.0.0.0,0.0.0.0,LSCI-336,,simulator"),
    ("*ESE 48", "*ESE?", "048"),
    ("*SRE 1.0", "*SRE?", "001"),
    ("OPSTE 3", "OPSTE?", "003"),
]


@pytest.mark.parametrize(("command", "query", "reply"), ROUND_TRIPS, ids=[c for c, _, _ in ROUND_TRIPS])
def test_set_commands_are_silent_and_read_back(bench: Bench, command: str, query: str, reply: str) -> None:
    assert bench.ask(command) == ""
    assert bench.ask(query) == reply
    assert bench.ask("*ESR?") == "000"


QUERIES = {
    "*IDN?": r"LSCI,MODEL336,LSASIM1/LSOSIM1,2\.9",
    "*TST?": "0", "TST?": "0", "*OPC?": "1", "*STB?": "000", "*ESR?": "000",
    "KRDG? A": r"\+293\.\d{3}", "KRDG? 0": r"(\+293\.\d{3},){3}\+293\.\d{3}", "CRDG? 1": r"\+(19|20)\.\d{3}",
    "SRDG? D": r"\+0\.57\d{3}", "RDGST? C": "000", "TEMP?": r"\+295\.000", "MDAT? A": r"\+293\.150,\+293\.150",
    "ALARMST? A": "0,0", "HTR? 2": r"\+000\.0", "AOUT? 3": r"\+000\.0", "HTRST? 1": "0", "RAMPST? 4": "0",
    "TUNEST?": "0,0,0,0", "RELAYST? 2": "0", "OPST?": "000", "OPSTR?": r"\d{3}",
    "NETID?": "1,127.0.0.1(,[^,]*){7}", "CRVHDR? 2": r"DT-670         ,STANDARD  ,2,\+500\.000,1",
    "CRVPT? 6,200": r"\+0\.00000,\+0\.000",
}  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_queries_answer_in_the_documented_form(bench: Bench, query: str) -> None:
    assert re.fullmatch(QUERIES[query], bench.ask(query))


@pytest.mark.parametrize(
    "command", ["NONSENSE", "NONSENSE? 1", "KRDG A", "*FOO?", "123", "?", "*IDN", "TUNEST 1", "CRVDEL? 21"]
)
def test_unknown_command_is_a_command_error(bench: Bench, command: str) -> None:
    assert bench.ask(command) == ""
    assert bench.ask("*ESR?") == "032"
    assert bench.ask("*ESR?") == "000"


@pytest.mark.parametrize(
    "command",
    ["SETP 5,1", "SETP 1", "SETP 1,x", "SETP 1,nan", "SETP 1,2,3", "SETP?", "KRDG? E", "KRDG? D2", "KRDG?",
     "RANGE 1,4", "RANGE 3,2", "RANGE 1,1.5", "PID 1,0,20,0", "PID 1,50,20,201", "PID? 9", "OUTMODE 1,4,1,0", "HTR? 3",
     "AOUT? 1", "RAMP 1,1,200", "INTYPE A,1,0,2,0,1", "INTYPE A,9,0,0,0,1", "FILTER A,1,1,1", "CRVHDR 5,x,x,2,300,1",
     "CRVPT 1,1,1,1", "CRVPT 21,201,1,1", "CRVDEL 20", "RELAY 3,1,,", "RELAY 1,3,,", "RELAYST? 3", "*ESE 256",
     "ATUNE 1,3", "INCRV A,60", "ZONE? 1,11", "WARMUP 1,1,10", "MODE 3", "DFLT 1"],
)  # fmt: skip
def test_impossible_argument_is_an_execution_error_and_changes_nothing(bench: Bench, command: str) -> None:
    before = bench.ask("SETP? 1;RANGE? 1;PID? 1;OUTMODE? 1;RAMP? 1;INTYPE? A;RELAY? 1;MODE?")
    assert bench.ask(f"{command};*ESR?") == "016"
    assert bench.ask("SETP? 1;RANGE? 1;PID? 1;OUTMODE? 1;RAMP? 1;INTYPE? A;RELAY? 1;MODE?") == before


def test_joined_messages(bench: Bench) -> None:
    assert bench.ask("SETP 1,25.5;*ESR?") == "000"
    assert bench.ask("SETP? 1;*ESR?") == "+25.500;000"
    assert bench.ask("SETP? 1;:SETP? 2; ;RANGE? 1") == "+25.500;+0.000;0"
    assert bench.ask("NONSENSE;SETP? 1;SETP? 9;*ESR?") == "+25.500;048"
    assert bench.ask("*OPC;*ESR?") == "001"
    assert bench.ask("NONSENSE;*CLS;*ESR?") == "000"


def test_status_byte_sums_up(bench: Bench) -> None:
    bench.ask("*ESE 32;*SRE 32;NONSENSE")
    assert bench.ask("*STB?;*ESR?;*STB?") == "096;032;000"


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_nothing_that_is_sent_breaks_it(data: bytes) -> None:
    bench = Bench()
    bench.model.handle(data.replace(b"\n", b" ").strip() or b"x", bench.now)
    assert bench.ask("*CLS;*IDN?").startswith("LSCI")


def test_scanner_option_adds_inputs() -> None:
    bench = Bench(scanner=True)
    assert re.fullmatch(r"\+293\.\d{3};\+293\.\d{3}", bench.ask("KRDG? D2;KRDG? 8"))
    assert bench.ask("OUTMODE 1,1,8,0;OUTMODE? 1") == "1,8,0"


# -- behaviour


def test_temperature_drifts_to_its_setpoint_and_stays(bench: Bench) -> None:
    bench.ask("SETP 1,303.15;RANGE 1,3")
    first = bench.number("KRDG? A")
    bench.wait(1)
    assert bench.ask("HTR? 1") == "+100.0"
    assert first + 1 < bench.number("KRDG? A") < 303.15
    bench.wait(600)
    for _ in range(20):
        bench.wait(10)
        assert bench.number("KRDG? A") == pytest.approx(303.15, abs=0.05)
    # In equilibrium (percent/100)^2 * 25 W balances 0.1 W/K * 10 K.
    assert bench.number("HTR? 1") == pytest.approx(20.0, abs=1.0)
    assert bench.number("KRDG? B") == pytest.approx(293.15, abs=0.05)
    bench.ask("RANGE 1,0")
    bench.wait(60)
    assert bench.ask("HTR? 1") == "+000.0"
    assert bench.number("KRDG? A") == pytest.approx(293.15 + 10 * 0.3679, abs=0.2)


def test_history_does_not_depend_on_how_time_is_cut(bench: Bench) -> None:
    other = Bench()
    for one in (bench, other):
        one.ask("SETP 1,320;RANGE 1,2;ALARM B,1,400,0,0,0,0,0")
    bench.wait(100)
    for _ in range(400):
        other.wait(0.25)
    assert bench.ask("KRDG? 0;HTR? 1") == other.ask("KRDG? 0;HTR? 1")


def test_hours_pass_in_seconds(bench: Bench) -> None:
    bench.inject("bath", temperature=77.0)
    started = time.monotonic()
    bench.wait(24 * 3600.0)
    assert time.monotonic() - started < 10.0
    assert bench.number("KRDG? C") == pytest.approx(77.0, abs=0.05)
    bench.ask("SETP 1,80;RANGE 1,3")
    bench.wait(600.0)
    assert time.monotonic() - started < 20.0
    assert bench.number("KRDG? A") == pytest.approx(80.0, abs=0.05)


def test_readings_are_of_ten_updates_a_second_and_reproducible(bench: Bench) -> None:
    assert bench.ask("KRDG? A") == bench.ask("KRDG? A") == Bench().ask("KRDG? A")
    seen = set()
    for _ in range(100):
        bench.wait(0.01)
        seen.add(bench.ask("KRDG? A"))
    assert 2 <= len(seen) <= 11
    assert Bench(seed=1).ask("KRDG? 0") != Bench(seed=2).ask("KRDG? 0")


def test_ramp_moves_the_effective_setpoint(bench: Bench) -> None:
    bench.ask("SETP 1,300")
    bench.wait(1)
    bench.ask("RAMP 1,1,6;RANGE 1,3;SETP 1,303")
    bench.wait(10)
    assert bench.ask("RAMPST? 1;SETP? 1") == "1;+303.000"
    assert bench.model.describe()["outputs"]["1"]["setpoint"] == pytest.approx(301.0, abs=0.02)
    bench.wait(25)
    assert bench.ask("RAMPST? 1") == "0"
    assert int(bench.ask("OPSTR?")) & 8
    bench.wait(200)
    assert bench.number("KRDG? A") == pytest.approx(303.0, abs=0.2)


def test_open_loop_ranges_and_power(bench: Bench) -> None:
    bench.ask("OUTMODE 2,3,2,0;MOUT 2,50")
    for heater_range, watts in ((1, 0.0625), (2, 0.625), (3, 6.25)):
        bench.ask(f"RANGE 2,{heater_range}")
        bench.wait(0.1)
        assert bench.ask("HTR? 2") == "+050.0"
        assert bench.model.describe()["outputs"]["2"]["power"] == pytest.approx(watts)
    bench.ask("HTRSET 2,2,4,0,1")
    assert bench.model.describe()["outputs"]["2"]["power"] == pytest.approx(50.0)


def test_zone_mode_takes_its_parameters_from_the_zone(bench: Bench) -> None:
    bench.ask(
        "ZONE 1,1,295,50,20,0,0,1,0,10;ZONE 1,2,400,50,20,0,0,3,0,10;OUTMODE 1,2,1,0;RANGE 1,1;SETP 1,310"
    )
    bench.wait(600)
    assert bench.number("KRDG? A") == pytest.approx(310.0, abs=0.2)  # the low range would not do


def test_warm_up_output_switches_itself_off(bench: Bench) -> None:
    bench.ask("OUTMODE 3,5,3,0;WARMUP 3,0,80;SETP 3,310;RANGE 3,1")
    bench.wait(10)
    assert bench.number("AOUT? 3") == 80.0
    bench.wait(600)
    assert bench.ask("AOUT? 3;RANGE? 3") == "+000.0;0"


def test_monitor_output_follows_a_reading(bench: Bench) -> None:
    bench.ask("OUTMODE 4,4,0,0;ANALOG 4,1,1,343.15,243.15,0")
    bench.wait(0.2)
    assert bench.number("AOUT? 4") == pytest.approx(50.0, abs=0.2)


def test_celsius_and_sensor_units_for_the_setpoint(bench: Bench) -> None:
    bench.ask("INTYPE A,1,0,0,0,2;SETP 1,30;RANGE 1,3")
    bench.ask("INTYPE B,1,0,0,0,3;SETP 2,0.5596;RANGE 2,3")  # 300 K on the diode's curve
    bench.wait(600)
    assert bench.number("CRDG? A") == pytest.approx(30.0, abs=0.05)
    assert bench.number("KRDG? B") == pytest.approx(300.0, abs=0.1)
    assert bench.number("SRDG? B") == pytest.approx(0.5596, abs=0.001)


def test_autotune(bench: Bench) -> None:
    bench.ask("ATUNE 1,1")
    assert bench.ask("TUNEST?") == "0,1,1,0"  # the output is off
    bench.ask("RANGE 1,2;SETP 1,300;ATUNE 1,1")
    bench.wait(1)
    assert bench.ask("TUNEST?") == "1,1,0,1"
    bench.wait(25)
    assert bench.ask("TUNEST?") == "1,1,0,5"
    bench.wait(10)
    assert bench.ask("TUNEST?;PID? 1") == "0,1,0,0;+0040.0,+0016.7,+000"
    assert int(bench.ask("OPSTR?")) & 32


def test_alarms_latch_and_drive_relays(bench: Bench) -> None:
    bench.ask("ALARM A,1,300,200,1,1,0,1;ALARM B,1,300,200,1,0,0,1;RELAY 1,2,A,1;RELAY 2,2,B,2")
    for channel in "AB":
        bench.inject("bath", input=channel, temperature=310.0)
    bench.wait(600)
    assert bench.ask("ALARMST? A;ALARMST? B;RELAYST? 1;RELAYST? 2;OPST?") == "1,0;1,0;1;1;001"
    bench.inject("bath", temperature=290.0)
    bench.wait(600)
    assert bench.ask("ALARMST? A;ALARMST? B;RELAYST? 1;RELAYST? 2") == "1,0;0,0;1;0"
    bench.ask("ALMRST")
    bench.wait(1)
    assert bench.ask("ALARMST? A;RELAYST? 1") == "0,0;0"


def test_temperature_limit_switches_all_outputs_off(bench: Bench) -> None:
    bench.ask("TLIMIT A,296;SETP 1,310;RANGE 1,3;RANGE 2,1")
    bench.wait(120)
    assert bench.ask("RANGE? 1;RANGE? 2") == "0;0"
    assert bench.number("KRDG? A") < 296.5


def test_sensor_faults(bench: Bench) -> None:
    bench.ask("SETP 1,310;RANGE 1,3")
    bench.wait(2)
    bench.inject("sensor_open", input="A")
    bench.wait(1)
    assert bench.ask("RDGST? A;KRDG? A;HTR? 1") == "128;+0.000;+000.0"
    bench.inject("sensor_short", input=1)
    assert bench.ask("RDGST? A") == "064"
    bench.inject("sensor_ok", input="A")
    bench.wait(1)
    assert bench.ask("RDGST? A") == "000"
    assert bench.number("HTR? 1") > 0
    bench.ask("INTYPE A,0,0,0,0,1")
    assert bench.ask("RDGST? A") == "001"
    bench.inject("temperature", input="B", temperature=900.0)
    assert bench.ask("RDGST? B") == "032"


def test_heater_fault_is_found_when_it_is_used_and_reading_clears_it(bench: Bench) -> None:
    bench.inject("heater_open", output=1)
    bench.wait(1)
    assert bench.ask("HTRST? 1") == "0"
    bench.ask("SETP 1,310;RANGE 1,3")
    bench.wait(1)
    assert bench.ask("RANGE? 1;HTRST? 1;HTRST? 1") == "0;1;0"


@pytest.mark.parametrize(
    ("fault", "arguments"),
    [("flood", {}), ("sensor_open", {}), ("sensor_open", {"input": "X"}), ("heater_open", {"output": 4}),
     ("bath", {"temperature": "warm"}), ("temperature", {"temperature": 5})],
)  # fmt: skip
def test_wrong_faults_are_refused(bench: Bench, fault: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(FaultError):
        bench.inject(fault, **arguments)


def test_filter_smooths_and_extremes_are_kept(bench: Bench) -> None:
    bench.ask("FILTER A,1,64,10;FILTER B,0,64,10;MNMXRST")
    bench.wait(1)
    for channel in "AB":
        bench.inject("temperature", input=channel, temperature=295.0)
    bench.wait(0.5)
    assert bench.number("KRDG? A") < bench.number("KRDG? B") - 1.0
    low, high = (float(field) for field in bench.ask("MDAT? B").split(","))
    assert low == pytest.approx(293.15, abs=0.01)
    assert high == pytest.approx(295.0, abs=0.05)


def test_user_curve(bench: Bench) -> None:
    bench.ask("CRVHDR 25,own,1,2,400,1;CRVPT 25,1,1.0,200;CRVPT 25,2,0.5,300;INCRV A,25")
    assert bench.number("SRDG? A") == pytest.approx(0.534, abs=0.001)
    assert bench.ask("CRVDEL 25;CRVPT? 25,1;RDGST? A") == "+0.00000,+0.000;001"


def test_reset_switches_heaters_off_and_keeps_settings(bench: Bench) -> None:
    bench.ask("SETP 1,310;RANGE 1,3;OUTMODE 2,1,2,1;RANGE 2,2;*RST")
    assert bench.ask("RANGE? 1;RANGE? 2;SETP? 1") == "0;2;+310.000"
    bench.ask("DFLT 99")
    assert bench.ask("RANGE? 2;SETP? 1") == "0;+0.000"
