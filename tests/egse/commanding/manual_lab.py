"""Fixture `lab` for the tests of the manual: modules under the manual's names, instruments on TCP, server processes."""

from __future__ import annotations

import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import egse
from egse import response
from egse.settings import Settings

STANDINS = Path(__file__).with_name("standins")
PACKAGES = ("egse.hexapod", "egse.stages", "egse.aeu")


class LineDevice(socketserver.ThreadingTCPServer):
    """An instrument that answers lines of text and remembers them.

    Args:
        answer: makes the answer of a command, None for no answer.
    """

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Callable[[str], str | None]) -> None:
        self.received: list[str] = []
        device = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                for line in self.rfile:
                    command = line.decode().strip()
                    device.received.append(command)
                    text = answer(command)
                    if text is not None:
                        self.wfile.write(f"{text}\r\n".encode())

        super().__init__(("127.0.0.1", 0), Handler)
        self.port: int = self.server_address[1]
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


class Lab:
    """A site with stand-in devices and control servers."""

    def __init__(self, folder: Path, ports: list[int]) -> None:
        self.folder = folder
        self._ports = ports
        self._blocks: dict[str, Any] = {"SITE": {"ID": "LAB"}}
        self._devices: list[LineDevice] = []
        self._processes: list[subprocess.Popen[str]] = []
        self.set("Logging Control Server", RECEIVER_PORT=ports.pop())

    def set(self, block: str, **values: Any) -> None:
        """Writes a block of the local settings."""
        self._blocks[block] = values
        (self.folder / "local.yaml").write_text(yaml.safe_dump(self._blocks))
        Settings.load(force=True)

    def device(self, block: str, answer: Callable[[str], str | None]) -> LineDevice:
        """Switches an instrument on and writes the settings of its control server."""
        device = LineDevice(answer)
        self._devices.append(device)
        self.set(
            block,
            PROTOCOL="tcp",
            HOSTNAME="localhost",
            COMMANDING_PORT=self._ports.pop(),
            SERVICE_PORT=self._ports.pop(),
            MONITORING_PORT=self._ports.pop(),
            DEVICE_PORT=device.port,
        )
        return device

    def start_server(self, module: str) -> subprocess.Popen[str]:
        """Starts the control server of a stand-in; it is ready when this returns."""
        process = subprocess.Popen(
            [sys.executable, str(STANDINS / "run_server.py"), module, "start"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._processes.append(process)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("READY"), line
        return process

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()
        for device in self._devices:
            device.shutdown()
            device.server_close()


@pytest.fixture
def lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> Iterator[Lab]:
    """A lab whose devices are imported under the manual's names (`egse.hexapod.symetrie.puna`)."""
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith(PACKAGES)}
    monkeypatch.setattr(egse, "__path__", [str(STANDINS / "egse"), *egse.__path__])
    monkeypatch.setattr(response, "_REGISTERED", dict(response._REGISTERED))
    monkeypatch.setenv("SITE_ID", "LAB")
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(tmp_path / "local.yaml"))
    monkeypatch.setenv("PLATO_DATA_STORAGE_LOCATION", str(tmp_path / "data"))
    monkeypatch.setenv("PLATO_LOG_FILE_LOCATION", str(tmp_path / "log"))
    made = Lab(tmp_path, free_ports(10))
    yield made
    made.close()
    for name in [name for name in sys.modules if name.startswith(PACKAGES)]:
        del sys.modules[name]
    sys.modules.update(before)
    monkeypatch.undo()
    Settings.load(force=True)


class Puna:
    """What the stand-in hexapod answers: it moves at once, but only after homing."""

    def __init__(self) -> None:
        self.position: list[str] = []

    def __call__(self, command: str) -> str:
        verb, *values = command.split()
        if verb == "HOMING":
            self.position = ["0"] * 6
        elif verb == "MOVE":
            if not self.position:
                return "not homed"
            self.position = values
        else:
            return " ".join(self.position) if verb == "POS?" else "2.0 0.5"
        return "OK"


class Huber:
    """What the stand-in stages answer: `?p1` gives `1:12.5;`."""

    def __init__(self) -> None:
        self.positions = {"1": 12.5, "2": 0.0, "3": 0.0}

    def __call__(self, command: str) -> str:
        if command.startswith("?p"):
            axis = command[2:]
            return f"{axis}:{self.positions[axis]};"
        axis, _, position = command.removeprefix("goto").partition(":")
        self.positions[axis] = float(position)
        return "moving"
