"""The simulator as a process, with a real link, killed and restarted ends, signals, and the side channel."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from egse.fee import FrameLayout, decode_hk, locate_pixel, n_fee_mode
from egse.fee.faults import FAULTS
from egse.fee.follow import temperature_to_raw
from egse.reg import RegisterMap
from egse.rmap import HK_AREA_ADDRESS, HK_AREA_SIZE
from egse.spw import CCDSide, SpaceWireLinkError, SpaceWireOverZeroMQ, decode_headers, decode_pixels


class Simulator:
    """`n_fee_sim start` in a process of its own."""

    def __init__(self, *options: str) -> None:
        command = [sys.executable, "-m", "egse.fee.n_fee_sim", "start", "--admin-port", "0", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        ready, name, self.endpoint = self.process.stdout.readline().split()
        assert (ready, name) == ("READY", "n_fee_sim")
        word, host, port = self.process.stdout.readline().split()
        assert word == "ADMIN"
        self.admin = (host, int(port))

    def request(self, **request: Any) -> Any:
        with socket.create_connection(self.admin, timeout=5) as sock, sock.makefile("rwb") as stream:
            stream.write(json.dumps(request).encode() + b"\n")
            stream.flush()
            answer = json.loads(stream.readline())
        if not answer["ok"]:
            raise ValueError(answer["error"])
        return answer["result"]

    def end(self, signum: int = signal.SIGTERM) -> tuple[int, float]:
        """Sends a signal; returns exit code and the time it took [s]."""
        began = time.monotonic()
        self.process.send_signal(signum)
        code = self.process.wait(30)
        took = time.monotonic() - began
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code, took


@pytest.fixture
def start() -> Iterator[Callable[..., Simulator]]:
    running: list[Simulator] = []

    def start_one(*options: str) -> Simulator:
        options = options if "--endpoint" in options else ("--port", "0", *options)
        running.append(Simulator(*options))
        return running[-1]

    yield start_one
    for simulator in running:
        if simulator.process.poll() is None:
            simulator.end(signal.SIGKILL)


def connected(link: SpaceWireOverZeroMQ, registers: RegisterMap) -> None:
    """Reads the registers, as soon as the simulator is at the other end."""
    deadline = time.monotonic() + 30
    while True:
        try:
            registers.read(link)
            return
        except SpaceWireLinkError:
            assert time.monotonic() < deadline
            link.poll(0.02)


def wait_for_mode(link: SpaceWireOverZeroMQ, mode: n_fee_mode) -> None:
    """Reads up to the housekeeping packet of a long pulse in this mode."""
    while True:
        _, data = link.read_packet(5000)
        assert data, "no packets"
        if len(data) == 154 and (data[5] >> 2) & 3 == 0 and data[4] == mode:
            return


def frames(link: SpaceWireOverZeroMQ, count: int) -> list[list[bytes]]:
    """Returns the image packets of the next `count` complete readouts, from a timecode to the next."""
    found: list[list[bytes]] = []
    current: list[bytes] | None = None
    while len(found) < count:
        packets = link.read_packets(500, 5000)
        assert packets, "no packets"
        for _, data in packets:
            if data[0] == 0x91:
                if current:
                    found.append(current)
                current = []
            elif len(data) != 154 and current is not None:
                current.append(data)
    return found[:count]


def to_full_image(link: SpaceWireOverZeroMQ, registers: RegisterMap, **values: int | str) -> None:
    connected(link, registers)
    registers.write(link, {"ccd_mode_config": "STANDBY_MODE"})
    wait_for_mode(link, n_fee_mode.STANDBY_MODE)
    registers.write(link, {"ccd_mode_config": "FULL_IMAGE_MODE", "sensor_sel": "BOTH", **values})
    wait_for_mode(link, n_fee_mode.FULL_IMAGE_MODE)


def test_full_frames_over_the_link(start: Callable[..., Simulator]) -> None:
    simulator = start("--speed", "25", "--seed", "7", "--camera", "fm")
    registers = RegisterMap()
    with SpaceWireOverZeroMQ(simulator.endpoint) as link:
        to_full_image(link, registers, v_end=4539)
        for packets in frames(link, 4):
            headers = decode_headers(packets)
            assert len(packets) == 1300
            assert headers["valid"].all()
            assert headers["sequence_counter"].tolist() == list(range(1300))
    state = simulator.request(do="state")
    assert state["mode"] == "FULL_IMAGE_MODE"
    assert state["active"]["v_end"] == 4539
    assert (state["overruns"], state["link"]["overflowed"]) == (0, 0)
    assert simulator.end() == (0, pytest.approx(0, abs=1.0))


def test_a_killed_dpu_does_not_disturb_the_simulator(start: Callable[..., Simulator]) -> None:
    simulator = start("--speed", "50")
    registers = RegisterMap()
    with SpaceWireOverZeroMQ(simulator.endpoint) as link:
        to_full_image(link, registers, v_end=699)
        before = simulator.request(do="state")
    while (state := simulator.request(do="state"))["frame_counter"] < before["frame_counter"] + 6:
        assert state["mode"] == "FULL_IMAGE_MODE"
    assert state["link"]["dropped"] > 200
    with SpaceWireOverZeroMQ(simulator.endpoint) as link:
        again = RegisterMap()
        connected(link, again)
        assert again["v_end"] == 699
        assert len(frames(link, 1)[0]) == 200


def test_the_simulator_is_killed_and_restarted(start: Callable[..., Simulator]) -> None:
    first = start("--speed", "50")
    registers = RegisterMap()
    with SpaceWireOverZeroMQ(first.endpoint) as link:
        to_full_image(link, registers)
        first.end(signal.SIGKILL)
        start("--speed", "50", "--endpoint", first.endpoint)
        link.flush()
        connected(link, registers)
        assert registers["ccd_mode_config"] == 0, "it is as after power-on"
        wait_for_mode(link, n_fee_mode.ON_MODE)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_end_it_cleanly(start: Callable[..., Simulator], signum: int) -> None:
    code, took = start("--speed", "1").end(signum)
    assert code == 0
    assert took < 5.0


def test_light_and_faults_by_the_side_channel(start: Callable[..., Simulator]) -> None:
    simulator = start("--speed", "50", "--light", "1")
    registers = RegisterMap()
    with SpaceWireOverZeroMQ(simulator.endpoint) as link:
        to_full_image(link, registers, v_end=69, n_final_dump=4510)
        assert simulator.request(do="set", light_level=0.0) is None
        frames(link, 1)
        dark = frames(link, 1)[0]
        pixels = decode_pixels([p for p in dark if not p[5] & 0x40], 2295)
        assert np.median(pixels[:, 25:2280]) == pytest.approx(1000, abs=1)

        simulator.request(do="inject", fault="flip", packet=5, byte=2000, mask=0x80)
        simulator.request(do="inject", fault="lose", packet=6)
        damaged = next(found for found in frames(link, 6) if len(found) == 19)
        assert decode_headers(damaged)["sequence_counter"].tolist() == [*range(6), *range(7, 20)]
        side, row, column = locate_pixel(FrameLayout(0, 69), 5, 2000)
        assert side is CCDSide.F
        value = int.from_bytes(damaged[5][2000:2002], "big")
        assert value == pytest.approx(1020 + 0x8000, abs=30), "upper byte of the pixel"
        assert (row, column) == (14, 995)

        simulator.request(do="inject", fault="error_flags", value=5)
        simulator.request(do="set", hk={"NFEE_TSENSEA": 77})
        state = simulator.request(do="state")
        assert state["error_flags"] == 5
    assert set(simulator.request(do="faults")) == set(FAULTS)
    for bad in (
        {"do": "dance"},
        {"do": "set", "light_level": 2},
        {"do": "set", "colour": 1},
        {"do": "set", "hk": {"X": 1}},
        {"do": "inject", "fault": "flood"},
        {"do": "inject", "fault": "repeat", "page": 1},
    ):
        with pytest.raises(ValueError, match="Error"):
            simulator.request(**bad)


def test_light_temperatures_and_source_of_other_simulators(start: Callable[..., Simulator]) -> None:
    command = [sys.executable, "-m", "egse.{}", "start", "--port", "0", "--admin-port", "0", "--speed", "50"]
    with ExitStack() as stack:
        admins, ports = [], []
        for module in (
            "ogse.ogse_sim",
            "tempcontrol.lsci336.lsci336_sim",
            "stages.huber.smc9300.smc9300_sim",
        ):
            arguments = [word.format(module) for word in command]
            process = stack.enter_context(subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True))
            stack.callback(process.terminate)
            assert process.stdout is not None
            ports.append(int(process.stdout.readline().split()[-1].rpartition(":")[2]))
            admins.append(":".join(process.stdout.readline().split()[1:]))
        others = ("--ogse", admins[0], "--temperatures", admins[1], "--stages", admins[2])
        simulator = start("--speed", "50", *others)
        with SpaceWireOverZeroMQ(simulator.endpoint) as link:
            registers = RegisterMap()
            connected(link, registers)
            wait_until(lambda: simulator.request(do="state")["light_level"] == 0.0)
            with socket.create_connection(("127.0.0.1", ports[0])) as ogse, ogse.makefile("rwb") as stream:
                stream.readline()
                for text in (b"power on", b"level 1", b"operate on"):
                    stream.write(text + b"\n")
                    stream.flush()
                    assert b"ERROR" not in stream.readline()
                wait_until(lambda: 0.0 < simulator.request(do="state")["light_level"] <= 1.0)
            with socket.create_connection(("127.0.0.1", ports[2])) as stages:
                stages.sendall(b"goto2:3.0\r\n")
                wait_until(
                    lambda: (
                        (simulator.request(do="state")["source"] or {}).get("theta")
                        == pytest.approx(7.005, abs=0.001)
                    )
                )
            hk = decode_hk(link.read_memory_map(HK_AREA_ADDRESS, HK_AREA_SIZE))
            assert hk["NFEE_TSENSEA"] == hk["NFEE_TSENSEB"]
            assert hk["NFEE_TSENSEA"] == pytest.approx(temperature_to_raw(295.0), abs=1500)
        assert simulator.end()[0] == 0


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--speed", "0"), "larger than 0"),
        (("--speed", "1", "--endpoint", "tcp://0.0.0.0:0"), "loopback"),
        (("--speed", "1", "--cycle-time", "26"), "cycle time"),
        (("--speed", "1", "--ogse", "4181"), "HOST:PORT"),
        (("--speed", "1", "--scene", __file__), "scene"),
    ],
)
def test_wrong_options_are_told(options: tuple[str, ...], message: str) -> None:
    command = [sys.executable, "-m", "egse.fee.n_fee_sim", "start", "--port", "0", *options]
    if "--endpoint" in options:
        command.remove("--port")
        command.remove("0")
    result = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert result.returncode != 0
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_the_port_comes_from_the_settings(
    start: Callable[..., Simulator], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    settings = tmp_path / "local.yaml"
    settings.write_text(f"N-FEE SIMULATOR:\n  SPW_PORT: {port}\nSITE:\n  SPEED: 5.0\n")
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(settings))
    simulator = start("--endpoint", f"tcp://127.0.0.1:{port}")
    assert simulator.endpoint == f"tcp://127.0.0.1:{port}"
    simulator.end()
    command = [sys.executable, "-m", "egse.fee.n_fee_sim", "start"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == f"READY n_fee_sim tcp://127.0.0.1:{port}\n"
    process.terminate()
    assert process.wait(30) == 0
    process.stdout.close()
