"""The command journal: complete records, torn tails, both ends of a command."""

from pathlib import Path

import numpy as np
import pytest

from egse.context import CommandContext
from egse.journal import Journal, read_journal

NOW = 1.8e9
"""A moment, UTC as Unix time [s]."""


def journal_file(folder: Path) -> Path:
    (path,) = folder.glob("*.journal")
    return path


def test_begin_and_end_are_read_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", "lsci336_cs", "abcd")
    context = CommandContext("me", "00001", "LAB_00001_00001", "bb")
    journal.begin("x-1", "set_range", {"output": 1, "curve": np.zeros(3)}, context, NOW)
    journal.end("x-1", "failed", "ValueError: no")
    journal.close()
    begin, end = read_journal(journal_file(tmp_path / "j"))
    assert (begin.event, begin.command, begin.time, begin.context) == ("begin", "set_range", NOW, context)
    assert (begin.server, begin.source.incarnation) == ("lsci336_cs", "abcd")
    assert (begin.origin, begin.obsid, begin.block) == ("me", "LAB_00001_00001", "bb")
    assert begin.args == {"output": 1, "curve": "<array float64 (3,)>"}
    assert (end.event, end.id, end.status, end.error) == ("end", "x-1", "failed", "ValueError: no")
    assert journal_file(tmp_path / "j").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("cut", [1, 7, 20])
def test_a_torn_tail_is_skipped_and_later_records_stand(tmp_path: Path, cut: int) -> None:
    journal = Journal(tmp_path, "s", "i")
    journal.begin("1", "a", {}, CommandContext(), NOW)
    journal.begin("2", "b", {}, CommandContext(), NOW)
    journal.close()
    path = journal_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    journal.begin("3", "c", {}, CommandContext(), NOW)
    journal.close()
    assert [record.id for record in read_journal(path)] == ["1", "3"] if cut > 1 else ["1", "2", "3"]


def test_altered_records_do_not_pass(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "s", "i")
    journal.begin("1", "safe", {}, CommandContext(), NOW)
    journal.close()
    path = journal_file(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"safe", b"fire"))
    assert list(read_journal(path)) == []
