"""The OGSE model on virtual time: replies to the letter, lamp, interlock, attenuator, meters."""

from __future__ import annotations

import re
import statistics
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egse.ogse import LEVELS, OGSEModel
from egse.ogse.attenuator import POSITIONS, WHEEL_1, WHEEL_2, engineering
from egse.simulator import FaultError, HangUpError


class Bench:
    """A model with a time of its own."""

    def __init__(self, seed: int = 0) -> None:
        self.model = OGSEModel(seed)
        self.now = 50.0

    def ask(self, text: str) -> str:
        self.model.step(self.now)
        reply = self.model.handle(text.encode(), self.now).decode("utf-8")
        assert reply.endswith("\n")
        assert reply.count("\n") == 1
        return reply[:-1]

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.model.step(self.now)

    def light_on(self) -> None:
        assert (self.ask("power on"), self.ask("operate on")) == ("OK", "OK")
        self.wait(5.0)

    def inject(self, fault: str, **arguments: Any) -> None:
        self.model.inject(fault, arguments, self.now)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_47_levels_from_the_wheels() -> None:
    assert len(LEVELS) == len(set(LEVELS)) == 47
    assert list(LEVELS) == sorted(LEVELS)
    assert (LEVELS[0], LEVELS[39], LEVELS[46]) == (0.0, 0.28, 1.0)
    for level, (one, two) in zip(LEVELS, POSITIONS, strict=True):
        assert WHEEL_1[one - 1] * WHEEL_2[two - 1] == pytest.approx(level, abs=1e-12)


@pytest.mark.parametrize(
    ("factor", "text"),
    [(0.0, "0E-9"), (0.28, "280E-3"), (1.0, "1E+0"), (6.75e-6, "6.75E-6"), (8.1e-7, "810E-9")],
)
def test_engineering_notation(factor: float, text: str) -> None:
    assert engineering(factor) == text


def test_replies_at_power_up(bench: Bench) -> None:
    assert bench.model.connect(bench.now) == b"This is PLATO RT-OGSE 2.1.sim\n"
    expected = {
        "version": "PLATO-RT-OGSE (v2.1.sim)",
        "ldls status": "ldls: OK",
        "pm status": "pm1: OK, pm2: OK",
        "att status": "att: OK",
        "get interlock": "interlock: CLOSE",
        "get power": "power: OFF",
        "get lamp": "lamp: OFF",
        "get laser": "laser: OFF",
        "get psu": "psu: OFF",
        "get operate": "operate: OFF",
        "get lamp-fault": "lamp-fault: NO-ERROR",
        "get controller-fault": "controller-fault: NO-ERROR",
        "get flags": "flags: 0x00  0000 0000",
        "level": "att-level:        0E-9  #0",
    }
    assert {text: bench.ask(text) for text in expected} == expected


def test_read_and_status_have_the_documented_number_of_tokens(bench: Bench) -> None:
    number = r"[+-]\d\.\d{6}e[+-]\d\d"
    read = bench.ask("read")
    assert re.fullmatch(rf"pm1: {number} W \+\d\d\.\d ºC, pm2: {number} W \+\d\d\.\d ºC", read)
    assert len(read.split()) == 10
    status = bench.ask("status")
    assert len(status.split()) == 23
    assert status.startswith("power: OFF, lamp: OFF, interlock: OFF, psu: OFF, att: 0E-9 #0, power-ch1: ")
    bench.ask("level #39")
    moving = bench.ask("status")
    assert len(moving.split()) == 24
    assert "att: * 280E-3 #39, " in moving
    bench.inject("pm1", ok=False)
    read = bench.ask("read")
    assert read.startswith("pm1: +nan W +nan ºC, pm2: +")
    assert len(read.split()) == 10


