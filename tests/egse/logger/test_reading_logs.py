"""Reading log files: filters, the end first, rotated files, following."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from egse.logger.files import LogFiles
from egse.logger.reading import LogFolder, RecordFilter, is_obsid, parse_moment
from egse.logger.records import LEVELS, LogMessage

NOW = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
ALL = RecordFilter()


def message(number: int, text: str = "") -> LogMessage:
    level = LEVELS[number % 5]
    return LogMessage(
        f"2026-11-25T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000000Z",
        level,
        10 * (1 + LEVELS.index(level)),
        ("puna_cs", "cm_cs", "kernel")[number % 3],
        1,
        "egse.m",
        1,
        text or f"no {number}",
        "Traceback (most recent call last):\nValueError: bad" if level == "ERROR" else "",
        f"CSL1_00084_{number // 100:05d}",
        session="s",
        seq=number + 1,
    )


@pytest.fixture
def files(tmp_path: Path) -> LogFiles:
    """1000 records in several files."""
    files = LogFiles(tmp_path / "general.log", max_size=30_000)
    for number in range(1000):
        files.write([message(number)])
    assert (tmp_path / "general.jsonl.3").exists()
    return files


def numbers(found: list[LogMessage]) -> list[int]:
    return [int(record.message.split()[1]) for record in found]


def test_all_records_in_order(files: LogFiles) -> None:
    assert numbers(list(LogFolder(files.path.parent).records(ALL))) == list(range(1000))


@pytest.mark.parametrize("count", [0, 1, 10, 999, 2000])
@pytest.mark.parametrize("block", [700, 262_144])
def test_the_last_ones_first(
    files: LogFiles, count: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("egse.logger.reading.BLOCK", block)
    found = LogFolder(files.path.parent).last(ALL, count)
    assert numbers(found) == list(range(max(0, 1000 - count), 1000))


@pytest.mark.parametrize("block", [700, 262_144])
def test_only_general_log_is_there(files: LogFiles, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egse.logger.reading.BLOCK", block)
    for path in files.path.parent.glob("general.jsonl*"):
        path.unlink()
    folder = LogFolder(files.path.parent)
    assert numbers(list(folder.records(ALL))) == list(range(1000))
    found = folder.last(ALL, 7)
    assert numbers(found) == list(range(993, 1000))
    assert found[0].obsid == "CSL1_00084_00009"
    assert found[0].traceback.endswith("ValueError: bad")


def test_the_end_is_found_without_reading_the_beginning(tmp_path: Path) -> None:
    files = LogFiles(tmp_path / "general.log", max_size=40_000_000)
    text = "x" * 1000
    for start in range(0, 20_000, 1000):
        files.write([message(number, f"no {number} {text}") for number in range(start, start + 1000)])
    with (tmp_path / "general.jsonl").open("r+b") as file:
        file.write(bytes(15_000_000))  # what is not read need not be readable
    found = LogFolder(tmp_path).last(RecordFilter("WARNING"), 5)
    assert numbers(found) == [19_992, 19_993, 19_994, 19_997, 19_998, 19_999][-5:]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (RecordFilter("CRITICAL"), [n for n in range(1000) if n % 5 == 4]),
        (RecordFilter(processes=("*_cs",)), [n for n in range(1000) if n % 3 != 2]),
        (RecordFilter(processes=("kern*", "cm_cs")), [n for n in range(1000) if n % 3 != 0]),
        (RecordFilter(since="2026-11-25T00:16:30Z"), list(range(991, 1000))),
        (
            RecordFilter(since="2026-11-25T00:16:30.000000Z", until="2026-11-25T00:16:32.000000Z"),
            [990, 991, 992],
        ),
        (RecordFilter(obsid="CSL1_00084_00003"), list(range(300, 400))),
        (RecordFilter(obsid="3"), list(range(300, 400))),
        (RecordFilter(grep=re.compile(r"no 9{2}\b")), [99]),
        (RecordFilter("INFO", grep=re.compile("ValueError")), [n for n in range(1000) if n % 5 == 3]),
    ],
)
def test_filters(files: LogFiles, wanted: RecordFilter, expected: list[int]) -> None:
    folder = LogFolder(files.path.parent)
    assert numbers(list(folder.records(wanted))) == expected
    assert numbers(folder.last(wanted, 4)) == expected[-4:]


def test_files_that_are_too_old_are_not_read(files: LogFiles, tmp_path: Path) -> None:
    old = tmp_path / "general.jsonl.3"
    old.write_bytes(b"not readable at all")
    os.utime(old, (0, 0))
    assert numbers(list(LogFolder(tmp_path).records(RecordFilter(since="2026-11-25T00:16:39.000000Z")))) == [
        999
    ]


def test_following_over_new_files(files: LogFiles) -> None:
    folder = LogFolder(files.path.parent)
    end = folder.end()
    begun = numbers(folder.last(ALL, 2, end))
    found: list[int] = []
    steps = iter(range(1000, 1600, 25))

    def wait() -> bool:
        step = next(steps, None)
        if step is None:
            return False
        for number in range(step, step + 25):
            files.write([message(number)])
            if number == 1300:
                files.rotate()
                files.rotate()
        return True

    for record in folder.follow(RecordFilter("INFO"), wait, end):
        found.append(int(record.message.split()[1]))
    assert begun == [998, 999]
    assert found == [n for n in range(1000, 1600) if n % 5]


def test_following_begins_exactly_where_reading_ended(files: LogFiles) -> None:
    folder = LogFolder(files.path.parent)
    end = folder.end()
    for number in range(1000, 1500):  # comes in between, and begins new files
        files.write([message(number)])
    assert numbers(folder.last(ALL, 3, end)) == [997, 998, 999]
    assert numbers(list(folder.records(ALL, end)))[-1] == 999
    assert numbers(list(folder.follow(ALL, lambda: False, end))) == list(range(1000, 1500))


def test_following_half_a_line(files: LogFiles) -> None:
    folder = LogFolder(files.path.parent)
    twin = files.path.parent / "general.jsonl"
    line = twin.read_bytes().splitlines(keepends=True)[-1]
    pieces = iter([line[:20], line[20:50], line[50:]])

    def wait() -> bool:
        piece = next(pieces, None)
        if piece is not None:
            with twin.open("ab") as file:
                file.write(piece)
        return piece is not None

    assert len(list(folder.follow(ALL, wait, folder.end()))) == 1


def test_following_a_file_that_was_emptied(files: LogFiles) -> None:
    folder = LogFolder(files.path.parent)
    steps = iter([0, 1])

    def wait() -> bool:
        step = next(steps, None)
        if step == 0:
            os.truncate(folder.path, 0)
        if step == 1:
            files.write([message(1000)])
        return step is not None

    assert numbers(list(folder.follow(ALL, wait, folder.end()))) == [1000]


def test_no_log_at_all(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no log file .*general\.log"):
        LogFolder(tmp_path)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("10m", "2026-11-25T11:50:00.000000Z"),
        ("2h", "2026-11-25T10:00:00.000000Z"),
        ("90s ago", "2026-11-25T11:58:30.000000Z"),
        ("1.5d", "2026-11-24T00:00:00.000000Z"),
        ("today", "2026-11-25T00:00:00.000000Z"),
        ("yesterday", "2026-11-24T00:00:00.000000Z"),
        ("07:30", "2026-11-25T07:30:00.000000Z"),
        ("07:30:15", "2026-11-25T07:30:15.000000Z"),
        ("2026-11-24", "2026-11-24T00:00:00.000000Z"),
        ("2026-11-24T07:30:15+0100", "2026-11-24T06:30:15.000000Z"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    assert parse_moment(text, NOW) == moment


@pytest.mark.parametrize("text", ["soon", "", "25:70", "10x", "-5m", "9999999999d"])
def test_no_moments(text: str) -> None:
    with pytest.raises(ValueError, match="is no moment; examples: 10m"):
        parse_moment(text, NOW)


def test_obsids() -> None:
    assert is_obsid("CSL1_00084_01151", "1151")
    assert is_obsid("CSL1_00084_01151", "CSL1_00084_01151")
    assert not is_obsid("CSL1_00084_01151", "84")
    assert not is_obsid("", "1151")
