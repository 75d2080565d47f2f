"""Every record arrives once and in order, whatever happens to the log manager and the process."""

from __future__ import annotations

import logging
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import zmq

from egse.logger.handler import ZeroMQHandler
from egse.logger.receiver import LogReceiver
from egse.logger.records import HOLD, OK, RESEND, Ack, Batch, Entry, encode_batch
from egse.logger.sender import Sender
from egse.logger.spool import spool_files, write_spool


def entries(first: int, last: int) -> list[Entry]:
    return [Entry(1.0 + number, 20, "m", 1, f"no {number}") for number in range(first, last + 1)]


def batch(first: int, last: int, base: int = 1, session: str = "s") -> Batch:
    return Batch(1, session, "p", 1, base, first, entries(first, last))


def numbers(texts: list[str], pattern: str = r"record (\d+)") -> list[int]:
    return [int(match[1]) for text in texts if (match := re.fullmatch(pattern, text))]


# -- the manager's side ------------------------------------------------------------------------------------------------


def test_duplicates_are_dropped_by_number(manager: Any) -> None:
    receiver = manager.start()
    assert receiver.take(batch(1, 5)).seq == 5
    assert receiver.take(batch(1, 5)).seq == 5
    assert receiver.take(batch(4, 8)).seq == 8
    manager.stop()
    assert manager.texts() == [f"no {number}" for number in range(1, 9)]
    assert receiver.counters.duplicates == 7
    assert receiver.counters.gaps == 0


def test_what_is_missing_in_between_is_asked_for_again(manager: Any) -> None:
    receiver = manager.start()
    receiver.take(batch(1, 3))
    ack = receiver.take(batch(6, 8))
    assert (ack.seq, ack.verdict) == (3, RESEND)
    assert receiver.take(batch(4, 8)).verdict == OK
    manager.stop()
    assert manager.texts() == [f"no {number}" for number in range(1, 9)]


def test_what_nobody_has_any_more_is_written_down_as_a_gap(manager: Any) -> None:
    receiver = manager.start()
    receiver.take(batch(1, 3))
    assert receiver.take(batch(8, 9, base=8)).seq == 9
    manager.stop()
    assert receiver.counters.missing == 4
    assert manager.texts()[3] == "4 records of p did not arrive before this"
    assert manager.messages()[3].lost == 4


def test_duplicates_are_known_over_a_restart_and_over_new_files(manager: Any) -> None:
    receiver = manager.start()
    receiver.take(batch(1, 5, session="quiet"))
    manager.stop()
    manager.max_size = 2000
    receiver = manager.start()
    for first in range(1, 100, 3):
        receiver.take(batch(first, first + 2, session="busy"))
    assert (manager.folder / "general.jsonl.3").exists()
    manager.stop()
    receiver = manager.start()
    assert receiver.take(batch(1, 5, session="quiet")).seq == 5
    assert receiver.take(batch(97, 99, session="busy")).seq == 99
    assert receiver.counters.duplicates == 8
    assert receiver.counters.received == 0


def test_a_process_that_is_unknown_here_may_go_on(manager: Any) -> None:
    receiver = manager.start()
    assert receiver.take(batch(10, 12, base=10)).seq == 12
    assert receiver.counters.missing == 0


# -- a process and its manager -----------------------------------------------------------------------------------------


def test_records_wait_for_a_log_manager_that_comes_later(
    manager: Any, handler: ZeroMQHandler, logger: logging.Logger
) -> None:
    for number in range(3000):
        logger.info("record %d", number)
    receiver = manager.start()
    assert handler.flush_records(10)
    manager.stop()
    assert numbers(manager.texts()) == list(range(3000))
    assert receiver.counters.missing == 0


def test_restarts_under_load(manager: Any, handler: ZeroMQHandler, logger: logging.Logger) -> None:
    end = threading.Event()
    count = 0

    def load() -> None:
        nonlocal count
        while not end.wait(0.0005):
            logger.info("record %d", count)
            count += 1

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    for _ in range(3):
        receiver = manager.start()
        before = receiver.counters.received
        while receiver.counters.received < before + 200:
            end.wait(0.01)
        manager.stop()
    end.set()
    thread.join()
    manager.start()
    assert handler.flush_records(10)
    manager.stop()
    assert numbers(manager.texts()) == list(range(count))


