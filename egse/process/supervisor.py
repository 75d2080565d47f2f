"""The supervisor: a small process that keeps the declared programs of one run directory running.

It starts them in order, as parallel as their needs allow, restarts what crashes with growing delays, gives up on what
keeps crashing (keeping the reason), and stops all in reverse order when it is told to end. What shall run stands in
`programs.json` of the run directory; what does run, in `status.json`. Both survive it: a supervisor that was killed
leaves its programs running, and the next one adopts them.

Not started by hand: see `egse.process.supervision`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import logging
import os
import select
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec

from egse.clock import Clock, system_clock
from egse.files import write_atomically
from egse.process.identity import is_same_process, process_identity
from egse.process.launcher import POLL_PERIOD, Launcher
from egse.process.program import Wishes, read_json
from egse.process.supervised import State, Supervised, SupervisorStatus

LOGGER = logging.getLogger("egse.process.supervisor")

IDLE_PERIOD = 0.25
"""How often the supervisor looks around when nothing happens [s]."""


class Supervisor:
    """The supervisor's loop.

    Args:
        run_dir: the run directory.
        log_dir: where the programs' output goes.
        owner: process id of the one on whose behalf it runs; all is stopped when that one is gone. None: nobody's.
        clock: the host's clock by default.
    """

    def __init__(
        self, run_dir: Path, log_dir: Path | None = None, owner: int | None = None, clock: Clock | None = None
    ) -> None:
        self._clock = clock or system_clock()
        self._launcher = Launcher(run_dir, log_dir, self._clock)
        self._run_dir = self._launcher.run_dir
        self._owner = (owner, process_identity(owner) or "") if owner is not None else None
        self._wishes: Wishes | None = None
        self._damaged = False
        self._supervised: dict[str, Supervised] = {}
        self._leaving = False
        self._published = b""
        self._identity = process_identity(os.getpid()) or ""

    def run(self, wake_up: int, ending: threading.Event) -> None:
        """Works until everything has been stopped, or there is nothing to be supervised.

        Args:
            wake_up: file descriptor that becomes readable when a signal came in.
            ending: once set, all programs are stopped.
        """
        while True:
            self._leaving = self._leaving or ending.is_set() or self._owner_has_ended()
            self._read_wishes()
            self._step()
            self._publish()
            if not self._supervised and self._wishes is not None:
                LOGGER.info("nothing left to supervise")
                return
            readable, _, _ = select.select([wake_up], [], [], POLL_PERIOD if self._is_busy() else IDLE_PERIOD)
            if readable:
                os.read(wake_up, 64)

    def _is_busy(self) -> bool:
        """Returns True while a program is on its way up or down, or waits for its turn to be stopped."""
        moving = (State.STARTING, State.STOPPING)
        return any(s.state in moving or s.unwanted_and_alive for s in self._supervised.values())

    def _owner_has_ended(self) -> bool:
        if self._owner is None or is_same_process(*self._owner):
            return False
        LOGGER.warning("process %d, for which this supervisor runs, has ended", self._owner[0])
        return True

    def _read_wishes(self) -> None:
        """Takes over what shall run; a damaged file changes nothing."""
        wishes = Wishes() if self._leaving else read_json(self._run_dir / "programs.json", Wishes)
        if wishes is None:
            if not self._damaged:
                LOGGER.error("programs.json cannot be read; carrying on with what was wished before")
            self._damaged = True
            return
        self._damaged = False
        if self._wishes is not None and wishes == self._wishes:
            return
        self._wishes = wishes
        for wish in wishes.programs:
            name = wish.program.name
            if name in self._supervised:
                self._supervised[name].update(wish)
            else:
                self._supervised[name] = Supervised(wish, self._launcher, self._clock)
        for name, supervised in self._supervised.items():
            if wishes.named(name) is None:
                supervised.wanted = False

    def _step(self) -> None:
        for supervised in list(self._supervised.values()):
            supervised.step(self._blocker(supervised), may_stop=self._may_stop(supervised))
        for name in [
            name for name, s in self._supervised.items() if not s.wanted and s.state is State.STOPPED
        ]:
            del self._supervised[name]

    def _blocker(self, supervised: Supervised) -> Supervised | None:
        """Returns the first of a program's needs that is not ready yet."""
        needed = (self._supervised.get(name) for name in supervised.program.needs)
        return next((need for need in needed if need is not None and need.state is not State.RUNNING), None)

    def _may_stop(self, supervised: Supervised) -> bool:
        """Returns True when everything of the later stages that has to stop, has stopped."""
        return not any(
            other.unwanted_and_alive and other.program.stage > supervised.program.stage
            for other in self._supervised.values()
        )

    def _publish(self) -> None:
        status = SupervisorStatus(
            pid=os.getpid(),
            identity=self._identity,
            seen=self._wishes.version if self._wishes is not None else -1,
            programs={name: supervised.status() for name, supervised in self._supervised.items()},
        )
        content = msgspec.json.encode(status)
        if content != self._published:
            write_atomically(self._run_dir / "status.json", content, 0o600, durable=False)
            self._published = content


@contextlib.contextmanager
def only_copy(run_dir: Path) -> Iterator[bool]:
    """Holds the supervisor's lock of a run directory.

    Yields:
        False when another supervisor has it.
    """
    with (run_dir / "supervisor.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def main(argv: list[str] | None = None) -> int:
    """Runs a supervisor until it is told to end or has nothing left to do.

    Returns:
        0, or 3 when another supervisor looks after this run directory already.
    """
    parser = argparse.ArgumentParser(
        prog="supervisor", description="Keeps the programs of a run directory running."
    )
    parser.add_argument("run_dir", type=Path, help="directory with programs.json")
    parser.add_argument(
        "--log-dir", type=Path, help="where the output of the programs goes; default RUN_DIR/log"
    )
    parser.add_argument("--owner", type=int, help="process id; stop everything when this process has ended")
    options = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    ending = threading.Event()

    def on_signal(signum: int, _: object) -> None:
        if signum not in (signal.SIGUSR1, signal.SIGCHLD):
            ending.set()

    with reader, writer:
        signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(signum, on_signal)
        with only_copy(options.run_dir) as alone:
            if not alone:
                LOGGER.error("another supervisor looks after %s already", options.run_dir)
                return 3
            try:
                Supervisor(options.run_dir, options.log_dir, options.owner).run(reader.fileno(), ending)
            except Exception:
                LOGGER.exception("the supervisor has to give up; its programs keep running")
                return 1
            finally:
                signal.set_wakeup_fd(-1)
            (options.run_dir / "status.json").unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
