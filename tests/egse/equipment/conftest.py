"""Control servers in the process of a test."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from egse.control import ControlServer, ControlServerApp

Served = Callable[..., AbstractContextManager[ControlServer]]


@pytest.fixture
def served(own_settings: Callable[[str], None], free_ports: Callable[[int], list[int]]) -> Served:
    """Runs a control server in a site of its own: `with served(APP, simulator=True, settings="  HK_DELAY: 0.05\\n") as server:`."""

    @contextmanager
    def serve(
        app: ControlServerApp, *, simulator: bool = False, settings: str = "", speed: float = 1.0
    ) -> Iterator[ControlServer]:
        command, monitoring, service, metrics, log = free_ports(5)
        own_settings(
            f"SITE:\n  SPEED: {speed}\n"
            f"{app.settings}:\n  COMMANDING_PORT: {command}\n  MONITORING_PORT: {monitoring}\n"
            f"  SERVICE_PORT: {service}\n  METRICS_PORT: {metrics}\n{settings}"
            f"Logging Control Server:\n  RECEIVER_PORT: {log}\n"
        )
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

    return serve
