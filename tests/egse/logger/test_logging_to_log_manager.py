"""Records of several processes arrive in one file, whatever happens to the log manager."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from egse.logger.handler import ZeroMQHandler, close_all_zmq_handlers, set_context_source, setup_logging
from egse.logger.receiver import LogReceiver, RotatingLog
from egse.logger.records import LogMessage, console_text, decode, file_text


def free_endpoint() -> str:
    with zmq.Context() as context, context.socket(zmq.PULL) as sock:
        port = sock.bind_to_random_port("tcp://127.0.0.1")
    return f"tcp://127.0.0.1:{port}"


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
            assert self._changed.wait_for(found, timeout=10.0), f"{part!r} never came: {self.texts}"
            return found()


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    logger = logging.getLogger("test-of-logging")
    logger.propagate = False
    logger.setLevel(logging.DEBUG)
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


def receiver(endpoint: str, path: Path, echo: Echo, **kwargs: int) -> LogReceiver:
    thread = LogReceiver(endpoint, RotatingLog(path, **kwargs), echo, logging.DEBUG)
    thread.start()
    return thread


def stop(thread: LogReceiver) -> None:
    thread.end()
    thread.join(5.0)
    assert not thread.is_alive()


CHILD = """
import logging, sys
from egse.logger import setup_logging
setup_logging("child_cs", endpoint=sys.argv[1], console=None)
logging.getLogger("egse.child").debug("a detail")
try:
    1 / 0
except ZeroDivisionError:
    logging.getLogger("egse.child").exception("it broke\\non two lines", extra={"obsid": "CSL1_00084_01151"})
"""


def test_a_process_logs_all_levels_and_ends_without_help(tmp_path: Path, echo: Echo) -> None:
    endpoint = free_endpoint()
    thread = receiver(endpoint, tmp_path / "general.log", echo)
    subprocess.run([sys.executable, "-c", CHILD, endpoint], check=True, timeout=20)
    echo.wait_for("it broke")
    stop(thread)
    lines = (tmp_path / "general.log").read_text().splitlines()
    assert lines[0].startswith("level=DEBUG ts=")
    assert "process=child_cs" in lines[0]
    assert 'caller=egse.child:5 msg="a detail"' in lines[0]
    assert lines[1].startswith("level=ERROR")
    assert lines[1].endswith('msg="it broke" obsid=CSL1_00084_01151')
    assert lines[2] == "  on two lines"
    assert lines[-1] == "  ZeroDivisionError: division by zero"
    assert all(line.startswith(("level=", "  ")) for line in lines)


def test_records_wait_for_a_log_manager_that_comes_later(
    tmp_path: Path, echo: Echo, logger: logging.Logger
) -> None:
    endpoint = free_endpoint()
    logger.addHandler(ZeroMQHandler(endpoint, "early"))
    for number in range(100):
        logger.info("record %d", number)
    thread = receiver(endpoint, tmp_path / "general.log", echo)
    echo.wait_for("record 99")
    stop(thread)
    assert (thread.received, thread.missing) == (100, 0)


def test_a_full_buffer_drops_and_says_so_and_never_blocks(
    tmp_path: Path, echo: Echo, logger: logging.Logger
) -> None:
    endpoint = free_endpoint()
    handler = ZeroMQHandler(endpoint, "flood", capacity=50)
    logger.addHandler(handler)
    for number in range(500):
        logger.info("record %d", number)
    assert handler.dropped_total > 300
    thread = receiver(endpoint, tmp_path / "general.log", echo)
    echo.wait_for("record 0")
    logger.info("after")
    text = echo.wait_for("log records of flood were lost")
    assert f"{handler.dropped_total} log records" in text
    echo.wait_for("after")
    stop(thread)
    assert thread.missing == 0  # the loss was told by number, not found as a gap


def test_a_gap_in_the_sequence_is_written_down(tmp_path: Path, echo: Echo) -> None:
    thread = receiver(free_endpoint(), tmp_path / "general.log", echo)
    for seq in (7, 8, 12):
        thread.handle(LogMessage(0.0, 20, "p", 1, "m", 1, f"no {seq}", session="s", seq=seq))
    stop(thread)
    assert thread.missing == 3
    assert "3 log records of p did not arrive" in (tmp_path / "general.log").read_text()


def test_garbage_is_counted_and_changes_nothing(tmp_path: Path, echo: Echo) -> None:
    endpoint = free_endpoint()
    thread = receiver(endpoint, tmp_path / "general.log", echo)
    good = msgspec.msgpack.encode(LogMessage(0.0, 20, "p", 1, "m", 1, "good"))
    with zmq.Context() as context, context.socket(zmq.PUSH) as sock:
        sock.connect(endpoint)
        for data in (b"", b"\xc1", b"\x93\x01\x02\x03", good[:-3], good):
            sock.send(data)
        echo.wait_for("good")
    stop(thread)
    assert (thread.malformed, thread.received) == (4, 1)


def test_the_file_rotates_and_keeps_the_newest(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "general.log", max_size=1000, backups=2)
    for number in range(100):
        log.write(f"line {number:03d} {'x' * 90}\n")
    log.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["general.log", "general.log.1", "general.log.2"]
    text = "".join((tmp_path / name).read_text() for name in reversed(names))
    assert "line 099" in text
    assert "line 080" in text
    assert all(path.stat().st_size <= 1000 for path in tmp_path.iterdir())


def test_a_torn_last_line_is_ended_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "general.log"
    path.write_text('level=INFO ts=x msg="to')
    log = RotatingLog(path)
    log.write("level=INFO new\n")
    log.close()
    assert path.read_text().splitlines() == ['level=INFO ts=x msg="to', "level=INFO new"]


def test_setup_logging_attaches_once_and_ends_cleanly(tmp_path: Path, echo: Echo) -> None:
    endpoint = free_endpoint()
    thread = receiver(endpoint, tmp_path / "general.log", echo)
    set_context_source(lambda: ("CSL1_00001_00002", "move_hexapod"))
    try:
        setup_logging("me", endpoint=endpoint, console=None)
        handler = setup_logging("me", endpoint=endpoint, console=None)
        root = logging.getLogger()
        assert [h for h in root.handlers if isinstance(h, ZeroMQHandler)] == [handler]
        logging.getLogger("egse.something").debug("with context")
        echo.wait_for("with context")
    finally:
        set_context_source(None)
        close_all_zmq_handlers()
    stop(thread)
    assert not [h for h in root.handlers if isinstance(h, ZeroMQHandler)]
    line = (tmp_path / "general.log").read_text()
    assert line.rstrip().endswith("obsid=CSL1_00001_00002 block=move_hexapod")


def test_layouts_and_round_trip() -> None:
    message = LogMessage(0.5, 30, "puna cs", 7, "egse.hexapod", 12, 'say "hi"', session="s", seq=3)
    assert decode(msgspec.msgpack.encode(message)) == message
    assert file_text(message) == (
        "level=WARNING ts=1970-01-01T00:00:00,500000 process=puna_cs process_id=7 "
        'caller=egse.hexapod:12 msg="say "hi""\n'
    )
    assert console_text(message).startswith("1970-01-01 00:00:00,500 :         puna cs :  WARNING :   12 : ")
