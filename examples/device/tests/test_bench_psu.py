"""The driver against its simulator, over TCP and in memory, and the control server as a process."""

from __future__ import annotations

import contextlib
import csv
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from egse.clock import VirtualClock, system_clock
from egse.command import CommandError
from egse.timing import wait_until
from egse.yamlfile import format_yaml, read_yaml

from bench_psu.bench_psu import (
    BenchPsuController,
    BenchPsuOutput,
    BenchPsuProxy,
    BenchPsuSimulator,
)
from bench_psu.bench_psu_cs import APP
from bench_psu.bench_psu_devif import (
    SETTINGS,
    BenchPsuError,
    done,
    number,
)
from bench_psu.bench_psu_protocol import BenchPsuProtocol
from bench_psu.bench_psu_sim import BenchPsuModel

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "bench_psu"
SITE_ID = "LAB"
SERVER = "bench_psu.bench_psu_cs"
SIMULATOR = "bench_psu.bench_psu_sim"
FAST = ("--port", "0", "--speed", "100")


def free_ports(count: int) -> list[int]:
    """Returns ports that nobody uses."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [int(sock.getsockname()[1]) for sock in sockets]


@contextlib.contextmanager
def running(module: str, *options: str) -> Iterator[list[str]]:
    """Starts a simulator or server; yields the words of its READY line."""
    python_path = os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
    with subprocess.Popen(
        [sys.executable, "-m", module, "start", *options],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": python_path},
    ) as process:
        try:
            assert process.stdout is not None
            words = process.stdout.readline().split()
            assert words[:1] == ["READY"]
            yield words
        finally:
            process.terminate()
            code = process.wait(10)
        assert code == 0


@pytest.fixture
def write_settings(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[[int], None]:
    """Makes a private site with free ports; call it with the port of the instrument."""
    local = tmp_path / "local-settings.yaml"
    monkeypatch.setenv("SITE_ID", SITE_ID)
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(local))
    monkeypatch.setenv("PLATO_DATA_STORAGE_LOCATION", str(tmp_path / "data"))
    monkeypatch.setenv("PLATO_LOG_FILE_LOCATION", str(tmp_path / "log"))

    def write(device_port: int) -> None:
        settings: Any = read_yaml(PACKAGE / "settings.yaml")
        roles = ("COMMANDING", "MONITORING", "SERVICE", "METRICS")
        *ports, log_port = free_ports(len(roles) + 1)
        settings[SETTINGS].update({f"{role}_PORT": port for role, port in zip(roles, ports, strict=True)})
        settings[SETTINGS].update(DEVICE_PORT=device_port, STORAGE_MNEMONIC=None)
        settings["Logging Control Server"] = {"RECEIVER_PORT": log_port}
        local.write_text(format_yaml(settings))

    return write


@pytest.fixture(params=["memory", "tcp"])
def device(request: pytest.FixtureRequest) -> Iterator[BenchPsuController]:
    """The driver, joined with the model in memory, and over TCP with the simulator process."""
    if request.param == "memory":
        with BenchPsuSimulator(VirtualClock()) as driver:
            yield driver
        return
    with (
        running(SIMULATOR, *FAST) as (_, host, port),
        BenchPsuController(host, int(port)) as driver,
    ):
        yield driver


def test_identification(device: BenchPsuController) -> None:
    assert device.get_identification() == "CGSE,BENCH_PSU,SIM,0.1"
    assert device.is_simulator()


def test_output_goes_to_its_level(device: BenchPsuController) -> None:
    clock = getattr(device.transport, "clock", system_clock())
    device.set_level(level=2.5)
    device.set_output(state=BenchPsuOutput.ON)
    assert device.get_level() == 2.5
    assert device.get_output() is BenchPsuOutput.ON
    assert not wait_until(lambda: device.get_reading() == 2.5, timeout=10, interval=0.02, clock=clock)
    device.reset()
    assert device.get_output() is BenchPsuOutput.OFF
    assert not wait_until(lambda: device.get_reading() == 0, timeout=10, interval=0.02, clock=clock)


def test_wrong_arguments_are_not_sent(device: BenchPsuController) -> None:
    with pytest.raises(CommandError, match="level"):
        device.set_level(level=11.0)
    assert device.get_level() == 0


def test_a_refusal_of_the_instrument_is_an_error(device: BenchPsuController) -> None:
    with pytest.raises(BenchPsuError, match="refused: level out of range: 11"):
        done(device.transport.query("LEVEL 11"))
    with pytest.raises(BenchPsuError, match="refused: unknown command NONSENSE"):
        number(device.transport.query("NONSENSE?"))
    with pytest.raises(BenchPsuError, match="expected a number"):
        number(device.transport.query("OUTPUT?"))


def test_housekeeping_has_the_names_of_the_tm_dictionary(
    write_settings: Callable[[int], None],
) -> None:
    write_settings(1)
    shared: dict[str, Any] = {}
    server: Any = None
    protocol = BenchPsuProtocol(server, APP.make_dry_controller(VirtualClock(), shared))
    row = protocol.get_housekeeping()
    with (PACKAGE / "tm-dictionary.csv").open(newline="") as file:
        names = [entry["CAM EGSE mnemonic"] for entry in csv.DictReader(file, delimiter=";")]
    assert list(row) == names
    assert list(row.values()) == [0.0, 0.0, False]
    assert isinstance(shared["bench_psu"], BenchPsuModel)


def test_from_the_proxy_through_the_control_server_to_the_instrument(
    write_settings: Callable[[int], None],
) -> None:
    with running(SIMULATOR, *FAST) as (_, host, port):
        write_settings(int(port))
        with running(SERVER), BenchPsuProxy() as proxy:
            proxy.set_level(level=1.5)
            proxy.set_output(state=BenchPsuOutput.ON)
            assert not wait_until(lambda: proxy.get_reading() == 1.5, timeout=10, interval=0.02)
            with pytest.raises(CommandError):
                proxy.set_level(level=-1.0)
        with BenchPsuController(host, int(port)) as device:  # what the instrument itself says
            assert device.get_level() == 1.5


def test_control_server_with_the_simulator_inside(
    write_settings: Callable[[int], None],
) -> None:
    write_settings(1)
    with running(SERVER, "--simulator"), BenchPsuProxy() as proxy:
        assert proxy.is_simulator()
        assert proxy.get_output() is BenchPsuOutput.OFF
