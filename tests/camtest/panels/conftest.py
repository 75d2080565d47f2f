"""A dummy device server in a process of its own, on a site of its own; errors of panels are raised."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from camtest.panels.errors import RAISE
from egse.journal import read_journal
from egse.settings import Settings
from egse.site.layout import SiteLayout
from egse.site.localsettings import read_local_settings, write_local_settings


def eventually(condition: Callable[[], Any], what: str, timeout: float = 60.0) -> Any:
    """Returns the first true value of `condition()`."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(0.02)
    return value


class DummyServer:
    """A device server with its model inside, or on the device that the settings name; `dummy_cs` unless told otherwise."""

    def __init__(self, folder: Path, module: str = "egse.dummy.dummy_cs", *, simulator: bool = True) -> None:
        self._folder = folder
        self._module = module
        self._options = ["--simulator"] if simulator else []
        self.name = module.rpartition(".")[2]
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        with (self._folder / f"{self.name}.stderr").open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self._module, "start", *self._options],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(f"READY {self.name}"), (self._folder / f"{self.name}.stderr").read_text()

    def send(self, number: signal.Signals) -> None:
        assert self.process is not None
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def commands(self) -> list[tuple[str, dict[str, Any]]]:
        """Returns what the server itself has recorded."""
        folder = Path(os.environ["PLATO_DATA_STORAGE_LOCATION"]) / "LAB" / "journal" / self.name
        records = [r for path in sorted(folder.glob("*.journal")) for r in read_journal(path)]
        return [(str(r.command), dict(r.args)) for r in records if r.event == "begin"]


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors of a panel's own code reach the test."""
    monkeypatch.setenv(RAISE, "1")


@pytest.fixture
def dummy_site(site: SiteLayout, free_ports: Callable[[int], list[int]]) -> Iterator[SiteLayout]:
    """A site whose dummy server publishes four times a second."""
    ports = free_ports(4)
    names = ("COMMANDING_PORT", "MONITORING_PORT", "SERVICE_PORT", "METRICS_PORT")
    block = {
        "PROTOCOL": "tcp",
        "HOSTNAME": "localhost",
        **dict(zip(names, ports, strict=True)),
        "STORAGE_MNEMONIC": "DUMMY-HK",
        "HK_DELAY": 0.25,
        "HK_MARGIN": 0.0,
        "MONITORING_DELAY": 0.25,
        "DEVICE_HOSTNAME": "localhost",
        "DEVICE_PORT": 4447,
    }
    settings = read_local_settings(site.settings)
    write_local_settings(site.settings, {**settings, "Dummy Control Server": block})
    Settings.load(force=True)
    yield site
    Settings.load(force=True)


@pytest.fixture
def server(dummy_site: SiteLayout, tmp_path: Path) -> Iterator[DummyServer]:
    """The running dummy server."""
    running = DummyServer(tmp_path)
    running.start()
    yield running
    running.kill()


@pytest.fixture
def run_server(site: SiteLayout, tmp_path: Path) -> Iterator[Callable[[str], DummyServer]]:
    """Starts device servers with their models inside."""
    Settings.load(force=True)
    started: list[DummyServer] = []

    def run(module: str) -> DummyServer:
        started.append(DummyServer(tmp_path, module))
        started[-1].start()
        return started[-1]

    yield run
    for server in started:
        server.kill()
    Settings.load(force=True)
