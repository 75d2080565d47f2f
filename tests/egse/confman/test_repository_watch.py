"""A status never waits for git, however slow that is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from egse.clock import VirtualClock
from egse.confman.checkout import Finding
from egse.confman.watch import MAX_AGE, RepositoryWatch

DIRTY = Finding("dirty", "files are changed", "commit them")


class SlowRepository:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.may_answer = threading.Event()
        self.asked = 0
        self.trouble = False

    def findings(self) -> list[Finding]:
        self.asked += 1
        assert self.may_answer.wait(60)
        if self.trouble:
            raise OSError("the disk is gone")
        return [DIRTY]

    def remote(self) -> str | None:
        return "origin"


@pytest.fixture
def slow() -> Iterator[SlowRepository]:
    repository = SlowRepository()
    yield repository
    repository.may_answer.set()


def settled(watch: RepositoryWatch) -> Any:
    """Returns the latest look once the one under way is over."""
    thread = watch._thread
    if thread is not None:
        thread.join(60)
    return watch.latest()


def test_a_status_shows_what_is_known_while_git_is_at_work(slow: SlowRepository) -> None:
    clock = VirtualClock()
    watch = RepositoryWatch(slow, clock)  # type: ignore[arg-type]
    assert [watch.latest().findings for _ in range(3)] == [[], [], []]
    assert slow.asked == 1
    slow.may_answer.set()
    look = settled(watch)
    assert (look.findings, look.remote) == ([DIRTY], "origin")
    slow.may_answer.clear()
    clock.advance(MAX_AGE + 1)
    assert watch.latest().findings == [DIRTY]
    slow.may_answer.set()
    settled(watch)
    assert slow.asked == 2
    watch.close()


def test_a_look_that_fails_is_logged_and_repeated(
    slow: SlowRepository, caplog: pytest.LogCaptureFixture
) -> None:
    watch = RepositoryWatch(slow, VirtualClock())  # type: ignore[arg-type]
    slow.trouble = True
    slow.may_answer.set()
    watch.latest()
    thread = watch._thread
    if thread is not None:
        thread.join(60)
    assert "the disk is gone" in caplog.text
    slow.trouble = False
    watch.latest()
    assert settled(watch).findings == [DIRTY]
