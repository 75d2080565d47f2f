"""Instruments on serial lines and behind VISA, and any pyvisa instrument as a device in ten lines."""

from __future__ import annotations

import builtins
import os
import pty
import sys
import threading
import tty
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import pytest

import egse.deviceports as deviceports
from egse.command import Unit, dynamic_command
from egse.device import DeviceConnectionError, DeviceInterface, DeviceTimeoutError
from egse.deviceports import SerialTransport, VisaTransport, open_resource
from egse.mixin import DynamicCommandMixin
from egse.powermeter.thorlabs import ThorlabsPM100Controller
from egse.settings import Settings, SettingsError
from egse.simulator import DeviceModel, SimulatorServer


class Thermometer(DeviceModel):
    """Answers `TEMP?`, and nothing else."""

    def handle(self, command: bytes, now: float) -> bytes:
        return {b"TEMP?": b"21.5\n", b"*IDN?": b"ACME,THERMO,1,1\n"}.get(command, b"")


@pytest.fixture
def server() -> Iterator[SimulatorServer]:
    with SimulatorServer(Thermometer(), max_clients=4) as running:
        thread = threading.Thread(target=running.serve)
        thread.start()
        yield running
        running.stop()
        thread.join()


# -- any pyvisa instrument as a device (docs/equipment/visa.md) ----------------------------------------------------------


class ThermometerInterface(DeviceInterface):
    @dynamic_command(cmd_type="query", cmd_string="TEMP?", process_response=lambda response: float(response))
    def get_temperature(self) -> Annotated[float, Unit("deg_C")]:
        """Returns the temperature [degC]."""


class ThermometerController(DynamicCommandMixin, ThermometerInterface):
    def __init__(self, resource: str) -> None:
        self.transport = VisaTransport(resource, library="@py")

    def is_simulator(self) -> bool:
        return False


def test_any_pyvisa_instrument_as_a_device(server: SimulatorServer) -> None:
    host, port = server.address
    with ThermometerController(f"TCPIP0::{host}::{port}::SOCKET") as thermometer:
        assert thermometer.get_temperature() == 21.5
        sent = [chunk.data for chunk in thermometer.transport.tap.chunks() if chunk.direction == ">"]
        assert sent == [b"TEMP?\n"]


# -- transports ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "resource",
    [
        "tcp:{host}:{port}",
        "serial:socket://{host}:{port}?baud=115200&rtscts=1",
        "visa:TCPIP0::{host}::{port}::SOCKET?library=@py",
    ],
)
def test_questions_faults_and_a_reconnect(server: SimulatorServer, resource: str) -> None:
    host, port = server.address
    transport = open_resource(resource.format(host=host, port=port), timeout=0.8)
    transport.connect()
    assert transport.query("TEMP?") == b"21.5\n"
    server.faults.arm("silence")
    with pytest.raises(DeviceTimeoutError, match=r"no reply from .* within 0\.8 s"):
        transport.query("TEMP?")
    assert not transport.is_connected()
    server.faults.arm("split", {"seconds": 0.05})
    assert transport.query("TEMP?") == b"21.5\n"
    server.faults.arm("drop")
    with pytest.raises((DeviceConnectionError, DeviceTimeoutError)):
        transport.query("TEMP?")
    assert transport.query("*IDN?") == b"ACME,THERMO,1,1\n"
    transport.disconnect()


def test_a_serial_line() -> None:
    """A pseudo terminal: what a late answer leaves behind is not taken for the next one."""
    master, slave = pty.openpty()
    tty.setraw(master)
    transport = SerialTransport(os.ttyname(slave), baud=38400, timeout=5.0)
    transport.connect()
    os.write(master, b"late\n")
    asked = threading.Thread(target=lambda: os.write(master, b"answer\n" if os.read(master, 100) else b""))
    asked.start()
    assert transport.query("?") == b"answer\n"
    asked.join()
    transport.disconnect()
    os.close(master)
    os.close(slave)


@pytest.mark.parametrize(
    "resource",
    [
        "",
        "serial:",
        "serial:/dev/x?speed=3",
        "serial:/dev/x?baud=fast",
        "visa:",
        "visa:X?y=1",
        "tcp:host",
        "usb:1",
    ],
)
def test_resources_that_make_no_sense(resource: str) -> None:
    with pytest.raises(SettingsError, match="makes no sense"):
        open_resource(resource)


@pytest.mark.parametrize(
    ("resource", "library"),
    [("serial:/dev/nothing-there", "serial"), ("visa:ASRL/dev/nothing-there::INSTR?library=@py", "pyvisa")],
)
def test_nothing_there_and_no_library(resource: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceConnectionError, match="cannot connect to the device at"):
        open_resource(resource, timeout=0.2).connect()

    def no_library(name: str) -> Any:
        if name == library:
            raise ImportError(name)
        return import_module(name)

    monkeypatch.setattr(deviceports, "import_module", no_library)
    with pytest.raises(DeviceConnectionError, match=r"not installed: pip install 'camtest\[usb\]'"):
        open_resource(resource).connect()


def test_the_libraries_are_loaded_when_they_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "serial", raising=False)
    asked: list[str] = []
    original = builtins.__import__
    monkeypatch.setattr(
        builtins, "__import__", lambda name, *rest: asked.append(name) or original(name, *rest)
    )  # type: ignore[func-returns-value]
    open_resource("serial:/dev/ttyUSB0?baud=115200")
    assert "serial" not in asked


def test_the_settings_name_the_resource(
    server: SimulatorServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, port = server.address
    local = tmp_path / "local.yaml"
    local.write_text(
        f"PM100A Control Server:\n  DEVICE_RESOURCE: visa:TCPIP0::{host}::{port}::SOCKET?library=@py\n"
    )
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(local))
    Settings.load(force=True)
    assert isinstance(ThorlabsPM100Controller().transport, VisaTransport)
    assert not isinstance(ThorlabsPM100Controller(host, port).transport, VisaTransport)
    with pytest.raises(DeviceConnectionError, match="'ACME,THERMO,1,1' answered"):
        ThorlabsPM100Controller().connect()
    monkeypatch.undo()
    Settings.load(force=True)
