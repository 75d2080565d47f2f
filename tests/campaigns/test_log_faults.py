"""Faults of logging: short forms in the suite, long ones by `make campaign`; each prints its figures."""

from __future__ import annotations

import contextlib
import os
import random
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from egse.logger.files import decode_line, numbered
from egse.logger.records import LogMessage

LOAD = """
import logging, sys, threading
from egse.logger import setup_logging
handler = setup_logging(sys.argv[1], console=None)
log = logging.getLogger("egse.load")
pause = float(sys.argv[2])
end = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), end.set()), daemon=True).start()
count = 0
print("ready", flush=True)
while not end.wait(pause):
    log.info("record %d", count)
    count += 1
log.info("the last one")
handler.flush_records(60.0)
print(count, handler.dropped_total, flush=True)
"""

PATIENCE = 60.0
"""How long anything may take on a busy machine [s]."""


def scales(**values: tuple[Any, Any]) -> Any:
    short = tuple(value[0] for value in values.values())
    long = tuple(value[1] for value in values.values())
    return pytest.mark.parametrize(tuple(values), [short, pytest.param(*long, marks=pytest.mark.campaign)])


class LogSite:
    """A log manager that is killed and started again, and processes that log to it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.log = folder / "log"
        self.log.mkdir(mode=0o700)
        self.console = folder / "console.err"
        settings = folder / "settings.yaml"
        keys = ("RECEIVER", "COMMANDING", "MONITORING", "SERVICE", "METRICS")
        lines = [f"  {key}_PORT: {port + number}" for number, key in enumerate(keys)]
        limits = ["  MAX_FILE_SIZE: 2000000", "  BACKUP_COUNT: 1000", "  EXTERN_LOG_HOST:"]
        settings.write_text("\n".join(["Logging Control Server:", *lines, *limits]) + "\n")
        self.environment = {
            **os.environ,
            "SITE_ID": "LAB",
            "PLATO_DATA_STORAGE_LOCATION": str(folder / "data"),
            "PLATO_LOG_FILE_LOCATION": str(self.log),
            "PLATO_LOCAL_SETTINGS": str(settings),
        }
        self.manager: subprocess.Popen[bytes] | None = None
        self.processes: list[subprocess.Popen[bytes]] = []

    def _launch(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.console.open("ab") as console:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=console,
            )
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            assert selector.select(PATIENCE), self.console.read_text()
        assert process.stdout.readline(), self.console.read_text()
        return process

    def start_manager(self) -> None:
        self.manager = self._launch("-m", "egse.logger.log_cs", "start")

    def kill_manager(self, number: int = signal.SIGKILL) -> None:
        assert self.manager is not None
        self.manager.send_signal(number)
        self.manager.wait(PATIENCE)
        _close(self.manager)
        self.manager = None

    def start_load(self, count: int, pause: float) -> None:
        self.processes += [self._launch("-c", LOAD, f"load{number}", str(pause)) for number in range(count)]

    def end_load(self) -> list[tuple[int, int]]:
        """Lets the processes end; returns for each how many it has logged, and how many of them it has dropped."""
        figures = []
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.close()
        for process in self.processes:
            assert process.stdout is not None
            logged, dropped = map(int, process.stdout.readline().split())
            figures.append((logged, dropped))
            assert process.wait(PATIENCE) == 0
            _close(process)
        self.processes = []
        return figures

    def close(self) -> None:
        for process in [*self.processes, *([self.manager] if self.manager is not None else [])]:
            process.kill()
            process.wait()
            _close(process)
        self.processes, self.manager = [], None

    def messages(self) -> list[LogMessage]:
        lines = [
            line for path in numbered(self.log / "general.jsonl") for line in path.read_bytes().splitlines()
        ]
        return [message for message in map(decode_line, lines) if message is not None]

    def lines(self) -> int:
        return sum(path.read_text().count('msg="record ') for path in numbered(self.log / "general.log"))


def _close(process: subprocess.Popen[bytes]) -> None:
    for stream in (process.stdin, process.stdout):
        with contextlib.suppress(OSError):
            if stream is not None:
                stream.close()


@pytest.fixture
def log_site(tmp_path: Path, free_ports: Callable[[int], list[int]]) -> Iterator[LogSite]:
    made = LogSite(tmp_path, free_ports(5)[0])
    yield made
    made.close()


def numbers(messages: list[LogMessage], process: str) -> list[int]:
    own = (message.message for message in messages if message.process == process)
    return [int(text.split()[1]) for text in own if text.startswith("record ")]


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


@scales(kills=(3, 20), processes=(2, 6))
def test_log_manager_killed_at_random_moments(log_site: LogSite, kills: int, processes: int) -> None:
    generator = random.Random(kills)
    log_site.start_manager()
    log_site.start_load(processes, 0.001)
    longest = 0.0
    for _ in range(kills):
        pause(0.05 + generator.random() * 0.8)
        log_site.kill_manager()
        started = time.monotonic()
        log_site.start_manager()
        longest = max(longest, time.monotonic() - started)
    pause(0.5)
    figures = log_site.end_load()
    log_site.kill_manager(signal.SIGTERM)
    messages = log_site.messages()
    for number, (logged, dropped) in enumerate(figures):
        assert dropped == 0
        assert numbers(messages, f"load{number}") == list(range(logged)), "lost, doubled or out of order"
    total = sum(logged for logged, _ in figures)
    assert log_site.lines() == total
    print(
        f"{kills} kills under {processes} processes: {total} records, 0 lost, 0 doubled, in order in both files; "
        f"longest start {longest:.1f} s"
    )


@scales(seconds=(2.0, 60.0), processes=(2, 6))
def test_log_manager_away(log_site: LogSite, seconds: float, processes: int) -> None:
    log_site.start_manager()
    log_site.start_load(processes, 0.002)
    pause(0.3)
    log_site.kill_manager(signal.SIGTERM)
    pause(seconds)
    log_site.start_manager()
    figures = log_site.end_load()
    log_site.kill_manager(signal.SIGTERM)
    messages = log_site.messages()
    for number, (logged, dropped) in enumerate(figures):
        assert dropped == 0
        assert numbers(messages, f"load{number}") == list(range(logged))
    total = sum(logged for logged, _ in figures)
    assert log_site.lines() == total
    print(f"away for {seconds:g} s under {processes} processes: {total} records, 0 lost, 0 doubled, in order")


@scales(capacity=(100, 5000), processes=(1, 4))
def test_buffer_overflow_is_told(log_site: LogSite, capacity: int, processes: int) -> None:
    settings = Path(log_site.environment["PLATO_LOCAL_SETTINGS"])
    settings.write_text(settings.read_text() + f"  BUFFER_CAPACITY: {capacity}\n")
    log_site.start_load(processes, 0.0002)
    pause(1.0 + capacity / 1000)
    log_site.start_manager()
    figures = log_site.end_load()
    log_site.kill_manager(signal.SIGTERM)
    messages = log_site.messages()
    dropped_in_all = 0
    for number, (logged, dropped) in enumerate(figures):
        found = numbers(messages, f"load{number}")
        own = [message for message in messages if message.process == f"load{number}"]
        told = sum(message.lost for message in own)
        written = sum(not message.lost and message.caller == "egse.load" for message in own)
        assert dropped > 0
        assert told == dropped == logged + 1 - written
        assert found == sorted(set(found))
        dropped_in_all += dropped
    print(
        f"{processes} buffers of {capacity} overflowed: {dropped_in_all} of {sum(f[0] for f in figures)} lost, all told"
    )


@pytest.fixture
def small_disk(log_site: LogSite) -> Iterator[Path]:
    """The log folder on a disk of 2 MB of its own, with little room left."""
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "tmpfs", str(log_site.log)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("a disk of its own needs root")
    try:
        yield log_site.log
    finally:
        log_site.close()
        subprocess.run(["umount", str(log_site.log)], check=True)


@scales(rounds=(1, 5))
def test_disk_filled_to_the_last_byte(log_site: LogSite, small_disk: Path, rounds: int) -> None:
    log_site.start_manager()
    log_site.start_load(2, 0.002)
    for number in range(rounds):
        pause(0.3)
        filler = small_disk / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while file.write(bytes(512)):
                pass
        deadline = time.monotonic() + PATIENCE
        while log_site.console.read_text().count("log records cannot be written") <= number:
            assert time.monotonic() < deadline, log_site.console.read_text()[-2000:]
            pause(0.05)
        pause(0.5)
        filler.unlink()
        while log_site.console.read_text().count("log records are written again") <= number:
            assert time.monotonic() < deadline, log_site.console.read_text()[-2000:]
            pause(0.05)
    figures = log_site.end_load()
    log_site.kill_manager(signal.SIGTERM)
    messages = log_site.messages()
    for number, (logged, dropped) in enumerate(figures):
        assert dropped == 0
        assert numbers(messages, f"load{number}") == list(range(logged))
    assert log_site.lines() == sum(logged for logged, _ in figures)
    print(f"disk full {rounds} times: {sum(f[0] for f in figures)} records, 0 lost, 0 doubled, files whole")


@scales(rounds=(1, 10))
def test_processes_end_while_the_log_manager_is_away(log_site: LogSite, rounds: int) -> None:
    total = 0
    names = []
    for _ in range(rounds):
        log_site.start_load(2, 0.001)
        pause(0.2)
        for process in log_site.processes:
            assert process.stdin is not None
            process.send_signal(signal.SIGINT)  # ends by KeyboardInterrupt, without flushing first
        for process in log_site.processes:
            assert process.wait(PATIENCE) == -signal.SIGINT, log_site.console.read_text()[-2000:]
            _close(process)
        log_site.processes = []
        names = [path.name for path in (log_site.log / "spool").iterdir()]
    assert len(names) == 2 * rounds
    log_site.start_manager()
    deadline = time.monotonic() + PATIENCE
    while left := [path.name for path in (log_site.log / "spool").iterdir()]:
        assert not any(name.endswith(".damaged") for name in left), log_site.console.read_text()[-2000:]
        assert time.monotonic() < deadline, left
        pause(0.05)
    log_site.kill_manager(signal.SIGTERM)
    sessions: dict[str, list[int]] = {}
    for message in log_site.messages():
        if message.message.startswith("record "):
            sessions.setdefault(message.session, []).append(int(message.message.split()[1]))
    for found in sessions.values():
        assert found == list(range(len(found)))
        total += len(found)
    assert len(sessions) == 2 * rounds
    print(f"{2 * rounds} processes ended meanwhile: {total} records from their spool files, in order")
