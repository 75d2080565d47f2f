"""What a control server remembers of its commands is bounded, and what it forgets first."""

from __future__ import annotations

import tracemalloc

from egse.outcomes import CAPACITY, LARGEST, VOLUME, Outcomes
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