def test_a_move_takes_6_to_9_seconds(bench: Bench) -> None:
    durations = []
    for index in (46, 0, 20, 46, 3):
        assert bench.ask(f"level #{index}") == "OK"
        started = bench.now
        while "*" in bench.ask("level"):
            bench.wait(0.1)
        durations.append(bench.now - started)
    assert all(5.9 <= duration <= 9.1 for duration in durations)
    assert len({round(duration, 1) for duration in durations}) > 1
    bench.ask("level 1 1")
    assert bench.ask("level") == "att-level: *      1E+0  #46"
    bench.wait(9.0)
    assert bench.ask("level") == "att-level:        1E+0  #46"
    bench.ask("level 1")
    assert "*" not in bench.ask("level")  # it is there already


@pytest.mark.parametrize(
    ("command", "index"),
    [("level 0.27", 38), ("level 0.275", 39), ("level 1", 46), ("level 0", 0), ("level 2.8e-1", 39), ("level +.5", 42),
     ("level #7", 7), ("level 3 4", 39), ("LEVEL  #7", 7)],
)  # fmt: skip
def test_ways_to_set_a_level(bench: Bench, command: str, index: int) -> None:
    assert bench.ask(command) == "OK"
    assert bench.model.attenuator.index == index


@pytest.mark.parametrize("argument", ["1.01", "-0.1", "nan", "inf", "bright"])
def test_wrong_factor(bench: Bench, argument: str) -> None:
    assert bench.ask(f"level {argument}") == (
        "ERROR: usage: attenuator level <value>  -- value must be in [0,1]"
    )


@pytest.mark.parametrize("argument", ["#47", "#-1", "#", "#1.5", "#x"])
def test_wrong_index(bench: Bench, argument: str) -> None:
    assert bench.ask(f"level {argument}") == (
        "ERROR: usage: attenuator level #index  -- index goes from 0 to 46"
    )


@pytest.mark.parametrize("argument", ["0 1", "1 9", "1.0 2", "1 x", "1 2 3"])
def test_wrong_wheel_positions(bench: Bench, argument: str) -> None:
    assert bench.ask(f"level {argument}") == (
        "ERROR: usage: attenuator level <wheel_1> <wheel_2>  -- wheel positions must be integer = 1..8"
    )
    assert bench.model.attenuator.index == 0


def test_up_and_down_stay_at_the_ends(bench: Bench) -> None:
    assert bench.ask("level down") == "OK"
    assert bench.model.attenuator.index == 0
    for expected in (*range(1, 47), 46):
        assert bench.ask("level up") == "OK"
        assert bench.model.attenuator.index == expected
    bench.ask("level down")
    assert bench.model.attenuator.index == 45


def test_lamp_ignites_and_goes_out(bench: Bench) -> None:
    assert bench.ask("operate on") == "ERROR: operate refused: power is off"
    assert bench.ask("power on") == "OK"
    assert (bench.ask("get power"), bench.ask("get psu")) == ("power: ON", "psu: ON")
    assert bench.ask("operate on") == "OK"
    assert (bench.ask("get operate"), bench.ask("get lamp")) == ("operate: ON", "lamp: OFF")
    bench.wait(4.9)
    assert bench.ask("get laser") == "laser: OFF"
    bench.wait(0.2)
    assert (bench.ask("get lamp"), bench.ask("get laser")) == ("lamp: ON", "laser: ON")
    assert bench.ask("get flags") == "flags: 0x73  0111 0011"
    assert bench.ask("operate off") == "OK"
    assert (bench.ask("get lamp"), bench.ask("get operate")) == ("lamp: OFF", "operate: OFF")
    bench.light_on()
    bench.ask("power off")
    assert bench.ask("get flags") == "flags: 0x00  0000 0000"


