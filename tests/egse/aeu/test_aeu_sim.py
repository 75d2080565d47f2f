"""The AEU simulator and the N-FEE simulator as processes: power and sync pulses go from one to the other."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from egse.aeu.aeu import AWGController, CRIOController, PSUController
from egse.aeu.lines import N_CAM
from egse.aeu.waveforms import sync_waveforms
from egse.clock import system_clock
from egse.spw import SpaceWireOverZeroMQ
from egse.spw.packets import is_timecode

SPEED = "20"
PATIENCE = 20.0


class Simulator:
    """A simulator process and what it has announced."""

    def __init__(self, module: str, *arguments: str, lines: int) -> None:
        self.module, self.lines = module, lines
        self.start(*arguments)

    def start(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", self.module, "start", "--speed", SPEED, *arguments],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.announced = [self.process.stdout.readline().split() for _ in range(self.lines)]

    def port(self, *words: str) -> int:
        (found,) = (line for line in self.announced if line[: len(words)] == list(words))
        return int(found[-1].rpartition(":")[2])

    def kill(self) -> None:
        self.process.kill()
        self.end()

    def end(self) -> int:
        self.process.terminate()
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


def ask(port: int, **request: Any) -> Any:
    with socket.create_connection(("127.0.0.1", port), 5) as channel, channel.makefile("rw") as stream:
        stream.write(json.dumps(request) + "\n")
        stream.flush()
        answer = json.loads(stream.readline())
    assert answer["ok"], answer
    return answer["result"]


def wait_for(condition: Callable[[], bool]) -> None:
    clock = system_clock()
    deadline = clock.monotonic() + PATIENCE
    while not condition():
        assert clock.monotonic() < deadline
        clock.sleep(0.02)


@pytest.fixture
def fee() -> Iterator[Simulator]:
    arguments = ("--aeu", "--port", "0", "--admin-port", "0", "--camera", "fm")
    simulator = Simulator("egse.fee.n_fee_sim", *arguments, lines=2)
    yield simulator
    assert simulator.end() == 0


@pytest.fixture
def aeu(fee: Simulator) -> Iterator[Simulator]:
    simulator = Simulator(
        "egse.aeu.aeu_sim", "--port", "0", "--admin-port", "0", "--fee-port", str(fee.port("ADMIN")), lines=19
    )
    yield simulator
    assert simulator.end() == 0


def power(aeu: Simulator) -> None:
    with CRIOController("localhost", aeu.port("UNIT", "CRIO")) as crio:
        crio.set_operating_mode(3)
        for index in range(6):
            with PSUController(index + 1, "localhost", aeu.port("UNIT", f"PSU{index + 1}")) as psu:
                psu.set_voltage(N_CAM.set_voltage[index])
                psu.set_current(N_CAM.set_current[index])
                psu.set_output_status(1)
                wait_for(lambda psu=psu: psu.get_voltage() > 4)  # type: ignore[misc]
        crio.set_n_cam_secondary_power_status(1)


def sync(aeu: Simulator, *, on: bool) -> None:
    waves = sync_waveforms(25.0)
    with (
        AWGController(2, "localhost", aeu.port("UNIT", "AWG2")) as awg,
        CRIOController("localhost", aeu.port("UNIT", "CRIO")) as crio,
    ):
        awg.load_arb1_data(waves.readout)
        awg.set_waveform_type("ARB")
        awg.set_arb_waveform("ARB1")
        awg.set_frequency(waves.frequency)
        awg.set_amplitude(2.7)
        awg.set_dc_offset(1.35)
        awg.set_output_status("ON" if on else "OFF")
        crio.set_n_cam_clock_status(0, int(on))


def timecodes(link: SpaceWireOverZeroMQ, count: int) -> list[int]:
    """Reads packets until so many timecodes have come."""
    found: list[int] = []
    while len(found) < count:
        _, data = link.read_packet(int(PATIENCE * 1000))
        assert data, "no packet came"
        if is_timecode(data):
            found.append(data[1])
    return found


def test_camera_is_silent_until_it_is_switched_on(fee: Simulator, aeu: Simulator) -> None:
    admin = fee.port("ADMIN")
    with SpaceWireOverZeroMQ(f"tcp://127.0.0.1:{fee.port('READY')}") as link:
        assert ask(admin, do="state")["powered"] is False
        power(aeu)
        wait_for(lambda: ask(admin, do="state")["powered"])
        assert ask(admin, do="state")["cycle_time"] == 0  # no pulses
        sync(aeu, on=True)
        assert timecodes(link, 5) == [0, 1, 2, 3, 4]
        assert ask(admin, do="state")["cycle_time"] == pytest.approx(25.0, rel=1e-4)
        sync(aeu, on=False)
        wait_for(lambda: ask(admin, do="state")["cycle_time"] == 0)
        ask(aeu.port("ADMIN", "CRIO"), do="inject", fault="emergency", pushed=True)
        wait_for(lambda: not ask(admin, do="state")["powered"])


def test_a_camera_that_is_started_later_gets_its_power(fee: Simulator, aeu: Simulator) -> None:
    power(aeu)
    sync(aeu, on=True)
    wait_for(lambda: ask(fee.port("ADMIN"), do="state")["powered"])
    admin = fee.port("ADMIN")
    fee.kill()
    fee.start("--aeu", "--port", "0", "--admin-port", str(admin), "--camera", "fm")
    wait_for(lambda: ask(admin, do="state")["powered"])
    assert ask(admin, do="state")["cycle_time"] == pytest.approx(25.0, rel=1e-4)
