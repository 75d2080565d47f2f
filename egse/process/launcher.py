"""The launcher: the one way in which programs are started and stopped.

A program gets a session of its own, its output in files (so that it outlives whoever started it) and an entry in the
run registry. It holds a lock, inherited over `exec`, for as long as it lives: a second copy is refused even when the
registry was lost.

Example:
    ::

        launcher = Launcher(Path("run"))
        record = launcher.start(Program(name="ogse_sim", command=(python, "ogse_sim", "start", "--port", "0")))
        record.endpoints            # ('tcp://127.0.0.1:40123',)
        launcher.stop("ogse_sim")
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import msgspec
import psutil

from egse.clock import Clock, system_clock
from egse.process.identity import (
    MARKER,
    end_all,
    marked_processes,
    marker,
    own_descendants,
    process_identity,
    wait_gone,
)
from egse.process.program import Program
from egse.process.registry import ProcessRecord, RunRegistry

LOGGER = logging.getLogger(__name__)

POLL_PERIOD = 0.02
"""How often a starting program is looked at [s]."""

MAX_LOG_SIZE = 5_000_000
"""An output file larger than this [bytes] is put aside (`.1`) at the next start."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]*")


class LaunchError(RuntimeError):
    """A program could not be started or stopped; the text says why, with its last lines on standard error."""


class AlreadyRunningError(LaunchError):
    """A program of this name runs already in this run directory."""


def last_lines(path: str | Path, start: int = 0, count: int = 12) -> str:
    """Returns the last lines of a file.

    Args:
        path: the file; a missing one counts as empty.
        start: what stands before this position [bytes] is not looked at.
        count: how many lines at most.
    """
    try:
        with Path(path).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - 16_384))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.rstrip().splitlines()[-count:])


def parse_ready_line(line: str) -> tuple[str, ...] | None:
    """Reads the announcement of a program.

    Args:
        line: `READY <name> <endpoint> ...` of a server, or `READY <host> <port>` of a simulator.

    Returns:
        The endpoints it names, None when the line is no announcement.
    """
    words = line.split()
    if not words or words[0] != "READY":
        return None
    if len(words) == 3 and words[2].isdigit():
        return (f"tcp://{words[1]}:{words[2]}",)
    return tuple(word for word in words[1:] if "://" in word)


def describe_exit(returncode: int | None) -> str:
    """Returns an exit code in words, e.g. `killed by SIGKILL`."""
    if returncode is None:
        return "ended"
    if returncode >= 0:
        return f"ended with exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


class Launch:
    """A program on its way up, or running: made by `Launcher.spawn` and `Launcher.adopt`."""

    def __init__(
        self,
        program: Program,
        record: ProcessRecord,
        registry: RunRegistry,
        popen: subprocess.Popen[bytes] | None,
        clock: Clock,
    ) -> None:
        self.program = program
        self.record = record
        self.popen = popen
        self._registry = registry
        self._clock = clock
        self._deadline = clock.monotonic() + program.ready_timeout

    @property
    def alive(self) -> bool:
        """True while the process exists; a dead child is reaped."""
        if self.popen is not None:
            return self.popen.poll() is None
        return self.record.alive

    @property
    def returncode(self) -> int | None:
        """Exit code, negative for a signal; None when it runs, or is not our child so that nobody knows."""
        return self.popen.poll() if self.popen is not None else None

    def failure(self) -> str:
        """Returns why the program ended: its exit code and its last lines on standard error."""
        text = f"{self.program.name} {describe_exit(self.returncode)}"
        lines = last_lines(self.record.stderr, self.record.stderr_start)
        return (
            f"{text}:\n{lines}" if lines else f"{text} (nothing on its standard error, {self.record.stderr})"
        )

    def poll_ready(self) -> bool:
        """Returns True as soon as the program can be used.

        Raises:
            LaunchError: when it ended before, or was not ready in time.
        """
        if self.record.ready:
            return True
        endpoints = self._announcement()
        if endpoints is not None:
            self.record = msgspec.structs.replace(self.record, ready=True, endpoints=endpoints)
            self._registry.write(self.record)
            return True
        if not self.alive:
            raise LaunchError(self.failure())
        if self._clock.monotonic() > self._deadline:
            lines = last_lines(self.record.stderr, self.record.stderr_start)
            raise LaunchError(
                f"{self.program.name} was not ready within {self.program.ready_timeout:g} s"
                + (f":\n{lines}" if lines else f"; see {self.record.stdout}")
            )
        return False

    def _announcement(self) -> tuple[str, ...] | None:
        if not self.program.says_ready:
            return () if self.alive else None
        try:
            with Path(self.record.stdout).open("rb") as file:
                file.seek(self.record.stdout_start)
                text = file.read(65_536).decode(errors="replace")
        except OSError:
            return None
        for line in text.splitlines(keepends=True):
            endpoints = parse_ready_line(line) if line.endswith("\n") else None
            if endpoints is not None:
                return endpoints
        return None


