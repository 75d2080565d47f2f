"""What a control server remembers of its commands is bounded, and what it forgets first."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from egse.context import CommandContext
from egse.journal import Journal
from egse.outcomes import CAPACITY, LARGEST, VOLUME, Outcomes
from egse.response import ErrorInfo
from egse.wire import Reply, encode


def answered(outcomes: Outcomes, command_id: str, value: object) -> bytes:
    answer = encode(Reply(command_id, "life", value))
    outcomes.newer[command_id] = None
    outcomes.end(command_id, answer)
    return answer


def test_answers_to_many_large_questions_do_not_pile_up() -> None:
    outcomes = Outcomes(None)
    tracemalloc.start()
    try:
        for number in range(CAPACITY):
            answered(outcomes, f"status-{number}", "x" * 20_000)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 2 * VOLUME


def test_the_newest_answers_are_kept_and_every_command_stays_known() -> None:
    outcomes = Outcomes(None)
    answers = {f"c-{number}": answered(outcomes, f"c-{number}", "x" * 20_000) for number in range(CAPACITY)}
    assert all(outcomes.is_known(command_id) for command_id in answers)
    kept = VOLUME // 2 // len(answers["c-0"])
    for command_id in list(answers)[-kept:]:
        assert outcomes.answer(command_id) == answers[command_id]
    assert outcomes.answer("c-0") is None
    assert outcomes.describe("c-0")["status"] == "done"
    assert "long ago" in outcomes.describe("c-0")["remark"]


def test_small_answers_last_as_long_as_their_commands() -> None:
    outcomes = Outcomes(None)
    for number in range(10 * CAPACITY):
        answered(outcomes, f"row-{number}", number)
    for number in range(9 * CAPACITY, 10 * CAPACITY):
        assert outcomes.describe(f"row-{number}") == {"status": "done", "value": number}
    assert not outcomes.is_known("row-0")


def test_an_answer_that_is_too_large_is_known_as_done() -> None:
    outcomes = Outcomes(None)
    answered(outcomes, "image", "x" * LARGEST)
    assert outcomes.is_known("image")
    assert outcomes.answer("image") is None
    assert outcomes.describe("image")["status"] == "done"


def test_a_command_that_runs_for_long_is_neither_forgotten_nor_kept_for_ever() -> None:
    outcomes = Outcomes(None)
    outcomes.newer["motion"] = None
    for number in range(3 * CAPACITY):
        answered(outcomes, f"a-{number}", "x" * 1000)
    assert outcomes.describe("motion") == {"status": "running"}
    outcomes.end("motion", encode(Reply("motion", "life", "there")))
    for number in range(CAPACITY):
        answered(outcomes, f"b-{number}", number)
    assert outcomes.describe("motion") == {"status": "done", "value": "there"}
    for number in range(3 * CAPACITY):
        answered(outcomes, f"c-{number}", number)
    assert not outcomes.is_known("motion")


def refused(outcomes: Outcomes, command_id: str, text: str) -> None:
    outcomes.end(
        command_id,
        encode(Reply(command_id, "life", None, ErrorInfo("builtins.ValueError", text))),
        failed=True,
    )


def test_a_failure_stays_one_when_its_reply_is_not_kept() -> None:
    outcomes = Outcomes(None)
    refused(outcomes, "verbose", "x" * LARGEST)
    refused(outcomes, "early", "x" * 20_000)
    assert outcomes.describe("early")["error"].startswith("builtins.ValueError: xxx")
    for number in range(CAPACITY - 1):
        answered(outcomes, f"c-{number}", "x" * 20_000)
    for command_id in ("verbose", "early"):
        assert outcomes.answer(command_id) is None
        assert outcomes.describe(command_id)["status"] == "failed"
        assert "too long ago" in outcomes.describe(command_id)["error"]
    assert outcomes.describe("c-0")["status"] == "done"


def test_failures_are_forgotten_with_their_generation() -> None:
    outcomes = Outcomes(None)
    for number in range(5 * CAPACITY):
        refused(outcomes, f"r-{number}", "no")
    assert len(outcomes._failed) <= 2 * CAPACITY
    assert outcomes.describe(f"r-{5 * CAPACITY - 1}")["error"] == "builtins.ValueError: no"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "journal", "bench_cs", "life")
    yield made
    made.close()


def write(journal: Journal, day: str, command_id: str, *end: Any) -> None:
    """Writes a command into the file of a day; without `end` it has begun only."""
    journal.begin(command_id, "move", {}, CommandContext(), time.time())
    if end:
        journal.end(command_id, *end)
    journal.close()
    (today,) = journal.folder.glob(time.strftime("%Y%m%d.journal", time.gmtime()))
    with (journal.folder / f"{day}.journal").open("ab") as file:
        file.write(today.read_bytes())
    today.unlink()


def test_the_journal_tells_what_became_of_older_commands(journal: Journal) -> None:
    write(journal, "20240101", "long-ago", "done", "", [1.5, 2.5])
    write(journal, "20240102", "refused", "failed", "HexapodError: not homed")
    write(journal, "20240102", "moved", "done")
    write(journal, "20240102", "cut-off")
    write(journal, "20240103", "other", "done")
    (journal.folder / "20240104.journal").touch()
    outcomes = Outcomes(journal.folder)
    assert outcomes.describe("long-ago") == {"status": "done", "value": [1.5, 2.5]}
    assert outcomes.describe("refused") == {"status": "failed", "error": "HexapodError: not homed"}
    assert outcomes.describe("moved")["status"] == "done"
    assert outcomes.describe("moved")["value"] is None
    assert outcomes.describe("cut-off") == {"status": "unknown"}
    assert outcomes.describe("never") == {"status": "not executed"}
    assert outcomes.describe("mov") == {"status": "not executed"}


def test_what_was_not_looked_for_everywhere_is_not_known(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(journal, "20240101", "long-ago", "done")
    write(journal, "20240102", "newer", "done")
    monkeypatch.setattr("egse.outcomes.SEARCHED", 10)
    outcomes = Outcomes(journal.folder)
    assert outcomes.describe("newer")["status"] == "done"
    assert outcomes.describe("long-ago") == {"status": "not known"}


def test_the_journal_has_the_answer_that_memory_has_not(journal: Journal) -> None:
    outcomes = Outcomes(journal.folder)
    refused(outcomes, "verbose", "x" * LARGEST)
    answered(outcomes, "position", "x" * LARGEST)
    journal.begin("verbose", "move", {}, CommandContext(), time.time())
    journal.end("verbose", "failed", "ValueError: xxx")
    journal.begin("position", "ask", {}, CommandContext(), time.time())
    journal.end("position", "done", "", 12.5)
    assert outcomes.describe("verbose") == {"status": "failed", "error": "ValueError: xxx"}
    assert outcomes.describe("position") == {"status": "done", "value": 12.5}
