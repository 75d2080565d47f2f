"""Questions of tasks to the operator: asked in the thread of the task, answered in a dialog of the panel."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from camtest.tasks.ansi import strip_ansi

YES_NO = re.compile(r"[\[(]\s*y(?:es)?\s*/\s*n(?:o)?\s*[\])]", re.IGNORECASE)
CHOICES = re.compile(r"\[([^\[\]]+/[^\[\]]+)\]\s*[:?]?\s*$")
YES, NO = "Y", "N"
"""What the buttons Yes and No answer."""


def is_known(prompt: str, texts: Sequence[str]) -> bool:
    """Returns True when a prompt contains one of the texts by which a task's questions are known (`input_request`)."""
    plain = strip_ansi(prompt)
    return any(text and text in plain for text in texts)


class QuestionWithdrawnError(Exception):
    """The question was given up: the task was interrupted, or the panel closed."""


@dataclass
class Question:
    """One question while it is open.

    Attributes:
        prompt: as the task asks it.
        password: the answer is not shown.
        yes_no: it is answered with yes or no (it was found by a text of `input_request`).
    """

    prompt: str
    password: bool = False
    yes_no: bool = False
    answer: str | None = None
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def choices(self) -> tuple[tuple[str, str], ...]:
        """What buttons offer: label and answer; none when any text may be the answer."""
        if self.password:
            return ()
        if self.yes_no or YES_NO.search(self.prompt):
            return (("Yes", YES), ("No", NO))
        found = CHOICES.search(self.prompt.rstrip())
        texts = [text.strip().removesuffix(" (default)") for text in found[1].split("/")] if found else []
        return tuple((text, text) for text in texts if text)

    def give(self, answer: str) -> None:
        """Answers it; the first answer counts."""
        if not self.over.is_set():
            self.answer = answer
            self.over.set()

    def withdraw(self) -> None:
        """Gives it up."""
        self.over.set()


class QuestionDesk:
    """Where tasks ask and the panel answers.

    Args:
        changed: called, in any thread, when a question was asked or is over.
    """

    def __init__(self, changed: Callable[[], None] = lambda: None) -> None:
        self._changed = changed
        self._open: list[Question] = []
        self._lock = threading.Lock()

    @property
    def current(self) -> Question | None:
        """The question that waits longest."""
        with self._lock:
            return self._open[0] if self._open else None

    def put(self, question: Question) -> None:
        """Shows a question."""
        with self._lock:
            self._open.append(question)
        self._changed()

    def remove(self, question: Question) -> None:
        """Takes a question away; it is over then."""
        question.withdraw()
        with self._lock:
            self._open = [other for other in self._open if other is not question]
        self._changed()

    def ask(
        self,
        prompt: str,
        *,
        password: bool = False,
        given_up: threading.Event | None = None,
        yes_no: bool = False,
    ) -> str | None:
        """Asks and waits for the answer.

        Args:
            prompt: the question.
            password: the answer is not shown.
            given_up: ends the waiting.
            yes_no: it is answered with yes or no.

        Returns:
            The answer, None when it was given up.
        """
        question = Question(prompt, password, yes_no)
        self.put(question)
        try:
            while not question.over.wait(0.2):
                if given_up is not None and given_up.is_set():
                    return None
        finally:
            self.remove(question)
        return question.answer

    def close(self) -> None:
        """Gives up all questions."""
        with self._lock:
            waiting = list(self._open)
        for question in waiting:
            question.withdraw()
