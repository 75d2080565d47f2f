"""Control servers in the process of a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from egse.control import ControlServer, ControlServerApp
from egse.settings import Settings

Served = Callable[..., AbstractContextManager[ControlServer]]


@pytest.fixture
def served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free_ports: Callable[[int], list[int]]
) -> Iterator[Served]:
    """Runs a control server in a site of its own: `with served(APP, simulator=True, settings="  HK_DELAY: 0.05\\n") as server:`."""
    for name, value in {
        "SITE_ID": "LAB",
        "PLATO_LOCAL_SETTINGS": str(tmp_path / "local.yaml"),
        "PLATO_DATA_STORAGE_LOCATION": str(tmp_path / "data"),
        "PLATO_LOG_FILE_LOCATION": str(tmp_path / "log"),
    }.items():
        monkeypatch.setenv(name, value)

    @contextmanager
    def serve(
        app: ControlServerApp, *, simulator: bool = False, settings: str = "", speed: float = 1.0
    ) -> Iterator[ControlServer]:
        command, monitoring, service, metrics, log = free_ports(5)
        (tmp_path / "local.yaml").write_text(
            f"SITE:\n  SPEED: {speed}\n"
            f"{app.settings}:\n  COMMANDING_PORT: {command}\n  MONITORING_PORT: {monitoring}\n"
            f"  SERVICE_PORT: {service}\n  METRICS_PORT: {metrics}\n{settings}"
            f"Logging Control Server:\n  RECEIVER_PORT: {log}\n"
        )
        Settings.load(force=True)
        server = ControlServer(app, simulator=simulator)
        ready = threading.Event()
        thread = threading.Thread(target=server.run, args=(lambda _: ready.set(),), daemon=True)
        thread.start()
        try:
            assert ready.wait(30)
            yield server
        finally:
            server.stop()
            thread.join(10)

    yield serve
    monkeypatch.undo()
    Settings.load(force=True)
