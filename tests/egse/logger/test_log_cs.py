"""The log manager as a process: status, level, its own records, kills, keys."""

from __future__ import annotations

import logging
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from egse.control_cli import make_command_line
from egse.logger.files import decode_line, numbered
from egse.logger.handler import ZeroMQHandler, receiver_endpoint
from egse.logger.log_cs import APP, HOUSEKEEPING, LogManagerProxy
from egse.logger.records import LogMessage
from egse.logger.spool import spool_files
from egse.site.layout import SiteLayout


class LogManager:
    """`log_cs` of the site, as a process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None
        self.console = folder / "log_cs.err"

    def start(self) -> None:
        with self.console.open("a") as console:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "egse.logger.log_cs", "start"],
                stdout=subprocess.PIPE,
                stderr=console,
                text=True,
            )
        assert self.process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            assert selector.select(30), self.console.read_text()
        assert self.process.stdout.readline().startswith("READY log_cs"), self.console.read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        code = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code

    def messages(self) -> list[LogMessage]:
        lines = (
            line
            for path in numbered(self.folder / "general.jsonl")
            for line in path.read_bytes().splitlines()
        )
        return [message for message in map(decode_line, lines) if message is not None]


@pytest.fixture
def manager(site: SiteLayout) -> Iterator[LogManager]:
    site.log.mkdir(mode=0o700, exist_ok=True)
    made = LogManager(site.log)
    yield made
    if made.process is not None:
        made.end(signal.SIGKILL)


@pytest.fixture
def handler(manager: LogManager, logger: logging.Logger) -> ZeroMQHandler:
    made = ZeroMQHandler(receiver_endpoint(), "tester")
    logger.addHandler(made)
    return made


def run(*arguments: str) -> str:
    return CliRunner().invoke(make_command_line(APP), arguments).output


def test_a_life_of_the_log_manager(
    manager: LogManager, handler: ZeroMQHandler, logger: logging.Logger
) -> None:
    manager.start()
    logger.debug("a detail")
    logger.info("record 0")
    logger.info("\x1b[2Jrecord 1")
    assert handler.flush_records(10)
    lines = run("status").splitlines()
    assert lines[:2] == ["Log Manager:", "  Status: active"]
    assert f"  Log file: {manager.folder / 'general.log'}" in lines
    assert any("gaps: 0, duplicates: 0, dropped: 0, clients: 2" in line for line in lines)
    full = run("status", "--full")
    assert "Console: INFO and above" in full
    assert "Viewer: localhost:19996" in full
    assert "Console of the log manager: ERROR and above" in run("set-level", "error")
    assert "'LOUD' is not one of" in run("set-level", "LOUD")
    logger.warning("not on the console")
    assert handler.flush_records(10)
    with LogManagerProxy() as proxy:
        figures = proxy.get_statistics()
    assert figures["levels"]["WARNING"] >= 1
    assert set(HOUSEKEEPING) <= figures.keys()
    assert manager.end() == 0
    console = manager.console.read_text()
    assert "tester :     INFO :" in console
    assert "\\x1b[2Jrecord 1" in console
    assert "\x1b" not in console
    assert "a detail" not in console
    assert "not on the console" not in console
    texts = [message.message for message in manager.messages()]
    assert [text for text in texts if text in ("a detail", "record 0", "not on the console")] == [
        *("a detail", "record 0", "not on the console")
    ]
    assert texts[-1] == "log_cs ended"  # its own last words, without the network
    assert spool_files(manager.folder) == []
    assert "log_cs is not running" in run("set-level", "INFO")


def test_killed_with_records_on_the_way(
    manager: LogManager, handler: ZeroMQHandler, logger: logging.Logger
) -> None:
    count = 0
    for _ in range(3):
        manager.start()
        for _ in range(500):
            logger.info("record %d", count)
            count += 1
        manager.end(signal.SIGKILL)
        for _ in range(500):
            logger.info("record %d", count)
            count += 1
    manager.start()
    assert handler.flush_records(20)
    manager.end()
    found = [int(m.message.split()[1]) for m in manager.messages() if m.message.startswith("record ")]
    assert found == list(range(count))
    log = (manager.folder / "general.log").read_text()
    assert log.count('msg="record ') == count
