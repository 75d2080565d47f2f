"""Log records of those who have a key arrive; those of others wait, and are taken when the key is accepted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from egse.logger.files import LogFiles, decode_line
from egse.logger.handler import ZeroMQHandler
from egse.logger.receiver import LogReceiver
from egse.logger.records import Batch, Entry, encode_batch
from egse.security import KeyFolder, Role
from egse.security.curve import act_as


@pytest.fixture
def receiver(
    keys: KeyFolder, tmp_path: Path, free_ports: Callable[[int], list[int]]
) -> Iterator[LogReceiver]:
    endpoint = f"tcp://127.0.0.1:{free_ports(1)[0]}"
    thread = LogReceiver(endpoint, LogFiles(tmp_path / "log" / "general.log"), lambda _: None)
    thread.endpoint = endpoint  # type: ignore[attr-defined]
    thread.start()
    yield thread
    thread.end()
    thread.join(5)
    assert not thread.is_alive()
    thread.close_files()


def record(text: str) -> logging.LogRecord:
    return logging.LogRecord("m", 20, "f", 1, text, None, None)


def texts(tmp_path: Path) -> list[str]:
    found = map(decode_line, (tmp_path / "log" / "general.jsonl").read_bytes().splitlines())
    return [message.message for message in found if message is not None]


def test_records_under_a_key(receiver: LogReceiver, keys: KeyFolder, tmp_path: Path) -> None:
    act_as("alice")
    handler = ZeroMQHandler(receiver.endpoint, "alices")  # type: ignore[attr-defined]
    handler.handle(record("hers"))
    assert handler.flush_records(10)
    keys.revoke("alice")
    sent = 0
    while not receiver.counters.rejected:  # it is noticed after a moment
        handler.handle(record(f"no {sent}"))
        sent += 1
        handler.flush_records(0.1)
    assert handler.waiting
    keys.authorize("alice", Role.COMMAND)
    assert handler.flush_records(10)
    handler.close()
    assert texts(tmp_path) == ["hers", *(f"no {number}" for number in range(sent))]


def test_records_of_a_stranger_wait(
    receiver: LogReceiver, keys: KeyFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLATO_LOG_FILE_LOCATION", str(tmp_path / "elsewhere"))
    act_as("mallory")
    handler = ZeroMQHandler(receiver.endpoint, "mallorys")  # type: ignore[attr-defined]
    handler.handle(record("forged"))
    with zmq.Context() as context, context.socket(zmq.DEALER) as plain:  # and one without any key
        plain.linger = 0
        plain.connect(receiver.endpoint)  # type: ignore[attr-defined]
        plain.send(encode_batch(Batch(1, "s", "p", 1, 1, 1, [Entry(0.0, 20, "m", 1, "forged")])))
        assert not handler.flush_records(0.5)
    handler.close()
    assert receiver.counters.received == 0
    assert list((tmp_path / "elsewhere" / "spool").iterdir())


def test_keys_that_come_later(
    receiver: LogReceiver,
    keys: KeyFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("egse.logger.sender.RETRY_KEYS", 0.1)
    monkeypatch.setenv("PLATO_KEYS_LOCATION", str(tmp_path / "nowhere"))
    act_as("alice")
    handler = ZeroMQHandler(receiver.endpoint, "alices")  # type: ignore[attr-defined]
    handler.handle(record("early"))
    assert not handler.flush_records(0.5)
    assert "log records of alices wait, they cannot be sent" in capsys.readouterr().err
    monkeypatch.setenv("PLATO_KEYS_LOCATION", str(keys.path))
    assert handler.flush_records(10)
    handler.close()
    assert texts(tmp_path) == ["early"]
