"""`SubProcess`: a command run as a child of this process, with its output read by us.

For programs that shall outlive their parent, be restarted, or be found by others, use `egse.process.launcher`.
"""

from __future__ import annotations

import locale
import os
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO

import psutil

from egse.process.identity import descendants, end_all

KEPT = 4 * 1024 * 1024
"""So much of what a child writes is kept of each stream, the newest [bytes]."""
_PIECE = 64 * 1024


class _Drain(threading.Thread):
    """Reads what a child writes, whether anybody wants it or not: a child that finds its pipe full would stop."""

    def __init__(self, name: str, stream: IO[bytes]) -> None:
        super().__init__(name=name, daemon=True)
        self._stream = stream
        self._data = bytearray()
        self.start()

    def run(self) -> None:
        with self._stream:
            while piece := self._stream.read(_PIECE):
                self._data += piece
                if len(self._data) > 2 * KEPT:
                    del self._data[:-KEPT]

    def text(self) -> str:
        """Returns what was read, the newest `KEPT` bytes; for a stream that has ended."""
        text = self._data[-KEPT:].decode(locale.getpreferredencoding(False), errors="replace")
        return text.replace("\r\n", "\n").replace("\r", "\n")


class SubProcess:
    """A command that is run as a child process; used as a context manager it is gone at the end of the block.

    Args:
        name: what it is called in messages.
        cmd: the program and its arguments; never passed through a shell.
        args: more arguments.
        env: variables added to the environment of this process.
        stdout: as for `subprocess.Popen`; by default what is written is read all the time, and the newest `KEPT` bytes are
            returned by `communicate`.
        stderr: likewise.

    Example:
        ::

            with SubProcess("listing", ["ls", "-l"]) as listing:
                output, errors = listing.communicate(timeout=5.0)
    """

    def __init__(
        self,
        name: str,
        cmd: Sequence[str],
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        stdout: int | None = subprocess.PIPE,
        stderr: int | None = subprocess.PIPE,
    ) -> None:
        self.name = name
        self.command = [*cmd, *args]
        self._env = {**os.environ, **(env or {})}
        self._stdout = stdout
        self._stderr = stderr
        self._popen: subprocess.Popen[bytes] | None = None
        self._drains: dict[str, _Drain] = {}

    def __enter__(self) -> SubProcess:
        return self if self._popen is not None else self.execute()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def execute(self, detach_from_parent: bool = False) -> SubProcess:
        """Starts the command.

        Args:
            detach_from_parent: give it a session of its own, so that Ctrl-C in the terminal does not reach it.

        Raises:
            RuntimeError: when it was started before.
            FileNotFoundError, PermissionError: when the program cannot be executed.
        """
        if self._popen is not None:
            raise RuntimeError(f"{self.name} was started already, as process {self._popen.pid}")
        self._popen = subprocess.Popen(
            self.command,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=self._stdout,
            stderr=self._stderr,
            bufsize=0,
            start_new_session=detach_from_parent,
        )
        for which, stream in (("stdout", self._popen.stdout), ("stderr", self._popen.stderr)):
            if stream is not None:
                self._drains[which] = _Drain(f"{self.name} {which}", stream)
        return self

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._started().pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, negative when a signal ended it; None while it runs."""
        return self._started().poll()

    @property
    def is_running(self) -> bool:
        """True when it was started and has not ended."""
        return self._popen is not None and self._popen.poll() is None

    def children(self) -> list[psutil.Process]:
        """Returns its living children and their children."""
        return descendants(self.pid)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Waits for its end and returns what it wrote, of each stream the newest `KEPT` bytes.

        Args:
            timeout: how long to wait [s]; None for ever.

        Returns:
            Standard output and standard error; empty when they were sent elsewhere.

        Raises:
            TimeoutError: when it still runs after `timeout`; it is left running.
        """
        popen = self._started()
        deadline = None if timeout is None else time.monotonic() + timeout
        try:
            for drain in self._drains.values():
                drain.join(_until(deadline))
                if drain.is_alive():
                    raise subprocess.TimeoutExpired(self.command, timeout or 0.0)
            popen.wait(_until(deadline))
        except subprocess.TimeoutExpired as exc:
            raise TimeoutError(f"{self.name} (process {self.pid}) still runs after {timeout:g} s") from exc
        output, errors = (
            self._drains[which].text() if which in self._drains else "" for which in ("stdout", "stderr")
        )
        return output, errors

    def stop(self, timeout: float = 5.0) -> int | None:
        """Ends it and all its descendants: SIGTERM, then SIGKILL.

        Args:
            timeout: time [s] they have to end by themselves.

        Returns:
            Its exit code, None when it was never started.
        """
        if self._popen is None:
            return None
        family = self.children()
        if self._popen.poll() is None:
            self._popen.terminate()
            try:
                self._popen.wait(timeout)
            except subprocess.TimeoutExpired:
                self._popen.kill()
                self._popen.wait()
        end_all(family, timeout=1.0)
        for drain in self._drains.values():
            drain.join(1.0)  # one that has escaped from the family may still write; it is read until it ends
        return self._popen.returncode

    def _started(self) -> subprocess.Popen[bytes]:
        if self._popen is None:
            raise RuntimeError(f"{self.name} has not been started: call execute() first")
        return self._popen


def _until(deadline: float | None) -> float | None:
    """Returns how long it is until a time of the monotonic clock [s], None for ever."""
    return None if deadline is None else max(deadline - time.monotonic(), 0.0)
