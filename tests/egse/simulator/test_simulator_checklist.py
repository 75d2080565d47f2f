"""The closing checklist of the protocol reference (section 14), for every simulator, as real processes."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

Start = Callable[..., Any]


@dataclass(frozen=True)
class Dialogue:
    """How to talk to one simulator in the checklist."""

    name: str
    banner: str
    query: str
    reply: str
    unknown: str
    unknown_reply: str | None  # None: silence
    change: str
    change_reply: str | None
    changed_query: str
    changed_reply: str


LSCI336 = Dialogue(
    "lsci336_sim", "", "*IDN?", r"LSCI,MODEL336,\w+/\w+,2\.9", "NONSENSE? 1", None,
    "SETP 1,25.5", None, "SETP? 1", r"\+25\.500",
)  # fmt: skip
OGSE = Dialogue(
    "ogse_sim", "This is PLATO RT-OGSE 2.1.sim", "version", r"PLATO-RT-OGSE \(v2\.1\.sim\)",
    "make coffee", "ERROR: unknown command string: make coffee",
    "power on", "OK", "get power", "power: ON",
)  # fmt: skip
BOTH = pytest.mark.parametrize("dialogue", [LSCI336, OGSE], ids=lambda d: d.name)


def connect(simulator: Any, dialogue: Dialogue) -> Any:
    client = simulator.client()
    if dialogue.banner:
        assert client.line() == dialogue.banner
    return client


@BOTH
def test_ready_line_and_ten_quick_reconnects(start_simulator: Start, dialogue: Dialogue) -> None:
    simulator = start_simulator(dialogue.name)
    for _ in range(10):
        with connect(simulator, dialogue):
            pass
    for _ in range(10):
        with connect(simulator, dialogue) as client:
            assert re.fullmatch(dialogue.reply, client.ask(dialogue.query))


@BOTH
def test_splits_joins_and_line_ends(start_simulator: Start, dialogue: Dialogue) -> None:
    with connect(start_simulator(dialogue.name), dialogue) as client:
        for byte in f"{dialogue.query}\n".encode():
            client.send(bytes([byte]))
        assert re.fullmatch(dialogue.reply, client.line())
        client.send(f"{dialogue.query}\n".encode() * 10)
        assert all(re.fullmatch(dialogue.reply, client.line()) for _ in range(10))
        client.send(b"\n")  # a lone LF, as one maker's client opens the dialogue
        for end in ("\r", "\n", "\r\n", "\r\n\r\n", "  \n"):
            client.send(f"  {dialogue.query}{end}".encode())
            assert re.fullmatch(dialogue.reply, client.line())
        assert client.silent()


@BOTH
def test_each_reply_is_one_write_with_the_documented_end(start_simulator: Start, dialogue: Dialogue) -> None:
    with connect(start_simulator(dialogue.name), dialogue) as client:
        end = b"\r\n" if dialogue.name == "lsci336_sim" else b"\n"
        for _ in range(50):
            client.send(f"{dialogue.query}\n".encode())
            reply = client.socket.recv(4096)  # as drivers do that take a single recv for the answer
            assert re.fullmatch(dialogue.reply.encode() + end, reply)


@BOTH
def test_wrong_command_and_the_next_one(start_simulator: Start, dialogue: Dialogue) -> None:
    with connect(start_simulator(dialogue.name), dialogue) as client:
        client.send(f"{dialogue.unknown}\n".encode())
        if dialogue.unknown_reply is not None:
            assert client.line() == dialogue.unknown_reply
        client.send(b"\x00\xff\xfe%s\n" % (b"z" * 10_000))  # far too long: dropped
        assert re.fullmatch(dialogue.reply, client.ask(dialogue.query))


@BOTH
def test_state_survives_a_reconnect(start_simulator: Start, dialogue: Dialogue) -> None:
    simulator = start_simulator(dialogue.name)
    with connect(simulator, dialogue) as client:
        client.send(f"{dialogue.change}\n".encode())
        if dialogue.change_reply is not None:
            assert client.line() == dialogue.change_reply
        assert re.fullmatch(dialogue.changed_reply, client.ask(dialogue.changed_query))
    with connect(simulator, dialogue) as client:
        assert re.fullmatch(dialogue.changed_reply, client.ask(dialogue.changed_query))


@BOTH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_end_it_cleanly_at_once(start_simulator: Start, dialogue: Dialogue, number: int) -> None:
    simulator = start_simulator(dialogue.name)
    client = connect(simulator, dialogue)
    started = time.monotonic()
    assert simulator.end(number) == 0
    assert time.monotonic() - started < 5.0
    assert client.at_end()
    client.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(simulator.address, timeout=1.0)


@BOTH
def test_port_in_use_is_said_plainly(start_simulator: Start, dialogue: Dialogue) -> None:
    simulator = start_simulator(dialogue.name)
    module = {"lsci336_sim": "egse.tempcontrol.lsci336.lsci336_sim", "ogse_sim": "egse.ogse.ogse_sim"}
    port = str(simulator.address[1])
    second = subprocess.run(
        [sys.executable, "-m", module[dialogue.name], "start", "--port", port],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert second.returncode == 1
    assert f"{dialogue.name} cannot listen on 127.0.0.1:{port}" in second.stderr
    assert "Traceback" not in second.stderr


def test_usr1_toggles_the_interlock(start_simulator: Start) -> None:
    simulator = start_simulator("ogse_sim")
    with connect(simulator, OGSE) as client:
        for expected in ("OPEN", "CLOSE", "OPEN"):
            simulator.process.send_signal(signal.SIGUSR1)
            deadline = time.monotonic() + 5
            while client.ask("get interlock") != f"interlock: {expected}":
                assert time.monotonic() < deadline


def test_the_ogse_takes_one_client_at_a_time(start_simulator: Start) -> None:
    simulator = start_simulator("ogse_sim")
    with connect(simulator, OGSE) as first, simulator.client() as second:
        assert second.silent()
        assert first.ask("version") == "PLATO-RT-OGSE (v2.1.sim)"
        first.send(b"quit\n")
        assert first.at_end()
        assert second.line() == OGSE.banner
        second.send(b"get power\nexit\nget lamp\n")
        assert second.line() == "power: OFF"
        assert second.at_end()


def test_the_lakeshore_takes_two_clients(start_simulator: Start) -> None:
    simulator = start_simulator("lsci336_sim")
    with simulator.client() as first, simulator.client() as second:
        assert first.ask("SETP 2,12;SETP? 2") == second.ask("SETP? 2") == "+12.000"
        with simulator.client() as third:
            assert third.at_end()


def test_visa_like_client(start_simulator: Start) -> None:
    """The client appends CR LF and lets every message end with a query of the event register."""
    with start_simulator("lsci336_sim").client() as client:

        def message(text: str) -> str:
            client.send(text.encode() + b";*ESR?\r\n")
            return str(client.line())

        client.send(b"\n")
        assert message("SETP 1,25.5") == "000"
        assert message("SETP? 1") == "+25.500;000"
        assert message("NONSENSE") == "032"
        assert message("SETP 7,1") == "016"
        assert message("*IDN?") == "LSCI,MODEL336,LSASIM1/LSOSIM1,2.9;000"
        client.send(b"RANGE 1,2;*OPC?\r\n")
        assert client.line() == "1"
        client.send(b"PID 1 40 20 0;:PID? 1\n")
        assert client.line() == "+0040.0,+0020.0,+000"


def test_faults_show_up_in_the_status_words(start_simulator: Start) -> None:
    lakeshore = start_simulator("lsci336_sim")
    with lakeshore.client() as client:
        lakeshore.admin("inject", fault="sensor_open", input="B")
        assert client.ask("RDGST? B;RDGST? A") == "128;000"
        lakeshore.admin("inject", fault="sensor_ok", input="B")
        assert client.ask("RDGST? B") == "000"
    ogse = start_simulator("ogse_sim", "--speed", "50")
    with connect(ogse, OGSE) as client:
        assert [client.ask(text) for text in ("power on", "operate on")] == ["OK", "OK"]
        deadline = time.monotonic() + 5
        while client.ask("get lamp") != "lamp: ON":
            assert time.monotonic() < deadline
        ogse.admin("inject", fault="lamp")
        assert client.ask("get lamp-fault") == "lamp-fault: ERROR"
        assert client.ask("get flags") == "flags: 0x4A  0100 1010"
        ogse.admin("inject", fault="pm2", ok=False)
        assert client.ask("pm status") == "pm1: OK, pm2: ERROR"
        assert "pm2: +nan W +nan ºC" in client.ask("read")


def test_speed_and_seed(start_simulator: Start) -> None:
    fast = start_simulator("lsci336_sim", "--speed", "200", "--seed", "7")
    with fast.client() as client:
        client.send(b"SETP 1,300;RANGE 1,3\n")
        deadline = time.monotonic() + 10
        while abs(float(client.ask("KRDG? A")) - 300.0) > 0.05:
            assert time.monotonic() < deadline


@pytest.mark.skipif(shutil.which("nc") is None, reason="nc is not installed")
@BOTH
def test_plain_nc(start_simulator: Start, dialogue: Dialogue) -> None:
    host, port = start_simulator(dialogue.name).address
    talk = subprocess.run(
        ["nc", "-q", "1", host, str(port)],
        input=f"{dialogue.query}\n",
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    *banner, reply = talk.stdout.splitlines()
    assert banner == ([dialogue.banner] if dialogue.banner else [])
    assert re.fullmatch(dialogue.reply, reply)
