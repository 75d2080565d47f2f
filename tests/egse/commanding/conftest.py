"""The bench server: a device server of a few lines, run in a process of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from egse.settings import Settings

SOURCE = Path(__file__).with_name("bench_device.py")
SPEC = importlib.util.spec_from_file_location("bench_device", SOURCE)
assert SPEC is not None
assert SPEC.loader is not None
bench_device: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(bench_device)


class Server:
    """The bench server in a process of its own."""

    source = SOURCE

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> Server:
        self.process = subprocess.Popen(
            [sys.executable, str(SOURCE), "start"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("READY bench_cs tcp://127.0.0.1:"), line
        return self

    def end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()


@pytest.fixture
def bench_site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> Iterator[Path]:
    ports = free_ports(4)
    (tmp_path / "local.yaml").write_text(
        "SITE:\n  ID: LAB\n"
        "Bench Control Server:\n  PROTOCOL: tcp\n  HOSTNAME: localhost\n"
        f"  COMMANDING_PORT: {ports[0]}\n  MONITORING_PORT: {ports[1]}\n  SERVICE_PORT: {ports[2]}\n"
        "  MONITORING_DELAY: 0.1\n"
        f"Logging Control Server:\n  RECEIVER_PORT: {ports[3]}\n"
    )
    monkeypatch.setenv("SITE_ID", "LAB")
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(tmp_path / "local.yaml"))
    monkeypatch.setenv("PLATO_DATA_STORAGE_LOCATION", str(tmp_path / "data"))
    monkeypatch.setenv("PLATO_LOG_FILE_LOCATION", str(tmp_path / "log"))
    Settings.load(force=True)
    yield tmp_path
    monkeypatch.undo()
    Settings.load(force=True)


@pytest.fixture
def stopped_server(bench_site: Path) -> Iterator[Server]:
    """The server, not started."""
    made = Server()
    yield made
    made.end()


@pytest.fixture
def server(stopped_server: Server) -> Server:
    """The running server."""
    return stopped_server.start()


@pytest.fixture
def proxy(bench_site: Path) -> Iterator[Any]:
    made = bench_device.BenchProxy(timeout=5.0)
    yield made
    made.disconnect_cs()
