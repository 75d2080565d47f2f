"""One program under supervision: a state machine that is stepped by the supervisor.

States::

    WAITING -> STARTING -> RUNNING -> (crash) -> BACKOFF -> STARTING ...
       |           |          |                     |
    BLOCKED      (crash)    ENDED (exit code 0)   FATAL (too many crashes)

From each of them `STOPPING -> STOPPED` when the program is no longer wanted.
"""

from __future__ import annotations

import enum
import logging
import math
import signal

import msgspec
import psutil

from egse.clock import Clock
from egse.process.identity import is_alive, signal_all
from egse.process.launcher import Launch, Launcher, LaunchError
from egse.process.program import Program, Wish

LOGGER = logging.getLogger("egse.process.supervisor")

FIRST_DELAY = 0.2
"""Delay before the first restart [s]; doubled for each further crash."""

LONGEST_DELAY = 10.0
"""The delay before a restart does not grow beyond this [s]."""

STABLE_AFTER = 30.0
"""A program that ran this long [s] starts with a clean record."""


FIRST_TRIES = 3
"""A program that was never ready is given up after this many tries: it will not get better by itself."""


class State(enum.StrEnum):
    """Where a supervised program stands."""

    WAITING = "waiting"
    BLOCKED = "blocked"
    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    ENDED = "ended"
    FATAL = "fatal"
    STOPPING = "stopping"
    STOPPED = "stopped"


class ProgramStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What is told about a supervised program.

    Attributes:
        state: where it stands.
        pid: its process id; None when it has none.
        since: start of the process, UTC as Unix time [s]; 0 when there is none.
        endpoints: where it listens.
        restarts: how often it was restarted since the supervisor knows it.
        crashes: crashes in a row, without a stable run in between.
        reason: why it is not running, or why it was restarted last.
        generation: the generation of the wish that it answers to.
    """

    state: State
    pid: int | None = None
    since: float = 0.0
    endpoints: tuple[str, ...] = ()
    restarts: int = 0
    crashes: int = 0
    reason: str = ""
    generation: int = 0

    @property
    def settled(self) -> bool:
        """True when nothing more will happen by itself: it runs, or it does not and will not."""
        return self.state in (State.RUNNING, State.FATAL, State.BLOCKED, State.ENDED, State.STOPPED)


class SupervisorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `status.json`.

    Attributes:
        pid: process id of the supervisor.
        identity: what distinguishes it from a later process with the same id.
        seen: version of `programs.json` that this status answers to; negative before it was read.
        programs: the state of each program, by name.
    """

    pid: int
    identity: str
    seen: int = -1
    programs: dict[str, ProgramStatus] = {}


def restart_delay(crashes: int) -> float:
    """Returns the delay [s] before the restart that follows the n-th crash in a row."""
    return float(min(FIRST_DELAY * 2.0 ** (min(max(crashes, 1), 20) - 1), LONGEST_DELAY))


