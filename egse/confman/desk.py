"""The operator's desk of the running observation: what operators want of it, and what it asks them.

Whoever holds the observation (a kernel, a runner) follows the desk; operators and panels put verbs on it and answer its
questions. It is on disk before anybody is told, so that a verb that was accepted is not lost with this process.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from egse.clock import Clock
from egse.confman.observations import ObservationError
from egse.files import write_atomically
from egse.system import format_datetime

LOGGER = logging.getLogger(__name__)

FILENAME = "desk.json"
LONGEST_FOLLOW = 30.0
"""Longest time that the answer to `follow_desk` is held back [s]."""

RANKS = {"pause": 1, "resume": 1, "continue": 1, "retry": 1, "stop": 2, "abort": 3, "halt": 4}
"""The verbs; once one of rank 2 or more was given, only one of a higher rank is accepted, or after `stop` a decision."""
DECISIONS = ("continue", "retry")
ENDING = 2
MAKING_SAFE = "making-safe"
STATES = ("running", "paused", "failed", "held", MAKING_SAFE, "ending", "over")
"""failed: a building block failed, later ones refuse; held: it waits where it is for a decision; over: it has ended."""


class VerbRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A verb that an operator gave.

    Attributes:
        number: counts the verbs of an observation, from 1.
        verb: one of `RANKS`.
        reason: why, for the record.
        by: who, `user@host:pid`.
        at: UTC time.
        age: how long ago [s]; filled in when somebody asks.
        reached: the run has obeyed, or is about to.
    """

    number: int
    verb: str
    reason: str
    by: str
    at: str
    age: float = 0.0
    reached: bool = False


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A question of a procedure to its operator.

    Attributes:
        key: names the question within its observation.
        text: the question.
        choices: what may be answered; empty for any text.
        default: the answer when nobody gives one in time; None when there is none.
        timeout: how long it is waited for an answer [s]; None for ever.
        at: UTC time.
        answer: the answer, None as long as there is none.
        by: who answered.
    """

    key: str
    text: str
    choices: list[str] = []
    default: str | None = None
    timeout: float | None = None
    at: str = ""
    answer: str | None = None
    by: str = ""


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What lies on the desk.

    Attributes:
        run_id: the observation.
        version: grows with every change.
        state: what the run last said of itself: one of `STATES`.
        detail: more about that, for people.
        verbs: all verbs, oldest first.
        questions: those without an answer, and the last one with one.
        holder: who took the observation over from a client that is gone; empty while the client has it.
        safes_by: who runs the safes, or ran them.
    """

    run_id: str = ""
    version: int = 0
    state: str = "running"
    detail: str = ""
    verbs: list[VerbRequest] = []
    questions: list[Question] = []
    holder: str = ""
    safes_by: str = ""


