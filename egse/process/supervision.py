"""What others use of the supervisor: declare what shall run, wait for it, ask, restart, stop.

Example:
    ::

        supervision = Supervision(Path("run"))
        supervision.declare([Program(name="log_cs", command=(python, "log_cs", "start"))])
        statuses = supervision.wait(["log_cs"], timeout=10)
        supervision.shut_down()
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import ClassVar

import msgspec
import psutil

from egse.clock import Clock, system_clock
from egse.files import write_atomically
from egse.process.identity import MARKER, is_same_process, marked_processes, marker
from egse.process.launcher import Launcher, LaunchError, last_lines
from egse.process.program import Program, Wish, Wishes, file_lock, read_json
from egse.process.supervised import ProgramStatus, State, SupervisorStatus

POLL_PERIOD = 0.02
"""How often the status of a supervisor is read while waiting for something [s]."""
ANSWER_LIMIT = 30.0
"""How long a supervisor may take to answer [s]; on a slow machine it starts Python and its first programs meanwhile."""


class Supervision:
    """The programs of one run directory, under a supervisor of their own.

    Args:
        run_dir: the run directory; made (for this user only) when it does not exist.
        log_dir: where the programs' output goes; `run_dir`/log by default.
        env: environment of the supervisor and so of its programs; that of this process by default.
        owned: the programs belong to this process and are stopped when it ends, however it ends.
        clock: the host's clock by default.
    """

    _detached: ClassVar[list[subprocess.Popen[bytes]]] = []

    def __init__(
        self,
        run_dir: Path | str,
        log_dir: Path | str | None = None,
        *,
        env: Mapping[str, str] | None = None,
        owned: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self._clock = clock or system_clock()
        self.launcher = Launcher(run_dir, log_dir, self._clock)
        self.run_dir = self.launcher.run_dir
        self._env = env
        self._owned = owned
        self._popen: subprocess.Popen[bytes] | None = None

    def declare(self, programs: Iterable[Program]) -> list[str]:
        """Makes programs run that do not run yet; a program that had been given up is tried again.

        Args:
            programs: what shall run, besides what was declared before.

        Returns:
            The names of those that run already.
        """
        running = self.status()
        already = []

        def add(wishes: Wishes) -> Wishes:
            for program in programs:
                wish = wishes.named(program.name) or Wish(program=program)
                state = running[program.name].state if program.name in running else None
                if state in (State.RUNNING, State.STARTING):
                    already.append(program.name)
                generation = wish.generation + (state in (State.FATAL, State.BLOCKED, State.ENDED))
                wishes = wishes.with_wish(
                    Wish(program=program, generation=generation, forgiven=wish.forgiven)
                )
            return wishes

        self._edit(add)
        self._ensure_supervisor()
        return already

    def withdraw(self, names: Iterable[str], timeout: float = 15.0, *, wait: bool = True) -> list[str]:
        """Stops programs; the others keep running.

        Args:
            names: which ones.
            timeout: how long to wait until they are gone [s].
            wait: False: leave it to the supervisor when there is one, and return at once.

        Returns:
            The names of those that were running.

        Raises:
            LaunchError: when they are not gone in time.
        """
        chosen = set(names)
        running = [name for name in self.launcher.status() if name in chosen]
        stages = self._stages()
        published = self._published()
        self._edit(lambda wishes: wishes.without(chosen))
        if published is None:
            for name in sorted(chosen, key=lambda name: -stages.get(name, 0)):
                self.launcher.stop(name)
        elif wait:
            listed = ", ".join(sorted(chosen))
            self._wait(lambda: not chosen & set(self.status()), timeout, f"{listed} did not stop")
            if not self._wishes().programs:
                self._wait_gone(published, timeout)
        return running

    def restart(self, name: str, *, once_env: Mapping[str, str] | None = None) -> None:
        """Stops and starts a program, also one that had been given up; returns at once.

        Args:
            name: the program.
            once_env: variables for this one start only (not for restarts after a crash), e.g. a fail point.

        Raises:
            LaunchError: when no such program was declared.
        """
        self._change(name, lambda wish: (wish.generation + 1, wish.forgiven + 1, dict(once_env or {})))

    def kill(self, name: str, signum: signal.Signals = signal.SIGKILL) -> int:
        """Sends a signal to a program; a crash that follows does not count as one of its own.

        Returns:
            The process id that was hit.

        Raises:
            LaunchError: when it does not run.
        """
        record = self.launcher.registry.running(name)
        if record is None:
            raise LaunchError(f"{name} does not run, so there is nothing to kill")
        self._change(name, lambda wish: (wish.generation, wish.forgiven + 1, wish.once_env))
        os.kill(record.pid, signum)
        return record.pid

    def status(self) -> dict[str, ProgramStatus]:
        """Returns the state of each declared program, by name; it needs no supervisor to be alive."""
        wishes = self._wishes()
        published = self._published()
        statuses = dict(published.programs) if published is not None else {}
        running = self.launcher.status()
        for name in [wish.program.name for wish in wishes.programs] + list(running):
            if name in statuses:
                continue
            record = running.get(name)
            if record is None:
                state = State.WAITING if published is not None else State.STOPPED
                statuses[name] = ProgramStatus(state=state)
            else:
                state = State.RUNNING if record.ready else State.STARTING
                statuses[name] = ProgramStatus(
                    state=state, pid=record.pid, since=record.started, endpoints=record.endpoints
                )
        return statuses

    def wait(
        self,
        names: Iterable[str],
        timeout: float,
        progress: Callable[[dict[str, ProgramStatus]], None] | None = None,
    ) -> dict[str, ProgramStatus]:
        """Waits until each of these programs runs, or will not run without help.

        Args:
            names: the programs.
            timeout: how long to wait [s].
            progress: called with the states now and then.

        Returns:
            The states of these programs; the caller looks at who is not `running`.

        Raises:
            LaunchError: when some still are neither up nor given up after `timeout`; it says which and why.
        """
        chosen = list(names)
        states: dict[str, ProgramStatus] = {}

        def settled() -> bool:
            nonlocal states
            current = self.status()
            states = {name: current.get(name, ProgramStatus(state=State.STOPPED)) for name in chosen}
            if progress is not None:
                progress(states)
            return self._answered() and all(
                status.settled and status.generation >= self._generation(name)
                for name, status in states.items()
            )

        def describe() -> str:
            late = {name: s for name, s in states.items() if s.state is not State.RUNNING}
            return "; ".join(
                f"{name} is {s.state}" + (f" ({s.reason})" if s.reason else "") for name, s in late.items()
            )

        self._wait(settled, timeout, f"not everything came up within {timeout:g} s", describe)
        return states

    def shut_down(self, timeout: float = 45.0) -> list[str]:
        """Stops everything, the supervisor too; also what a killed supervisor has left running.

        Returns:
            The names of the programs that were running.

        Raises:
            LaunchError: when something is still there after `timeout` [s].
        """
        running = list(self.launcher.status())
        stages = self._stages()
        self._edit(lambda wishes: Wishes(version=wishes.version))
        published = self._published()
        if published is not None:
            _signal(published.pid, signal.SIGTERM)
            self._wait_gone(published, timeout)
        for name in sorted(self.launcher.status(), key=lambda name: -stages.get(name, 0)):
            self.launcher.stop(name)
        for process in marked_processes(self.run_dir):
            with contextlib.suppress(psutil.NoSuchProcess):  # ended just now
                self.launcher.finish_stop(process.environ().get(MARKER, "").rpartition("::")[2], [process])
        return running

    def supervisor_pid(self) -> int | None:
        """Returns the process id of the supervisor, None when there is none."""
        published = self._published()
        return published.pid if published is not None else None

    def _published(self) -> SupervisorStatus | None:
        """Returns what a living supervisor has published last."""
        status = read_json(self.run_dir / "status.json", SupervisorStatus)
        return status if status is not None and is_same_process(status.pid, status.identity) else None

    def _wishes(self) -> Wishes:
        return read_json(self.run_dir / "programs.json", Wishes) or Wishes()

    def _stages(self) -> dict[str, int]:
        return {wish.program.name: wish.program.stage for wish in self._wishes().programs}

    def _generation(self, name: str) -> int:
        wish = self._wishes().named(name)
        return wish.generation if wish is not None else 0

    def _answered(self) -> bool:
        """Returns True when the supervisor has seen the present wishes."""
        published = self._published()
        return published is not None and published.seen == self._wishes().version

    def _edit(self, change: Callable[[Wishes], Wishes]) -> None:
        with file_lock(self.run_dir / "programs.lock"):
            wishes = change(self._wishes())
            wishes = msgspec.structs.replace(wishes, version=wishes.version + 1)
            write_atomically(
                self.run_dir / "programs.json", msgspec.json.encode(wishes), 0o600, durable=False
            )
        pid = self.supervisor_pid()
        if pid is not None:
            _signal(pid, signal.SIGUSR1)

    def _change(self, name: str, change: Callable[[Wish], tuple[int, int, dict[str, str]]]) -> None:
        def edit(wishes: Wishes) -> Wishes:
            wish = wishes.named(name)
            if wish is None:
                known = ", ".join(w.program.name for w in wishes.programs) or "none"
                raise LaunchError(f"{name} is not supervised here (programs: {known})")
            generation, forgiven, once_env = change(wish)
            return wishes.with_wish(
                Wish(program=wish.program, generation=generation, forgiven=forgiven, once_env=once_env)
            )

        self._edit(edit)

    def _ensure_supervisor(self) -> None:
        """Starts a supervisor unless there is one, and waits until it has seen the present wishes."""

        def answered() -> bool:
            if self._answered():
                return True
            if self.supervisor_pid() is None and (self._popen is None or self._popen.poll() is not None):
                self._start_supervisor()
            return False

        log = self.launcher.log_dir / "supervisor.log"
        self._wait(answered, ANSWER_LIMIT, "the supervisor does not answer", lambda: last_lines(log))

    def _start_supervisor(self) -> None:
        command = [sys.executable, "-m", "egse.process.supervisor", str(self.run_dir)]
        command += ["--log-dir", str(self.launcher.log_dir)]
        command += ["--owner", str(os.getpid())] if self._owned else []
        environment = dict(os.environ if self._env is None else self._env)
        environment[MARKER] = marker(self.run_dir, "supervisor")
        # Supervisors outlive this object: kept here, so that those that have ended are reaped.
        self._detached[:] = [popen for popen in self._detached if popen.poll() is None]
        with (self.launcher.log_dir / "supervisor.log").open("ab") as output:
            self._popen = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                cwd=self.run_dir,
                start_new_session=True,
            )
        self._detached.append(self._popen)

    def _wait_gone(self, published: SupervisorStatus, timeout: float) -> None:
        """Waits until a supervisor has ended."""

        def gone() -> bool:
            return not is_same_process(published.pid, published.identity)

        self._wait(gone, timeout, f"the supervisor (process {published.pid}) did not end")
        if self._popen is not None and self._popen.pid == published.pid:
            self._popen.wait(timeout=5.0)
            self._popen = None

    def _wait(
        self, done: Callable[[], bool], timeout: float, failure: str, details: Callable[[], str] = lambda: ""
    ) -> None:
        deadline = self._clock.monotonic() + timeout * self._clock.speed
        while not done():
            if self._clock.monotonic() > deadline:
                text = details()
                raise LaunchError(f"{failure}: {text}" if text else failure)
            self._clock.sleep(POLL_PERIOD * self._clock.speed)


def _signal(pid: int, signum: signal.Signals) -> None:
    """Sends a signal to a process that may just have ended."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)
