"""The log files stay whole and complete: rotation, crashes at any byte, full disks, files removed by hand."""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from egse.logger.files import LogFiles, decode_line, numbered
from egse.logger.records import LogMessage, file_text


def message(number: int, text: str = "", session: str = "s") -> LogMessage:
    ts = f"2026-01-01T00:00:00.{number:06d}Z"
    return LogMessage(ts, "INFO", 20, "p", 1, "m", 1, text or f"no {number}", session=session, seq=number)


def messages(first: int, last: int, text: str = "") -> list[LogMessage]:
    return [message(number, text and f"{text} {number}") for number in range(first, last + 1)]


def read_twin(path: Path) -> list[LogMessage]:
    lines = path.read_bytes().splitlines()
    return [record for record in map(decode_line, lines) if record is not None]


def text_of(folder: Path) -> str:
    return "".join(path.read_text() for path in numbered(folder / "general.log"))


def records_of(folder: Path) -> list[LogMessage]:
    return [record for path in numbered(folder / "general.jsonl") for record in read_twin(path)]


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """The system refuses to let any file grow beyond `size`, as a full disk does: the last write is cut short."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_both_files_have_every_record_and_belong_to_their_owner_only(folder: Path) -> None:
    files = LogFiles(folder / "general.log")
    files.write(messages(1, 3))
    files.close()
    assert text_of(folder) == "".join(map(file_text, messages(1, 3)))
    lines = (folder / "general.jsonl").read_text().splitlines()
    assert [json.loads(line)["message"] for line in lines[1:]] == ["no 1", "no 2", "no 3"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_full_files_are_kept_and_new_ones_begun(folder: Path) -> None:
    files = LogFiles(folder / "general.log", max_size=1000, backups=2)
    for number in range(1, 101):
        files.write([message(number)])
    files.close()
    assert sorted(path.name for path in folder.iterdir()) == [
        *("general.jsonl", "general.jsonl.1", "general.jsonl.2"),
        *("general.log", "general.log.1", "general.log.2"),
    ]
    assert all(path.stat().st_size <= 1000 for path in numbered(folder / "general.log"))
    kept = records_of(folder)
    assert [record.seq for record in kept] == list(range(kept[0].seq, 101))
    assert text_of(folder) == "".join(map(file_text, kept))


@pytest.mark.parametrize("cut", [1, 5, 40, 100, 139, 200, 400])
def test_a_log_that_lags_behind_is_completed(folder: Path, cut: int) -> None:
    """Killed after `general.jsonl` was written and before, or in the middle of, `general.log`."""
    files = LogFiles(folder / "general.log")
    files.write(messages(1, 10, "grüße\nzwei Zeilen"))
    files.close()
    whole = (folder / "general.log").read_bytes()
    os.truncate(folder / "general.log", len(whole) - cut)
    files = LogFiles(folder / "general.log")
    files.open()
    assert (folder / "general.log").read_bytes() == whole
    files.write(messages(11, 11))
    files.close()
    assert files.sessions == {"s": 11}
    assert text_of(folder) == whole.decode() + file_text(message(11))


@pytest.mark.parametrize("cut", [1, 7, 60, 150])
def test_a_torn_line_of_the_complete_record_goes(folder: Path, cut: int) -> None:
    files = LogFiles(folder / "general.log")
    files.write(messages(1, 3))
    size = (folder / "general.log").stat().st_size
    files.write(messages(4, 4))
    files.close()
    os.truncate(folder / "general.log", size)  # not written yet
    twin = folder / "general.jsonl"
    os.truncate(twin, twin.stat().st_size - cut)
    files = LogFiles(folder / "general.log")
    files.open()
    assert files.sessions == {"s": 3}  # the fourth was not acknowledged, and comes again
    files.write(messages(4, 4))
    files.close()
    assert [record.seq for record in records_of(folder)] == [1, 2, 3, 4]
    assert text_of(folder) == "".join(map(file_text, messages(1, 4)))


def test_killed_between_the_two_renames(folder: Path) -> None:
    files = LogFiles(folder / "general.log")
    files.write(messages(1, 3))
    files.close()
    whole = (folder / "general.log").read_text()
    os.truncate(folder / "general.log", 20)
    (folder / "general.log").rename(folder / "general.log.1")
    files = LogFiles(folder / "general.log")
    files.write(messages(4, 5))
    files.close()
    assert (folder / "general.log.1").read_text() == whole
    assert (folder / "general.log").read_text() == "".join(map(file_text, messages(4, 5)))
    assert [len(read_twin(path)) for path in numbered(folder / "general.jsonl")] == [3, 2]
    assert files.sessions == {"s": 5}


def test_a_log_of_an_earlier_release_is_gone_on_with(folder: Path) -> None:
    folder.mkdir()
    path = folder / "general.log"
    path.write_bytes('level=INFO ts=x msg="grü'.encode()[:-1])  # torn, in the middle of a character
    files = LogFiles(path)
    files.write(messages(1, 1))
    files.close()
    assert path.read_text() == 'level=INFO ts=x msg="gr\n' + file_text(message(1))


def test_all_or_nothing_on_a_full_disk(folder: Path) -> None:
    files = LogFiles(folder / "general.log")
    files.write(messages(1, 3))
    before = (folder / "general.log").read_bytes(), (folder / "general.jsonl").read_bytes()
    for size in (len(before[1]) + 10, len(before[0]) + 700, len(before[1]) + 1000):
        with largest_file(size), pytest.raises(OSError, match="too large"):
            files.write(messages(4, 40))
        assert ((folder / "general.log").read_bytes(), (folder / "general.jsonl").read_bytes()) == before
        assert files.sessions == {"s": 3}
    files.write(messages(4, 40))
    files.close()
    assert [record.seq for record in records_of(folder)] == list(range(1, 41))
    assert text_of(folder) == "".join(map(file_text, messages(1, 40)))


def test_a_start_on_a_full_disk(folder: Path) -> None:
    files = LogFiles(folder / "general.log")
    with largest_file(5), pytest.raises(OSError, match="too large"):
        files.write(messages(1, 2))
    files.write(messages(1, 2))
    files.close()
    assert [record.seq for record in records_of(folder)] == [1, 2]


def test_files_that_somebody_removed_are_begun_anew(folder: Path) -> None:
    files = LogFiles(folder / "general.log")
    for name in ("general.log", "general.jsonl"):
        files.write([message(sum(files.sessions.values()) + 1)])
        (folder / name).unlink()
        files.check()
    files.write(messages(3, 3))
    files.close()
    assert (folder / "general.log").read_text() == "".join(map(file_text, messages(2, 3)))
    assert [record.seq for record in read_twin(folder / "general.jsonl")] == [3]


def test_a_log_that_somebody_emptied_is_gone_on_with(folder: Path) -> None:
    files = LogFiles(folder / "general.log")
    files.write(messages(1, 3))
    os.truncate(folder / "general.log", 0)
    files.write(messages(4, 4))
    files.sync()
    files.close()
    assert (folder / "general.log").read_text() == file_text(message(4))
    assert read_twin(folder / "general.jsonl")[-1].at == 0


def test_zeros_at_the_end_after_a_power_cut(folder: Path) -> None:
    files = LogFiles(folder / "general.log")
    files.write(messages(1, 3))
    files.close()
    with (folder / "general.jsonl").open("ab") as twin:
        twin.write(bytes(500))
    files = LogFiles(folder / "general.log")
    files.write(messages(4, 4))
    files.close()
    assert files.sessions == {"s": 4}
    assert [record.seq for record in records_of(folder)] == [1, 2, 3, 4]
