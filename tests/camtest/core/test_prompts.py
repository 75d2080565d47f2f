"""Questions to the operator: at the prompt, from elsewhere, in time or not, and what is recorded of them."""

from __future__ import annotations

import logging
import os
import pty
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from camtest import Abort, building_block, execute, observation
from camtest.core.dryrun import DryRun
from camtest.core.exec import ObservationError, OperatorAbort
from camtest.core.prompts import NoAnswerAbort, ask, confirm
from camtest.state import install_dry_run

if TYPE_CHECKING:
    from conftest import FakeCore


@pytest.fixture(autouse=True)
def _no_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_input(prompt: str = "") -> str:
        raise OSError("no keyboard")

    monkeypatch.setattr("builtins.input", no_input)
    monkeypatch.delenv("CAMTEST_PROMPTS", raising=False)


def typed(monkeypatch: pytest.MonkeyPatch, *answers: str) -> list[str]:
    """Lets a person type these answers; returns what was shown."""
    shown: list[str] = []
    rest = iter(answers)

    def read(prompt: str = "") -> str:
        shown.append(prompt)
        answer = next(rest, None)
        if answer is None:
            raise OSError("nobody is at the keyboard any more")
        return answer

    monkeypatch.setattr("builtins.input", read)
    return shown


def questions(core: FakeCore) -> list[dict[str, Any]]:
    return [e for e in core.events if e["event"] in ("question", "answer", "question-unanswered")]


def from_elsewhere(
    core: FakeCore, answer: str, may_answer: Callable[[], bool] = lambda: True
) -> threading.Thread:
    def operator() -> None:
        deadline = time.monotonic() + 10
        while not core.desk.look()["questions"] or not may_answer():
            assert time.monotonic() < deadline
            time.sleep(0.005)
        core.answer_question(answer, by="op@console:1")

    thread = threading.Thread(target=operator)
    thread.start()
    return thread


def test_at_the_prompt(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    with observation():
        shown = typed(monkeypatch, "maybe", "Y", "", "gr", "red", "free text")  # and nothing more
        assert confirm("Go on?", default=False)
        assert not confirm("Go on?", default=False)
        assert ask("Filter?", choices=["clear", "green", "grey", "red"]) == "red"
        assert ask("Remark?") == "free text"
        assert confirm("And in time?", default=True, timeout=0.02)
        assert [one for one in core.desk.look()["questions"] if one["answer"] is None] == []
    assert shown[:3] == ["Go on? [y/N] "] * 3
    assert "Remark? " in shown
    asked, answer = questions(core)[:2]
    assert (asked["text"], asked["choices"], asked["default"]) == ("Go on?", ["yes", "no"], "no")
    assert (answer["answer"], answer["how"]) == ("yes", "prompt")
    assert answer["key"] == asked["key"]
    assert "@" in answer["by"]


def test_from_elsewhere(
    core: FakeCore, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with observation():
        operator = from_elsewhere(core, "yes", lambda: "the question waits for" in caplog.text)
        assert confirm("Go on?")
        operator.join()
    assert capsys.readouterr().out.splitlines() == [
        "Go on? [y/n] (waits for `camtest answer`)",
        "Go on? -> yes (desk, op@console:1)",
    ]
    (answer,) = [e for e in core.events if e["event"] == "answer"]
    assert (answer["how"], answer["by"]) == ("desk", "op@console:1")


def test_only_answers_to_the_question_count(core: FakeCore) -> None:
    with observation():
        operator = threading.Thread(target=lambda: ask("Filter?", choices=["clear", "red"], timeout=20))
        operator.start()
        deadline = time.monotonic() + 10
        while not core.desk.look()["questions"]:
            assert time.monotonic() < deadline
            time.sleep(0.005)
        with pytest.raises(ObservationError, match="'blue' is no answer to this; use clear, red"):
            core.answer_question("blue")
        with pytest.raises(ObservationError, match=r"Open are: .*Filter\?"):
            core.answer_question("red", key="another")
        core.answer_question("red")
        operator.join()


def test_default_when_nobody_answers_in_time(core: FakeCore, capsys: pytest.CaptureFixture[str]) -> None:
    with observation():
        assert confirm("Go on?", default=True, timeout=0.02)
    assert capsys.readouterr().out.splitlines()[-1] == "Go on? -> yes (time-out)"
    assert [e["event"] for e in questions(core)] == ["question", "answer"]
    assert questions(core)[1]["how"] == "time-out"


def test_no_answer_and_no_default_aborts(core: FakeCore) -> None:
    with pytest.raises(NoAnswerAbort, match=r"nobody has answered 'Go on\?' within 0.02 s"), observation():
        confirm("Go on?", timeout=0.02)
    assert core.last["status"] == "aborted"
    assert questions(core)[-1]["event"] == "question-unanswered"


def test_unattended_runs_are_answered_by_a_policy(core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAMTEST_PROMPTS", "default")
    with observation():
        assert confirm("Go on?", default=True)
        with pytest.raises(NoAnswerAbort, match="no default"):
            confirm("Go on?")
        monkeypatch.setenv("CAMTEST_PROMPTS", "abort")
        with pytest.raises(NoAnswerAbort, match="questions abort the run"):
            confirm("Go on?", default=True)
        monkeypatch.setenv("CAMTEST_PROMPTS", "guess")
        with pytest.raises(ValueError, match="ask, default, abort"):
            confirm("Go on?", default=True)
    assert questions(core)[0]["how"] == "policy"


def test_abort_while_a_question_is_open(core: FakeCore) -> None:
    @building_block
    def careful() -> None:
        threading.Timer(0.05, core.give_verb, ("abort",)).start()
        confirm("Go on?")

    with pytest.raises(OperatorAbort):
        execute(careful)


def test_dry_run_asks_nobody() -> None:
    install_dry_run(DryRun(None, supervised=True))
    assert confirm("Go on?")
    assert not confirm("Go on?", default=False)
    assert ask("Filter?", choices=["clear", "red"]) == "clear"


def test_outside_an_observation_nobody_else_can_answer() -> None:
    with pytest.raises(Abort, match="nobody can answer"):
        confirm("Go on?")
    assert confirm("Go on?", default=True, timeout=0.01)
    with pytest.raises(ValueError, match="none of the choices"):
        ask("Filter?", choices=["clear"], default="red")


PROGRAM = """
from camtest.core.prompts import confirm
print("typed", confirm("Is the door closed?"), flush=True)
print("late", confirm("And the window?", default=True, timeout=0.2), flush=True)
"""


def test_in_a_terminal(tmp_path: Any) -> None:
    """A real terminal: an answer is typed, and a time-out ends the waiting for the keyboard."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdin=follower,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "CAMTEST_SPOOL_LOCATION": str(tmp_path)},
    )
    os.close(follower)
    os.write(leader, b"yes\n")
    output, errors = process.communicate(timeout=60)
    os.close(leader)
    assert process.returncode == 0, errors
    assert "typed True" in output
    assert "late True" in output
