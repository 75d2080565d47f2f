"""The Alpha controller byte by byte, as a third-party PMAC client meets it (device reference, sections 1.1 to 1.5)."""

from __future__ import annotations

import math
import re
import struct

import pytest

from egse.hexapod.symetrie.alpha_model import PunaModel
from egse.simulator import FaultError
from egse.simulator.session import Session


class Bench:
    """A client of a model on virtual time."""

    def __init__(self) -> None:
        self.model = PunaModel(1)
        self.now = 500.0
        self.session = Session(self.model)

    def send(self, data: bytes) -> bytes:
        return b"".join(action.data for action in self.session.feed(data, self.now))  # type: ignore[union-attr]

    def line(self, text: str) -> bytes:
        return self.send(struct.pack(">BBHHH", 0x40, 0xBF, 0, 0, len(text)) + text.encode())

    def numbers(self, text: str) -> list[float]:
        reply = self.line(text)
        assert reply.endswith(b"\r\x06"), reply
        return [float(value) for value in reply[:-2].split(b"\r")]

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def home(self) -> None:
        assert self.line("&2 Q20=1 ") == b"\x06"
        self.wait(120)
        assert self.line("&2 Q26") == b"2\r\x06"

    def move(self, *position: float, mode: int = 0) -> int:
        texts = (f"Q{71 + index}={value:.6f}" for index, value in enumerate(position))
        assert self.line(f"&2 Q70={mode} {' '.join(texts)} Q20=11") == b"\x06"
        return int(self.numbers("&2 Q20")[0])


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def homed(bench: Bench) -> Bench:
    bench.home()
    return bench


def test_request_of_the_reference(bench: Bench) -> None:
    assert bench.send(bytes.fromhex("40BF 0000 0000 0007") + b"VERSION") == b"1.947  \r\x06"
    assert bench.line("CID") == b"603382\r\x06"
    assert bench.line("&2 Q20=1 ") == b"\x06"
    assert bench.line("&2 Q26,3,1 Q20") == b"1\r2\r1\r0\r\x06"
    assert bench.line("I6=1 I3=2") == b"\x06"
    assert bench.line("i6 i3 I4711") == b"1\r2\r0\r\x06"
    assert bench.line("") == b"\x06"


@pytest.mark.parametrize(
    ("word", "pattern"),
    [("VER", r"\d\.\d+ *"), ("CPU", "DSP56311"), ("TYPE", "TURBO2, X4"), ("VID", "1"), ("DATE", r"\d\d/\d\d/\d{4}"),
     ("TIME", r"\d\d:\d\d:\d\d"), ("TODAY", "[A-Z]{3}")],
)  # fmt: skip
def test_words(bench: Bench, word: str, pattern: str) -> None:
    assert re.fullmatch(pattern.encode() + rb"\r\x06", bench.line(word.lower()))


def test_an_error_ends_the_line(bench: Bench) -> None:
    assert bench.line("Q100=1 {axis} Q101=1") == b"\x07ERR003\r"
    assert bench.line("Q100 Q101") == b"1\r0\r\x06"
    assert bench.line("&2 Q68={axis} Q69={inc} Q20=41") == bytes.fromhex("07 45 52 52 30 30 33 0D")
    assert bench.line("Q70=abc") == b"\x07ERR003\r"
    assert bench.line("VERSION") == b"1.947  \r\x06"


def test_requests_in_pieces_and_several_at_once(bench: Bench) -> None:
    request = struct.pack(">BBHHH", 0x40, 0xBF, 0, 0, 3) + b"Q36"
    assert b"".join(bench.send(bytes([byte])) for byte in request) == b"34\r\x06"
    assert bench.send(request * 3) == b"34\r\x06" * 3
    assert bench.send(b"\r\n\r\nhello\x01" + request) == b"34\r\x06"  # rubbish before


def test_long_answers_are_cut_and_fetched(bench: Bench) -> None:
    fetch = bytes.fromhex("C0C5 0000 0000 0578")
    first = bench.line("Q100,1000,1")
    rest = bench.send(fetch)
    assert len(first) == 1400
    assert first + rest == b"0\r" * 1000 + b"\x06"
    assert bench.send(fetch) == b"\x06"
    bench.line("Q100,1000,1")
    assert bench.send(bytes.fromhex("40B3 0000 0000 0000")) == b"\x06"  # flush
    assert bench.send(bytes.fromhex("C0C5 0000 0000 0000")) == b"\x06"


def test_output_belongs_to_the_connection(bench: Bench) -> None:
    bench.line("Q100,1000,1")
    other = Session(bench.model)
    (answer,) = other.feed(bytes.fromhex("C0C5 0000 0000 0000"), bench.now)
    assert answer.data == b"\x06"  # type: ignore[union-attr]