class OperatorDesk:
    """Keeps the desk of one observation at a time; all methods are called from one thread.

    Args:
        folder: where it is kept.
        clock: true time.
        running: returns the run id of the open observation, None when there is none.
    """

    def __init__(self, folder: Path, clock: Clock, running: Callable[[], str | None]) -> None:
        self._file = folder / FILENAME
        self._clock = clock
        self._running = running
        self._desk = self._read()
        self._given: dict[int, float] = {}
        self._followers: list[tuple[Future[dict[str, Any]], int, float]] = []

    def look(self, run_id: str = "") -> dict[str, Any]:
        """Returns the desk of an observation, the running one by default.

        Raises:
            ObservationError: when it is not running.
        """
        return self._as_dict(self._of(run_id))

    def give(self, verb: str, reason: str, by: str, run_id: str = "") -> dict[str, Any]:
        """Takes a verb and returns the desk; the same verb again changes nothing.

        Raises:
            ObservationError: when nothing is running, or the observation is ending already.
        """
        if verb not in RANKS:
            raise ObservationError(f"{verb!r} is no verb; use {', '.join(RANKS)}")
        desk = self._of(run_id)
        last = desk.verbs[-1] if desk.verbs else None
        if last is not None and last.verb == verb and (not last.reached or RANKS[verb] >= ENDING):
            return self._as_dict(desk)
        self._refuse_weaker(desk, verb)
        request = VerbRequest(
            number=len(desk.verbs) + 1, verb=verb, reason=reason, by=by, at=format_datetime()
        )
        LOGGER.warning("%s of run %s by %s: %s", verb, desk.run_id, by, reason or "no reason given")
        self._given[request.number] = self._clock.monotonic()
        return self._as_dict(self._change(desk, verbs=[*desk.verbs, request]))

    @staticmethod
    def _refuse_weaker(desk: Desk, verb: str) -> None:
        """Once the observation is to end, only stronger verbs are taken; a `stop` waits for what is to be decided."""
        ending = max(desk.verbs, key=lambda one: RANKS[one.verb], default=None)
        if ending is None or RANKS[ending.verb] < ENDING or RANKS[verb] > RANKS[ending.verb]:
            return
        if ending.verb == "stop" and verb in DECISIONS:
            return
        raise ObservationError(f"it is ending already: `{ending.verb}` by {ending.by} at {ending.at}")

    def report(self, run_id: str, state: str, detail: str = "", reached: int = 0) -> dict[str, Any]:
        """Takes what the run says of itself.

        Args:
            run_id: the observation.
            state: one of `STATES`.
            detail: more about it.
            reached: number of the last verb that it has obeyed.
        """
        desk = self._of(run_id)
        verbs = [
            msgspec.structs.replace(one, reached=one.reached or one.number <= reached) for one in desk.verbs
        ]
        return self._as_dict(self._change(desk, state=state, detail=detail, verbs=verbs))

    def ask(self, run_id: str, question: Question) -> dict[str, Any]:
        """Puts a question on the desk; one that is there already stays as it is."""
        desk = self._of(run_id)
        if any(one.key == question.key for one in desk.questions):
            return self._as_dict(desk)
        waiting = [one for one in desk.questions if one.answer is None]
        question = msgspec.structs.replace(question, at=format_datetime())
        return self._as_dict(self._change(desk, questions=[*waiting, question]))

    def answer(self, key: str, answer: str, by: str, run_id: str = "") -> dict[str, Any]:
        """Answers a question; the first answer counts.

        Args:
            key: of the question; empty when there is only one.
            answer: the answer.
            by: who answers.
            run_id: the observation, the running one by default.

        Raises:
            ObservationError: when there is no such question, it is answered, or this is no answer to it.
        """
        desk = self._of(run_id)
        open_ones = [one for one in desk.questions if one.answer is None]
        found = [one for one in open_ones if one.key == key or not key]
        if len(found) != 1:
            keys = ", ".join(f"{one.key} ({one.text})" for one in open_ones) or "none"
            raise ObservationError(f"which question is meant? Open are: {keys}")
        question = found[0]
        if question.choices and answer not in question.choices:
            raise ObservationError(f"{answer!r} is no answer to this; use {', '.join(question.choices)}")
        answered = msgspec.structs.replace(question, answer=answer, by=by)
        questions = [answered if one is question else one for one in desk.questions]
        return self._as_dict(self._change(desk, questions=questions))

    def take_over(self, run_id: str, by: str, reason: str) -> dict[str, Any]:
        """Gives the observation of a client that is gone to somebody else; the client is fenced from then on."""
        desk = self._of(run_id)
        LOGGER.warning("run %s is taken over by %s: %s", run_id, by, reason)
        changes = {"holder": by, "safes_by": by, "state": "ending", "detail": reason}
        return self._as_dict(self._change(desk, **changes))

    def claim_safes(self, run_id: str, by: str) -> bool:
        """Returns True when `by` is the one who runs the safes of this observation."""
        desk = self._of(run_id)
        if not desk.safes_by and not desk.holder:
            desk = self._change(desk, safes_by=by)
        return desk.safes_by == by

    def holder_of(self, run_id: str) -> str:
        """Returns who took this observation over, empty when its client has it."""
        return self._desk.holder if self._desk.run_id == run_id else ""

    def follow(self, run_id: str, seen: int, timeout: float) -> Future[dict[str, Any]] | dict[str, Any]:
        """Returns the desk as soon as its version is not `seen`, at the latest after `timeout` [s]."""
        desk = self._of(run_id)
        if desk.version != seen or timeout <= 0:
            return self._as_dict(desk)
        future: Future[dict[str, Any]] = Future()
        deadline = self._clock.monotonic() + min(timeout, LONGEST_FOLLOW)
        self._followers.append((future, seen, deadline))
        return future

    def tick(self) -> None:
        """Answers followers whose time is over, and all of them when the observation has ended."""
        if self._followers and self._running() != self._desk.run_id:
            self._desk = msgspec.structs.replace(self._desk, version=self._desk.version + 1, state="over")
        self._tell(self._clock.monotonic())

    def close(self) -> None:
        """Lets the followers go."""
        self._tell(float("inf"))

    def _of(self, run_id: str) -> Desk:
        running = self._running()
        if running is None or run_id not in ("", running):
            raise ObservationError(
                "no observation is running" if not run_id else f"run {run_id} is not running (any more)"
            )
        if self._desk.run_id != running:
            self._desk, self._given = Desk(run_id=running), {}
        return self._desk

    def _change(self, desk: Desk, **changes: Any) -> Desk:
        new = msgspec.structs.replace(desk, version=desk.version + 1, **changes)
        try:
            write_atomically(self._file, msgspec.json.encode(new), 0o600)
        except OSError as exc:  # an abort has to work on a full disk, too
            LOGGER.error("the operator's desk is not on disk, a restart would forget this change: %s", exc)
        self._desk = new
        self._tell(self._clock.monotonic())
        return new

    def _tell(self, now: float) -> None:
        waiting, self._followers = self._followers, []
        for future, seen, deadline in waiting:
            if self._desk.version != seen or now >= deadline:
                future.set_result(self._as_dict(self._desk))
            else:
                self._followers.append((future, seen, deadline))

    def _as_dict(self, desk: Desk) -> dict[str, Any]:
        content: dict[str, Any] = msgspec.to_builtins(desk)
        now = self._clock.monotonic()
        for verb in content["verbs"]:
            verb["age"] = now - self._given.setdefault(verb["number"], now)
        return content

    def _read(self) -> Desk:
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=Desk)
        except FileNotFoundError:
            return Desk()
        except msgspec.MsgspecError as exc:
            LOGGER.error("%s is damaged, the desk begins anew: %s", self._file, exc)
            return Desk()


