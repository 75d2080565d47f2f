"""`cgse log`, as an operator meets it."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from egse.cli import main
from egse.logger.files import LogFiles
from egse.logger.records import LogMessage

BROKEN = LogMessage(
    "2026-11-25T10:00:01.000000Z",
    "ERROR",
    40,
    "puna_cs",
    2,
    "egse.hexapod",
    7,
    "no answer\x1b[2J",
    "Traceback (most recent call last):\nTimeoutError",
    "CSL1_00084_01151",
    "homing",
    "simulator",
    session="s",
    seq=2,
)
RECORDS = [
    LogMessage(
        "2026-11-25T10:00:00.123456Z", "INFO", 20, "cm_cs", 1, "egse.confman", 5, "ready", session="s", seq=1
    ),
    BROKEN,
    LogMessage(
        "2026-11-25T10:00:02.000000Z", "DEBUG", 10, "cm_cs", 1, "egse.confman", 9, "idle", session="s", seq=3
    ),
]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LogFiles:
    """A folder with three records; the environment names it."""
    monkeypatch.setenv("PLATO_LOG_FILE_LOCATION", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    files = LogFiles(tmp_path / "general.log")
    files.write(RECORDS)
    return files


@pytest.fixture
def cgse_log(log: LogFiles) -> Callable[..., tuple[int, str]]:
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["log", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return run


def test_records_in_the_layout_of_the_console(cgse_log: Callable[..., tuple[int, str]]) -> None:
    code, output = cgse_log()
    lines = output.splitlines()
    assert code == 0
    assert (
        lines[0]
        == f"2026-11-25 10:00:00,123 : {'cm_cs':>15} :     INFO :    5 : {'egse.confman':<30} : ready"
    )
    assert lines[1].endswith(": no answer\\x1b[2J")
    assert lines[2:4] == ["Traceback (most recent call last):", "TimeoutError"]
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (("--level", "error"), ["no answer\x1b[2J"]),
        (("--process", "cm_*"), ["ready", "idle"]),
        (("--since", "2026-11-25T10:00:01"), ["no answer\x1b[2J", "idle"]),
        (("--until", "2026-11-25T10:00:01"), ["ready", "no answer\x1b[2J"]),
        (("--obsid", "1151"), ["no answer\x1b[2J"]),
        (("--grep", "^rea|Timeout"), ["ready", "no answer\x1b[2J"]),
        (("-n", "1"), ["idle"]),
        (("-n", "1", "--process", "cm_cs", "--level", "INFO"), ["ready"]),
    ],
)
def test_options(
    cgse_log: Callable[..., tuple[int, str]], arguments: tuple[str, ...], shown: list[str]
) -> None:
    code, output = cgse_log("--json", *arguments)
    assert code == 0
    assert [json.loads(line)["message"] for line in output.splitlines()] == shown


def test_json_has_every_field(cgse_log: Callable[..., tuple[int, str]]) -> None:
    _, output = cgse_log("--json", "--level", "ERROR")
    assert json.loads(output) == {
        "ts": "2026-11-25T10:00:01.000000Z",
        "level": "ERROR",
        "levelno": 40,
        "process": "puna_cs",
        "pid": 2,
        "caller": "egse.hexapod",
        "line": 7,
        "message": "no answer\x1b[2J",
        "traceback": "Traceback (most recent call last):\nTimeoutError",
        "obsid": "CSL1_00084_01151",
        "block": "homing",
        "mode": "simulator",
        "session": "s",
        "seq": 2,
    }


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--since", "soon"), "'soon' is no moment; examples: 10m, 2h"),
        (("--grep", "("), "'(' is no regular expression"),
        (("--level", "LOUD"), "'LOUD' is not one of"),
    ],
)
def test_wrong_options(
    cgse_log: Callable[..., tuple[int, str]], arguments: tuple[str, ...], words: str
) -> None:
    code, output = cgse_log(*arguments)
    assert code == 2
    assert words in output


def test_no_log_here(
    cgse_log: Callable[..., tuple[int, str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output = cgse_log("--folder", str(tmp_path / "none"))
    assert code == 1
    assert "there is no log file" in output
    monkeypatch.delenv("PLATO_LOG_FILE_LOCATION")
    code, output = cgse_log()
    assert code == 1
    assert "PLATO_LOG_FILE_LOCATION" in output


def test_following_in_a_terminal(log: LogFiles) -> None:
    """A pseudo-terminal: colours, records as they come, over new files, ended by ctrl-C."""
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", "from egse.cli import main; main()", "log", "--follow", "-n", "2"],
        stdout=follower,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"},
    ) as process:
        os.close(follower)
        seen = read_until(leader, b"idle")
        log.rotate()
        log.write([RECORDS[0]])
        seen += read_until(leader, b"ready")
        process.send_signal(2)
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
    os.close(leader)
    assert b"\x1b[31m" in seen  # the error is red
    assert b"\x1b[2J" not in seen  # and does not clear the screen
    assert b"[CSL1_00084_01151 homing simulator]" in seen


def read_until(descriptor: int, part: bytes) -> bytes:
    data = b""
    while part not in data:
        data += os.read(descriptor, 65_536)
    return data
