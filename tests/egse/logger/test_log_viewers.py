"""What other programs read: textualog reads `general.log`, Cutelog listens on a socket."""

from __future__ import annotations

import importlib
import json
import logging
import re
import socket
import struct
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from egse.logger.console import CutelogForwarder
from egse.logger.files import LogFiles
from egse.logger.reading import parse_text
from egse.logger.records import LEVELS, LogMessage

DOCUMENTED = re.compile(
    r"level=(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) ts=(?P<ts>\S+) process=(?P<process>\S+) "
    r'process_id=(?P<pid>\d+) caller=(?P<caller>\S+:\d+) msg="(?P<msg>.*)"'
)
"""The order of key-value pairs that textualog documents."""

RECORDS = [
    *(
        ("INFO", 20, text, "")
        for text in ("plain", "", 'say "hi"', "a=b c=d", "two\nlines", "\ttab", "grüße")
    ),
    *((level, logging.getLevelName(level), f"at {level}", "") for level in LEVELS),
    ("WARNING", 35, "a level in between", ""),
    (
        "ERROR",
        40,
        "broke",
        "Traceback (most recent call last):\n  File x\nValueError: level=INFO ts=no record",
    ),
    ("INFO", 20, "level=CRITICAL at the beginning\nlevel=ERROR of a line", ""),
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    files = LogFiles(tmp_path / "general.log")
    for number, (level, levelno, text, traceback) in enumerate(RECORDS):
        ts = f"2026-01-01T00:00:00.{number:06d}Z"
        files.write([LogMessage(ts, level, levelno, "puna cs", 42, "egse.hexapod", 77, text, traceback)])
    files.write(
        [LogMessage("2026-01-01T00:00:01.000000Z", "INFO", 20, "p", 1, "m", 1, "in", "", "OBS_1_2", "block")]
    )
    files.close()
    return tmp_path / "general.log"


def test_every_record_has_the_documented_layout(log: Path) -> None:
    lines = log.read_text().split("\n")
    heads = [line for line in lines if line.startswith("level=")]
    matches = [DOCUMENTED.fullmatch(line) for line in heads]
    assert len(heads) == len(RECORDS) + 1
    for match, (level, _, text, _) in zip(matches, RECORDS):
        assert match is not None
        assert match["level"] == level
        assert match["msg"] == text.split("\n")[0]
        assert (match["process"], match["pid"], match["caller"]) == ("puna_cs", "42", "egse.hexapod:77")
        assert datetime.strptime(match["ts"], "%Y-%m-%dT%H:%M:%S,%f").year == 2026
    assert matches[-1] is not None
    assert matches[-1]["msg"] == "in [obsid=OBS_1_2 block=block]"
    assert all(line.startswith(("level=", "  ")) for line in lines[:-1])


def test_textualog_reads_it(log: Path) -> None:
    """With the program itself, where it is installed (its screens need an old Textual, its loader does not)."""
    pytest.importorskip("textualog", exc_type=ImportError)
    loader_module: Any = importlib.import_module("textualog.loader")
    loader = loader_module.KeyValueLoader(str(log))
    loader.load()
    found = loader.get_records(0, 1000, None)
    assert len(found) == len(RECORDS) + 1
    for record, (level, _, text, traceback) in zip(found, RECORDS):
        assert record.level == getattr(logging, level)
        assert record.msg == text.split("\n")[0].strip('"')
        assert (record.process, record.process_id, record.caller) == ("puna_cs", "42", "egse.hexapod:77")
        assert bool(record.extra and record.extra.strip()) == ("\n" in text or bool(traceback))


def test_our_own_reader_gets_everything_back(log: Path) -> None:
    with log.open() as file:
        found = list(parse_text(file))
    for record, (level, _, text, traceback) in zip(found, RECORDS):
        assert (record.level, record.message, record.traceback) == (level, text, traceback)
    assert (found[-1].message, found[-1].obsid, found[-1].block) == ("in", "OBS_1_2", "block")


class Viewer(threading.Thread):
    """Reads as Cutelog does: 4 bytes length, then the message."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.messages: list[bytes] = []
        self.changed = threading.Condition()
        self._server = socket.create_server(("127.0.0.1", port))

    def run(self) -> None:
        connection, _ = self._server.accept()
        with connection, connection.makefile("rb") as stream:
            while head := stream.read(4):
                data = stream.read(struct.unpack(">L", head)[0])
                with self.changed:
                    self.messages.append(data)
                    self.changed.notify_all()
        self._server.close()

    def wait_for(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.messages) >= count, 60)


def test_cutelog_gets_json_while_it_listens(
    free_ports: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egse.logger.console.RETRY", 0.05)
    (port,) = free_ports(1)
    forwarder = CutelogForwarder("127.0.0.1", port)
    forwarder.start()
    record = LogMessage(
        "2026-01-01T00:00:00.500000Z", "ERROR", 40, "p", 7, "egse.m", 3, "broke", "trace", "OBS_1_2"
    )
    forwarder.put(record)  # nobody listens: not kept
    viewer = Viewer(port)
    viewer.start()
    viewer.wait_for(1)
    while not forwarder.connected:
        forwarder.join(0.01)
    forwarder.put(record)
    viewer.wait_for(2)
    forwarder.end()
    viewer.join(60)
    forwarder.join(60)
    assert not forwarder.is_alive()
    assert viewer.messages[0] == b"!!cutelog!!format=json"
    assert json.loads(viewer.messages[1]) == {
        "name": "egse.m",
        "levelname": "ERROR",
        "levelno": 40,
        "created": 1767225600.5,
        "message": "broke",
        "processName": "p",
        "process": 7,
        "lineno": 3,
        "mode": "operations",
        "exc_text": "trace",
        "obsid": "OBS_1_2",
    }
