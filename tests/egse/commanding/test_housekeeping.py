"""Housekeeping beside commands: its rhythm, and the rows that could not be taken."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from egse.command import dynamic_interface
from egse.control import ControlServer, ControlServerApp
from egse.protocol import Protocol
from egse.proxy import DynamicProxy
from egse.settings import Settings

PERIOD = 0.05
BUSY = 0.6
"""How long the commands of these tests take [s]: several periods."""


class StorageInterface:
    """What a producer needs of a storage manager."""

    @dynamic_interface
    def register(self, item: dict[str, Any]) -> None:
        """Takes a producer."""

    @dynamic_interface
    def save(self, item: dict[str, Any]) -> None:
        """Takes rows."""

    @dynamic_interface
    def unregister(self, item: dict[str, Any]) -> None:
        """Forgets a producer."""


class StorageController(StorageInterface):
    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def register(self, item: dict[str, Any]) -> None:
        pass

    def save(self, item: dict[str, Any]) -> None:
        self.rows += item["data"]

    def unregister(self, item: dict[str, Any]) -> None:
        pass


class BusyInterface:
    @dynamic_interface
    def think(self, seconds: float) -> None:
        """Takes its time; the device is free meanwhile."""

    @dynamic_interface
    def measure(self, seconds: float) -> None:
        """Talks to the device for so long; nobody else can."""


class BusyController(BusyInterface):
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.readings = 0

    def think(self, seconds: float) -> None:
        threading.Event().wait(seconds)

    def measure(self, seconds: float) -> None:
        with self.lock:
            threading.Event().wait(seconds)

    def read(self) -> int:
        with self.lock:
            self.readings += 1
            return self.readings


class BusyProtocol(Protocol):
    def get_housekeeping(self) -> dict[str, Any]:
        return {"GLAB_BUSY_READING": self.controller.read()}


class BusyProxy(DynamicProxy, BusyInterface):
    settings_name = "Busy Control Server"
    server_name = "busy_cs"


def app(
    name: str, interface: type, controller: type, protocol: type[Protocol], block: str
) -> ControlServerApp:
    return ControlServerApp(
        name=name,
        settings=block,
        title=name,
        interface=interface,
        controller=lambda context: controller(),
        protocol=protocol,
        device=False,
    )


@pytest.fixture
def storage_and_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> Iterator[tuple[StorageController, ControlServer]]:
    """A stand-in for the storage manager and a server with housekeeping, both in this process."""
    a, b, c, d, e, f = free_ports(6)
    (tmp_path / "local.yaml").write_text(
        "SITE:\n  ID: LAB\n"
        f"Storage Control Server:\n  COMMANDING_PORT: {a}\n  SERVICE_PORT: {b}\n  MONITORING_PORT: {c}\n"
        "  STORAGE_MNEMONIC: ''\n"
        f"Busy Control Server:\n  COMMANDING_PORT: {d}\n  SERVICE_PORT: {e}\n  MONITORING_PORT: {f}\n"
        f"  STORAGE_MNEMONIC: BUSY\n  HK_DELAY: {PERIOD}\n  HK_MARGIN: 0\n"
    )
    monkeypatch.setenv("PLATO_LOCAL_SETTINGS", str(tmp_path / "local.yaml"))
    Settings.load(force=True)
    with ExitStack() as stack:
        storage = serve(
            app("storage", StorageInterface, StorageController, Protocol, "Storage Control Server"), stack
        )
        busy = serve(
            app("busy_cs", BusyInterface, BusyController, BusyProtocol, "Busy Control Server"), stack
        )
        yield storage.controller, busy
    monkeypatch.undo()
    Settings.load(force=True)


def serve(declaration: ControlServerApp, stack: ExitStack) -> ControlServer:
    server = ControlServer(declaration)
    thread = threading.Thread(target=server.serve)
    thread.start()
    stack.callback(thread.join, 5)
    stack.callback(server.stop)
    return server


def test_housekeeping_goes_on_while_a_command_thinks(
    storage_and_server: tuple[StorageController, ControlServer],
) -> None:
    storage, server = storage_and_server
    with BusyProxy() as proxy:
        wait_until(lambda: len(storage.rows) > 1)
        before, missed = len(storage.rows), server.hk_lane.missed
        proxy.think(BUSY)
        gone_on = len(storage.rows) - before
    assert gone_on >= 3
    assert gone_on + server.hk_lane.missed - missed >= BUSY / PERIOD - 2


def test_rows_that_could_not_be_taken_are_missed_and_never_made_up_for(
    storage_and_server: tuple[StorageController, ControlServer],
) -> None:
    storage, server = storage_and_server
    with BusyProxy() as proxy, proxy.get_service_proxy() as services:
        wait_until(lambda: len(storage.rows) > 1)
        before, missed = server.hk_lane.count, server.hk_lane.missed
        proxy.measure(BUSY)
        lost = server.hk_lane.missed - missed
        wait_until(lambda: server.hk_lane.missed - missed >= BUSY / PERIOD - 3)
        taken = server.hk_lane.count - before
        assert services.get_server_status()["housekeeping"]["missed"] >= lost
    assert (
        taken <= 4
    )  # one that waited for the device, and what is due since; none for the time that has passed
    readings = [row["GLAB_BUSY_READING"] for row in storage.rows]
    assert readings == list(range(1, len(readings) + 1))  # each is a reading of its own
    timestamps = [row["timestamp"] for row in storage.rows]
    assert timestamps == sorted(timestamps)


def wait_until(condition: Callable[[], bool], limit: float = 30.0) -> None:
    deadline = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < deadline, "condition not met in time"
        threading.Event().wait(0.005)
