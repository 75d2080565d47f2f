"""Fixtures for tests of devices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from egse.clock import RealClock
from egse.simulator import DeviceModel, SimulatorServer

OverTCP = Callable[..., SimulatorServer]


@pytest.fixture
def over_tcp() -> Iterator[OverTCP]:
    """Serves a model on a port of its own until the end of the test: `over_tcp(model, speed=20.0)`."""
    with ExitStack() as stack:

        def serve(model: DeviceModel, *, speed: float = 20.0, max_clients: int = 4) -> SimulatorServer:
            server = stack.enter_context(
                SimulatorServer(model, clock=RealClock(speed), max_clients=max_clients)
            )
            thread = threading.Thread(target=server.serve)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.stop)
            return server

        yield serve