class Launcher:
    """Starts and stops programs of one run directory and keeps its registry.

    Args:
        run_dir: where registry and locks are kept; made (for this user only) when it does not exist.
        log_dir: where the output of the programs goes, as `NAME.out` and `NAME.err`; `run_dir`/log by default.
        clock: for time limits; the host's clock by default.
    """

    def __init__(
        self, run_dir: Path | str, log_dir: Path | str | None = None, clock: Clock | None = None
    ) -> None:
        self.run_dir = Path(run_dir).resolve()
        self.log_dir = Path(log_dir).resolve() if log_dir else self.run_dir / "log"
        self.registry = RunRegistry(self.run_dir)
        self._clock = clock or system_clock()
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        for folder in (self.run_dir, self.run_dir / "lock", self.log_dir):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def start(self, program: Program, *, env: Mapping[str, str] | None = None) -> ProcessRecord:
        """Starts a program and waits until it is ready.

        Args:
            program: what to start.
            env: the environment it gets; that of this process by default. `program.env` is added to it.

        Returns:
            The entry in the registry, with the endpoints that the program announced.

        Raises:
            AlreadyRunningError: when it runs already.
            LaunchError: when it cannot be started, ends, or is not ready in time; nothing of it is left running.
        """
        launch = self.spawn(program, env=env)
        try:
            while not launch.poll_ready():
                self._clock.sleep(POLL_PERIOD * self._clock.speed)
        except BaseException:
            self.stop(program.name, timeout=1.0)
            raise
        return launch.record

    def spawn(self, program: Program, *, env: Mapping[str, str] | None = None, generation: int = 0) -> Launch:
        """Starts a program without waiting for it; arguments and errors as for `start`."""
        if not _NAME.fullmatch(program.name):
            raise LaunchError(f"{program.name!r} cannot be the name of a program: use letters, digits and _")
        lock = self._lock(program.name)
        try:
            stdout, stdout_start = self._open_log(f"{program.name}.out")
            stderr, stderr_start = self._open_log(f"{program.name}.err")
            try:
                popen = self._popen(program, env, stdout, stderr, lock)
            finally:
                os.close(stdout)
                os.close(stderr)
        finally:
            os.close(lock)
        former = self._children.get(program.name)
        if former is not None:
            former.poll()
        self._children[program.name] = popen
        record = ProcessRecord(
            name=program.name,
            pid=popen.pid,
            identity=process_identity(popen.pid) or "",
            command=program.command,
            started=self._clock.now(),
            stdout=str(self.log_dir / f"{program.name}.out"),
            stderr=str(self.log_dir / f"{program.name}.err"),
            stdout_start=stdout_start,
            stderr_start=stderr_start,
            generation=generation,
        )
        self.registry.write(record)
        return Launch(program, record, self.registry, popen, self._clock)

    def adopt(self, program: Program) -> Launch | None:
        """Returns the program when it runs already, started by someone else; None when it does not."""
        record = self.registry.running(program.name)
        return Launch(program, record, self.registry, None, self._clock) if record is not None else None

    def request_stop(self, name: str) -> list[psutil.Process]:
        """Sends SIGTERM to a program.

        Returns:
            The program and its descendants (without programs of their own): what has to be gone at the end.
        """
        record = self.registry.running(name)
        if record is None:
            return []
        try:
            process = psutil.Process(record.pid)
            family = [process, *own_descendants(record.pid, marker(self.run_dir, name))]
            process.terminate()
        except psutil.Error:
            return []
        return family

    def finish_stop(self, name: str, family: list[psutil.Process], timeout: float = 1.0) -> None:
        """Ends what a program leaves behind (children, grandchildren, adopted or not) and forgets it.

        Args:
            name: the program.
            family: the processes as `request_stop` returned them.
            timeout: time [s] for those that are left to end by themselves before they are killed.

        Raises:
            LaunchError: when a process cannot be killed.
        """
        survivors = end_all({*family, *marked_processes(self.run_dir, name)}, timeout)
        if survivors:
            pids = ", ".join(str(process.pid) for process in survivors)
            raise LaunchError(
                f"{name}: process {pids} cannot be killed; the kernel holds it (disk or device hanging?)"
            )
        child = self._children.pop(name, None)
        if child is not None:
            child.wait(timeout=5.0)
        self.registry.remove(name)

    def stop(self, name: str, timeout: float = 5.0) -> bool:
        """Stops a program and what it started itself: SIGTERM, then SIGKILL.

        Args:
            name: the program.
            timeout: time [s] it has to end by itself.

        Returns:
            True when it ran, False when there was nothing to stop.

        Raises:
            LaunchError: when a process cannot be killed.
        """
        family = self.request_stop(name)
        wait_gone(family[:1], timeout)
        self.finish_stop(name, family, timeout=1.0 if family else timeout)
        return bool(family)

    def status(self) -> dict[str, ProcessRecord]:
        """Returns the records of all programs that run, by name."""
        return self.registry.all_running()

    def _popen(
        self, program: Program, env: Mapping[str, str] | None, stdout: int, stderr: int, lock: int
    ) -> subprocess.Popen[bytes]:
        environment = {
            **(os.environ if env is None else env),
            "PYTHONUNBUFFERED": "1",
            **program.env,
            MARKER: marker(self.run_dir, program.name),
        }
        try:
            return subprocess.Popen(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                env=environment,
                cwd=program.cwd or None,
                start_new_session=True,
                pass_fds=(lock,),
            )
        except (OSError, ValueError) as exc:
            raise LaunchError(
                f"{program.name} cannot be started with {' '.join(program.command)!r}: {exc}"
            ) from exc

    def _lock(self, name: str) -> int:
        """Takes the lock that the program will hold while it lives."""
        lock = os.open(self.run_dir / "lock" / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            record = self.registry.running(name)
            who = f"as process {record.pid}" if record else "or is being started by someone else"
            raise AlreadyRunningError(f"{name} runs already {who} (run directory {self.run_dir})") from None
        return lock

    def _open_log(self, name: str) -> tuple[int, int]:
        path = self.log_dir / name
        if path.exists() and path.stat().st_size > MAX_LOG_SIZE:
            path.replace(path.with_suffix(path.suffix + ".1"))
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        return handle, os.lseek(handle, 0, os.SEEK_END)
