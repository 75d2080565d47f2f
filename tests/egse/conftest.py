"""Fixtures for tests of devices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from egse.clock import RealClock
from egse.settings import Settings
from egse.simulator import DeviceModel, LateReply, SimulatorServer

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


@pytest.fixture
def own_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Makes this process a site of its own, without other processes: `own_settings(text)` writes its local settings."""
    for name, value in {
        "SITE_ID": "LAB",
        "PLATO_LOCAL_SETTINGS": str(tmp_path / "local.yaml"),
        "PLATO_DATA_STORAGE_LOCATION": str(tmp_path / "data"),
        "PLATO_LOG_FILE_LOCATION": str(tmp_path / "log"),
    }.items():
        monkeypatch.setenv(name, value)

    def use(text: str) -> None:
        (tmp_path / "local.yaml").write_text(text)
        Settings.load(force=True)

    yield use
    monkeypatch.undo()
    Settings.load(force=True)


class LineBench:
    """A model of an instrument that speaks in lines, with a time of its own.

    Args:
        model: the instrument.
        end: of a reply.

    Attributes:
        now: time of the model [s].
        late: how long the last reply is held back [s].
    """

    def __init__(self, model: Any, end: bytes = b"\n") -> None:
        self.model = model
        self.now = 100.0
        self.late = 0.0
        self._end = end

    def ask(self, line: str) -> str:
        """Returns the reply to a line, without its end; empty when there is none."""
        self.model.step(self.now)
        reply = self.model.handle(line.encode(), self.now)
        self.late = reply.due - self.now if isinstance(reply, LateReply) else 0.0
        assert reply.count(self._end) == bool(reply)
        return reply.removesuffix(self._end).decode()

    def wait(self, seconds: float) -> None:
        """Lets time pass."""
        self.now += seconds
        self.model.step(self.now)
