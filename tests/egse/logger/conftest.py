"""A log manager's receiver in a thread, loggers that send to it, and a console that can be waited for."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from egse.logger.files import LogFiles
from egse.logger.handler import ZeroMQHandler
from egse.logger.receiver import LogReceiver
from egse.logger.records import LogMessage


class Echo:
    """Collects what the console would show and lets a test wait for a text."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._changed = threading.Condition()

    def __call__(self, text: str) -> None:
        with self._changed:
            self.texts.append(text)
            self._changed.notify_all()

    def wait_for(self, part: str) -> str:
        def found() -> str:
            return next((text for text in self.texts if part in text), "")

        with self._changed:
            assert self._changed.wait_for(found, timeout=60.0), f"{part!r} never came: {self.texts}"
            return found()


@dataclass
class Manager:
    """The receiver of a log manager that can be stopped and started again."""

    folder: Path
    endpoint: str
    echo: Echo = field(default_factory=Echo)
    max_size: int = 20_000_000
    receiver: LogReceiver | None = None

    @property
    def log(self) -> Path:
        return self.folder / "general.log"

    @property
    def twin(self) -> Path:
        return self.folder / "general.jsonl"

    def start(self) -> LogReceiver:
        files = LogFiles(self.log, self.max_size)
        self.receiver = LogReceiver(self.endpoint, files, self.echo, logging.DEBUG)
        self.receiver.start()
        return self.receiver

    def stop(self) -> LogReceiver:
        receiver = self.receiver
        assert receiver is not None
        receiver.end()
        receiver.join(60.0)
        assert not receiver.is_alive()
        receiver.close_files()
        self.receiver = None
        return receiver

    def messages(self) -> list[LogMessage]:
        return read_twin(self.twin)

    def texts(self) -> list[str]:
        return [message.message for message in self.messages()]


def read_twin(path: Path) -> list[LogMessage]:
    return [msgspec.json.decode(line, type=LogMessage) for line in path.read_bytes().splitlines()[1:]]


@pytest.fixture
def manager(tmp_path: Path, free_ports: Callable[[int], list[int]]) -> Iterator[Manager]:
    """A log manager that is not started yet."""
    made = Manager(tmp_path / "log", f"tcp://127.0.0.1:{free_ports(1)[0]}")
    yield made
    if made.receiver is not None:
        made.stop()


@pytest.fixture
def log_folder(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The manager's folder, known to this process and its children."""
    manager.folder.mkdir(mode=0o700)
    monkeypatch.setenv("PLATO_LOG_FILE_LOCATION", str(manager.folder))
    return manager.folder


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """A logger of its own, to which tests add handlers."""
    logger = logging.getLogger("test-of-logging")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


@pytest.fixture
def handler(manager: Manager, logger: logging.Logger) -> ZeroMQHandler:
    """A handler that sends the records of `logger` to the manager."""
    made = ZeroMQHandler(manager.endpoint, "tester")
    logger.addHandler(made)
    return made