class Supervised:
    """A program under supervision.

    Args:
        wish: what shall run.
        launcher: starts and stops it.
        clock: for delays and time limits.
    """

    def __init__(self, wish: Wish, launcher: Launcher, clock: Clock) -> None:
        self.wanted = True
        self.state = State.WAITING
        self._wish = wish
        self._launcher = launcher
        self._clock = clock
        self._launch: Launch | None = None
        self._family: list[psutil.Process] = []
        self._deadline = 0.0
        self._not_before = 0.0
        self._running_since = 0.0
        self._restarts = 0
        self._crashes = 0
        self._was_ready = False
        self._reason = ""
        self._generation = wish.generation
        self._once_env = wish.once_env
        self._adopt()

    @property
    def program(self) -> Program:
        """The program as it was declared last."""
        return self._wish.program

    @property
    def unwanted_and_alive(self) -> bool:
        """True while it still has to be stopped."""
        return not self.wanted and self.state is not State.STOPPED

    def update(self, wish: Wish) -> None:
        """Takes over a changed wish: a higher generation restarts the program, whatever its state."""
        if wish.forgiven > self._wish.forgiven:
            self._crashes = 0
        self.wanted = True
        self._wish = wish
        if wish.generation > self._generation:
            self._once_env = wish.once_env
            if self.state not in (State.RUNNING, State.STARTING, State.STOPPING):
                self._begin_generation()

    def status(self) -> ProgramStatus:
        """Returns what is told about it."""
        record = self._launch.record if self._launch is not None else None
        return ProgramStatus(
            state=self.state,
            pid=record.pid if record else None,
            since=record.started if record else 0.0,
            endpoints=record.endpoints if record else (),
            restarts=self._restarts,
            crashes=self._crashes,
            reason=self._reason,
            generation=self._generation,
        )

    def step(self, blocker: Supervised | None, may_stop: bool) -> None:
        """Does what is due now.

        Args:
            blocker: the first of its needs that is not ready.
            may_stop: everything that has to be stopped before it, is.
        """
        outdated = self._wish.generation > self._generation
        if self.state in (State.RUNNING, State.STARTING):
            if (not self.wanted and may_stop) or outdated:
                self._begin_stop()
            else:
                self._watch()
        elif self.state is State.STOPPING:
            self._continue_stop()
        elif not self.wanted:
            if may_stop:
                self._stopped()
        elif self.state is State.BACKOFF:
            if self._clock.monotonic() >= self._not_before:
                self._start()
        elif self.state in (State.WAITING, State.BLOCKED, State.STOPPED):
            self._start_unless(blocker)

    def _begin_generation(self) -> None:
        self._generation = self._wish.generation
        self._crashes = 0
        self._was_ready = False
        self._reason = ""
        self.state = State.WAITING

    def _adopt(self) -> None:
        self._launch = self._launcher.adopt(self.program)
        if self._launch is None:
            return
        LOGGER.info("%s runs already as process %d: adopted", self.program.name, self._launch.record.pid)
        self._generation = self._launch.record.generation
        self._running_since = self._clock.monotonic()
        self._was_ready = self._launch.record.ready
        self.state = State.RUNNING if self._was_ready else State.STARTING

    def _start_unless(self, blocker: Supervised | None) -> None:
        if blocker is None:
            self._start()
            return
        if blocker.state in (State.FATAL, State.BLOCKED, State.ENDED):
            self.state = State.BLOCKED
            self._reason = f"needs {blocker.program.name}, which is {blocker.state}"
        else:
            self.state = State.WAITING
            self._reason = f"waits for {blocker.program.name}"

    def _start(self) -> None:
        once_env, self._once_env = self._once_env, {}
        try:
            self._clean_up()
            program = msgspec.structs.replace(self.program, env={**self.program.env, **once_env})
            self._launch = self._launcher.spawn(program, generation=self._generation)
        except LaunchError as exc:
            self._crashed(str(exc))
            return
        LOGGER.info("%s started as process %d", self.program.name, self._launch.record.pid)
        self.state = State.STARTING

    def _watch(self) -> None:
        """Looks after a program that is starting or running."""
        assert self._launch is not None
        try:
            if self.state is State.STARTING:
                if self._launch.poll_ready():
                    LOGGER.info("%s is ready %s", self.program.name, " ".join(self._launch.record.endpoints))
                    self.state = State.RUNNING
                    self._was_ready = True
                    self._running_since = self._clock.monotonic()
                    self._reason = "" if not self._crashes else self._reason
                return
        except LaunchError as exc:
            self._crashed(str(exc))
            return
        if not self._launch.alive:
            self._ended()
        elif self._crashes and self._clock.monotonic() - self._running_since >= STABLE_AFTER:
            self._crashes = 0

    def _ended(self) -> None:
        assert self._launch is not None
        if self._launch.returncode == 0:
            self._reason = f"{self.program.name} ended by itself or was asked to (exit code 0)"
            LOGGER.info("%s", self._reason)
            self._clean_up()
            self.state = State.ENDED
            return
        if self._clock.monotonic() - self._running_since >= STABLE_AFTER:
            self._crashes = 0
        self._crashed(self._launch.failure())

    def _crashed(self, reason: str) -> None:
        self._crashes += 1
        self._reason = reason
        try:
            self._clean_up()
        except LaunchError as exc:
            self._reason = f"{reason}\n{exc}"
        if self._crashes >= self._allowed_crashes():
            LOGGER.error("%s crashed %d times: given up; %s", self.program.name, self._crashes, self._reason)
            self.state = State.FATAL
            return
        delay = restart_delay(self._crashes)
        LOGGER.warning("%s restarts in %.1f s; %s", self.program.name, delay, self._reason)
        self._restarts += 1
        self._not_before = self._clock.monotonic() + delay
        self.state = State.BACKOFF

    def _allowed_crashes(self) -> float:
        """Returns after how many crashes in a row the program is given up."""
        tries = self.program.tries or math.inf
        return tries if self._was_ready else min(tries, FIRST_TRIES)

    def _begin_stop(self) -> None:
        self._family = self._launcher.request_stop(self.program.name)
        self._deadline = self._clock.monotonic() + self.program.stop_timeout
        self.state = State.STOPPING

    def _continue_stop(self) -> None:
        alive = self._launch is not None and self._launch.alive
        if alive and self._clock.monotonic() < self._deadline:
            return
        if alive:
            LOGGER.warning("%s did not end within %g s: killed", self.program.name, self.program.stop_timeout)
            signal_all([p for p in self._family[:1] if is_alive(p)], signal.SIGKILL)
        self._stopped()

    def _stopped(self) -> None:
        """Ends what is left of it; then it may be started again, if that is what was asked for."""
        try:
            self._clean_up()
        except LaunchError as exc:
            LOGGER.error("%s", exc)
            self._reason = str(exc)
            self.state = State.FATAL if self.wanted else State.STOPPED
            return
        LOGGER.info("%s stopped", self.program.name)
        if self.wanted:
            self._begin_generation()
        else:
            self.state = State.STOPPED

    def _clean_up(self) -> None:
        """Ends whatever the last process of this program left behind."""
        family, self._family, self._launch = self._family, [], None
        self._launcher.finish_stop(self.program.name, family, timeout=1.0)