class DryDesk:
    """Mix-in of the configuration manager of a dry run: there is no observation, and nobody to answer."""

    def give_verb(self, verb: str, reason: str = "", run_id: str = "", by: str = "") -> dict[str, Any]:
        raise ObservationError("a dry run has no observation")

    def get_desk(self, run_id: str = "") -> dict[str, Any]:
        raise ObservationError("a dry run has no observation")

    def follow_desk(self, run_id: str, seen: int, timeout: float) -> dict[str, Any]:
        raise ObservationError("a dry run has no observation")

    def report_to_desk(self, run_id: str, state: str, detail: str = "", reached: int = 0) -> dict[str, Any]:
        raise ObservationError("a dry run has no observation")

    def ask_operator(self, run_id: str, question: dict[str, Any]) -> dict[str, Any]:
        raise ObservationError("a dry run has no operator")

    def answer_question(self, answer: str, key: str = "", run_id: str = "", by: str = "") -> dict[str, Any]:
        raise ObservationError("a dry run asks nobody")

    def claim_safes(self, run_id: str, by: str) -> bool:
        return False

    def watch_observation(self, by: str) -> dict[str, Any] | None:
        return None

    def safe_take_over(self, run_id: str, by: str, reason: str) -> dict[str, Any]:
        raise ObservationError("a dry run has no observation")
