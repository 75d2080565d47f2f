"""What operators want of the observation that this process takes part in, and where it reaches a building block.

    verb    reaches a running building block         ends the observation    safes
    pause   at its next checkpoint or wait           no; `resume` goes on    -
    stop    at its next checkpoint                   done                    no
    abort   at its next command, wait or checkpoint  aborted                 run
    halt    at its next command, wait or checkpoint  aborted                 no

A checkpoint is the start of a building block, and `checkpoint()` in a script. A wait is whatever waits on the clock of the
session: `wait_until`, `wait_cycles`, `GlobalState.clock.sleep`. When no building block is active the verb acts at once.
"""

from __future__ import annotations

import enum
import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import msgspec

from camtest.core import services
from camtest.core.context import HaltAbort, OperatorAbort, OperatorStop
from camtest.core.variables import SAFES_VARIABLE
from egse.confman import ObservationError
from egse.confman.desk import ENDING, RANKS, Desk, Question, VerbRequest

LOGGER = logging.getLogger(__name__)

FOLLOW = 10.0
"""How long one question for the desk waits for news [s]."""
AWAY_PAUSE = 1.0
"""Pause after the configuration manager did not answer [s]."""


class Place(enum.Enum):
    """Where a building block looks whether an operator wants something."""

    COMMAND = "command"
    WAIT = "wait"
    CHECKPOINT = "checkpoint"


def ending_error(request: VerbRequest, obsid: str) -> Exception:
    """Returns what is raised in a building block for a verb that ends the observation."""
    reason = f": {request.reason}" if request.reason else ""
    text = f"{request.verb} of observation {obsid} by {request.by}{reason}"
    kinds: dict[str, type[Exception]] = {"abort": OperatorAbort, "halt": HaltAbort, "stop": OperatorStop}
    return kinds[request.verb](text)


class RunControl:
    """The verbs of one observation in this process; `deliver` is called by the thread that follows the desk.

    Args:
        obsid: the observation.
        on_news: called after a verb was taken, in the thread that delivered it.

    Attributes:
        ending: the verb that ends the observation, None as long as there is none.
        pausing: the verb `pause` that holds now.
        obeyed: the ending verb has been raised in a building block.
        taken_over: who has taken the observation over from this process, empty as long as nobody has.
    """

    def __init__(self, obsid: str, on_news: Callable[[VerbRequest], None] = lambda request: None) -> None:
        self.obsid = obsid
        self.ending: VerbRequest | None = None
        self.pausing: VerbRequest | None = None
        self.obeyed = False
        self.taken_over = ""
        self.reached = 0
        self.on_reached: Callable[[VerbRequest], None] = lambda request: None
        self.on_taken_over: Callable[[str], None] = lambda holder: None
        self.on_paused: Callable[[VerbRequest | None], None] = lambda request: None
        self._on_news = on_news
        self._seen = 0
        self._questions: list[Question] = []
        self._changed = threading.Condition()

    @property
    def wants_attention(self) -> bool:
        """True while a verb is in force."""
        return self.ending is not None or self.pausing is not None

    def deliver(self, desk: Desk) -> None:
        """Takes the verbs that are new."""
        if desk.holder not in ("", os.environ.get(SAFES_VARIABLE)) and not self.taken_over:
            with self._changed:
                self.taken_over = desk.holder
                self._changed.notify_all()
            self.on_taken_over(desk.holder)
        if desk.questions:
            with self._changed:
                self._questions = desk.questions
                self._changed.notify_all()
        for request in desk.verbs:
            if request.number <= self._seen:
                continue
            self._seen = request.number
            with self._changed:
                self._take(request)
                self._changed.notify_all()
            self._on_news(request)

    def _take(self, request: VerbRequest) -> None:
        if RANKS[request.verb] >= ENDING:
            if self.ending is None or RANKS[request.verb] > RANKS[self.ending.verb]:
                self.ending = request
            self.pausing = None
        elif request.verb == "pause":
            self.pausing = request
        elif request.verb == "resume":
            self.pausing = None

    def pass_by(self, place: Place) -> None:
        """Returns when the building block may go on.

        Raises:
            OperatorAbort, HaltAbort: once; what cleans up after it may command.
            OperatorStop: at a checkpoint.
            ObservationError: when the observation was taken over.
        """
        while True:
            if self.taken_over:
                raise ObservationError(f"observation {self.obsid} was taken over by {self.taken_over}")
            ending = self.ending
            if ending is not None:
                if ending.verb == "stop":
                    if place is Place.CHECKPOINT:
                        self._obey(ending)
                elif not self.obeyed or place is Place.CHECKPOINT:
                    self._obey(ending)
                return
            if self.pausing is None or place is Place.COMMAND:
                return
            self._stay()

    def _obey(self, ending: VerbRequest) -> NoReturn:
        first, self.obeyed, self.reached = not self.obeyed, True, ending.number
        if first:
            self.on_reached(ending)
        raise ending_error(ending, self.obsid)

    def wake(self) -> None:
        """Wakes whatever waits here."""
        with self._changed:
            self._changed.notify_all()

    def _stay(self) -> None:
        request = self.pausing
        if request is None:
            return
        self.reached = request.number
        LOGGER.warning("Paused by %s: %s", request.by, request.reason or "no reason given")
        self.on_paused(request)
        with self._changed:
            while self.pausing is not None and self.ending is None and not self.taken_over:
                self._changed.wait()
        self.on_paused(None)
        LOGGER.warning("Going on")

    def sleep(self, seconds: float) -> bool:
        """Waits `seconds` [s of the wall]; returns True at once when an operator wants something."""
        with self._changed:
            return self._changed.wait_for(
                lambda: bool(self.taken_over) or self.pausing is not None or self._is_pressing(),
                timeout=seconds,
            )

    @property
    def is_pressing(self) -> bool:
        """True when an operator wants the building block to end now."""
        return bool(self.taken_over) or self._is_pressing()

    def wait_for(self, condition: Callable[[], bool], timeout: float) -> bool:
        """Waits until a condition holds that news of the desk bring about, at most `timeout` [s of the wall]."""
        with self._changed:
            return self._changed.wait_for(condition, timeout)

    def wait_for_answer(self, key: str, timeout: float) -> Question | None:
        """Returns the question with this key once it is answered, None when it is not within `timeout` [s]."""

        def answered() -> Question | None:
            return next((one for one in self._questions if one.key == key and one.answer is not None), None)

        with self._changed:
            self._changed.wait_for(lambda: answered() is not None or self.is_pressing, timeout)
            return answered()

    def _is_pressing(self) -> bool:
        return self.ending is not None and self.ending.verb != "stop" and not self.obeyed