def test_interlock_puts_the_light_out_and_keeps_it_out(bench: Bench) -> None:
    bench.light_on()
    bench.model.user_signal(bench.now)
    assert bench.ask("get interlock") == "interlock: OPEN"
    assert bench.ask("get flags") == "flags: 0xC2  1100 0010"
    assert "lamp: OFF, interlock: ON" in bench.ask("status")
    assert bench.ask("operate on") == "ERROR: operate refused: interlock is open"
    bench.model.user_signal(bench.now)
    bench.wait(10)
    assert (bench.ask("get interlock"), bench.ask("get lamp")) == ("interlock: CLOSE", "lamp: OFF")
    bench.light_on()
    assert bench.ask("get lamp") == "lamp: ON"


def test_interlock_opened_while_the_lamp_ignites(bench: Bench) -> None:
    bench.ask("power on")
    bench.ask("operate on")
    bench.wait(2)
    bench.inject("interlock", open=True)
    bench.wait(10)
    assert bench.ask("get lamp") == "lamp: OFF"


@pytest.mark.parametrize("part", ["lamp", "controller"])
def test_faults_until_reset(bench: Bench, part: str) -> None:
    bench.light_on()
    bench.inject(part)
    assert (bench.ask(f"get {part}-fault"), bench.ask("get lamp")) == (f"{part}-fault: ERROR", "lamp: OFF")
    assert bench.ask("operate on").startswith("ERROR: operate refused")
    assert bench.ask("reset") == "OK"
    assert bench.ask(f"get {part}-fault") == f"{part}-fault: NO-ERROR"
    assert bench.ask("operate on") == "OK"


def test_links(bench: Bench) -> None:
    for name in ("ldls", "att"):
        bench.inject(name, ok=False)
        assert bench.ask(f"{name} status") == f"{name}: ERROR"
    bench.inject("pm1", ok=False)
    assert bench.ask("pm status") == "pm1: ERROR, pm2: OK"
    bench.inject("pm1", ok=True)
    assert bench.ask("pm status") == "pm1: OK, pm2: OK"


@pytest.mark.parametrize(
    ("fault", "arguments"),
    [("fire", {}), ("interlock", {}), ("interlock", {"open": 1}), ("lamp", {"ok": True}), ("pm1", {})],
)
def test_wrong_faults_are_refused(bench: Bench, fault: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(FaultError):
        bench.inject(fault, **arguments)


def powers(bench: Bench, count: int = 50) -> tuple[list[float], list[float]]:
    first, second = [], []
    for _ in range(count):
        words = bench.ask("read").split()
        first.append(float(words[1]))
        second.append(float(words[6]))
    return first, second


def test_meters_follow_light_and_level(bench: Bench) -> None:
    dark_1, dark_2 = powers(bench)
    assert min(dark_1) < 0 < max(dark_1)
    assert max(abs(power) for power in dark_1) < 1e-9
    assert statistics.mean(dark_2) == pytest.approx(2.07e-7, rel=0.02)
    bench.light_on()
    assert max(powers(bench)[1]) < 3e-7  # the wheels are opaque
    for factor in (1.0, 0.28, 0.00225):
        bench.ask(f"level {factor}")
        bench.wait(10)
        assert bench.model.flux(bench.now) == pytest.approx(factor, rel=0.01)
        for values in powers(bench):
            assert statistics.mean(values) == pytest.approx(2.5e-3 * factor, rel=0.05)


@pytest.mark.parametrize("word", ["quit", "exit"])
def test_quit_and_exit_hang_up(bench: Bench, word: str) -> None:
    with pytest.raises(HangUpError) as caught:
        bench.model.handle(word.encode(), bench.now)
    assert caught.value.reply == b""


@given(st.binary(min_size=1, max_size=40).map(lambda data: data.replace(b"\n", b"").replace(b"\r", b"")))
def test_every_command_has_exactly_one_reply_line(data: bytes) -> None:
    if data.split() and data.lower().split() not in ([b"quit"], [b"exit"]):
        reply = OGSEModel().handle(data.strip(), 0.0)
        assert reply.count(b"\n") == 1


def test_same_seed_same_noise() -> None:
    assert Bench(3).ask("read") == Bench(3).ask("read") != Bench(4).ask("read")
