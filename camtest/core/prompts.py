"""Questions of a procedure to its operator: in a terminal, in JupyterLab, from another process, or answered by a policy.

    if not confirm("The mode is STANDBY. Go on?", default=True, timeout=600):
        raise Abort("the operator does not want to go on")
    name = ask("Which filter is mounted?", choices=["clear", "red"])

A question is put on the operator's desk as well, where anybody may answer it (`camtest answer`): the first answer counts.
Question, answer, who gave it and how stand in the events. Without an answer in time the default is the answer; without a
default the observation is aborted. Nobody is asked when `CAMTEST_PROMPTS` is `default` or `abort` (unattended runs), nor in
a dry run, which takes the default or the first choice.
"""

from __future__ import annotations

import itertools
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass

from camtest.core import services
from camtest.core.context import Abort
from camtest.core.control import Place
from camtest.core.observation import running_context
from camtest.core.recording import ObservationContext
from camtest.core.variables import PROMPTS_VARIABLE
from camtest.state import GlobalState
from egse.clock import system_clock
from egse.confman import ObservationError
from egse.proxy import command_origin

LOGGER = logging.getLogger(__name__)

YES, NO = "yes", "no"
POLICIES = ("ask", "default", "abort")
ON_ITS_WAY = 0.2
"""How long a signal may take from one thread to another [s]."""
_numbers = itertools.count(1)


class NoAnswerAbort(Abort):
    """A question got no answer, and there is no default."""


@dataclass(frozen=True)
class Answer:
    """An answer and where it comes from.

    Attributes:
        text: the answer.
        by: who gave it.
        how: prompt, desk, time-out, policy or dry-run.
    """

    text: str
    by: str
    how: str


def policy() -> str:
    """Returns what becomes of questions in this process: ask, default or abort (`CAMTEST_PROMPTS`).

    Raises:
        ValueError: when the variable holds something else.
    """
    chosen = os.environ.get(PROMPTS_VARIABLE, "ask").strip().lower() or "ask"
    if chosen not in POLICIES:
        raise ValueError(f"{PROMPTS_VARIABLE} must be one of {', '.join(POLICIES)}; it is {chosen!r}")
    return chosen


def ask(
    question: str,
    *,
    choices: Sequence[str] = (),
    default: str | None = None,
    timeout: float | None = None,
) -> str:
    """Asks the operator and returns the answer.

    Args:
        question: the question.
        choices: what may be answered; any text when empty. Case does not matter, and a unique beginning is enough.
        default: the answer when the operator just presses Enter, when nobody answers in time, or nobody is there.
        timeout: how long to wait [s of the wall]; None for ever.

    Raises:
        ValueError: when `default` is none of the choices.
        NoAnswerAbort: when nobody answers and there is no default.
        Abort: when an operator aborts meanwhile.
    """
    if choices and default is not None and default not in choices:
        raise ValueError(f"default={default!r} is none of the choices {', '.join(choices)}")
    asked = _Asked(question, tuple(choices), default, timeout)
    answer = asked.without_asking() or asked.wait()
    asked.record(answer)
    return answer.text


def confirm(question: str, *, default: bool | None = None, timeout: float | None = None) -> bool:
    """Asks a question that is answered with yes or no; see `ask`.

    Args:
        question: the question.
        default: the answer when there is none.
        timeout: how long to wait [s of the wall].
    """
    text = None if default is None else (YES if default else NO)
    return ask(question, choices=(YES, NO), default=text, timeout=timeout) == YES


