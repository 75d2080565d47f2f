"""The record of observations: allocation of test ids, replay, torn tails, tampering."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from egse.confman.observations import (
    RECORD_FILE,
    ObservationBook,
    ObservationError,
    ObservationRecord,
    read_records,
)
from egse.confman.recordfile import check_chain, decode_line
from egse.storage import ObservationInfo


def info(book: ObservationBook, run_id: str) -> ObservationInfo:
    return ObservationInfo(
        run_id=run_id,
        test_id=book.next_test_id(),
        site_id="CSL1",
        setup_id=84,
        camera="chimay",
        start="2026-01-01T12:00:00.000+0000",
        details={"test_id": 88888, "text": 'a "quoted" \n line ,"crc":"00000000"}'},
    )


def whole(book: ObservationBook, run_id: str, status: str = "done") -> ObservationRecord:
    record = book.closing(book.open(info(book, run_id)), status, "because", "2026-01-01T12:01:00.000+0000")
    return book.closed(record, "ab" * 32)


def test_a_restart_replays_what_was_recorded(tmp_path: Path) -> None:
    book = ObservationBook(tmp_path)
    first = whole(book, "r1", "failed")
    second = book.open(info(book, "r2"))
    again = ObservationBook(tmp_path)
    assert again.records == [first, second]
    assert again.current == second
    assert again.next_test_id() == 3
    closing = again.closing(second, "aborted", "", "t")
    assert ObservationBook(tmp_path).current == closing
    assert again.problems == []
    assert check_chain(tmp_path / RECORD_FILE) == []


def test_states_only_go_forward(tmp_path: Path) -> None:
    book = ObservationBook(tmp_path)
    record = book.open(info(book, "r1"))
    with pytest.raises(ObservationError, match="cannot become closed"):
        book.closed(record, "")
    with pytest.raises(ObservationError, match="no status"):
        book.closing(record, "finished", "", "t")
    closing = book.closing(record, "done", "", "t")
    with pytest.raises(ObservationError, match="cannot become closing"):
        book.closing(closing, "failed", "", "t")
    with pytest.raises(ObservationError, match="used before"):
        book.open(msgspec.structs.replace(record.info, run_id="r2"))


@pytest.mark.parametrize("cut", [1, 10, 200])
def test_a_torn_record_was_never_there(tmp_path: Path, cut: int) -> None:
    book = ObservationBook(tmp_path)
    whole(book, "r1")
    size = book.path.stat().st_size
    book.open(info(book, "r2"))
    data = book.path.read_bytes()
    book.path.write_bytes(data[: max(size, len(data) - cut)])
    again = ObservationBook(tmp_path)
    assert again.current is None
    assert again.path.stat().st_size == size
    assert again.open(info(again, "r3")).info.test_id == 2
    assert check_chain(again.path) == []


def test_every_trace_of_a_test_id_counts(tmp_path: Path) -> None:
    (tmp_path / "obs" / "00041_CSL1_chimay").mkdir(parents=True)
    assert ObservationBook(tmp_path).next_test_id() == 42
    (tmp_path / "obsid-table.txt").write_text("00050 CSL1 00084 2026-01-01T00:00:00.000+0000 f()\n")
    book = ObservationBook(tmp_path)
    whole(book, "r1")
    whole(book, "r2")
    assert book.next_test_id() == 53
    # The last records are unreadable, e.g. a bad disk block: their numbers are not given away again.
    lines = book.path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3].replace(b"CSL1", b"CSL9")
    book.path.write_bytes(b"".join(lines))
    (tmp_path / "obsid-table.txt").unlink()
    again = ObservationBook(tmp_path)
    assert again.problems
    assert again.next_test_id() > 52


def test_five_digits_are_the_end(tmp_path: Path) -> None:
    (tmp_path / "obs" / "99999_CSL1").mkdir(parents=True)
    with pytest.raises(ObservationError, match="99999"):
        ObservationBook(tmp_path).next_test_id()


@pytest.mark.parametrize("kind", ["alter", "remove", "insert", "swap"])
def test_tampering_shows(tmp_path: Path, kind: str) -> None:
    book = ObservationBook(tmp_path)
    whole(book, "r1", "failed")
    whole(book, "r2")
    lines = book.path.read_bytes().splitlines(keepends=True)
    match kind:
        case "alter":
            lines[1] = lines[1].replace(b'"failed"', b'"done"')
        case "remove":
            del lines[1]
        case "insert":
            lines.insert(2, lines[1])
        case "swap":
            lines[1], lines[4] = lines[4], lines[1]
    book.path.write_bytes(b"".join(lines))
    assert check_chain(book.path)


def test_lines_are_json_with_a_checksum(tmp_path: Path) -> None:
    book = ObservationBook(tmp_path)
    record = whole(book, "r1")
    first, *_, last = book.path.read_bytes().splitlines()
    assert msgspec.json.decode(first)["info"]["function"] == "unknown_function()"
    assert decode_line(last)["manifest_sha256"] == record.manifest_sha256
    assert read_records(book.path)[0]["r1"] == record
    assert read_records(tmp_path / "none") == ({}, [])