def test_power_up_needs_a_homing(bench: Bench) -> None:
    assert bench.numbers("Q36") == [0b100010]  # initialised, brake on
    assert bench.move(0, 0, 1, 0, 0, 0) == -2
    assert int(bench.numbers("Q29")[0]) & 1
    bench.line("&2 Q20=1")
    assert bench.numbers("&2 Q26,2,1 Q20") == [1, 2, 0]
    bench.wait(60)
    assert bench.move(0, 0, 1, 0, 0, 0) == -1
    assert bench.numbers("Q26") == [1]
    bench.wait(61)
    assert bench.numbers("Q26,2,1") == [2, 3]
    assert bench.numbers("Q47,6,1") == [0] * 6
    assert bench.numbers("Q36") == [0b11110]


def test_a_move_in_time(homed: Bench) -> None:
    assert homed.move(0, 0, 10, 0, 0, 0) == 0
    assert not int(homed.numbers("Q36")[0]) & 4
    assert homed.numbers("M5282") == [1]
    assert homed.move(0, 0, 0, 0, 0, 0) == -1
    heights = []
    for _ in range(10):
        homed.wait(0.499)
        heights.append(homed.numbers("Q49")[0])
    assert heights == sorted(heights)
    assert heights[4] == pytest.approx(5.0, abs=0.1)
    assert not int(homed.numbers("Q36")[0]) & 4
    homed.wait(0.02)  # 10 mm at 2 mm/s
    assert int(homed.numbers("Q36")[0]) & 4
    assert homed.numbers("Q53,6,1") == [0, 0, 10, 0, 0, 0]
    assert homed.numbers("M5282") == [0]
    lengths = homed.numbers("Q41,6,1")
    assert max(lengths) - min(lengths) < 1e-6


def test_rotations_take_their_own_time(homed: Bench) -> None:
    assert homed.move(0, 0, 1, 0, 0, 10) == 0
    homed.wait(9.9)
    assert not int(homed.numbers("Q36")[0]) & 4
    homed.wait(0.2)
    assert int(homed.numbers("Q36")[0]) & 4


def test_stop_freezes(homed: Bench) -> None:
    homed.move(0, 0, 10, 0, 0, 0)
    homed.wait(2.5)
    assert homed.line("&2 Q20=2") == b"\x06"
    place = homed.numbers("Q53,6,1")
    assert place[2] == pytest.approx(5, abs=0.2)
    homed.wait(10)
    assert homed.numbers("Q53,6,1") == place
    assert int(homed.numbers("Q36")[0]) & 4


@pytest.mark.parametrize(
    ("position", "bits"),
    [((0, 0, 0, 0, 0, 0), 0), ((31, 0, 0, 0, 0, 0), 1 << 3 | 1 << 5), ((0, 0, -20.5, 0, 0, 0), 1 << 3 | 1 << 5),
     ((0, 0, 0, 11, 0, 0), 0), ((0, 0, 0, 0, 12, 0), 1 << 3 | 1 << 5), ((30, 30, 20, 11, 11, 20), 1 << 6)],
)  # fmt: skip
def test_validation_and_refusal_without_motion(homed: Bench, position: tuple[float, ...], bits: int) -> None:
    texts = " ".join(f"Q{71 + index}={value:.6f}" for index, value in enumerate(position))
    assert homed.line(f"&2 Q70=0 {texts} Q20=10") == b"\x06"
    assert homed.numbers("&2 Q20 Q29") == [0, bits]
    assert homed.move(*position) == (-2 if bits else 0)
    if bits:
        assert homed.numbers("Q29 M5282") == [bits, 0]


def test_specific_positions(homed: Bench) -> None:
    homed.line("&2 Q80=2 Q20=13")
    homed.wait(11)
    assert homed.numbers("Q20 Q47,6,1") == [0, 0, 0, -20, 0, 0, 0]
    homed.line("&2 Q80=1 Q20=13")
    homed.wait(11)
    assert homed.numbers("Q47,6,1") == [0] * 6
    homed.line("&2 Q80=7 Q20=13")
    assert homed.numbers("Q20") == [-1]


def test_speed_is_clipped(homed: Bench) -> None:
    homed.line("&2 Q20=35")
    assert homed.numbers("&2 Q20 Q80,6,1") == [0, 2, 1, 0.01, 0.001, 4, 2]
    homed.line("&2 Q80=9 Q81=0 Q20=25")
    homed.line("&2 Q20=35")
    assert homed.numbers("Q80,2,1") == [4, 0.001]


def test_jog_and_maintenance(homed: Bench) -> None:
    before = homed.numbers("Q41,6,1")
    homed.line("&2 Q68=3 Q69=1.5 Q20=41")
    homed.wait(20)
    change = [b - a for a, b in zip(before, homed.numbers("Q41,6,1"), strict=True)]
    assert change == pytest.approx([0, 0, 1.5, 0, 0, 0], abs=1e-5)
    homed.line("&2 Q80=10 Q20=12")
    homed.wait(20)
    assert homed.numbers("Q41,6,1") == pytest.approx(before, abs=1e-5)
    homed.line("&2 Q68=9 Q69=1 Q20=41")
    assert homed.numbers("Q20") == [-1]