class _Asked:
    """One question while it is open."""

    def __init__(
        self, question: str, choices: tuple[str, ...], default: str | None, timeout: float | None
    ) -> None:
        self.question = question
        self.choices = choices
        self.default = default
        self.timeout = timeout
        self.key = f"{os.getpid()}-{next(_numbers)}"
        self.context: ObservationContext | None = None if GlobalState.dry_run else running_context()
        self.done = threading.Event()
        self._answer: Answer | None = None
        self._on_desk = False
        self._lock = threading.Lock()

    def without_asking(self) -> Answer | None:
        """Returns the answer where nobody is asked: in a dry run, and when the policy says so."""
        if GlobalState.dry_run:
            text = self.default if self.default is not None else (self.choices[0] if self.choices else "")
            return Answer(text, "", "dry-run")
        chosen = policy()
        if chosen == "ask":
            return None
        if chosen == "default" and self.default is not None:
            return Answer(self.default, f"{PROMPTS_VARIABLE}={chosen}", "policy")
        self._mark("question-unanswered", policy=chosen)
        raise NoAnswerAbort(
            f"nobody is there to answer {self.question!r} ({PROMPTS_VARIABLE}={chosen}, "
            f"{'no default' if self.default is None else 'questions abort the run'})"
        )

    def wait(self) -> Answer:
        """Waits for the first answer: at the prompt of this process, or from the operator's desk."""
        self._mark(
            "question", text=self.question, choices=self.choices, default=self.default, timeout=self.timeout
        )
        self._put_on_desk()
        watcher = threading.Thread(target=self._watch, name="question", daemon=True)
        reader = _reader(self)
        watcher.start()
        try:
            if reader is not None:
                reader()
            self.done.wait()
        finally:
            self.done.set()
            watcher.join(2.0)
        if self.context is not None and self.context.attention:
            self.context.pass_by(Place.WAIT)
        if self._answer is None:
            self._mark("question-unanswered", timeout=self.timeout)
            raise NoAnswerAbort(f"nobody has answered {self.question!r} within {self.timeout:g} s")
        self._tell_desk(self._answer)
        return self._answer

    def give(self, answer: Answer) -> None:
        """Takes an answer; the first one counts."""
        with self._lock:
            if not self.done.is_set():
                self._answer = answer
                self.done.set()

    def understood(self, text: str) -> str | None:
        """Returns the answer that a person means, None when it is none."""
        text = text.strip()
        if not text:
            return self.default
        if not self.choices:
            return text
        exact = [choice for choice in self.choices if choice.lower() == text.lower()]
        begun = [choice for choice in self.choices if choice.lower().startswith(text.lower())]
        found = exact or begun
        return found[0] if len(found) == 1 else None

    @property
    def prompt(self) -> str:
        """The question as it is shown."""
        if self.choices == (YES, NO):
            hint = {YES: "Y/n", NO: "y/N", None: "y/n"}[self.default]
        else:
            hint = "/".join(f"{c} (default)" if c == self.default else c for c in self.choices)
        return f"{self.question} [{hint}] " if hint else f"{self.question} "

    def record(self, answer: Answer) -> None:
        """Writes the answer into events and log, and shows one that was not typed here where the question is shown."""
        if answer.how not in ("prompt", "dry-run"):
            by = f", {answer.by}" if answer.by else ""
            print(f"{self.question} -> {answer.text} ({answer.how}{by})")  # noqa: T201 (for the person at the cell)
        LOGGER.info(
            "%s -> %s (%s%s)", self.question, answer.text, answer.how, f", {answer.by}" if answer.by else ""
        )
        self._mark("answer", text=self.question, answer=answer.text, by=answer.by, how=answer.how)

    def _mark(self, event: str, **fields: object) -> None:
        if self.context is not None:
            self.context.mark(event, key=self.key, **fields)

    def _put_on_desk(self) -> None:
        if self.context is None or not self.context.run_id:
            return
        question = {
            "key": self.key,
            "text": self.question,
            "choices": list(self.choices),
            "default": self.default,
            "timeout": self.timeout,
        }
        try:
            with services.configuration_manager(timeout=2.0) as manager:
                manager.ask_operator(run_id=self.context.run_id, question=question)
            self._on_desk = True
        except (OSError, LookupError, ObservationError) as exc:
            LOGGER.warning("the question cannot be answered from elsewhere: %s", exc)

    def _tell_desk(self, answer: Answer) -> None:
        """Says on the desk that the question was answered here: nobody needs to answer it any more."""
        if self.context is None or not self._on_desk or answer.how == "desk":
            return
        about = {"answer": answer.text, "key": self.key, "by": answer.by or answer.how}
        try:
            with services.configuration_manager(timeout=2.0) as manager:
                manager.answer_question(run_id=self.context.run_id, **about)
        except (OSError, LookupError, ObservationError) as exc:
            LOGGER.debug("the desk was not told the answer to %r: %s", self.question, exc)

    def _watch(self) -> None:
        """Waits for an answer from the desk, for a verb that ends the run, and for the end of the time."""
        control = None if self.context is None else self.context.control
        deadline = None if self.timeout is None else system_clock().monotonic() + self.timeout
        while not self.done.is_set():
            left = 0.2 if deadline is None else min(0.2, deadline - system_clock().monotonic())
            if control is not None:
                found = control.wait_for_answer(self.key, max(0.0, left))
                if found is not None:
                    self.give(Answer(found.answer or "", found.by, "desk"))
                elif control.is_pressing:
                    self.done.set()
            else:
                self.done.wait(max(0.0, left))
            if deadline is not None and system_clock().monotonic() >= deadline:
                if self.default is not None:
                    self.give(Answer(self.default, "", "time-out"))
                self.done.set()


