"""The Alpha+ controller byte by byte, as a third-party client meets it (device reference, sections 2 and 3)."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable

import pytest

from egse.hexapod.symetrie.alphaplus_model import STATUS, PunaPlusModel, ZondaModel
from egse.simulator import SimulatorServer
from egse.simulator.session import Session

LOGIN = b"root\r\ndeltatau\r\n"


class Bench:
    """A client of a model on virtual time, logged in."""

    def __init__(self) -> None:
        self.model = PunaPlusModel(1)
        self.now = 500.0
        self.session = Session(self.model)
        self.session.open(self.now)
        self.send(LOGIN + b"gpascii -2\r\necho7\r\n")

    def send(self, data: bytes) -> bytes:
        return b"".join(getattr(action, "data", b"") for action in self.session.feed(data, self.now))

    def ask(self, line: str) -> list[str]:
        reply = self.send(line.encode() + b"\r\n").decode()
        assert reply.startswith(line + "\r\n")
        assert reply.endswith("\r\n\x06\r\n")
        return reply.split("\r\n")[1:-2]

    def numbers(self, line: str) -> list[float]:
        return [float(text) for text in self.ask(line)]

    def command(self, line: str) -> int:
        assert self.ask(line) == []
        (code,) = self.ask("c_cmd")
        return int(code)

    def wait(self, seconds: float) -> None:
        self.now += seconds

    def move(self, *position: float, mode: int = 0) -> int:
        texts = " ".join(f"c_par({index})={value}" for index, value in enumerate(position, start=1))
        return self.command(f"c_par(0)={mode} {texts} c_cmd=C_MOVE_PTP")

    def state(self) -> set[int]:
        (number,) = self.numbers("s_hexa")
        return {bit for bit in range(15) if int(number) >> bit & 1}


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def homed(bench: Bench) -> Bench:
    assert bench.command("c_cmd=C_HOME") == 0
    assert 5 in bench.state()
    bench.wait(121)
    return bench


def test_login_dialogue() -> None:
    model = PunaPlusModel()
    session = Session(model)
    (banner,) = session.open(0.0)
    assert banner.data.endswith(b"login: ")  # type: ignore[union-attr]
    replies = [b"".join(a.data for a in session.feed(line + b"\r\n", 0.0)) for line in (  # type: ignore[union-attr]
        b"\xff\xfd\x03\xff\xfa\x18\x00x\xff\xf0root", b"wrong", b"root", b"deltatau", b"ls", b"gpascii -2", b"echo7",
    )]  # fmt: skip
    assert replies == [
        b"root\r\nPassword: ",
        b"\r\nLogin incorrect\r\nppmac login: ",
        b"root\r\nPassword: ",
        b"\r\nroot@ppmac# ",
        b"ls\r\n-sh: ls: not found\r\nroot@ppmac# ",
        b"STDIN Open for ASCII Input\r\n\x06\r\n",
        b"echo7\r\n\x06\r\n",
    ]


def test_a_client_that_sends_two_lines_at_once_gets_one_write(
    serve: Callable[..., SimulatorServer],
) -> None:
    """Drivers of the ZONDA take everything up to the first ACK, and what has come by then, as the whole greeting."""
    with socket.create_connection(serve(ZondaModel(), speed=2.0).address, timeout=5) as client:

        def until(end: bytes) -> bytes:
            data = b""
            while not data.endswith(end):
                data += client.recv(4096)
            return data

        until(b"login: ")
        client.sendall(b"root\r\n")
        until(b"Password: ")
        client.sendall(b"deltatau\r\n")
        until(b"ppmac# ")
        client.sendall(b"gpascii -2\r\n")
        client.sendall(b"echo7\r\n")
        assert client.recv(4096) == b"STDIN Open for ASCII Input\r\n\x06\r\necho7\r\n\x06\r\n"
        client.sendall(b"c_cmd\r\n")
        assert until(b"\x06\r\n") == b"c_cmd\r\n0\r\n\x06\r\n"


@pytest.mark.parametrize(
    "line",
    ["xyz", "c_ax={} c_par(0)={} c_cmd=C_JOG", "c_par(0),1,1", "c_cmd=C_DANCE", "c_par(20)", "s_hexa=1"],
)
def test_errors_are_lines_in_place_of_values(bench: Bench, line: str) -> None:
    (text,) = bench.ask(line)
    assert re.match(r"stdin:1:1: error #20: ILLEGAL CMD: \S+", text)
    assert bench.ask("c_cmd") == ["0"]


def test_values_one_a_line(bench: Bench) -> None:
    assert bench.ask("c_par(3)=1.5 c_par(4)=-2") == []
    assert bench.ask("c_par(3)") == ["1.5"]
    assert bench.ask("c_par(3),2,1") == ["1.5", "-2"]
    assert bench.ask("c_par(0),3,3") == ["0", "1.5", "0"]
    assert len(bench.ask("s_hexa,50,1")) == len(STATUS) == 50
    assert len(bench.ask("s_uto_tx,6,1")) == 6
    assert len(bench.ask("VERS")) == 1
    assert bench.send(b"s_hexa\rc_cmd\n\r\nc_ax\r\n").count(b"\x06\r\n") == 3


def test_power_up_and_homing(bench: Bench) -> None:
    assert bench.state() == {1, 8, 9, 11, 12, 13}
    assert bench.move(0, 0, 1, 0, 0, 0) == -45
    assert bench.command("c_cmd=C_HOME") == 0
    assert bench.move(0, 0, 1, 0, 0, 0) == -39
    bench.wait(121)
    assert bench.state() == {1, 2, 3, 6, 8, 11, 12, 13}
    assert bench.command("c_cmd=C_CONTROLOFF") == 0
    assert bench.move(0, 0, 1, 0, 0, 0) == -35


def test_a_move_in_time(homed: Bench) -> None:
    assert homed.move(0, 0, 10, 0, 0, 0) == 0
    assert {3, 4} & homed.state() == {4}
    assert homed.move(0, 0, 0, 0, 0, 0) == -38
    homed.wait(2.5)
    assert homed.command("c_cmd=C_STOP") == 0
    assert {3, 4} & homed.state() == {3}
    place = homed.numbers("s_mtp_tx,6,1")
    assert place[2] == pytest.approx(5.0, abs=0.2)
    homed.wait(9)
    assert homed.numbers("s_mtp_tx,6,1") == place
    states = homed.numbers("s_ax_1,6,1")
    assert states == [0b1100110] * 6


@pytest.mark.parametrize(
    ("position", "bits"),
    [((0, 0, 0, 0, 0, 0), 0), ((31, 0, 0, 0, 0, 0), 1), ((30, 30, 20, 11, 11, 20), 8)],
)
def test_validation(homed: Bench, position: tuple[float, ...], bits: int) -> None:
    texts = " ".join(f"c_par({index})={value}" for index, value in enumerate(position, start=2))
    assert homed.command(f"c_par(0)=1 c_par(1)=0 {texts} c_cmd=C_VALID_PTP") == 0
    assert homed.ask("c_par(0)") == [str(bits)]
    assert homed.move(*position) == (-40 if bits else 0)


def test_workspaces(homed: Bench) -> None:
    assert homed.command("c_cfg=0 c_par(0)=0 c_cmd=C_CFG_LIMIT") == 0
    assert homed.numbers("c_par(0),13,1") == [0, -30, -30, -20, -11, -11, -20, 30, 30, 20, 11, 11, 20]
    assert homed.command("c_cfg=1 c_par(0)=0 c_cmd=C_CFG_LIMIT") == -31
    low = " ".join(f"c_par({index})=-5" for index in range(1, 7))
    high = " ".join(f"c_par({index})=5" for index in range(7, 13))
    assert homed.command(f"c_cfg=1 c_par(0)=2 {low} {high} c_cmd=C_CFG_LIMIT") == 0
    assert homed.move(6, 0, 0, 0, 0, 0) == 0
    homed.command("c_cmd=C_STOP")
    assert homed.command("c_cfg=1 c_par(0)=2 c_par(1)=1 c_cmd=C_CFG_LIMITENABLE") == 0
    assert homed.move(6, 0, 0, 0, 0, 0) == -40
    assert homed.command("c_cfg=0 c_cmd=C_CFG_LIMITENABLE") == 0
    assert homed.numbers("c_par(0),3,1") == [1, 0, 1]
    assert homed.command("c_cfg=1 c_par(0)=1 c_par(1)=9 c_par(7)=8 c_cmd=C_CFG_LIMIT") == -11
    assert homed.command("c_cfg=0 c_cmd=C_CFG_DEFAULT") == -32
    assert homed.command("c_cfg=1 c_cmd=C_CFG_DEFAULT") == 0
    assert homed.move(6, 0, 0, 0, 0, 0) == 0


def test_jog_maintenance_and_specific_positions(homed: Bench) -> None:
    before = homed.numbers("s_pos_ax_1,6,1")
    assert homed.command("c_ax=2 c_par(0)=1.0 c_cmd=C_JOG") == 0
    homed.wait(10)
    change = [b - a for a, b in zip(before, homed.numbers("s_pos_ax_1,6,1"), strict=True)]
    assert change == pytest.approx([0, 1, 0, 0, 0, 0], abs=1e-5)
    assert homed.command("c_ax=7 c_par(0)=1.0 c_cmd=C_JOG") == -33
    assert homed.command("c_par(0)=3 c_cmd=C_MAINTENANCE") == 0
    homed.wait(10)
    assert homed.numbers("s_pos_ax_1,6,1") == pytest.approx(before, abs=1e-5)
    assert homed.command("c_par(0)=2 c_cmd=C_MOVE_SPECIFICPOS") == 0
    homed.wait(15)
    assert homed.numbers("s_mtp_tx,6,1")[2] == -20
    assert homed.command("c_par(0)=3 c_cmd=C_MOVE_SPECIFICPOS") == 0
    homed.wait(15)
    assert homed.numbers("s_mtp_tx,6,1") == [0] * 6
    assert homed.command("c_par(0)=9 c_cmd=C_MOVE_SPECIFICPOS") == -10
    assert homed.command("c_cmd=4711") == -30


def test_emergency_stop_and_errors(homed: Bench) -> None:
    homed.model.user_signal(homed.now)
    assert {0, 14} <= homed.state()
    assert homed.command("c_cmd=C_CONTROLON") == -37
    homed.model.user_signal(homed.now)
    assert homed.command("c_cmd=C_CONTROLON") == -44
    assert homed.ask("s_err_nr") == ["1"]
    assert homed.command("c_cmd=C_CLEARERROR") == 0
    assert homed.ask("s_err_nr") == ["0"]
    homed.model.inject("encoder", {"axis": 5}, homed.now)
    assert [int(state) >> 14 & 1 for state in homed.numbers("s_ax_1,6,1")] == [0, 0, 0, 0, 1, 0]
    homed.model.inject("temperature", {"axis": 2, "celsius": 70}, homed.now)
    assert homed.numbers("s_ai_1,6,1")[1] == pytest.approx(70, abs=0.5)
    assert homed.command("c_cmd=C_CLEARERROR") == 0
    assert homed.ask("s_err_nr") == ["1"]


def test_reboot(homed: Bench) -> None:
    homed.send(b"system reboot\r\n")
    again = Session(homed.model)
    assert again.open(homed.now) == []
    assert homed.model.platform.homing == 0
    homed.wait(120)
    (banner,) = Session(homed.model).open(homed.now)
    assert banner.data.endswith(b"login: ")  # type: ignore[union-attr]