def test_an_acknowledgement_that_is_lost_doubles_nothing(
    manager: Any, handler: ZeroMQHandler, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    original = LogReceiver.take

    def take(self: LogReceiver, batch: Batch) -> Any:
        ack = original(self, batch)
        taken.append(ack)
        if len(taken) == 1:
            ack.session = "somebody else"
        return ack

    monkeypatch.setattr(LogReceiver, "take", take)
    receiver = manager.start()
    logger.info("record 0")
    manager.echo.wait_for("record 0")
    assert handler.flush_records(10)
    manager.stop()
    assert numbers(manager.texts()) == [0]
    assert receiver.counters.duplicates == 1


def test_a_full_buffer_drops_and_says_so_in_its_place_and_never_blocks(
    manager: Any, logger: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = ZeroMQHandler(manager.endpoint, "flood", capacity=50)
    logger.addHandler(handler)
    for number in range(500):
        logger.info("record %d", number)
    assert handler.dropped_total == 450
    assert "the buffer of flood is full (50 records)" in capsys.readouterr().err
    receiver = manager.start()
    text = manager.echo.wait_for("450 records of flood lost between")
    assert re.search(r"between \d{4}-\d\d-\d\dT[\d:.]+Z and \d{4}-\d\d-\d\dT[\d:.]+Z", text)
    assert handler.flush_records(10)  # the buffer has room again when what is in it was acknowledged
    logger.info("record %d", 500)
    assert handler.flush_records(10)
    manager.stop()
    texts = manager.texts()
    assert numbers(texts) == [*range(50), 500]
    assert "lost between" in texts[50]
    assert manager.messages()[50].lost == 450
    assert receiver.counters.dropped == 450
    assert receiver.counters.missing == 0  # told by the process, not found as a gap


def test_long_texts_fill_the_buffer_too(
    manager: Any, handler: ZeroMQHandler, logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egse.logger.sender.CAPACITY_TEXT", 1_000_000)
    for _ in range(60):
        logger.info("x" * 32_000)
    assert handler.dropped_total == 60 - 31
    manager.start()
    assert handler.flush_records(20)
    manager.stop()
    assert len(manager.messages()) == 31 + 1


def test_records_while_nothing_can_be_written_come_later(
    manager: Any, handler: ZeroMQHandler, logger: logging.Logger
) -> None:
    receiver = manager.start()
    logger.info("record 0")
    assert handler.flush_records(10)
    write = receiver._files.write

    def no_space(messages: Any) -> None:
        raise OSError(28, "No space left on device")

    receiver._files.write = no_space
    for number in range(1, 300):
        logger.info("record %d", number)
    warning = manager.echo.wait_for("cannot be written")
    assert "No space left on device" in warning
    assert "Free some space" in warning
    assert receiver.take(batch(1, 1)).verdict == HOLD
    receiver._files.write = write
    assert handler.flush_records(10)
    manager.echo.wait_for("written again")
    manager.stop()
    assert numbers(manager.texts()) == list(range(300))
    assert sum("cannot be written" in text for text in manager.echo.texts) == 1


# -- the end of a process ----------------------------------------------------------------------------------------------

LEAVING = """
import logging, sys, os
from egse.logger import setup_logging
setup_logging("leaving_cs", endpoint=sys.argv[1], console=None)
for number in range(2000):
    logging.getLogger("egse").info("record %d", number)
"""


def test_a_process_that_ends_meanwhile_leaves_its_records_in_the_spool(
    manager: Any, log_folder: Path
) -> None:
    subprocess.run([sys.executable, "-c", LEAVING, manager.endpoint], check=True, timeout=60)
    (path,) = spool_files(log_folder)
    assert path.name.startswith("leaving_cs-")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    receiver = manager.start()
    manager.echo.wait_for("record 1999")
    manager.stop()
    assert numbers(manager.texts()) == list(range(2000))
    assert receiver.counters.spooled == 2000
    assert spool_files(log_folder) == []


def test_a_spool_that_was_taken_in_by_a_killed_manager_is_not_doubled(manager: Any, log_folder: Path) -> None:
    receiver = manager.start()
    receiver.take(batch(1, 5))
    write_spool(log_folder, [batch(4, 7, base=4), batch(8, 9, base=4)])
    receiver.take_spool()
    manager.stop()
    assert manager.texts() == [f"no {number}" for number in range(1, 10)]


def test_a_damaged_spool_is_put_aside(manager: Any, log_folder: Path) -> None:
    path = write_spool(log_folder, [batch(1, 5)])
    path.write_bytes(path.read_bytes()[:-3])
    write_spool(log_folder, [batch(1, 2, session="t")])
    receiver = manager.start()
    manager.echo.wait_for("no 2")
    manager.stop()
    assert receiver.counters.malformed == 1
    assert [p.name for p in path.parent.iterdir()] == [path.with_suffix(".damaged").name]


def test_a_spool_with_a_gap_is_taken_in_and_the_gap_told(manager: Any, log_folder: Path) -> None:
    write_spool(log_folder, [batch(1, 2), batch(5, 6)])
    receiver = manager.start()
    manager.echo.wait_for("no 6")
    manager.stop()
    assert manager.texts() == ["no 1", "no 2", "2 records of p did not arrive before this", "no 5", "no 6"]
    assert (receiver.counters.missing, receiver.counters.malformed) == (2, 0)
    assert spool_files(log_folder) == []


def test_what_is_left_is_whole_while_the_thread_is_still_at_work() -> None:
    """A busy machine may not have ended the thread when the process takes what is left."""
    sender = Sender("tcp://127.0.0.1:9", "p", threading.RLock())
    ending = threading.Event()

    def work() -> None:
        while sender._queue and not ending.is_set():
            sender._fill_window()
            sender._acknowledged(Ack(sender.session, sender._window[0][0] + 499, OK))

    pace = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for entry in entries(1, 200_000):
            sender._append(entry)
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        found = [[(b.first, len(b.entries)) for b in sender._left()] for _ in range(100)]
    finally:
        ending.set()
        sys.setswitchinterval(pace)
    thread.join(60)
    sender.close(0.0, 0.0)
    for batches in found:
        for (first, count), (following, _) in pairwise(batches):
            assert following == first + count


def test_what_cannot_be_kept_is_told(manager: Any) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PLATO_LOG_FILE_LOCATION"}
    result = subprocess.run(
        [sys.executable, "-c", LEAVING, manager.endpoint],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=environment,
    )
    assert "the last 2000 log records of leaving_cs are lost" in result.stderr
    assert "PLATO_LOG_FILE_LOCATION" in result.stderr


def test_the_end_is_not_held_up_by_a_manager_that_hangs(manager: Any, log_folder: Path) -> None:
    """Somebody accepts connections and never answers."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as silent:
        silent.linger = 0
        silent.bind(manager.endpoint)
        subprocess.run([sys.executable, "-c", LEAVING, manager.endpoint], check=True, timeout=60)
    assert len(spool_files(log_folder)) == 1


def _child(endpoint: str) -> None:
    logging.getLogger("test-of-logging").info("record of the child")


@pytest.mark.parametrize("parent_logged", [True, False])
def test_a_forked_child_sends_its_own_records(
    manager: Any, handler: ZeroMQHandler, logger: logging.Logger, log_folder: Path, parent_logged: bool
) -> None:
    manager.start()
    if parent_logged:
        logger.info("record 0")
        assert handler.flush_records(10)
    child = multiprocessing.get_context("fork").Process(target=_child, args=(manager.endpoint,))
    child.start()
    logger.info("record 1")
    child.join(60)
    assert child.exitcode == 0
    assert handler.flush_records(10)
    manager.echo.wait_for("record of the child")
    manager.stop()
    messages = manager.messages()
    pids = {message.message: message.pid for message in messages}
    assert pids["record of the child"] == child.pid
    assert pids["record 1"] == os.getpid()
    assert len(messages) == (3 if parent_logged else 2)


SIGNALLED = """
import logging, os, signal, sys
from egse.logger import setup_logging
setup_logging("signalled", endpoint=sys.argv[1], console=None)
log = logging.getLogger("egse")
signal.signal(signal.SIGTERM, lambda *_: (log.info("in the handler"), sys.exit(3)))
print("ready", flush=True)
while True:
    log.debug("busy")
"""


def test_a_signal_in_the_middle_of_logging_does_not_lock_up(manager: Any, log_folder: Path) -> None:
    manager.start()
    with subprocess.Popen(
        [sys.executable, "-c", SIGNALLED, manager.endpoint], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        manager.echo.wait_for("busy")
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 3
    manager.echo.wait_for("in the handler")


def test_surrogates_do_not_stop_a_session() -> None:
    batch = Batch(1, "s", "p\ud800", 1, 1, 1, [Entry(0.0, 20, "m", 1, "\udc80" * 20_000)])
    assert encode_batch(batch)