ReadAnswer = Callable[[str, threading.Event], str | None]
"""Shows a question to a person and returns what is answered; None when the event was set before."""
_reads: ContextVar[ReadAnswer | None] = ContextVar("reads", default=None)


@contextmanager
def questions_through(read: ReadAnswer) -> Iterator[None]:
    """Has questions of this thread put to its person by `read` (a dialog) while the `with` block runs."""
    before = _reads.set(read)
    try:
        yield
    finally:
        _reads.reset(before)


def _reader(asked: _Asked) -> Callable[[], None] | None:
    """Returns what reads the answer of the person at this process.

    None where nobody can type: not in the main thread, unless there is a dialog.
    """
    read = _reads.get()
    if read is not None:
        return lambda: _read_dialog(asked, read)
    if threading.current_thread() is not threading.main_thread():
        return None
    return lambda: _read_line(asked)


def _read_dialog(asked: _Asked, read: ReadAnswer) -> None:
    while not asked.done.is_set():
        text = read(asked.prompt, asked.done)
        answer = None if text is None else asked.understood(text)
        if answer is not None:
            asked.give(Answer(answer, command_origin(), "prompt"))


def _read_line(asked: _Asked) -> None:
    """Asks with `input`, in a terminal or a notebook, until there is an answer from anywhere."""
    interruption = _Interruption(asked.done)
    problem: Exception | None = None
    try:
        try:
            _read_answers(asked, interruption)
        except (
            EOFError,
            RuntimeError,
            OSError,
        ) as exc:  # no terminal; a front-end that cannot ask (papermill)
            problem = exc
        interruption.stop()
    except KeyboardInterrupt:
        interruption.stop()
        if not interruption.happened:
            asked.done.set()
            raise
    if problem is None:
        return
    LOGGER.info("the question waits for `camtest answer`: %s", problem)
    if asked.context is not None:
        print(f"{asked.prompt}(waits for `camtest answer`)", flush=True)  # noqa: T201 (viewers of the run see it)
    elif asked.timeout is None:
        asked.done.set()
        raise NoAnswerAbort(f"nobody can answer {asked.question!r} here: {problem}") from problem


def _read_answers(asked: _Asked, interruption: _Interruption) -> None:
    interruption.start()
    while not asked.done.is_set():
        answer = asked.understood(input(asked.prompt))
        if answer is not None:
            interruption.stop()
            asked.give(Answer(answer, command_origin(), "prompt"))


class _Interruption:
    """Ends an `input` of the main thread when the answer comes from elsewhere: as Ctrl-C would.

    Args:
        done: set when the question is answered or given up.
    """

    def __init__(self, done: threading.Event) -> None:
        self.happened = False
        self._done = done
        self._reading = True
        self._lock = threading.Lock()

    def start(self) -> None:
        """From now on the main thread may be interrupted."""
        threading.Thread(target=self._run, name="question-prompt", daemon=True).start()

    def _run(self) -> None:
        self._done.wait()
        with self._lock:
            if self._reading:
                self.happened = True
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def stop(self) -> None:
        """From now on nothing is interrupted; an interrupt that is on its way is awaited and forgotten."""
        with suppress(KeyboardInterrupt):
            with self._lock:
                expected, self._reading = self._reading and self.happened, False
            if expected:
                threading.Event().wait(ON_ITS_WAY)