class DeskFollower:
    """Follows the desk of an observation from a background thread until it is stopped or the observation is over.

    Args:
        run_id: the observation.
        deliver: takes what lies on the desk.
        on_over: called with the reason when the observation is over although it was not stopped.
    """

    def __init__(
        self,
        run_id: str,
        deliver: Callable[[Desk], None],
        on_over: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self.run_id = run_id
        self._deliver = deliver
        self._on_over = on_over
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="operator-desk", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops following; the thread ends with the next answer, which the end of the observation brings."""
        self._stopping.set()

    def join(self, timeout: float) -> None:
        """Waits for the thread, at most `timeout` [s]."""
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        seen, known = -1, False
        while not self._stopping.is_set():
            try:
                with services.configuration_manager(timeout=FOLLOW + 5.0) as manager:
                    while not self._stopping.is_set():
                        answer = manager.follow_desk(run_id=self.run_id, seen=seen, timeout=FOLLOW)
                        seen, known = self._take(answer), True
            except (OSError, LookupError) as exc:
                LOGGER.debug("the operator's desk of %s does not answer: %s", self.run_id, exc)
                self._stopping.wait(AWAY_PAUSE)
            except AttributeError as exc:  # a configuration manager of an older release
                LOGGER.warning("no verbs reach this observation: %s", exc)
                return
            except ObservationError as exc:
                if known and not self._stopping.is_set():
                    self._on_over(str(exc))
                return

    def _take(self, answer: Mapping[str, Any]) -> int:
        desk = msgspec.convert(dict(answer), Desk)
        if desk.state == "over":
            if not self._stopping.is_set():
                self._on_over("it has ended")
            self._stopping.set()
        elif not self._stopping.is_set():
            self._deliver(desk)
        return desk.version


def tell_desk(run_id: str, state: str, detail: str = "", reached: int = 0) -> None:
    """Tells the operator's desk how the run is; when nobody is there, nobody is told."""
    try:
        with services.configuration_manager(timeout=2.0) as manager:
            manager.report_to_desk(run_id=run_id, state=state, detail=detail, reached=reached)
    except (OSError, LookupError, AttributeError, ObservationError) as exc:
        LOGGER.debug("the operator's desk of %s was not told %r: %s", run_id, state, exc)


def claim_safes(run_id: str) -> bool:
    """Returns True when the safes of an observation are for this side to run: not when a watchdog has taken that on.

    Its kernel, its runner and the processes that these start are one side, they take turns.
    """
    by = os.environ.get(SAFES_VARIABLE) or f"client of {run_id}"
    try:
        with services.configuration_manager(timeout=2.0) as manager:
            return bool(manager.claim_safes(run_id=run_id, by=by))
    except (OSError, LookupError, AttributeError) as exc:
        LOGGER.warning("safes run without the configuration manager, which does not answer: %s", exc)
        return True
    except ObservationError as exc:
        LOGGER.error("no safes: %s", exc)
        return False