def test_control_loop(homed: Bench) -> None:
    homed.line("&2 Q20=4")
    assert int(homed.numbers("Q36")[0]) >> 3 & 1 == 0
    assert homed.move(0, 0, 1, 0, 0, 0) == -1
    homed.line("&2 Q20=3")
    assert homed.move(0, 0, 1, 0, 0, 0) == 0
    homed.line("&2 Q20=4")
    assert homed.numbers("Q20") == [-1]  # moving


def test_virtual_homing(bench: Bench) -> None:
    bench.line("&2 Q71=1 Q72=2 Q73=3 Q74=0 Q75=0 Q76=0.5 Q20=42")
    assert bench.numbers("Q20 Q26 Q53,6,1") == [0, 2, 1, 2, 3, 0, 0, 0.5]
    assert int(bench.numbers("Q36")[0]) >> 18 & 1
    bench.line("&2 Q20=3")
    assert bench.move(0, 0, 0, 0, 0, 0) == 0


def test_soft_reset_is_deaf_for_half_a_minute(homed: Bench) -> None:
    homed.line("$$$")
    homed.wait(29)
    assert homed.line("VERSION") == b""
    homed.wait(1)
    assert homed.line("VERSION") == b"1.947  \r\x06"
    assert homed.numbers("Q26") == [0]


def test_emergency_stop(homed: Bench) -> None:
    homed.move(0, 0, 10, 0, 0, 0)
    homed.wait(2)
    homed.model.user_signal(homed.now)
    state = int(homed.numbers("Q36")[0])
    assert state & 1
    assert state >> 6 & 1
    assert not state >> 3 & 1
    homed.line("&2 Q20=3")
    assert homed.numbers("Q20") == [-1]
    homed.line("&2 Q20=15")
    assert int(homed.numbers("Q36")[0]) & 1  # it is still pressed
    homed.model.inject("emergency_stop", {"pressed": False}, homed.now)
    homed.line("&2 Q20=15 Q20=3")
    assert homed.numbers("Q36") == [0b11010]  # where it was stopped is no position reached
    assert homed.move(0, 0, 0, 0, 0, 0) == 0


@pytest.mark.parametrize(
    ("fault", "general", "actuator"),
    [("following_error", 8, 8), ("amplifier", 10, 10), ("encoder", 11, 11), ("phasing", 12, 12)],
)
def test_errors_of_an_axis(homed: Bench, fault: str, general: int, actuator: int) -> None:
    homed.model.inject(fault, {"axis": 4}, homed.now)
    assert int(homed.numbers("Q36")[0]) >> general & 1
    states = [int(state) for state in homed.numbers("Q30,6,1")]
    assert [state >> actuator & 1 for state in states] == [0, 0, 0, 1, 0, 0]
    assert homed.numbers("Q38 Q27") == [1, 4]
    homed.line("&2 Q20=15")
    assert homed.numbers("Q38") == [0]


def test_a_homing_that_fails(bench: Bench) -> None:
    bench.model.inject("homing", {}, bench.now)
    bench.line("&2 Q20=1")
    bench.wait(121)
    assert bench.numbers("Q26") == [3]
    assert int(bench.numbers("Q36")[0]) >> 13 & 1
    bench.line("&2 Q20=15")
    bench.home()


def test_a_hot_motor(homed: Bench) -> None:
    homed.model.inject("temperature", {"axis": 1, "celsius": 61}, homed.now)
    assert int(homed.numbers("Q36")[0]) >> 17 & 1
    homed.line("&2 Q20=15")
    assert int(homed.numbers("Q36")[0]) >> 17 & 1
    homed.model.inject("temperature", {"axis": 1, "celsius": 30}, homed.now)
    homed.line("&2 Q20=15")
    assert not int(homed.numbers("Q36")[0]) & 1


def test_faults_with_impossible_arguments(bench: Bench) -> None:
    for fault, arguments in (
        ("encoder", {}), ("encoder", {"axis": 7}), ("encoder", {"axis": True}), ("emergency_stop", {"pressed": 1}),
        ("flood", {}),
    ):  # fmt: skip
        with pytest.raises(FaultError):
            bench.model.inject(fault, arguments, bench.now)


def test_numbers_are_never_written_with_an_exponent(bench: Bench) -> None:
    bench.line("Q100=1e-7 Q101=-0.0 Q102=123456.25 Q103=1e-12")
    assert bench.line("Q100,4,1") == b"0.0000001\r0\r123456.25\r0\r\x06"
    assert not math.isnan(bench.numbers("Q100")[0])
