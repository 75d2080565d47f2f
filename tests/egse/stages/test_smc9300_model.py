"""The SMC9300 model on virtual time: the dialogues of the device reference, motions, limits, errors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egse.simulator import FaultError, LineFramer
from egse.stages.huber.smc9300 import SMC9300Model
from egse.stages.huber.smc9300.motion import Ramp


class Bench:
    """A model with a time of its own, behind the framing of a connection."""

    def __init__(self) -> None:
        self.model = SMC9300Model(seed=1)
        self.framer = LineFramer()
        self.now = 100.0

    def send(self, data: bytes) -> str:
        self.model.step(self.now)
        return b"".join(self.model.handle(line, self.now) for line in self.framer.feed(data)).decode()

    def ask(self, text: str) -> str:
        return self.send(f"{text}\r\n".encode())

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.model.step(self.now)

    def inject(self, fault: str, **arguments: Any) -> None:
        self.model.inject(fault, arguments, self.now)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_dialogues_at_power_up(bench: Bench) -> None:
    assert bench.model.connect(0.0) == b"smc 1.2.1093\r\n"
    expected = {
        "?v": "smc 1.2.1093\r\n",
        "?s": "1:179;2:179;3:179;\r\n",
        "?s1": "1:179;\r\n",
        "?p": "1:0.0000;2:0.0000;3:0.0000;\r\n",
        "?p2": "2:0.0000;\r\n",
        "?err1": "1:0\r\n",
        "?err": "1:0\r\n2:0\r\n3:0\r\n",
        "?ffast1": "ffast1:20000\r\n",
        "?ffast": "ffast1:20000;ffast2:20000;ffast3:20000\r\n",
        "?gnum2": "gnum2:10000\r\n",
        "?alias3": "alias3:translation stage\r\n",
        "txdel3": "",
    }
    assert {command: bench.ask(command) for command in expected} == expected
    assert "simulator" in bench.ask("?")
    assert bench.ask("?").count("\r\n") > 3


def test_configuration_and_status(bench: Bench) -> None:
    lines = bench.ask("?conf1").split("\r\n")
    assert lines[0].startswith("#")
    assert [line.partition(":")[0] for line in lines[1:8]] == [
        "alias1", "type1", "unit1", "ffast1", "frun1", "gnum1", "gden1",
    ]  # fmt: skip
    assert lines[-1] == ""
    assert bench.ask("?conf").count("\r\n\r\n#") == 2, "axes separated by an empty line"
    fields = bench.ask("?status2").removesuffix("\r\n").split(":")
    assert len(fields) >= 11
    assert fields[:4] == ["2", "0", "", "0.0000"]
    everything = bench.ask("?status")
    assert everything.count("\r\n") == 4
    assert everything.endswith("\r\n\r\n")


@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_ends_of_commands_halves_and_empty_lines(bench: Bench, end: bytes) -> None:
    assert bench.send(end + b"?s" + end + b"?p1" + end) == "1:179;2:179;3:179;\r\n1:0.0000;\r\n"
    assert "".join(bench.send(bytes([byte])) for byte in b"?err2" + end) == "2:0\r\n"


def test_motion_in_time(bench: Bench) -> None:
    assert bench.ask("goto1:5.0") == ""
    assert bench.ask("?s") == "1:114;2:51;3:51;\r\n", "busy at once; the controller is not ready"
    seen = [0.0]
    while bench.ask("?s1") != "1:179;\r\n":
        bench.wait(0.25)
        seen.append(float(bench.ask("?p1")[2:-3]))
        assert len(seen) < 50
    assert seen == sorted(seen), "it moves monotonically"
    assert bench.ask("?p1") == "1:5.0000;\r\n"
    assert len(seen) * 0.25 == pytest.approx(5.0 / 2.0 + 1.0, abs=0.5)
    bench.ask("move1:-2.5")
    bench.wait(10.0)
    assert bench.ask("?p1") == "1:2.5000;\r\n"
    assert float(bench.ask("?e1")[2:-3]) == pytest.approx(2.5, abs=0.001)
    assert int(bench.ask("?ec1")[2:-3]) == pytest.approx(25000, abs=10)


def test_speed_is_in_ten_thousandths(bench: Bench) -> None:
    bench.ask("ffast2:100000")
    bench.ask("acc2:1000000")
    bench.ask("goto2:50")
    bench.wait(5.2)
    assert bench.ask("?s2") == "2:179;\r\n"


def test_stop_in_motion(bench: Bench) -> None:
    for stop in ("q1", "quit", "q"):
        bench.ask("goto1:100")
        bench.wait(5.0)
        bench.ask(stop)
        where = bench.ask("?p1")
        assert where != "1:100.0000;\r\n"
        bench.wait(5.0)
        assert (bench.ask("?p1"), bench.ask("?s1")) == (where, "1:179;\r\n")


@pytest.mark.parametrize(("target", "bit", "error"), [(180, 8192, 11), (-180, 4096, 10)])
def test_software_limits_refuse_without_motion(bench: Bench, target: int, bit: int, error: int) -> None:
    bench.ask(f"goto1:{target}")
    state = int(bench.ask("?s1")[2:-3])
    assert state == 179 + bit + 32768
    assert bench.ask("?err1").startswith(f"1:{error} ")
    assert bench.ask("?p1") == "1:0.0000;\r\n"
    bench.ask("cerr1")
    assert (bench.ask("?err1"), bench.ask("?s1")) == ("1:0\r\n", "1:179;\r\n")
    bench.ask("goto1:1")
    bench.wait(5.0)
    assert bench.ask("?p1") == "1:1.0000;\r\n"


def test_run_to_the_limit_switch(bench: Bench) -> None:
    bench.ask("fast2+")
    bench.wait(10.0)
    assert bench.ask("?s2") == "2:114;\r\n"
    bench.wait(60.0)
    assert int(bench.ask("?s2")[2:-3]) == 179 + 8 + 32768
    assert bench.ask("?p2") == "2:90.0000;\r\n"


def test_homing_and_positions_of_ones_own(bench: Bench) -> None:
    bench.ask("goto3:100")
    bench.wait(120.0)
    bench.ask("zero3")
    assert bench.ask("?p3") == "3:0.0000;\r\n"
    bench.ask("pos3:12.5")
    assert bench.ask("?p3") == "3:12.5000;\r\n"
    bench.ask("home3:he;hm5")
    assert int(bench.ask("?s3")[2:-3]) & 16 == 0, "not homed while it searches"
    bench.wait(120.0)
    assert (bench.ask("?p3"), bench.ask("?s3")) == ("3:5.0000;\r\n", "3:179;\r\n")
    bench.ask("goto3:5")
    assert bench.ask("?s3") == "3:179;\r\n"


@pytest.mark.parametrize(
    "wrong", ["nonsense", "goto1:abc", "goto4:1", "goto1:nan", "ffast1:-5", "fast1", "?wrong1", "home1:x"]
)
def test_mistakes_are_silent_errors(bench: Bench, wrong: str) -> None:
    assert bench.ask(wrong) == ""
    assert bench.ask("?err1") != "1:0\r\n"
    assert bench.ask("?p1") == "1:0.0000;\r\n", "and the next question is answered"
    bench.ask("cerr")
    assert bench.ask("?err1") == "1:0\r\n"


def test_parameters_are_saved_and_come_back(bench: Bench) -> None:
    bench.ask("ffast1:15000")
    bench.ask("update")
    bench.ask("ffast1:100")
    bench.ask("reset")
    assert bench.ask("?ffast1") == "ffast1:15000\r\n"


def test_faults(bench: Bench) -> None:
    bench.ask("goto1:50")
    bench.wait(2.0)
    bench.inject("stall", axis=1)
    state = int(bench.ask("?s1")[2:-3])
    assert state & 16384
    assert not state & 64
    bench.ask("cerr1")
    bench.inject("external_stop", pressed=True)
    assert int(bench.ask("?s2")[2:-3]) & 65536
    bench.ask("goto2:1")
    assert not int(bench.ask("?s2")[2:-3]) & 64, "it stays where it is"
    bench.inject("external_stop", pressed=False)
    bench.ask("cerr")
    assert bench.ask("?s") == "1:179;2:179;3:179;\r\n"
    bench.inject("disable", axis=3, enabled=False)
    bench.ask("goto3:1")
    assert bench.ask("?err3").startswith("3:3 ")
    before = bench.ask("?p2")
    bench.inject("slip", axis=2, distance=0.5)
    assert bench.ask("?p2") == before
    assert bench.model.describe()["axes"]["2"]["place"] == 0.5
    for fault, arguments in (("stall", {"axis": 7}), ("slip", {"axis": 1}), ("fire", {})):
        with pytest.raises(FaultError):
            bench.inject(fault, **arguments)


@given(st.floats(-200, 200), st.floats(-200, 200), st.floats(0.01, 20), st.floats(0.1, 20), st.floats(0, 1))
def test_a_ramp_goes_from_rest_to_rest(
    start: float, target: float, speed: float, acceleration: float, part: float
) -> None:
    ramp = Ramp(start, target, speed, acceleration, 10.0)
    assert ramp.position(10.0) == pytest.approx(start)
    assert ramp.position(ramp.end) == target
    now = 10.0 + part * (ramp.end - 10.0)
    low, high = sorted((start, target))
    assert low - 1e-6 <= ramp.position(now) <= high + 1e-6
    step = 1e-5 * (ramp.end - 10.0)
    assert abs(ramp.position(now + step) - ramp.position(now)) <= speed * step * 1.001 + 1e-9
